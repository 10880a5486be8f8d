/* SPDX-License-Identifier: BSD-3-Clause */
/* shadow.c: for tests, blocks of which each byte is known, by every entry point. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "in_pool.h"
#include "libvmmalloc.h"
#include "shadow.h"

/* jemalloc(3)'s flags: the logarithm of an alignment, and this. */
#define FLAG_ZERO 0x40

/* What a free must leave in errno; nothing sets it. */
#define ERRNO_KEPT EXDEV

#define STEP 0x9e3779b97f4a7c15U
#define FAULTS_SAID 50

static struct shadow_counts own_counts;
struct shadow_counts *shadow_counts = &own_counts;
bool shadow_aborts;
static bool is_in_bounds;
static uintptr_t pool_from, pool_to;

enum way {
	MALLOC, CALLOC, REALLOC_NULL, REALLOCARRAY_NULL, POSIX_MEMALIGN,
	ALIGNED_ALLOC, MEMALIGN, VALLOC, PVALLOC, MALLOCX, NEW,
	REALLOC, REALLOCARRAY, RALLOCX, XALLOCX,
	FREE, FREE_SIZED, FREE_ALIGNED_SIZED, CFREE, REALLOC_ZERO, DALLOCX,
	SDALLOCX, DELETE, USABLE_SIZE, SALLOCX, NALLOCX
};

const char *const shadow_names[] = {
	"malloc", "calloc", "realloc(NULL)", "reallocarray(NULL)",
	"posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc",
	"mallocx", "new", "realloc", "reallocarray", "rallocx", "xallocx",
	"free", "free_sized", "free_aligned_sized", "cfree", "realloc(0)",
	"dallocx", "sdallocx", "delete", "malloc_usable_size", "sallocx",
	"nallocx", NULL
};

/* What libc does not have: NULL without the library. */
static struct {
	__typeof__(&free_sized) free_sized;
	__typeof__(&free_aligned_sized) free_aligned_sized;
	__typeof__(&cfree) cfree;
	__typeof__(&mallocx) mallocx;
	__typeof__(&rallocx) rallocx;
	__typeof__(&xallocx) xallocx;
	__typeof__(&sallocx) sallocx;
	__typeof__(&nallocx) nallocx;
	__typeof__(&dallocx) dallocx;
	__typeof__(&sdallocx) sdallocx;
} more;

/* Who is linked with the library under other names has nothing to look for. */
#ifdef SHADOW_LINKED
#define FIND(name) more.name = name
#else
#define FIND(name) *(void **)&more.name = dlsym(RTLD_DEFAULT, #name)
#endif

static void
find_more(void)
{
	FIND(free_sized);
	FIND(free_aligned_sized);
	FIND(cfree);
	FIND(mallocx);
	FIND(rallocx);
	FIND(xallocx);
	FIND(sallocx);
	FIND(nallocx);
	FIND(dallocx);
	FIND(sdallocx);
}

static void
add(unsigned long *count, unsigned long number)
{
	__atomic_add_fetch(count, number, __ATOMIC_RELAXED);
}

static void
called(enum way way)
{
	add(&shadow_counts->calls[way], 1);
}

void
shadow_fault(const char *format, ...)
{
	unsigned long number = __atomic_add_fetch(&shadow_counts->faults, 1,
	    __ATOMIC_RELAXED);
	char text[500];
	va_list arguments;
	int length;

	if (number <= FAULTS_SAID) {
		va_start(arguments, format);
		length = vsnprintf(text, sizeof(text) - 1, format, arguments);
		va_end(arguments);
		if (length > (int)sizeof(text) - 2)
			length = (int)sizeof(text) - 2;
		text[length] = '\n';
		/* One write(2) each, so that lines of processes stay apart. */
		if (write(2, text, (size_t)length + 1) < 0)
			abort();
	}
	if (shadow_aborts)
		abort();
}

void
shadow_start(bool has_pool)
{
	find_more();
	if (has_pool)
		is_in_bounds = in_pool_span(&pool_from, &pool_to);
	if (has_pool && !is_in_bounds)
		shadow_fault("there is no pool");
}

/*
 * Content: words that follow from the mark, and of the last as much as fits. Every block
 * is aligned for them.
 */

typedef uint64_t __attribute__((may_alias)) word;

static void
fill(const struct shadow_block *block)
{
	word *words = (word *)(void *)block->data;
	size_t count = block->size / sizeof(word);
	uint64_t next = block->mark;

	for (size_t i = 0; i < count; i++, next += STEP)
		words[i] = next;
	memcpy(&words[count], &next, block->size % sizeof(word));
}

/* Up to where the first `size` bytes are as they should be. */
static size_t
good_size(const struct shadow_block *block, size_t size)
{
	const word *words = (const word *)(const void *)block->data;
	size_t count = size / sizeof(word);
	uint64_t next = block->mark;

	for (size_t i = 0; i < count; i++, next += STEP) {
		if (words[i] != next)
			return i * sizeof(word);
	}
	return memcmp(&words[count], &next, size % sizeof(word)) == 0
	    ? size : count * sizeof(word);
}

static bool
is_whole_up_to(const struct shadow_block *block, size_t size, const char *when)
{
	size_t good = good_size(block, size);

	add(&shadow_counts->bytes_checked, size);
	if (good == size)
		return true;
	shadow_fault("%s: process %d: block %p of %zu bytes, alignment %zu, is "
	    "wrong from byte %zu of %zu on: %02x %02x %02x %02x", when,
	    (int)getpid(), (void *)block->data, block->size, block->alignment,
	    good, size, block->data[good],
	    good + 1 < size ? block->data[good + 1] : 0,
	    good + 2 < size ? block->data[good + 2] : 0,
	    good + 3 < size ? block->data[good + 3] : 0);
	return false;
}

bool
shadow_is_whole(const struct shadow_block *block, const char *when)
{
	return block->data == NULL ||
	    is_whole_up_to(block, block->size, when);
}

static bool
is_zero(const unsigned char *data, size_t size)
{
	return size == 0 ||
	    (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* What is true of every block. */
static void
check_place(const struct shadow_block *block, enum way way)
{
	uintptr_t place = (uintptr_t)block->data;
	size_t alignment = block->alignment > 16 ? block->alignment : 16;
	size_t usable = malloc_usable_size(block->data);

	called(USABLE_SIZE);
	if (place % alignment != 0)
		shadow_fault("%s: %p of %zu bytes is not at a multiple of %zu",
		    shadow_names[way], (void *)block->data, block->size,
		    alignment);
	if (usable < block->size)
		shadow_fault("%s: %p of %zu bytes has %zu", shadow_names[way],
		    (void *)block->data, block->size, usable);
	if (is_in_bounds && (place < pool_from ||
		place + block->size > pool_to))
		shadow_fault("%s: %p of %zu bytes is not in the pool",
		    shadow_names[way], (void *)block->data, block->size);
	if (more.sallocx != NULL) {
		called(SALLOCX);
		if (more.sallocx(block->data, 0) != usable)
			shadow_fault("%p: sallocx differs", (void *)block->data);
	}
}

static int
lg_of(size_t alignment)
{
	return alignment == 0 ? 0 : __builtin_ctzl(alignment);
}

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* As many as there are sizes: mostly small. At least a pointer's. */
static size_t
alignment_of(uint64_t random)
{
	unsigned shift = random % 4 ? (unsigned)(random >> 2) % 10
				    : (unsigned)(random >> 2) % 19;

	return sizeof(void *) << shift;
}

static void *
get_aligned(enum way way, struct shadow_block *block, uint64_t random)
{
	void *data = NULL;
	int error;

	block->alignment = alignment_of(random);
	switch (way) {
	case POSIX_MEMALIGN:
		error = posix_memalign(&data, block->alignment, block->size);
		/* The others set errno, this one alone does not. */
		if (errno != 0 || (error != 0 && error != ENOMEM))
			shadow_fault("posix_memalign: %d, errno %d", error,
			    errno);
		errno = error;
		return error == 0 ? data : NULL;
	case ALIGNED_ALLOC:
		return aligned_alloc(block->alignment, block->size);
	case MEMALIGN:
		return memalign(block->alignment, block->size);
	case VALLOC:
		block->alignment = page_size();
		return valloc(block->size);
	default:
		block->alignment = page_size();
		data = pvalloc(block->size);
		block->size = (block->size + page_size() - 1) &
		    ~(page_size() - 1);
		return data;
	}
}

/* jemalloc(3): neither for 0 bytes. */
static void *
get_extended(struct shadow_block *block, uint64_t random, bool *is_zeroed)
{
	int flags = 0;
	size_t expected;
	void *data;

	if (block->size == 0)
		block->size = 1;
	if (random % 2) {
		block->alignment = alignment_of(random >> 2);
		flags = lg_of(block->alignment);
	}
	*is_zeroed = random & 2;
	flags |= *is_zeroed ? FLAG_ZERO : 0;
	called(NALLOCX);
	expected = more.nallocx(block->size, flags);
	data = more.mallocx(block->size, flags);
	if (data != NULL && expected != more.sallocx(data, flags))
		shadow_fault("nallocx: %zu, but sallocx: %zu", expected,
		    more.sallocx(data, flags));
	/* It says nothing of errno. */
	errno = data == NULL ? ENOMEM : 0;
	return data;
}

static void *
get_new(struct shadow_block *block, uint64_t random)
{
	void *data;

	if (random % 4 == 0)
		block->alignment = alignment_of(random >> 3);
	data = shadow_new(block->size, block->alignment, random & 4);
	errno = data == NULL ? ENOMEM : 0;
	return data;
}

/* Those that others are said to be used more than, are. */
static enum way
way_to_get(uint64_t random)
{
	static const enum way ways[] = {
		MALLOC, MALLOC, MALLOC, CALLOC, CALLOC, REALLOC_NULL,
		REALLOCARRAY_NULL, POSIX_MEMALIGN, ALIGNED_ALLOC, MEMALIGN,
		VALLOC, PVALLOC, MALLOCX, NEW, NEW, MALLOC
	};
	enum way way = ways[random % (sizeof(ways) / sizeof(ways[0]))];

	return way == MALLOCX && more.mallocx == NULL ? MALLOC : way;
}

bool
shadow_get(struct shadow_block *block, size_t size, uint64_t random)
{
	enum way way = way_to_get(random);
	uint64_t rest = random >> 5;
	bool is_zeroed = way == CALLOC;

	*block = (struct shadow_block){ .size = size, .mark = random * STEP };
	errno = 0;
	switch (way) {
	case MALLOC:
		block->data = malloc(size);
		break;
	case CALLOC:
		/* Of many sizes one can be divided. */
		block->data = size % 7 == 0 ? calloc(7, size / 7)
					    : calloc(size, 1);
		break;
	case REALLOC_NULL:
		block->data = realloc(NULL, size);
		break;
	case REALLOCARRAY_NULL:
		block->data = reallocarray(NULL, 1, size);
		break;
	case MALLOCX:
		block->data = get_extended(block, rest, &is_zeroed);
		break;
	case NEW:
		block->data = get_new(block, rest);
		break;
	default:
		block->data = get_aligned(way, block, rest);
	}
	called(way);
	if (block->data == NULL) {
		add(&shadow_counts->refused, 1);
		if (errno != ENOMEM)
			shadow_fault("%s of %zu bytes: NULL, errno %d",
			    shadow_names[way], size, errno);
		return false;
	}
	check_place(block, way);
	if (is_zeroed && !is_zero(block->data, block->size))
		shadow_fault("%s: %p of %zu bytes is not zeroed",
		    shadow_names[way], (void *)block->data, block->size);
	fill(block);
	return true;
}

/* In place, or not; in the debug variant sizes are exact, and in the other rounded. */
static bool
resize_in_place(struct shadow_block *block, size_t size, uint64_t random)
{
	int flags = lg_of(block->alignment) | (random % 2 ? FLAG_ZERO : 0);
	size_t old_usable = malloc_usable_size(block->data);
	size_t room = more.xallocx(block->data, size, random % 64, flags);
	size_t kept = block->size < room ? block->size : room;

	called(XALLOCX);
	if (room != malloc_usable_size(block->data))
		shadow_fault("xallocx: %zu, but malloc_usable_size: %zu", room,
		    malloc_usable_size(block->data));
	is_whole_up_to(block, kept, "xallocx");
	if (room < size)
		return false;
	if (random % 2 && room > old_usable &&
	    !is_zero(block->data + old_usable, room - old_usable))
		shadow_fault("xallocx: %p is not zeroed behind %zu",
		    (void *)block->data, old_usable);
	block->size = room;
	return true;
}

static void *
resize_extended(struct shadow_block *block, size_t size, uint64_t random,
    size_t *alignment)
{
	size_t old_usable = malloc_usable_size(block->data);
	unsigned char *data;
	int flags = random % 2 ? FLAG_ZERO : 0;
	size_t usable;

	if (random & 2) {
		*alignment = alignment_of(random >> 3);
		flags |= lg_of(*alignment);
	}
	data = more.rallocx(block->data, size, flags);
	if (data == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	usable = malloc_usable_size(data);
	if (random % 2 && usable > old_usable && size > old_usable &&
	    !is_zero(data + old_usable, size - old_usable))
		shadow_fault("rallocx: %p is not zeroed behind %zu",
		    (void *)data, old_usable);
	return data;
}

bool
shadow_resize(struct shadow_block *block, size_t size, uint64_t random)
{
	static const enum way ways[] = { REALLOC, REALLOC, REALLOCARRAY,
		RALLOCX, XALLOCX };
	enum way way = ways[random % (sizeof(ways) / sizeof(ways[0]))];
	struct shadow_block moved = *block;
	size_t kept = size < block->size ? size : block->size;

	/* Size 0 is for shadow_give. */
	if (block->data == NULL || size == 0)
		return false;
	if ((way == RALLOCX || way == XALLOCX) && more.mallocx == NULL)
		way = REALLOC;
	shadow_is_whole(block, "before it is resized");
	errno = 0;
	if (way == XALLOCX) {
		bool is_resized = resize_in_place(block, size, random >> 3);

		fill(block);
		return is_resized;
	}
	moved.alignment = 0;
	moved.size = size;
	if (way == REALLOC)
		moved.data = realloc(block->data, size);
	else if (way == REALLOCARRAY)
		moved.data = reallocarray(block->data, 1, size);
	else
		moved.data = resize_extended(block, size, random >> 3,
		    &moved.alignment);
	called(way);
	if (moved.data == NULL) {
		add(&shadow_counts->refused, 1);
		if (errno != ENOMEM)
			shadow_fault("%s to %zu bytes: NULL, errno %d",
			    shadow_names[way], size, errno);
		shadow_is_whole(block, "after a resize without memory");
		return false;
	}
	check_place(&moved, way);
	is_whole_up_to(&moved, kept, shadow_names[way]);
	*block = moved;
	block->mark = random * STEP;
	fill(block);
	return true;
}

static enum way
way_to_give(const struct shadow_block *block, uint64_t random)
{
	static const enum way ways[] = { FREE, FREE, FREE, FREE_SIZED,
		FREE_ALIGNED_SIZED, CFREE, REALLOC_ZERO, DALLOCX, SDALLOCX,
		DELETE, DELETE };
	enum way way = ways[random % (sizeof(ways) / sizeof(ways[0]))];

	if (more.mallocx == NULL)
		return FREE;
	/* Sizes and alignments go together: C23, 7.24.3.4 and 5. */
	if (way == FREE_SIZED && block->alignment != 0)
		return FREE_ALIGNED_SIZED;
	if (way == FREE_ALIGNED_SIZED && block->alignment == 0)
		return FREE_SIZED;
	return way;
}

void
shadow_give(struct shadow_block *block, uint64_t random)
{
	enum way way = way_to_give(block, random);
	uint64_t rest = random >> 5;

	if (block->data == NULL)
		return;
	shadow_is_whole(block, "before it is freed");
	/* So that whoever still refers to it sees that. */
	if (block->size > 0)
		block->data[0] = (unsigned char)~block->data[0];
	errno = ERRNO_KEPT;
	switch (way) {
	case FREE_SIZED:
		more.free_sized(block->data, block->size);
		break;
	case FREE_ALIGNED_SIZED:
		more.free_aligned_sized(block->data, block->alignment,
		    block->size);
		break;
	case CFREE:
		more.cfree(block->data);
		break;
	case REALLOC_ZERO:
		if (realloc(block->data, 0) != NULL)
			shadow_fault("realloc(0) is not NULL");
		break;
	case DALLOCX:
		more.dallocx(block->data, lg_of(block->alignment));
		break;
	case SDALLOCX:
		more.sdallocx(block->data, block->size == 0 ? 1 : block->size,
		    lg_of(block->alignment));
		break;
	case DELETE:
		shadow_delete(block->data, block->size, block->alignment,
		    (unsigned)rest);
		break;
	default:
		free(block->data);
	}
	called(way);
	if (errno != ERRNO_KEPT)
		shadow_fault("%s: errno is %d", shadow_names[way], errno);
	block->data = NULL;
}

/* The chain: its links lie in the blocks, its content follows from their places. */

struct link {
	void *before;
	uint64_t key; /* of the place and the one before, so that a link cannot break */
};

static struct shadow_block
behind_link(void *link, size_t size)
{
	return (struct shadow_block){
		.data = (unsigned char *)link + sizeof(struct link),
		.size = size - sizeof(struct link),
		.mark = (uint64_t)(uintptr_t)link * STEP + size
	};
}

static uint64_t
key_of(const struct link *link, size_t size)
{
	return ((uint64_t)(uintptr_t)link ^ size) * STEP +
	    (uintptr_t)link->before;
}

bool
shadow_fill(struct shadow_chain *chain, size_t most)
{
	size_t added = 0;

	for (; added < most; added++) {
		struct shadow_block block;
		struct link *link;

		errno = 0;
		link = malloc(chain->size);
		if (link == NULL)
			break;
		link->before = chain->last;
		link->key = key_of(link, chain->size);
		block = behind_link(link, chain->size);
		fill(&block);
		chain->last = link;
		chain->count++;
	}
	add(&shadow_counts->calls[MALLOC], added);
	if (added == most)
		return false;
	add(&shadow_counts->refused, 1);
	if (errno != ENOMEM)
		shadow_fault("malloc: NULL, errno %d", errno);
	return errno == ENOMEM;
}

static bool
is_link_whole(const struct link *link, size_t size, const char *when)
{
	struct shadow_block block = behind_link((void *)(uintptr_t)link, size);

	if (link->key != key_of(link, size)) {
		shadow_fault("%s: block %p of %zu bytes is wrong", when,
		    (const void *)link, size);
		return false;
	}
	return shadow_is_whole(&block, when);
}

bool
shadow_chain_is_whole(const struct shadow_chain *chain, const char *when)
{
	const struct link *link = chain->last;
	bool is_whole = true;

	/* A link that is wrong leads nowhere. */
	for (; link != NULL && is_whole; link = link->before)
		is_whole = is_link_whole(link, chain->size, when);
	return is_whole;
}

void
shadow_drain(struct shadow_chain *chain, size_t most)
{
	size_t freed = 0;

	while (chain->last != NULL && freed < most) {
		struct link *link = chain->last;

		if (!is_link_whole(link, chain->size, "in a full pool")) {
			chain->last = NULL;
			break;
		}
		chain->last = link->before;
		chain->count--;
		link->key = 0;
		free(link);
		freed++;
	}
	add(&shadow_counts->calls[FREE], freed);
}
