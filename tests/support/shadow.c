/* SPDX-License-Identifier: BSD-3-Clause */
/* shadow.c: for tests, counts calls and faults, and checks the content and the address of
 * blocks. */
#include "config.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "in_pool.h"
#include "shadow_inside.h"

#define FAULTS_PRINTED 50

static struct shadow_counts own_counts;
struct shadow_counts *shadow_counts = &own_counts;
bool shadow_aborts;
struct shadow_extra shadow_extra;
static bool has_bounds;
static uintptr_t pool_from, pool_to;

const char *const shadow_names[] = {
	"malloc", "calloc", "realloc(NULL)", "reallocarray(NULL)",
	"posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc",
	"mallocx", "new", "realloc", "reallocarray", "rallocx", "xallocx",
	"free", "free_sized", "free_aligned_sized", "cfree", "realloc(0)",
	"dallocx", "sdallocx", "delete", "malloc_usable_size", "sallocx",
	"nallocx", NULL
};

/* A fuzzer is linked with the library under other names, so dlsym finds nothing. */
#ifdef SHADOW_LINKED
#define FIND(name) shadow_extra.name = name
#else
#define FIND(name) *(void **)&shadow_extra.name = dlsym(RTLD_DEFAULT, #name)
#endif

static void
find_extra(void)
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

void
shadow_add(unsigned long *count, unsigned long number)
{
	__atomic_add_fetch(count, number, __ATOMIC_RELAXED);
}

void
shadow_called(enum function function)
{
	shadow_add(&shadow_counts->calls[function], 1);
}

void
shadow_fault(const char *format, ...)
{
	unsigned long number = __atomic_add_fetch(&shadow_counts->faults, 1,
	    __ATOMIC_RELAXED);
	char text[500];
	va_list arguments;
	int length;

	if (number <= FAULTS_PRINTED) {
		va_start(arguments, format);
		length = vsnprintf(text, sizeof(text) - 1, format, arguments);
		va_end(arguments);
		if (length > (int)sizeof(text) - 2)
			length = (int)sizeof(text) - 2;
		text[length] = '\n';
		/* One write(2) for each line keeps lines of different processes apart. */
		if (write(2, text, (size_t)length + 1) < 0)
			abort();
	}
	if (shadow_aborts)
		abort();
}

void
shadow_start(bool has_pool)
{
	find_extra();
	if (has_pool)
		has_bounds = in_pool_span(&pool_from, &pool_to);
	if (has_pool && !has_bounds)
		shadow_fault("there is no pool");
}

/*
 * The content of a block is a sequence of words that follows from its mark. The last word
 * is cut off where the block ends. Every block is aligned for a word.
 */

typedef uint64_t __attribute__((may_alias)) word;

void
shadow_write(const struct shadow_block *block)
{
	word *words = (word *)(void *)block->data;
	size_t count = block->size / sizeof(word);
	uint64_t next = block->mark;

	for (size_t i = 0; i < count; i++, next += STEP)
		words[i] = next;
	memcpy(&words[count], &next, block->size % sizeof(word));
}

/* Returns `size` if that many bytes are right, or the offset of the first wrong word. */
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

bool
shadow_is_whole_up_to(const struct shadow_block *block, size_t size,
    const char *when)
{
	size_t good = good_size(block, size);

	shadow_add(&shadow_counts->bytes_checked, size);
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
	    shadow_is_whole_up_to(block, block->size, when);
}

bool
shadow_is_zero(const unsigned char *data, size_t size)
{
	return size == 0 ||
	    (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

void
shadow_check_place(const struct shadow_block *block, enum function function)
{
	uintptr_t place = (uintptr_t)block->data;
	size_t alignment = block->alignment > 16 ? block->alignment : 16;
	size_t usable = malloc_usable_size(block->data);

	shadow_called(USABLE_SIZE);
	if (place % alignment != 0)
		shadow_fault("%s: %p of %zu bytes is not at a multiple of %zu",
		    shadow_names[function], (void *)block->data, block->size,
		    alignment);
	if (usable < block->size)
		shadow_fault("%s: %p of %zu bytes: usable size %zu",
		    shadow_names[function], (void *)block->data, block->size, usable);
	if (has_bounds && (place < pool_from ||
		place + block->size > pool_to))
		shadow_fault("%s: %p of %zu bytes is not in the pool",
		    shadow_names[function], (void *)block->data, block->size);
	if (shadow_extra.sallocx != NULL) {
		shadow_called(SALLOCX);
		if (shadow_extra.sallocx(block->data, 0) != usable)
			shadow_fault("%p: sallocx differs from malloc_usable_size",
			    (void *)block->data);
	}
}
