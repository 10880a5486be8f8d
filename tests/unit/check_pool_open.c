/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool_open.c: tests of vmm_pool_open, which makes the pool. */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "check_pool.h"

START_TEST(test_open)
{
	ck_assert(!vmm_pool_has(&figures));
	ck_assert(!vmm_pool_has(NULL));
	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.size, POOL_SIZE);
	ck_assert_uint_eq(figures.in_use, 0);
	ck_assert_uint_eq(figures.longest_free, POOL_SIZE);
	ck_assert_uint_eq(vmm_pool_span.size, POOL_SIZE);
	ck_assert_uint_eq(vmm_pool_span.base % (2 * MIB), 0);
	ck_assert(vmm_pool_has((void *)vmm_pool_span.base));
	ck_assert(!vmm_pool_has((void *)(vmm_pool_span.base - 1)));
	ck_assert(!vmm_pool_has((void *)(vmm_pool_span.base + POOL_SIZE)));
	ck_assert(!vmm_pool_has(NULL));
}
END_TEST

/* A pool of 1 GiB is aligned to 1 GiB, so that pages of that size fit. */
START_TEST(test_open_giant)
{
	struct vmm_settings settings = {
		.pool_dir = pool_dir(), .pool_size_bytes = 1024 * MIB,
	};
	struct vmm_text error;

	/* The file system may lack the room. */
	if (!vmm_pool_open(&settings, &error)) {
		ck_assert_ptr_nonnull(strstr(error.data, "No space left"));
		return;
	}
	ck_assert_uint_eq(vmm_pool_span.base % (1024 * MIB), 0);
	ck_assert_uint_eq(vmm_pool_span.size, 1024 * MIB);
}
END_TEST

START_TEST(test_open_fails)
{
	struct vmm_settings settings = {
		.pool_dir = "/nowhere/at/all", .pool_size_bytes = POOL_SIZE,
	};
	struct vmm_text error;

	ck_assert(!vmm_pool_open(&settings, &error));
	ck_assert_ptr_nonnull(strstr(error.data, "vmem pool creation failed: "
	    "No such file or directory\nlibvmmalloc: "));
	ck_assert_ptr_nonnull(strstr(error.data, "/nowhere/at/all"));
	ck_assert_uint_eq(vmm_pool_span.size, 0);
}
END_TEST

void
add_open_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, test_open, 0, NPAGE_SIZES);
	tcase_add_test(tcase, test_open_giant);
	tcase_add_test(tcase, test_open_fails);
}
