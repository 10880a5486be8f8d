/* SPDX-License-Identifier: BSD-3-Clause */
/* shadow_calls.c: for tests, allocates, resizes and frees blocks by every entry point. */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "shadow_inside.h"

/* A flag of jemalloc(3) for zeroed memory. An alignment's logarithm is another flag. */
#define FLAG_ZERO 0x40

/* A function that frees must leave errno as it is. No function sets this value. */
#define ERRNO_KEPT EXDEV

#define PICK(list, random) ((list)[(random) % (sizeof(list) / sizeof((list)[0]))])

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

/* Mostly small alignments. posix_memalign requires at least a pointer's size. */
static size_t
alignment_of(uint64_t random)
{
	unsigned shift = random % 4 ? (unsigned)(random >> 2) % 10
				    : (unsigned)(random >> 2) % 19;

	return sizeof(void *) << shift;
}

static void *
allocate_aligned(enum function function, struct shadow_block *block, uint64_t random)
{
	void *data = NULL;
	int error;

	block->alignment = alignment_of(random);
	switch (function) {
	case POSIX_MEMALIGN:
		error = posix_memalign(&data, block->alignment, block->size);
		/* This function returns its error and does not set errno. */
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

/* mallocx and nallocx do not accept a size of 0: jemalloc(3). */
static void *
allocate_extended(struct shadow_block *block, uint64_t random, bool *is_zeroed)
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
	shadow_called(NALLOCX);
	expected = shadow_extra.nallocx(block->size, flags);
	data = shadow_extra.mallocx(block->size, flags);
	if (data != NULL && expected != shadow_extra.sallocx(data, flags))
		shadow_fault("nallocx: %zu, but sallocx: %zu", expected,
		    shadow_extra.sallocx(data, flags));
	/* jemalloc(3) does not say what mallocx does to errno. */
	errno = data == NULL ? ENOMEM : 0;
	return data;
}

static void *
allocate_new(struct shadow_block *block, uint64_t random)
{
	void *data;

	if (random % 4 == 0)
		block->alignment = alignment_of(random >> 3);
	data = shadow_new(block->size, block->alignment, random & 4);
	errno = data == NULL ? ENOMEM : 0;
	return data;
}

/* Functions that programs use often are in the list more than once. */
static enum function
function_to_allocate(uint64_t random)
{
	static const enum function functions[] = {
		MALLOC, MALLOC, MALLOC, CALLOC, CALLOC, REALLOC_NULL,
		REALLOCARRAY_NULL, POSIX_MEMALIGN, ALIGNED_ALLOC, MEMALIGN,
		VALLOC, PVALLOC, MALLOCX, NEW, NEW, MALLOC
	};
	enum function function = PICK(functions, random);

	return function == MALLOCX && shadow_extra.mallocx == NULL ? MALLOC : function;
}

static void *
allocate_by(enum function function, struct shadow_block *block, uint64_t random,
    bool *is_zeroed)
{
	size_t size = block->size;

	*is_zeroed = function == CALLOC;
	switch (function) {
	case MALLOC:
		return malloc(size);
	case CALLOC:
		/* calloc multiplies count and size: use a count of 7 if it divides the size. */
		return size % 7 == 0 ? calloc(7, size / 7) : calloc(size, 1);
	case REALLOC_NULL:
		return realloc(NULL, size);
	case REALLOCARRAY_NULL:
		return reallocarray(NULL, 1, size);
	case MALLOCX:
		return allocate_extended(block, random, is_zeroed);
	case NEW:
		return allocate_new(block, random);
	default:
		return allocate_aligned(function, block, random);
	}
}

bool
shadow_allocate(struct shadow_block *block, size_t size, uint64_t random)
{
	enum function function = function_to_allocate(random);
	bool is_zeroed;

	*block = (struct shadow_block){ .size = size, .mark = random * STEP };
	errno = 0;
	block->data = allocate_by(function, block, random >> 5, &is_zeroed);
	shadow_called(function);
	if (block->data == NULL) {
		shadow_add(&shadow_counts->refused, 1);
		if (errno != ENOMEM)
			shadow_fault("%s of %zu bytes: NULL, errno %d",
			    shadow_names[function], size, errno);
		return false;
	}
	shadow_check_place(block, function);
	if (is_zeroed && !shadow_is_zero(block->data, block->size))
		shadow_fault("%s: %p of %zu bytes is not zeroed",
		    shadow_names[function], (void *)block->data, block->size);
	shadow_write(block);
	return true;
}

/*
 * Returns whether the block has the new size now. xallocx returns a rounded size in the
 * release variant and an exact size in the debug variant.
 */
static bool
resize_in_place(struct shadow_block *block, size_t size, uint64_t random)
{
	int flags = lg_of(block->alignment) | (random % 2 ? FLAG_ZERO : 0);
	size_t old_usable = malloc_usable_size(block->data);
	size_t room = shadow_extra.xallocx(block->data, size, random % 64, flags);
	size_t kept = block->size < room ? block->size : room;

	shadow_called(XALLOCX);
	if (room != malloc_usable_size(block->data))
		shadow_fault("xallocx: %zu, but malloc_usable_size: %zu", room,
		    malloc_usable_size(block->data));
	shadow_is_whole_up_to(block, kept, "xallocx");
	if (room < size)
		return false;
	if (random % 2 && room > old_usable &&
	    !shadow_is_zero(block->data + old_usable, room - old_usable))
		shadow_fault("xallocx: %p is not zeroed behind %zu",
		    (void *)block->data, old_usable);
	block->size = room;
	return true;
}

static void *
resize_extended(const struct shadow_block *block, size_t size, uint64_t random,
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
	data = shadow_extra.rallocx(block->data, size, flags);
	if (data == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	usable = malloc_usable_size(data);
	if (random % 2 && usable > old_usable && size > old_usable &&
	    !shadow_is_zero(data + old_usable, size - old_usable))
		shadow_fault("rallocx: %p is not zeroed behind %zu",
		    (void *)data, old_usable);
	return data;
}

static enum function
function_to_resize(uint64_t random)
{
	static const enum function functions[] = { REALLOC, REALLOC, REALLOCARRAY,
		RALLOCX, XALLOCX };
	enum function function = PICK(functions, random);

	return (function == RALLOCX || function == XALLOCX) &&
	    shadow_extra.mallocx == NULL ? REALLOC : function;
}

/* Resizes a block that may move. `moved` gets the new size, alignment and place. */
static bool
resize_and_move(enum function function, const struct shadow_block *block, size_t size,
    uint64_t random, struct shadow_block *moved)
{
	moved->alignment = 0;
	moved->size = size;
	if (function == REALLOC)
		moved->data = realloc(block->data, size);
	else if (function == REALLOCARRAY)
		moved->data = reallocarray(block->data, 1, size);
	else
		moved->data = resize_extended(block, size, random,
		    &moved->alignment);
	shadow_called(function);
	if (moved->data != NULL)
		return true;
	shadow_add(&shadow_counts->refused, 1);
	if (errno != ENOMEM)
		shadow_fault("%s to %zu bytes: NULL, errno %d",
		    shadow_names[function], size, errno);
	shadow_is_whole(block, "after a resize without memory");
	return false;
}

bool
shadow_resize(struct shadow_block *block, size_t size, uint64_t random)
{
	enum function function = function_to_resize(random);
	struct shadow_block moved = *block;
	size_t kept = size < block->size ? size : block->size;

	/* Only shadow_free resizes to 0. */
	if (block->data == NULL || size == 0)
		return false;
	shadow_is_whole(block, "before it is resized");
	errno = 0;
	if (function == XALLOCX) {
		bool is_resized = resize_in_place(block, size, random >> 3);

		shadow_write(block);
		return is_resized;
	}
	if (!resize_and_move(function, block, size, random >> 3, &moved))
		return false;
	shadow_check_place(&moved, function);
	shadow_is_whole_up_to(&moved, kept, shadow_names[function]);
	*block = moved;
	block->mark = random * STEP;
	shadow_write(block);
	return true;
}

static enum function
function_to_free(const struct shadow_block *block, uint64_t random)
{
	static const enum function functions[] = { FREE, FREE, FREE, FREE_SIZED,
		FREE_ALIGNED_SIZED, CFREE, REALLOC_ZERO, DALLOCX, SDALLOCX,
		DELETE, DELETE };
	enum function function = PICK(functions, random);

	if (shadow_extra.mallocx == NULL)
		return FREE;
	/* The function must suit the block's alignment: C23, 7.24.3.4 and 7.24.3.5. */
	if (function == FREE_SIZED && block->alignment != 0)
		return FREE_ALIGNED_SIZED;
	if (function == FREE_ALIGNED_SIZED && block->alignment == 0)
		return FREE_SIZED;
	return function;
}

static void
free_by(enum function function, struct shadow_block *block, uint64_t random)
{
	switch (function) {
	case FREE_SIZED:
		shadow_extra.free_sized(block->data, block->size);
		break;
	case FREE_ALIGNED_SIZED:
		shadow_extra.free_aligned_sized(block->data, block->alignment,
		    block->size);
		break;
	case CFREE:
		shadow_extra.cfree(block->data);
		break;
	case REALLOC_ZERO:
		if (realloc(block->data, 0) != NULL)
			shadow_fault("realloc(0) is not NULL");
		break;
	case DALLOCX:
		shadow_extra.dallocx(block->data, lg_of(block->alignment));
		break;
	case SDALLOCX:
		shadow_extra.sdallocx(block->data,
		    block->size == 0 ? 1 : block->size, lg_of(block->alignment));
		break;
	case DELETE:
		shadow_delete(block->data, block->size, block->alignment,
		    (unsigned)random);
		break;
	default:
		free(block->data);
	}
}

void
shadow_free(struct shadow_block *block, uint64_t random)
{
	enum function function = function_to_free(block, random);

	if (block->data == NULL)
		return;
	shadow_is_whole(block, "before it is freed");
	/* If another record still refers to the block, its check finds this change. */
	if (block->size > 0)
		block->data[0] = (unsigned char)~block->data[0];
	errno = ERRNO_KEPT;
	free_by(function, block, random >> 5);
	shadow_called(function);
	if (errno != ERRNO_KEPT)
		shadow_fault("%s: errno is %d", shadow_names[function], errno);
	block->data = NULL;
}
