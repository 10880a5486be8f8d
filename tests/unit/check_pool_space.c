/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool_space.c: tests of allocating and freeing ranges, and of releasing chunks. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_pool.h"

/* Returns how much the pool releases: `bytes`, or 0 on DAX, where that gains no memory. */
static size_t
released(size_t bytes)
{
#ifdef STATX_ATTR_DAX
	struct statx stat = { 0 };
	int fd = open(pool_dir(), O_TMPFILE | O_RDWR, 0600);

	statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat);
	close(fd);
	if (stat.stx_attributes & STATX_ATTR_DAX)
		return 0;
#endif
	return bytes;
}

START_TEST(test_zero)
{
	bool is_zero = false;
	char *range;

	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	range = vmm_pool_allocate(NULL, MIB, page_size, &is_zero);
	ck_assert_msg(is_zero, "pages that were never used are zero");
	memset(range, 1, MIB);
	vmm_pool_free(range, MIB);
	is_zero = false;
	ck_assert_ptr_eq(vmm_pool_allocate(NULL, MIB, page_size, &is_zero), range);
	ck_assert_msg(!is_zero, "pages that were used may have any content");
	vmm_pool_free(range, MIB);
	/* The first half was used before, the second half never. */
	is_zero = true;
	ck_assert_ptr_eq(vmm_pool_allocate(NULL, 2 * MIB, page_size, &is_zero), range);
	ck_assert(is_zero);
	for (size_t i = 0; i < 2 * MIB; i += 512)
		ck_assert_int_eq(range[i], 0);
}
END_TEST

START_TEST(test_wanted)
{
	bool is_zero = false;
	char *range;

	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	range = vmm_pool_allocate(NULL, MIB, page_size, &is_zero);
	ck_assert_ptr_eq(vmm_pool_allocate(range + MIB, MIB, page_size, &is_zero),
	    range + MIB);
	ck_assert_ptr_null(vmm_pool_allocate(range + MIB, MIB, page_size, &is_zero));
	/* A range must not reach beyond the pool's end, nor begin there. */
	ck_assert_ptr_null(vmm_pool_allocate(range + 2 * MIB, POOL_SIZE, page_size,
	    &is_zero));
	ck_assert_ptr_null(vmm_pool_allocate(range + POOL_SIZE, MIB, page_size,
	    &is_zero));
}
END_TEST

START_TEST(test_aligned)
{
	bool is_zero = false;

	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	ck_assert_ptr_nonnull(vmm_pool_allocate(NULL, page_size, page_size, &is_zero));
	for (size_t alignment = page_size; alignment <= 4 * MIB; alignment *= 2) {
		char *range = vmm_pool_allocate(NULL, page_size, alignment, &is_zero);

		ck_assert_ptr_nonnull(range);
		ck_assert_uint_eq((uintptr_t)range % alignment, 0);
	}
}
END_TEST

START_TEST(test_full)
{
	bool is_zero = false;
	char *range;

	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	errno = 4711;
	range = vmm_pool_allocate(NULL, POOL_SIZE, page_size, &is_zero);
	ck_assert_ptr_nonnull(range);
	ck_assert_ptr_null(vmm_pool_allocate(NULL, page_size, page_size, &is_zero));
	vmm_pool_free(range + MIB, page_size);
	ck_assert_ptr_eq(vmm_pool_allocate(NULL, page_size, page_size, &is_zero),
	    range + MIB);
	ck_assert_int_eq(errno, 4711);
}
END_TEST

START_TEST(test_outgrows)
{
	struct vmm_settings settings = {
		.pool_dir = pool_dir(), .pool_size_bytes = 4 * POOL_SIZE,
		.page_size_bytes = page_sizes[_i],
	};
	struct vmm_text error;
	bool is_zero = false;
	void *range;

	ck_assert(vmm_pool_open(&settings, &error));
	range = vmm_pool_allocate(NULL, VMM_POOL_SMALL - MIB, MIB, &is_zero);
	ck_assert_ptr_nonnull(range);
	ck_assert(!vmm_pool_outgrows(MIB));
	ck_assert(vmm_pool_outgrows(2 * MIB));
	/* The answer is true once, and then only for a range that ends an eighth higher. */
	ck_assert(!vmm_pool_outgrows(2 * MIB));
	ck_assert(!vmm_pool_outgrows(VMM_POOL_SMALL / 8));
	ck_assert(vmm_pool_outgrows(VMM_POOL_SMALL / 4 + MIB));
	/* A range that fits into free pages does not make the pool grow. Nor does one that
	 * is larger than the pool. */
	vmm_pool_free(range, VMM_POOL_SMALL - MIB);
	ck_assert(!vmm_pool_outgrows(VMM_POOL_SMALL));
	ck_assert(!vmm_pool_outgrows(5 * POOL_SIZE));
}
END_TEST

START_TEST(test_releases_chunks)
{
	bool is_zero = false;
	char *range;

	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	range = vmm_pool_allocate(NULL, 8 * MIB, page_size, &is_zero);
	memset(range, 1, 8 * MIB);
	/* First less than a chunk is freed, then the rest of two chunks. */
	vmm_pool_free(range, MIB);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.in_holes, 0);
	vmm_pool_free(range + MIB, 3 * MIB);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.in_holes, released(4 * MIB));
	ck_assert(range[0] == (released(1) == 0) || is_emulated());
	/* The pool reserves the blocks of an allocated range again. */
	ck_assert_ptr_eq(vmm_pool_allocate(NULL, 3 * MIB, page_size, &is_zero), range);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.in_holes, 0);
	/* While releasing is paused, freed pages stay. */
	vmm_pool_release_pause();
	vmm_pool_free(range, 3 * MIB);
	vmm_pool_release_resume();
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.in_holes, 0);
}
END_TEST

/* With VMMALLOC_RESERVE=full the pool releases nothing. */
START_TEST(test_full_reserve_stays)
{
	bool is_zero = false;
	char *range;

	open_pool(pool_dir(), VMM_RESERVE_FULL, _i);
	range = vmm_pool_allocate(NULL, 8 * MIB, page_size, &is_zero);
	vmm_pool_free(range, 8 * MIB);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.in_holes, 0);
}
END_TEST

void
add_space_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, test_zero, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_wanted, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_aligned, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_full, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_outgrows, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_releases_chunks, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_full_reserve_stays, 0, NPAGE_SIZES);
}
