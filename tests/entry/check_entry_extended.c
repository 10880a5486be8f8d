/* SPDX-License-Identifier: BSD-3-Clause */
/* check_entry_extended.c: tests of free with a size (C23), and of jemalloc(3)'s functions. */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check_entry.h"

/* libc may lack these functions. The library provides them at run time. */
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

/* Flags of jemalloc(3). */
#define FLAG_ALIGN_4096 12 /* the logarithm of the alignment */
#define FLAG_ZERO 0x40

START_TEST(test_sized_free)
{
	for (size_t i = 0; i < NGOOD_SIZES; i++) {
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
 * Every second block is freed. The others grow in place, but the free ranges between them
 * are too small for the extra bytes. xallocx must return the size that the block really has.
 */
START_TEST(test_xallocx_reports_size)
{
	static char *blocks[64];
	size_t page = 0, length = sizeof(page);
	bool has_cache;
	size_t cache_length = sizeof(has_cache);
	int grown = 0;

	ck_assert_int_eq(mallctl("arenas.page", &page, &length, NULL, 0), 0);
	for (int i = 0; i < 64; i++) {
		blocks[i] = malloc(16000);
		ck_assert_ptr_nonnull(blocks[i]);
		memset(blocks[i], i, 16000);
	}
	for (int i = 1; i < 64; i += 2)
		free(blocks[i]);
	/* The memory of a block in the thread's cache is not a free range. */
	ck_assert_int_eq(mallctl("opt.tcache", &has_cache, &cache_length, NULL, 0), 0);
	ck_assert_int_eq(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0),
	    has_cache ? 0 : EFAULT);
	for (int i = 0; i < 64; i += 2) {
		size_t room = xallocx(blocks[i], 20000, 20000, 0);

		ck_assert_uint_eq(room, sallocx(blocks[i], 0));
		ck_assert_uint_eq(room, malloc_usable_size(blocks[i]));
		grown += room >= 20000;
		for (size_t byte = 0; byte < 16000; byte++)
			ck_assert_int_eq(blocks[i][byte], i);
		sdallocx(blocks[i], room, 0);
	}
	/* With pages of more than 4 KiB such blocks share a slab and cannot grow. */
	if (page <= 4096)
		ck_assert_int_gt(grown, 0);
}
END_TEST

START_TEST(test_mallocx_and_dallocx)
{
	void *block = mallocx(1000, 0);

	ck_assert(is_in_pool(block));
	ck_assert_uint_ge(sallocx(block, 0), 1000);
	ck_assert_uint_eq(sallocx(block, 0), nallocx(1000, 0));
	block = rallocx(block, 5000, 0);
	ck_assert(is_in_pool(block));
	ck_assert_uint_ge(xallocx(block, 5000, 0, 0), 5000);
	sdallocx(block, 5000, 0);
	block = mallocx(100, FLAG_ALIGN_4096 | FLAG_ZERO);
	ck_assert(is_aligned(block, 4096));
	dallocx(block, 0);
	ck_assert_ptr_null(mallocx(SIZE_MAX / 4, 0));
}
END_TEST

START_TEST(test_mallctl)
{
	unsigned narenas = 0;
	size_t length = sizeof(narenas);
	size_t mib[4], mib_length = 4;

	ck_assert_int_eq(mallctl("opt.narenas", &narenas, &length, NULL, 0), 0);
	ck_assert_uint_ge(narenas, 1);
	ck_assert_int_eq(mallctlnametomib("opt.narenas", mib, &mib_length), 0);
	ck_assert_int_eq(mallctlbymib(mib, mib_length, &narenas, &length, NULL,
	    0), 0);
}
END_TEST

/* With FLAG_ZERO the added bytes are zero, in a block that moves and in one that stays. */
START_TEST(test_extended_zeroes)
{
	void *block = rallocx(mallocx(100, FLAG_ZERO), 3000, FLAG_ZERO);
	size_t size;

	ck_assert(is_zero(block, 3000));
	dallocx(block, 0);
	block = mallocx(100000, FLAG_ZERO);
	size = xallocx(block, 100000, 1000000, FLAG_ZERO);
	ck_assert_uint_ge(size, 100000);
	ck_assert_uint_eq(sallocx(block, 0), size);
	ck_assert(is_zero(block, size));
	size = xallocx(block, 40000, 0, 0);
	ck_assert_uint_eq(sallocx(block, 0), size);
	sdallocx(block, size, 0);
}
END_TEST

/* Standard and extended functions accept each other's blocks, even the smallest. */
START_TEST(test_functions_mix)
{
	free(mallocx(77, 0));
	dallocx(malloc(77), 0);
	for (size_t size = 1; size <= 16; size++) {
		void *block = mallocx(size, 0);
		void *next = mallocx(size, 0);

		ck_assert(is_aligned(block, 16) && is_aligned(next, 16));
		free_sized(block, size);
		sdallocx(next, size, 0);
		sdallocx(malloc(size), size, 0);
	}
}
END_TEST

static void
count_bytes(void *argument, const char *text)
{
	*(size_t *)argument += strlen(text);
}

START_TEST(test_stats_print)
{
	size_t length = 0;

	malloc_stats_print(count_bytes, &length, "gm");
	ck_assert_uint_gt(length, 100);
}
END_TEST

/* These options are fixed (VMM_CONF_PINNED), and mallctl cannot turn on threads. */
START_TEST(test_fixed_settings)
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

void
add_extended_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_sized_free);
	tcase_add_test(tcase, test_mallocx_and_dallocx);
	tcase_add_test(tcase, test_mallctl);
	tcase_add_test(tcase, test_extended_zeroes);
	tcase_add_test(tcase, test_functions_mix);
	tcase_add_test(tcase, test_xallocx_reports_size);
	tcase_add_test(tcase, test_stats_print);
	tcase_add_test(tcase, test_fixed_settings);
}
