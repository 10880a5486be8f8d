/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool_reserve.c: tests of reserving file blocks ahead of use. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check_pool.h"
#include "os/linux_sys.h"
#include "pool/state.h"

START_TEST(test_reserve_grows)
{
	bool is_zero = false;

	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_lt(figures.reserved, POOL_SIZE);
	ck_assert_ptr_nonnull(vmm_pool_allocate(NULL, 8 * MIB, page_size, &is_zero));
	vmm_pool_read_figures(&figures);
	ck_assert_uint_ge(figures.reserved, 8 * MIB);
	ck_assert_uint_eq(figures.high_water, 8 * MIB);
}
END_TEST

START_TEST(test_reserve_full)
{
	open_pool(pool_dir(), VMM_RESERVE_FULL, _i);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.reserved, POOL_SIZE);
}
END_TEST

static int (*real_fallocate)(int fd, int mode, off_t offset, off_t size);

/* Fails as if a signal had interrupted each large call, and the kernel had undone its work. */
static int
interrupted_fallocate(int fd, int mode, off_t offset, off_t size)
{
	if (size > (off_t)MIB) {
		errno = EINTR;
		return -1;
	}
	return real_fallocate(fd, mode, offset, size);
}

START_TEST(test_reserve_interrupted)
{
	real_fallocate = vmm_sys.fallocate;
	writable_calls()->fallocate = interrupted_fallocate;
	open_pool(pool_dir(), VMM_RESERVE_FULL, _i);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.reserved, POOL_SIZE);
}
END_TEST

static int (*real_madvise)(void *address, size_t size, int advice);

/* Fails as on Linux before 5.14, which knows neither of the two values. */
static int
old_madvise(void *address, size_t size, int advice)
{
	enum { POPULATE_READ = 22, POPULATE_WRITE = 23 };

	if (advice == POPULATE_READ || advice == POPULATE_WRITE) {
		errno = EINVAL;
		return -1;
	}
	return real_madvise(address, size, advice);
}

/* As if the program had closed the pool's descriptor: fallocate(2) is not possible. */
static void
open_pool_without_file(int number)
{
	open_pool(pool_dir(), VMM_RESERVE_GROW, number);
	real_madvise = vmm_sys.madvise;
	writable_calls()->madvise = old_madvise;
	close(vmm_pool.file.fd);
}

static void
allocate_whole_pool(void)
{
	bool is_zero = true;

	for (size_t had = 0; had < POOL_SIZE; had += MIB) {
		char *range = vmm_pool_allocate(NULL, MIB, page_size, &is_zero);

		ck_assert_ptr_nonnull(range);
		memset(range, 1, MIB);
	}
}

START_TEST(test_reserve_without_file)
{
	/* The emulator does not know process_vm_writev(2). */
	if (is_emulated())
		return;
	open_pool_without_file(_i);
	allocate_whole_pool();
}
END_TEST

/* Returns the state of the main thread (proc_pid_stat(5)): Z when it has ended. */
static char
main_thread_state(void)
{
	FILE *stat = fopen("/proc/self/stat", "re");
	char state = 0;

	ck_assert_ptr_nonnull(stat);
	ck_assert_int_eq(fscanf(stat, "%*d (%*[^)]) %c", &state), 1);
	fclose(stat);
	return state;
}

static void *
allocate_after(void *nothing)
{
	/* Not pthread_join(3), which AddressSanitizer of GCC 14 refuses for the main thread. */
	while (main_thread_state() != 'Z')
		sched_yield();
	allocate_whole_pool();
	(void)nothing;
	/* Not exit(3): LeakSanitizer would miss what the stack of the main thread held. */
	_exit(0);
}

/* Once the main thread has ended, its ID, the process's, no longer leads to the memory. */
START_TEST(test_reserve_without_main_thread)
{
	pthread_t thread;

	if (is_emulated())
		return;
	open_pool_without_file(_i);
	ck_assert_int_eq(pthread_create(&thread, NULL, allocate_after, NULL), 0);
	pthread_exit(NULL);
}
END_TEST

void
add_reserve_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, test_reserve_grows, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_reserve_full, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_reserve_interrupted, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_reserve_without_file, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_reserve_without_main_thread, 0, NPAGE_SIZES);
}
