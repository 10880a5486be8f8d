/* SPDX-License-Identifier: BSD-3-Clause */
/* check_entry_sizes.c: tests of C, POSIX and glibc functions with sizes of all kinds. */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_entry.h"

#pragma weak mallctl

/* Each of these allocates `size` bytes with one function. */

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

static const struct function {
	const char *name;
	void *(*allocate)(size_t size);
	size_t alignment; /* of each block; 0: the size of a page */
	bool frees_for_zero;
} functions[] = {
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

#define NFUNCTIONS ((int)(sizeof(functions) / sizeof(functions[0])))

static size_t
alignment_of(const struct function *function)
{
	return function->alignment != 0 ? function->alignment
					: (size_t)sysconf(_SC_PAGESIZE);
}

/* The block is in the pool, aligned, large enough and writable, and can be freed. */
START_TEST(test_good_sizes)
{
	const struct function *function = &functions[_i];

	for (size_t i = 0; i < NGOOD_SIZES; i++) {
		size_t size = good_sizes[i];
		unsigned char *block;

		if (size == 0 && function->frees_for_zero)
			continue;
		block = function->allocate(size);
		ck_assert_msg(block != NULL, "%s(%zu)", function->name, size);
		ck_assert_msg(is_in_pool(block), "%s(%zu)", function->name, size);
		ck_assert_msg(is_aligned(block, alignment_of(function)),
		    "%s(%zu) is %p", function->name, size, (void *)block);
		ck_assert_uint_ge(malloc_usable_size(block), size);
		if (function->allocate == by_calloc)
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
	const struct function *function = &functions[_i];

	for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(size_t); i++) {
		void *block;

		errno = 0;
		block = function->allocate(opaque_size(bad_sizes[i]));
		ck_assert_msg(block == NULL, "%s(%zu)", function->name,
		    bad_sizes[i]);
		ck_assert_msg(errno == ENOMEM, "%s(%zu): errno %d", function->name,
		    bad_sizes[i], errno);
	}
}
END_TEST

START_TEST(test_zero_size_is_unique)
{
	const struct function *function = &functions[_i];
	void *first, *second;

	if (function->frees_for_zero)
		return;
	first = function->allocate(0);
	second = function->allocate(0);
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

/* calloc zeroes memory that another block used before. */
START_TEST(test_calloc_zeroes)
{
	for (size_t i = 0; i < NGOOD_SIZES; i++) {
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

/* calloc zeroes pages that went back to the pool and are allocated again. */
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

void
add_size_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, test_good_sizes, 0, NFUNCTIONS);
	tcase_add_loop_test(tcase, test_bad_sizes, 0, NFUNCTIONS);
	tcase_add_loop_test(tcase, test_zero_size_is_unique, 0, NFUNCTIONS);
	tcase_add_test(tcase, test_products);
	tcase_add_test(tcase, test_calloc_zeroes);
	tcase_add_test(tcase, test_calloc_zeroes_after_purge);
}
