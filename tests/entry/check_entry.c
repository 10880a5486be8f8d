/* SPDX-License-Identifier: BSD-3-Clause */
/* check_entry.c: the contract of each entry point; run with the library preloaded. */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/check_main.h"
#include "../support/in_pool.h"
#include "libvmmalloc.h"

/* What libc has not: the program links without, and finds it where it runs. */
#pragma weak cfree
#pragma weak free_sized
#pragma weak free_aligned_sized
#pragma weak mallocx
#pragma weak rallocx
#pragma weak xallocx
#pragma weak sallocx
#pragma weak dallocx
#pragma weak sdallocx
#pragma weak nallocx
#pragma weak mallctl
#pragma weak mallctlnametomib
#pragma weak mallctlbymib
#pragma weak malloc_stats_print

/* Hides a value from the compiler, which knows what malloc and free do. */
static void *
opaque(void *value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

static size_t
opaque_size(size_t value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

static bool
is_zero(const unsigned char *block, size_t size)
{
	unsigned char all = 0;

	/* Not an assertion a byte: each is a system call. */
	for (size_t byte = 0; byte < size; byte++)
		all |= block[byte];
	return all == 0;
}

static bool
is_aligned(const void *block, size_t alignment)
{
	return (uintptr_t)block % alignment == 0;
}

/* The functions that allocate `size` bytes, each by one row. */

static void *
by_malloc(size_t size)
{
	return malloc(size);
}
static void *
by_calloc(size_t size)
{
	return calloc(1, size);
}
static void *
by_realloc(size_t size)
{
	return realloc(opaque(NULL), size);
}
static void *
by_realloc_block(size_t size)
{
	void *block = malloc(24);
	void *moved = realloc(block, size);

	if (moved == NULL && size != 0) {
		int saved_errno = errno;

		free(block);
		errno = saved_errno;
	}
	return moved;
}
static void *
by_reallocarray(size_t size)
{
	return reallocarray(opaque(NULL), size, 1);
}
static void *
by_posix_memalign(size_t size)
{
	void *block = NULL;
	int error = posix_memalign(&block, 64, size);

	if (error != 0)
		errno = error;
	return block;
}
static void *
by_aligned_alloc(size_t size)
{
	return aligned_alloc(64, size);
}
static void *
by_memalign(size_t size)
{
	return memalign(64, size);
}
static void *
by_valloc(size_t size)
{
	return valloc(size);
}
static void *
by_pvalloc(size_t size)
{
	return pvalloc(size);
}

static const struct way {
	const char *name;
	void *(*allocate)(size_t size);
	size_t alignment; /* 0: a page */
	bool frees_for_zero;
} ways[] = {
	{ "malloc", by_malloc, 16, false },
	{ "calloc", by_calloc, 16, false },
	{ "realloc", by_realloc, 16, false },
	{ "realloc of a block", by_realloc_block, 16, true },
	{ "reallocarray", by_reallocarray, 16, false },
	{ "posix_memalign", by_posix_memalign, 64, false },
	{ "aligned_alloc", by_aligned_alloc, 64, false },
	{ "memalign", by_memalign, 64, false },
	{ "valloc", by_valloc, 0, false },
	{ "pvalloc", by_pvalloc, 0, false },
};

#define NWAYS ((int)(sizeof(ways) / sizeof(ways[0])))

static size_t
alignment_of(const struct way *way)
{
	return way->alignment != 0 ? way->alignment
				   : (size_t)sysconf(_SC_PAGESIZE);
}

static const size_t good_sizes[] = {
	0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 63, 64, 65, 100, 127, 128, 1000, 4095,
	4096, 4097, 14335, 14336, 14337, 16384, 32768, 65535, 65536, 100000,
	1000000, 2097152, 3000000, 4194304,
};

/* Any size: in the pool, aligned, large enough, writable, and given back. */
START_TEST(test_good_sizes)
{
	const struct way *way = &ways[_i];

	for (size_t i = 0; i < sizeof(good_sizes) / sizeof(size_t); i++) {
		size_t size = good_sizes[i];
		unsigned char *block;

		if (size == 0 && way->frees_for_zero)
			continue;
		block = way->allocate(size);
		ck_assert_msg(block != NULL, "%s(%zu)", way->name, size);
		ck_assert_msg(is_in_pool(block), "%s(%zu)", way->name, size);
		ck_assert_msg(is_aligned(block, alignment_of(way)),
		    "%s(%zu) is %p", way->name, size, (void *)block);
		ck_assert_uint_ge(malloc_usable_size(block), size);
		if (way->allocate == by_calloc)
			ck_assert(is_zero(block, size));
		memset(opaque(block), 0xa5, malloc_usable_size(block));
		free(block);
	}
}
END_TEST

static const size_t bad_sizes[] = {
	(size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX + 4096, SIZE_MAX / 2 + 1,
	SIZE_MAX - 65536, SIZE_MAX - 4096, SIZE_MAX - 4095, SIZE_MAX - 64,
	SIZE_MAX - 16, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX, PTRDIFF_MAX,
	SIZE_MAX / 4,
};

START_TEST(test_bad_sizes)
{
	const struct way *way = &ways[_i];

	for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(size_t); i++) {
		void *block;

		errno = 0;
		block = way->allocate(opaque_size(bad_sizes[i]));
		ck_assert_msg(block == NULL, "%s(%zu)", way->name,
		    bad_sizes[i]);
		ck_assert_msg(errno == ENOMEM, "%s(%zu): errno %d", way->name,
		    bad_sizes[i], errno);
	}
}
END_TEST

START_TEST(test_zero_is_unique)
{
	const struct way *way = &ways[_i];
	void *first, *second;

	if (way->frees_for_zero)
		return;
	first = way->allocate(0);
	second = way->allocate(0);
	ck_assert_ptr_nonnull(first);
	ck_assert_ptr_nonnull(second);
	ck_assert_ptr_ne(first, second);
	free(first);
	free(second);
}
END_TEST

START_TEST(test_products)
{
	void *block = malloc(100);

	memset(block, 7, 100);
	errno = 0;
	ck_assert_ptr_null(calloc(opaque_size(SIZE_MAX / 2), 3));
	ck_assert_int_eq(errno, ENOMEM);
	errno = 0;
	ck_assert_ptr_null(calloc(opaque_size((size_t)1 << (sizeof(size_t) * 4)),
	    (size_t)1 << (sizeof(size_t) * 4)));
	ck_assert_int_eq(errno, ENOMEM);
	errno = 0;
	ck_assert_ptr_null(reallocarray(block, opaque_size(SIZE_MAX / 2), 3));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(((char *)block)[99], 7);
	free(block);
	block = calloc(0, 10);
	ck_assert_ptr_nonnull(block);
	free(block);
	block = calloc(10, 0);
	ck_assert_ptr_nonnull(block);
	free(block);
}
END_TEST

/* calloc of blocks that were used before. */
START_TEST(test_calloc_zeroes)
{
	for (size_t i = 0; i < sizeof(good_sizes) / sizeof(size_t); i++) {
		size_t size = good_sizes[i];
		unsigned char *block = malloc(size);

		memset(block, 0xff, size);
		free(opaque(block));
		block = calloc(size, 1);
		ck_assert(is_zero(block, size));
		free(block);
	}
}
END_TEST

/* The same when the pages went back to the pool and came again. */
START_TEST(test_calloc_zeroes_after_purge)
{
	for (size_t size = 20000; size <= (4 << 20); size *= 2) {
		unsigned char *block = malloc(size);

		memset(block, 0xff, size);
		free(opaque(block));
		ck_assert_int_eq(mallctl("arena.4096.purge", NULL, NULL, NULL,
		    0), 0);
		block = calloc(1, size);
		ck_assert(is_zero(block, size));
		free(block);
	}
}
END_TEST

START_TEST(test_realloc_keeps_content)
{
	unsigned char *block = malloc(1);

	block[0] = 42;
	for (size_t size = 2; size <= (4 << 20); size = size * 3 / 2) {
		size_t old = size * 2 / 3;

		block = realloc(block, size);
		ck_assert_ptr_nonnull(block);
		ck_assert(is_in_pool(block));
		ck_assert_uint_eq(block[0], 42);
		ck_assert_uint_eq(block[old / 2], old / 2 ? 43 : 42);
		memset(block + 1, 43, size - 1);
	}
	block = realloc(block, 4 << 20);
	memset(block + 1, 43, (4 << 20) - 1);
	for (size_t size = 4 << 20; size >= 2; size /= 3) {
		block = realloc(block, size);
		ck_assert_uint_eq(block[0], 42);
		ck_assert_uint_eq(block[size - 1], 43);
	}
	free(block);
}
END_TEST

START_TEST(test_realloc_of_nothing_and_to_nothing)
{
	void *block = realloc(opaque(NULL), 10);

	ck_assert_ptr_nonnull(block);
	ck_assert_ptr_null(realloc(opaque(block), opaque_size(0)));
}
END_TEST

START_TEST(test_realloc_failure_keeps_block)
{
	char *block = malloc(1000);

	memset(block, 5, 1000);
	errno = 0;
	ck_assert_ptr_null(realloc(block, opaque_size(PTRDIFF_MAX)));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_ptr_null(realloc(block, opaque_size((size_t)1 << 30)));
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(block[i], 5);
	free(block);
}
END_TEST

START_TEST(test_free_keeps_errno)
{
	for (size_t i = 0; i < sizeof(good_sizes) / sizeof(size_t); i++) {
		void *block = malloc(good_sizes[i]);

		errno = 4711;
		free(opaque(block));
		ck_assert_int_eq(errno, 4711);
	}
	errno = 4711;
	free(opaque(NULL));
	cfree(opaque(NULL));
	ck_assert_int_eq(errno, 4711);
	cfree(malloc(10));
}
END_TEST

START_TEST(test_posix_memalign_bad_alignment)
{
	static const size_t bad[] = { 0, 1, 2, 3, 4, 6, 7, 9, 24, 40, 4095,
		SIZE_MAX, SIZE_MAX / 2 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		void *block = &block;

		if (bad[i] == sizeof(void *))
			continue;
		errno = 4711;
		ck_assert_msg(posix_memalign(&block, bad[i], 10) == EINVAL,
		    "alignment %zu", bad[i]);
		ck_assert_ptr_eq(block, &block);
		ck_assert_int_eq(errno, 4711);
	}
}
END_TEST

START_TEST(test_posix_memalign_no_room)
{
	void *block = &block;

	errno = 4711;
	ck_assert_int_eq(posix_memalign(&block, 64, opaque_size(SIZE_MAX - 100)),
	    ENOMEM);
	ck_assert_ptr_eq(block, &block);
	ck_assert_int_eq(errno, 4711);
}
END_TEST

START_TEST(test_aligned_alloc_bad_alignment)
{
	static const size_t bad[] = { 0, 3, 24, 4095, SIZE_MAX };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		ck_assert_ptr_null(aligned_alloc(opaque_size(bad[i]), 10));
		ck_assert_int_eq(errno, EINVAL);
	}
	/* One that no address has. */
	errno = 0;
	ck_assert_ptr_null(aligned_alloc(opaque_size(SIZE_MAX / 2 + 1), 10));
	ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

START_TEST(test_memalign_any_alignment)
{
	void *block = memalign(opaque_size(0), 10);

	ck_assert_ptr_nonnull(block);
	free(block);
	block = memalign(opaque_size(100), 10);
	ck_assert(is_aligned(block, 128));
	free(block);
	errno = 0;
	ck_assert_ptr_null(memalign(opaque_size(SIZE_MAX), 10));
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* Every alignment with sizes around it, several blocks at once. */
START_TEST(test_alignments)
{
	for (size_t alignment = sizeof(void *); alignment <= (4 << 20);
	     alignment *= 2) {
		size_t sizes[] = { 0, 1, alignment - 1, alignment,
			alignment + 1, alignment / 2 * 3 };
		void *blocks[6];

		for (int i = 0; i < 6; i++) {
			int error = posix_memalign(&blocks[i], alignment,
			    sizes[i]);

			ck_assert_msg(error == 0, "%zu bytes at %zu", sizes[i],
			    alignment);
			ck_assert(is_aligned(blocks[i], alignment));
			ck_assert(is_in_pool(blocks[i]));
			ck_assert_uint_ge(malloc_usable_size(blocks[i]),
			    sizes[i]);
			memset(blocks[i], i, sizes[i]);
		}
		for (int i = 0; i < 6; i++) {
			for (size_t byte = 0; byte < sizes[i]; byte += 511)
				ck_assert_uint_eq(
				    ((unsigned char *)blocks[i])[byte], i);
			free(blocks[i]);
		}
	}
}
END_TEST

START_TEST(test_pages)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	void *block = pvalloc(1);

	ck_assert(is_aligned(block, page_size));
	ck_assert_uint_ge(malloc_usable_size(block), page_size);
	free(block);
	block = pvalloc(page_size + 1);
	ck_assert_uint_ge(malloc_usable_size(block), 2 * page_size);
	free(block);
}
END_TEST

/* What glibc's functions about the heap say follows what is allocated. */
START_TEST(test_mallinfo)
{
	size_t size = 5 << 20;
	struct mallinfo2 before = mallinfo2();
	char *block = malloc(size);
	struct mallinfo2 during = mallinfo2();
	struct mallinfo small = mallinfo();

	ck_assert_ptr_nonnull(block);
	ck_assert_uint_ge(before.arena, before.uordblks);
	/* Less what the thread's cache gives back meanwhile. */
	ck_assert_uint_ge(during.uordblks + 65536, before.uordblks + size);
	ck_assert_uint_ge(during.arena, size);
	ck_assert_uint_eq(during.arena, during.uordblks + during.fordblks);
	ck_assert_uint_ge(during.ordblks, 1);
	ck_assert_uint_eq(during.hblks + during.hblkhd + during.usmblks, 0);
	ck_assert_int_ge(small.uordblks, (int)size);
	ck_assert_int_eq(small.arena, small.uordblks + small.fordblks);
	free(block);
	ck_assert_uint_lt(mallinfo2().uordblks, during.uordblks - size + 65536);
	/* Arenas keep it, so that it could be trimmed. */
	ck_assert_uint_ge(mallinfo2().keepcost, size);
}
END_TEST

START_TEST(test_trim)
{
	size_t size = 5 << 20;
	char *block = malloc(size);
	size_t arena;

	memset(block, 1, size);
	free(block);
	arena = mallinfo2().arena;
	errno = 77;
	ck_assert_int_eq(malloc_trim(0), 1);
	ck_assert_int_eq(errno, 77);
	ck_assert_uint_le(mallinfo2().arena, arena - size);
	ck_assert_uint_eq(mallinfo2().keepcost, 0);
	/* Twice, since what looks may itself have freed something. */
	malloc_trim(0);
	ck_assert_int_eq(malloc_trim(SIZE_MAX), 0);
}
END_TEST

START_TEST(test_mallopt)
{
	size_t arena = mallinfo2().arena;

	ck_assert_int_eq(mallopt(M_MMAP_THRESHOLD, 1), 1);
	ck_assert_int_eq(mallopt(M_ARENA_MAX, 1), 1);
	ck_assert_int_eq(mallopt(12345, -1), 1);
	ck_assert_uint_eq(mallinfo2().arena, arena);
}
END_TEST

/* The number behind the last `name` in `text`. */
static size_t
number_behind(const char *text, const char *name)
{
	const char *at, *found = NULL;

	for (at = text; (at = strstr(at, name)) != NULL; at++)
		found = at;
	ck_assert_msg(found != NULL, "%s in %s", name, text);
	return strtoul(found + strlen(name), NULL, 10);
}

START_TEST(test_malloc_info)
{
	static char text[4096];
	FILE *stream = fmemopen(text, sizeof(text), "w");
	size_t arena;

	ck_assert_int_eq(malloc_info(1, stream), EINVAL);
	setvbuf(stream, NULL, _IONBF, 0);
	arena = mallinfo2().arena;
	ck_assert_int_eq(malloc_info(0, stream), 0);
	fclose(stream);
	ck_assert(strncmp(text, "<malloc version=\"1\">\n", 21) == 0);
	ck_assert_ptr_nonnull(strstr(text, "</malloc>\n"));
	ck_assert_uint_eq(number_behind(text,
	    "<system type=\"current\" size=\""), arena);
	ck_assert_uint_ge(number_behind(text,
	    "<aspace type=\"total\" size=\""), arena);
}
END_TEST

START_TEST(test_malloc_stats)
{
	static char text[4096];
	struct mallinfo2 info;
	int ends[2];
	int saved = dup(STDERR_FILENO);
	ssize_t length;

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	info = mallinfo2();
	errno = 77;
	malloc_stats();
	ck_assert_int_eq(errno, 77);
	dup2(saved, STDERR_FILENO);
	length = read(ends[0], text, sizeof(text) - 1);
	ck_assert_int_gt(length, 0);
	text[length] = '\0';
	ck_assert_uint_eq(number_behind(text, "system bytes     = "), info.arena);
	ck_assert_uint_eq(number_behind(text, "in use bytes     = "),
	    info.uordblks);
	ck_assert_uint_ge(number_behind(text, "pool bytes       = "), info.arena);
}
END_TEST

START_TEST(test_usable_size)
{
	void *block = opaque(malloc(100));
	size_t usable = malloc_usable_size(block);

	ck_assert_uint_eq(malloc_usable_size(NULL), 0);
	memset(block, 1, usable);
	ck_assert_uint_eq(malloc_usable_size(block), usable);
	free(block);
}
END_TEST

START_TEST(test_sized_free)
{
	for (size_t i = 0; i < sizeof(good_sizes) / sizeof(size_t); i++) {
		size_t size = good_sizes[i];

		errno = 4711;
		free_sized(malloc(size), size);
		free_sized(calloc(1, size), size);
		free_sized(realloc(malloc(1), size + 1), size + 1);
		free_aligned_sized(aligned_alloc(256, size), 256, size);
		ck_assert_int_eq(errno, 4711);
	}
	free_sized(NULL, 0);
	free_aligned_sized(NULL, 64, 100);
}
END_TEST

/*
 * A block that grows in place, but not by as much as it could have been given: it is as
 * large as is said. Between blocks there are holes that are too small for the extra.
 */
START_TEST(test_xallocx_into_a_hole)
{
	static char *blocks[64];
	size_t page = 0, length = sizeof(page);
	int grown = 0;

	ck_assert_int_eq(mallctl("arenas.page", &page, &length, NULL, 0), 0);
	for (int i = 0; i < 64; i++) {
		blocks[i] = malloc(16000);
		ck_assert_ptr_nonnull(blocks[i]);
		memset(blocks[i], i, 16000);
	}
	for (int i = 1; i < 64; i += 2)
		free(blocks[i]);
	/* Holes are what no thread keeps for later. */
	ck_assert_int_eq(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
	for (int i = 0; i < 64; i += 2) {
		size_t room = xallocx(blocks[i], 20000, 20000, 0);

		ck_assert_uint_eq(room, sallocx(blocks[i], 0));
		ck_assert_uint_eq(room, malloc_usable_size(blocks[i]));
		grown += room >= 20000;
		for (size_t byte = 0; byte < 16000; byte++)
			ck_assert_int_eq(blocks[i][byte], i);
		sdallocx(blocks[i], room, 0);
	}
	/* With pages of 64 KiB such blocks share a slab, and cannot grow. */
	if (page <= 4096)
		ck_assert_int_gt(grown, 0);
}
END_TEST

START_TEST(test_extended_interface)
{
	unsigned narenas = 0;
	size_t length = sizeof(narenas);
	size_t mib[4], mib_length = 4;
	void *block = mallocx(1000, 0);

	ck_assert(is_in_pool(block));
	ck_assert_uint_ge(sallocx(block, 0), 1000);
	ck_assert_uint_eq(sallocx(block, 0), nallocx(1000, 0));
	block = rallocx(block, 5000, 0);
	ck_assert(is_in_pool(block));
	ck_assert_uint_ge(xallocx(block, 5000, 0, 0), 5000);
	sdallocx(block, 5000, 0);
	/* 12: at a multiple of 4096; 0x40: zeroed (jemalloc(3)). */
	block = mallocx(100, 12 | 0x40);
	ck_assert(is_aligned(block, 4096));
	dallocx(block, 0);
	ck_assert_ptr_null(mallocx(SIZE_MAX / 4, 0));
	length = sizeof(narenas);
	ck_assert_int_eq(mallctl("opt.narenas", &narenas, &length, NULL, 0), 0);
	ck_assert_uint_ge(narenas, 1);
	ck_assert_int_eq(mallctlnametomib("opt.narenas", mib, &mib_length), 0);
	ck_assert_int_eq(mallctlbymib(mib, mib_length, &narenas, &length, NULL,
	    0), 0);
	/* What a zeroed block grows by is zero, in place and elsewhere. */
	block = rallocx(mallocx(100, 0x40), 3000, 0x40);
	ck_assert(is_zero(block, 3000));
	dallocx(block, 0);
	block = mallocx(100000, 0x40);
	length = xallocx(block, 100000, 1000000, 0x40);
	ck_assert_uint_ge(length, 100000);
	ck_assert_uint_eq(sallocx(block, 0), length);
	ck_assert(is_zero(block, length));
	length = xallocx(block, 40000, 0, 0);
	ck_assert_uint_eq(sallocx(block, 0), length);
	sdallocx(block, length, 0);
	/* Blocks of both kinds of functions are of one kind, the smallest too. */
	free(mallocx(77, 0));
	dallocx(malloc(77), 0);
	for (size_t size = 1; size <= 16; size++) {
		void *next;

		block = mallocx(size, 0);
		next = mallocx(size, 0);
		ck_assert(is_aligned(block, 16) && is_aligned(next, 16));
		free_sized(block, size);
		sdallocx(next, size, 0);
		sdallocx(malloc(size), size, 0);
	}
}
END_TEST

static void
count(void *argument, const char *text)
{
	*(size_t *)argument += strlen(text);
}

START_TEST(test_stats_print)
{
	size_t length = 0;

	malloc_stats_print(count, &length, "gm");
	ck_assert_uint_gt(length, 100);
}
END_TEST

/* What a user cannot set: memory from elsewhere, threads of our own. */
START_TEST(test_pinned_settings)
{
	const char *dss = NULL, *zero_realloc = NULL;
	bool is_on = true;
	size_t length = sizeof(dss);
	size_t mib, mib_length = 1;

	ck_assert_int_eq(mallctl("opt.dss", &dss, &length, NULL, 0), 0);
	ck_assert_str_eq(dss, "disabled");
	ck_assert_int_eq(mallctl("opt.zero_realloc", &zero_realloc, &length,
	    NULL, 0), 0);
	ck_assert_str_eq(zero_realloc, "free");
	length = sizeof(is_on);
	ck_assert_int_eq(mallctl("opt.hpa", &is_on, &length, NULL, 0), 0);
	ck_assert(!is_on);
	is_on = true;
	ck_assert_int_eq(mallctl("background_thread", &is_on, &length, NULL, 0),
	    0);
	ck_assert(!is_on);
	is_on = true;
	ck_assert_int_eq(mallctl("background_thread", NULL, NULL, &is_on,
	    sizeof(is_on)), EPERM);
	ck_assert_int_eq(mallctlnametomib("background_thread", &mib, &mib_length), 0);
	ck_assert_int_eq(mallctlbymib(&mib, mib_length, NULL, NULL, &is_on,
	    sizeof(is_on)), EPERM);
	is_on = false;
	ck_assert_int_eq(mallctl("background_thread", NULL, NULL, &is_on,
	    sizeof(is_on)), 0);
	ck_assert_int_eq(mallctlbymib(&mib, mib_length, NULL, NULL, &is_on,
	    sizeof(is_on)), 0);
}
END_TEST

/* Blocks that one thread allocates and another frees. */
static void *
free_all(void *argument)
{
	void **blocks = argument;

	for (int i = 0; i < 1000; i++)
		free(blocks[i]);
	return NULL;
}

START_TEST(test_other_thread_frees)
{
	static void *blocks[1000];

	for (int round = 0; round < 20; round++) {
		pthread_t thread;

		for (size_t i = 0; i < 1000; i++) {
			blocks[i] = malloc(i * 7);
			ck_assert(is_in_pool(blocks[i]));
		}
		ck_assert_int_eq(
		    pthread_create(&thread, NULL, free_all, blocks), 0);
		pthread_join(thread, NULL);
	}
}
END_TEST

static void *
have_large_blocks(void *unused)
{
	for (int i = 0; i < 100; i++)
		free(opaque(malloc((size_t)20000 * (i % 5 + 1))));
	return unused;
}

/* As often as free ranges went from an arena back to the pool. */
static uint64_t
purges(void)
{
	uint64_t epoch = 1, count = 0;
	size_t length = sizeof(count);

	ck_assert_int_eq(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)), 0);
	ck_assert_int_eq(mallctl("stats.arenas.4096.dirty_npurge", &count,
	    &length, NULL, 0), 0);
	return count;
}

START_TEST(test_threads_leave_ranges_to_the_next)
{
	uint64_t before = purges();

	for (int round = 0; round < 50; round++) {
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL,
		    have_large_blocks, NULL), 0);
		pthread_join(thread, NULL);
	}
	ck_assert_uint_eq(purges(), before);
}
END_TEST

/* Small blocks that the program has, or a thread's cache. */
static size_t
taken_blocks(void)
{
	uint64_t epoch = 1;
	size_t size = 0, taken = 0, length = sizeof(size);
	char name[64];

	ck_assert_int_eq(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)), 0);
	for (int bin = 0; size < 4096; bin++) {
		size_t count = 0;

		snprintf(name, sizeof(name), "arenas.bin.%d.size", bin);
		ck_assert_int_eq(mallctl(name, &size, &length, NULL, 0), 0);
		snprintf(name, sizeof(name), "stats.arenas.4096.bins.%d.curregs",
		    bin);
		ck_assert_int_eq(mallctl(name, &count, &length, NULL, 0), 0);
		taken += count;
	}
	return taken;
}

static void *
have_a_block(void *argument)
{
	free(opaque(malloc(20)));
	*(size_t *)argument = taken_blocks();
	return NULL;
}

START_TEST(test_threads_begin_with_few_blocks)
{
	size_t before = taken_blocks(), during = 0;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, have_a_block, &during), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_le(during, before + 40);
}
END_TEST

/* Smaller ranges that were freed and lie side by side do for a larger block. */
START_TEST(test_growing_blocks_share_ranges)
{
	const char *fork_mode = getenv("CK_FORK");

	/* Other tests have had the pool grow already. */
	if (fork_mode != NULL && strcmp(fork_mode, "no") == 0)
		return;
	for (size_t size = 1 << 20; size <= 16 << 20; size *= 2)
		free(opaque(malloc(size)));
	ck_assert_uint_lt(mallinfo2().arena, 24 << 20);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("entry");
	TCase *tcase = tcase_create("entry");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test_good_sizes, 0, NWAYS);
	tcase_add_loop_test(tcase, test_bad_sizes, 0, NWAYS);
	tcase_add_loop_test(tcase, test_zero_is_unique, 0, NWAYS);
	tcase_add_test(tcase, test_products);
	tcase_add_test(tcase, test_calloc_zeroes);
	tcase_add_test(tcase, test_calloc_zeroes_after_purge);
	tcase_add_test(tcase, test_realloc_keeps_content);
	tcase_add_test(tcase, test_realloc_of_nothing_and_to_nothing);
	tcase_add_test(tcase, test_realloc_failure_keeps_block);
	tcase_add_test(tcase, test_free_keeps_errno);
	tcase_add_test(tcase, test_posix_memalign_bad_alignment);
	tcase_add_test(tcase, test_posix_memalign_no_room);
	tcase_add_test(tcase, test_aligned_alloc_bad_alignment);
	tcase_add_test(tcase, test_memalign_any_alignment);
	tcase_add_test(tcase, test_alignments);
	tcase_add_test(tcase, test_pages);
	tcase_add_test(tcase, test_usable_size);
	tcase_add_test(tcase, test_mallinfo);
	tcase_add_test(tcase, test_trim);
	tcase_add_test(tcase, test_mallopt);
	tcase_add_test(tcase, test_malloc_info);
	tcase_add_test(tcase, test_malloc_stats);
	tcase_add_test(tcase, test_sized_free);
	tcase_add_test(tcase, test_extended_interface);
	tcase_add_test(tcase, test_xallocx_into_a_hole);
	tcase_add_test(tcase, test_stats_print);
	tcase_add_test(tcase, test_pinned_settings);
	tcase_add_test(tcase, test_other_thread_frees);
	tcase_add_test(tcase, test_threads_leave_ranges_to_the_next);
	tcase_add_test(tcase, test_threads_begin_with_few_blocks);
	tcase_add_test(tcase, test_growing_blocks_share_ranges);
	suite_add_tcase(suite, tcase);
	return suite;
}
