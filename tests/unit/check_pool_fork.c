/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool_fork.c: tests of the pool's part of fork(2), without the rest of the library. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_pool.h"
#include "os/linux_sys.h"
#include "pool/state.h"

static struct vmm_pool_fork forking;

/* Forks with the calls to the pool that the library makes after vmm_pool_fork_begin. */
static pid_t
fork_pool(enum vmm_fork kind)
{
	pid_t pid;

	vmm_pool_lock();
	vmm_pool_fork_prepare(&forking, kind);
	pid = fork();
	if (pid == 0) {
		vmm_pool_fork_child(&forking);
		vmm_pool_fork_settle(&forking);
	} else {
		vmm_pool_unlock();
		ck_assert_int_eq(vmm_pool_fork_await(&forking, pid), 0);
		vmm_pool_fork_end(&forking, true);
	}
	return pid;
}

/* In the child: the heap has the parent's content. The child can write to it and allocate. */
static _Noreturn void
child(char *range)
{
	bool is_zero = true;
	int is_good = range[0] == 1 && range[12 * MIB - 1] == 1;

	memset(range, 2, 4 * MIB);
	is_good &= vmm_pool_allocate(NULL, 4 * MIB, page_size, &is_zero) ==
	    range + 4 * MIB;
	is_good &= range[4 * MIB] == 0;
	memset(range + 4 * MIB, 2, 4 * MIB);
	_exit(!is_good);
}

/* After the child has ended: the heap returns, and keeps what the parent has written. */
static void
return_and_allocate(char *range)
{
	bool is_zero = true;

	ck_assert(vmm_pool_return());
	for (int i = 0; i < 4; i++)
		ck_assert(!vmm_pool_return());
	ck_assert_ptr_eq(vmm_pool_allocate(NULL, 4 * MIB, page_size, &is_zero),
	    range + 4 * MIB);
	vmm_pool_read_figures(&figures);
	ck_assert(!figures.is_private);
	ck_assert(figures.private_chunks == 0 || is_emulated());
	ck_assert_int_eq(range[0], 3);
	ck_assert_int_eq(range[8 * MIB], 1);
	ck_assert_int_eq(range[9 * MIB + page_size + 100], 3);
	memset(range + 4 * MIB, 3, 4 * MIB);
	/* The next range was never used before. */
	is_zero = false;
	range = vmm_pool_allocate(NULL, 4 * MIB, page_size, &is_zero);
	ck_assert_ptr_nonnull(range);
	ck_assert(is_zero);
	memset(range, 3, 4 * MIB);
}

/* The heap has a hole between ranges in use. */
static void
fork_and_write(enum vmm_fork kind, int number)
{
	bool is_zero = false;
	char *range;
	int status;
	pid_t pid;

	open_pool(pool_dir(), VMM_RESERVE_GROW, number);
	range = vmm_pool_allocate(NULL, 12 * MIB, page_size, &is_zero);
	memset(range, 1, 12 * MIB);
	vmm_pool_free(range + 4 * MIB, 4 * MIB);
	ck_assert_int_eq(vmm_pool_fork_begin(&forking, kind), 0);
	pid = fork_pool(kind);
	if (pid == 0)
		child(range);
	vmm_pool_read_figures(&figures);
	ck_assert(figures.is_private);
	memset(range, 3, 4 * MIB);
	range[9 * MIB + page_size + 100] = 3;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(range[0], 3);
	ck_assert_int_eq(range[8 * MIB], 1);
	return_and_allocate(range);
}

START_TEST(test_fork_private)
{
	fork_and_write(VMM_FORK_PRIVATE, _i);
}
END_TEST

START_TEST(test_fork_copy)
{
	fork_and_write(VMM_FORK_COPY, _i);
}
END_TEST

START_TEST(test_fork_any)
{
	fork_and_write(VMM_FORK_ANY, _i);
}
END_TEST

/* Two forks have begun: the child fills its file from memory that is private already. */
START_TEST(test_fork_two)
{
	static struct vmm_pool_fork other;
	bool is_zero = false;
	char *range;
	int status;
	pid_t pid;

	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	range = vmm_pool_allocate(NULL, 4 * MIB, page_size, &is_zero);
	memset(range, 1, 4 * MIB);
	ck_assert_int_eq(vmm_pool_fork_begin(&other, VMM_FORK_PRIVATE), 0);
	memset(range, 2, 2 * MIB);
	ck_assert_int_eq(vmm_pool_fork_begin(&forking, VMM_FORK_COPY), 0);
	pid = fork_pool(VMM_FORK_COPY);
	if (pid == 0) {
		vmm_pool_read_figures(&figures);
		_exit(!(range[0] == 2 && range[3 * MIB] == 1 &&
		    !figures.is_private && figures.private_chunks == 0));
	}
	/* The heap must not return while another fork is under way. */
	ck_assert(!vmm_pool_return());
	vmm_pool_fork_end(&other, true);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(vmm_pool_return());
	ck_assert_int_eq(range[0], 2);
}
END_TEST

/* vmm_pool_fork_begin fails if its thread has the lock, as in a signal handler. */
START_TEST(test_fork_within)
{
	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	vmm_pool_lock();
	ck_assert_int_eq(vmm_pool_fork_begin(&forking, VMM_FORK_PRIVATE), EAGAIN);
	vmm_pool_unlock();
	ck_assert_int_eq(vmm_pool_fork_begin(&forking, VMM_FORK_PRIVATE), 0);
	vmm_pool_fork_end(&forking, false);
}
END_TEST

/* While a child needs the file, the pauses between tries to return stay within the limit. */
START_TEST(test_fork_pauses)
{
	enum { LONGEST_US = 100000 };
	bool is_zero = false;
	int ends[2];
	uint64_t now_us;
	pid_t pid;

	open_pool(pool_dir(), VMM_RESERVE_GROW, 0);
	ck_assert_ptr_nonnull(vmm_pool_allocate(NULL, MIB, page_size, &is_zero));
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(vmm_pool_fork_begin(&forking, VMM_FORK_PRIVATE), 0);
	pid = fork_pool(VMM_FORK_PRIVATE);
	close(ends[pid == 0 ? 1 : 0]);
	if (pid == 0) {
		/* Waits until the parent closes its end. */
		_exit(read(ends[0], &is_zero, 1) != 0);
	}
	for (int i = 0; i < 10; i++) {
		vmm_pool.return_at_us = 0;
		ck_assert(!vmm_pool_return());
		now_us = vmm_os_now_us();
		ck_assert_uint_le(vmm_pool.return_at_us, now_us + LONGEST_US);
	}
	close(ends[1]);
}
END_TEST

#ifdef VMMALLOC_DEBUG
/* A thread that has the lock must not take it again: it would go on, and release it early. */
START_TEST(test_lock_twice)
{
	open_pool(pool_dir(), VMM_RESERVE_GROW, 0);
	vmm_pool_lock();
	vmm_pool_lock();
}
END_TEST
#endif

static int (*real_fallocate)(int fd, int mode, off_t offset, off_t size);

/* A full file system: there are no new blocks below 24 MiB. */
static int
full_fallocate(int fd, int mode, off_t offset, off_t size)
{
	errno = ENOSPC;
	return offset < (off_t)(24 * MIB) ? -1 : real_fallocate(fd, mode, offset, size);
}

static void
fork_and_wait(void)
{
	pid_t pid;

	ck_assert_int_eq(vmm_pool_fork_begin(&forking, VMM_FORK_PRIVATE), 0);
	pid = fork_pool(VMM_FORK_PRIVATE);
	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* Takes steps of the return, without its pauses, until it has begun, or until it has ended. */
static void
return_until(bool has_ended)
{
	for (int i = 0; i < 100; i++) {
		vmm_pool.return_at_us = vmm_pool.rest_until_us = 0;
		vmm_pool_return();
		if (has_ended ? !vmm_pool.return_pending : !vmm_pool.is_private)
			return;
	}
	ck_abort();
}

/*
 * A fork(2) unmaps the free chunks at the end of the heap while they are holes. The file system
 * is full when the heap grows there again, and maps them again.
 */
START_TEST(test_fork_unmaps_holes)
{
	const struct vmm_settings settings = {
		.pool_dir = pool_dir(), .pool_size_bytes = 64 * MIB,
		.fork = VMM_FORK_PRIVATE, .reserve = VMM_RESERVE_GROW, .conf = "",
	};
	struct vmm_text error;
	bool is_zero = false;
	size_t unit;
	char *range;

	if (is_emulated())
		return;
	ck_assert_msg(vmm_pool_open(&settings, &error), "%s", error.data);
	unit = vmm_pool.page_size;
	range = vmm_pool_allocate(NULL, 30 * MIB, unit, &is_zero);
	fork_and_wait();
	ck_assert_ptr_eq(vmm_pool_allocate(NULL, 6 * MIB, unit, &is_zero), range + 30 * MIB);
	ck_assert_uint_ge(vmm_pool.mapped, 40 * MIB);
	vmm_pool_free(range, 24 * MIB);
	return_until(false);
	ck_assert_uint_ge(vmm_pool.hole_count, 14);
	fork_and_wait();
	ck_assert_uint_le(vmm_pool.mapped, 36 * MIB);
	return_until(true);
	real_fallocate = vmm_sys.fallocate;
	writable_calls()->fallocate = full_fallocate;
	vmm_pool_allocate(NULL, MIB, unit, &is_zero);
	writable_calls()->fallocate = real_fallocate;
	ck_assert_uint_eq(vmm_pool_in_use(), 13 * MIB);
	for (int i = 13; i < 64; i++)
		ck_assert_ptr_nonnull(vmm_pool_allocate(NULL, MIB, unit, &is_zero));
	ck_assert_ptr_null(vmm_pool_allocate(NULL, unit, unit, &is_zero));
}
END_TEST

static int (*real_openat)(int dir, const char *path, int flags, mode_t mode);

/* Opens the attributes of a memory device: its size, and the size of its pages. */
static int
device_openat(int dir, const char *path, int flags, mode_t mode)
{
	int fd;

	if (strncmp(path, "/sys/dev/char/", 14) != 0)
		return real_openat(dir, path, flags, mode);
	fd = memfd_create("attribute", 0);
	dprintf(fd, "%zu", strstr(path, "/size") != NULL ? 4 * POOL_SIZE
						       : (size_t)sysconf(_SC_PAGESIZE));
	return fd;
}

static ssize_t
device_readlinkat(int dir, const char *path, char *data, size_t size)
{
	static const char bus[] = "/sys/bus/dax";

	(void)dir;
	(void)path;
	ck_assert_uint_gt(size, sizeof(bus));
	memcpy(data, bus, sizeof(bus) - 1);
	return sizeof(bus) - 1;
}

/* The path of the pool leads to a memory device by now. /dev/zero acts as the device. */
START_TEST(test_fork_device)
{
	open_pool(pool_dir(), VMM_RESERVE_GROW, 0);
	real_openat = vmm_sys.openat;
	writable_calls()->openat = device_openat;
	writable_calls()->readlinkat = device_readlinkat;
	strcpy(vmm_pool.dir, "/dev/zero");
	ck_assert_int_eq(vmm_pool_fork_begin(&forking, VMM_FORK_COPY), EXDEV);
	vmm_pool_fork_end(&forking, false);
	/* With VMMALLOC_FORK=3 the child stays private. */
	ck_assert_int_eq(vmm_pool_fork_begin(&forking, VMM_FORK_ANY), 0);
	ck_assert(!forking.wants_file);
	vmm_pool_fork_end(&forking, false);
}
END_TEST

void
add_fork_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, test_fork_private, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_fork_copy, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_fork_any, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_fork_two, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_fork_within, 0, NPAGE_SIZES);
	tcase_add_test(tcase, test_fork_pauses);
	tcase_add_test(tcase, test_fork_unmaps_holes);
	tcase_add_test(tcase, test_fork_device);
#ifdef VMMALLOC_DEBUG
	tcase_add_test_raise_signal(tcase, test_lock_twice, SIGABRT);
#endif
}
