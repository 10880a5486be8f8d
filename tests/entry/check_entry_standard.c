/* SPDX-License-Identifier: BSD-3-Clause */
/* check_entry_standard.c: tests of realloc(3), free(3) and the functions that align. */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_entry.h"

/* New versions of libc do not have cfree. The library provides it at run time. */
#pragma weak cfree

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

START_TEST(test_realloc_of_null_and_to_zero)
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
	for (size_t i = 0; i < NGOOD_SIZES; i++) {
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

START_TEST(test_posix_memalign_without_memory)
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
	/* No address in the pool has such an alignment. */
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

/* For every alignment, blocks of sizes around it exist at the same time. */
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

START_TEST(test_pvalloc_rounds_up)
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

void
add_standard_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_realloc_keeps_content);
	tcase_add_test(tcase, test_realloc_of_null_and_to_zero);
	tcase_add_test(tcase, test_realloc_failure_keeps_block);
	tcase_add_test(tcase, test_free_keeps_errno);
	tcase_add_test(tcase, test_posix_memalign_bad_alignment);
	tcase_add_test(tcase, test_posix_memalign_without_memory);
	tcase_add_test(tcase, test_aligned_alloc_bad_alignment);
	tcase_add_test(tcase, test_memalign_any_alignment);
	tcase_add_test(tcase, test_alignments);
	tcase_add_test(tcase, test_pvalloc_rounds_up);
	tcase_add_test(tcase, test_usable_size);
}
