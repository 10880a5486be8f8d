/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool_large_pages.c: when the pool asks the kernel for large pages on tmpfs, and what it
 * does when the kernel refuses or is slow. The kernel's answers and the clock are the test's. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "check_pool.h"
#include "os/linux_sys.h"
#include "pool/state.h"

enum { POPULATE_WRITE = 23, COLLAPSE = 25 };

/* What the kernel answers to MADV_COLLAPSE, and how often it was asked. */
static struct {
	int error;
	int64_t duration_us;
	unsigned calls;
	int64_t now_us;
	const char *pmd_size;
	bool is_full; /* fallocate(2) fails with ENOSPC */
	bool ignores; /* the call returns 0 and does nothing */
} kernel = { .pmd_size = "2097152\n", .now_us = 1000000 };

static int (*real_madvise)(void *address, size_t size, int advice);
static ssize_t (*real_read)(int fd, void *data, size_t size);
static int (*real_fallocate)(int fd, int mode, off_t offset, off_t size);

static int
test_madvise(void *address, size_t size, int advice)
{
	if (advice != COLLAPSE)
		return real_madvise(address, size, advice);
	kernel.calls++;
	kernel.now_us += kernel.duration_us * (int64_t)(size / VMM_CHUNK_SIZE);
	errno = kernel.error;
	if (kernel.ignores)
		return 0;
	return kernel.error != 0 ? -1 : real_madvise(address, size, POPULATE_WRITE);
}

static int
test_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	now->tv_sec = (time_t)(kernel.now_us / 1000000);
	now->tv_nsec = (long)(kernel.now_us % 1000000 * 1000);
	return 0;
}

static ssize_t
test_read(int fd, void *data, size_t size)
{
	ssize_t got = real_read(fd, data, size);

	if (got < 7 || memcmp(data, "2097152", 7) != 0)
		return got;
	strcpy(data, kernel.pmd_size);
	return (ssize_t)strlen(kernel.pmd_size);
}

static int
test_fallocate(int fd, int mode, off_t offset, off_t size)
{
	errno = ENOSPC;
	return kernel.is_full ? -1 : real_fallocate(fd, mode, offset, size);
}

/* Opens a pool, and makes its first 32 MiB usable. Returns false if it cannot have large pages. */
static bool
open_large(void)
{
	const struct vmm_settings settings = {
		.pool_dir = pool_dir(), .pool_size_bytes = 64 * MIB,
		.fork = VMM_FORK_PRIVATE, .reserve = VMM_RESERVE_GROW, .conf = "",
	};
	struct vmm_sys *calls = writable_calls();
	struct vmm_text error;

	ck_assert_msg(vmm_pool_open(&settings, &error), "%s", error.data);
	if (is_emulated() || !vmm_pool.file.fs.makes_large || !vmm_os_has_2m_pages() ||
	    vmm_os_populate(vmm_pool.base, 1) == EINVAL)
		return false;
	real_madvise = calls->madvise;
	real_read = calls->read;
	real_fallocate = calls->fallocate;
	calls->madvise = test_madvise;
	calls->clock_gettime = test_clock_gettime;
	calls->read = test_read;
	calls->fallocate = test_fallocate;
	ck_assert_int_eq(vmm_pool_reserve_to(32 * MIB), 0);
	ck_assert_uint_eq(kernel.calls, 0);
	return true;
}

static uint64_t
block_bytes(void)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(vmm_os_file_blocks(&vmm_pool.file, &bytes), 0);
	return bytes;
}

/* One call for several chunks; the file has blocks for all of them. */
START_TEST(test_large_made)
{
	if (!open_large())
		return;
	ck_assert_int_eq(vmm_pool_reserve_to(34 * MIB), 0);
	ck_assert_uint_eq(kernel.calls, 1);
	ck_assert_int_eq(vmm_pool_reserve_to(40 * MIB), 0);
	ck_assert_uint_eq(kernel.calls, 2);
	ck_assert_uint_eq(block_bytes(), 40 * MIB);
}
END_TEST

/* A refusal: small pages, and no other attempt during a pause, which doubles each time. */
START_TEST(test_large_refused)
{
	if (!open_large())
		return;
	kernel.error = EINVAL;
	ck_assert_int_eq(vmm_pool_reserve_to(34 * MIB), 0);
	ck_assert_uint_eq(block_bytes(), 34 * MIB);
	kernel.now_us += 15999;
	ck_assert_int_eq(vmm_pool_reserve_to(36 * MIB), 0);
	ck_assert_uint_eq(kernel.calls, 1);
	kernel.now_us++;
	ck_assert_int_eq(vmm_pool_reserve_to(38 * MIB), 0);
	ck_assert_uint_eq(kernel.calls, 2);
	kernel.now_us += 31999;
	ck_assert_int_eq(vmm_pool_reserve_to(40 * MIB), 0);
	ck_assert_uint_eq(kernel.calls, 2);
	ck_assert_uint_eq(block_bytes(), 40 * MIB);
}
END_TEST

/* The kernel takes long: the same. It is not slow if it needs a millisecond for a chunk. */
START_TEST(test_large_slow)
{
	unsigned calls_if_slow = 1, calls_if_quick = 4;

	if (!open_large())
		return;
	kernel.duration_us = _i == 0 ? 1000 : 30000;
	for (size_t end = 34 * MIB; end <= 40 * MIB; end += 2 * MIB)
		ck_assert_int_eq(vmm_pool_reserve_to(end), 0);
	ck_assert_uint_eq(kernel.calls, _i == 0 ? calls_if_quick : calls_if_slow);
	ck_assert_uint_eq(block_bytes(), 40 * MIB);
}
END_TEST

/* With larger large pages, MADV_COLLAPSE would do nothing, and return 0. */
START_TEST(test_large_of_another_size)
{
	if (!open_large())
		return;
	kernel.pmd_size = "33554432\n";
	ck_assert_int_eq(vmm_pool_reserve_to(40 * MIB), 0);
	ck_assert_uint_eq(kernel.calls, 0);
	ck_assert_uint_eq(block_bytes(), 40 * MIB);
}
END_TEST

/* An emulator ignores the call. */
START_TEST(test_large_ignored)
{
	if (!open_large())
		return;
	kernel.ignores = true;
	ck_assert_int_eq(vmm_pool_reserve_to(40 * MIB), 0);
	ck_assert_uint_eq(kernel.calls, 1);
	ck_assert_uint_eq(block_bytes(), 40 * MIB);
}
END_TEST

/* A full file system: the pages that were made for the attempt are released again. */
START_TEST(test_large_full)
{
	uint64_t before;

	if (!open_large())
		return;
	before = block_bytes();
	kernel.is_full = true;
	kernel.error = ENOMEM;
	ck_assert_int_eq(vmm_pool_reserve_to(38 * MIB), ENOSPC);
	ck_assert_uint_eq(kernel.calls, 1);
	ck_assert_uint_eq(block_bytes(), before);
}
END_TEST

void
add_large_pages_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_large_made);
	tcase_add_test(tcase, test_large_refused);
	tcase_add_loop_test(tcase, test_large_slow, 0, 2);
	tcase_add_test(tcase, test_large_of_another_size);
	tcase_add_test(tcase, test_large_ignored);
	tcase_add_test(tcase, test_large_full);
}
