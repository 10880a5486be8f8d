/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool.c: the pool by itself, in a process whose heap is the ordinary one. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "os/linux_sys.h"
#include "pool/pool.h"
#include "pool/state.h"

#define MIB ((size_t)1 << 20)
#define POOL_SIZE (16 * MIB)

static struct vmm_pool_figures figures;

/* Each test runs with pages of these sizes; 0 is the system's. */
static const size_t page_sizes[] = { 0, 16384, 65536 };
#define NPAGE_SIZES ((int)(sizeof(page_sizes) / sizeof(page_sizes[0])))

/* The least that a range is aligned to. */
static size_t page_size;

/* With pages of the size that has that number. */
static void
open_pool(const char *dir, enum vmm_reserve reserve, int number)
{
	struct vmm_settings settings = {
		.pool_dir = dir, .pool_size_bytes = POOL_SIZE,
		.fork = VMM_FORK_PRIVATE, .reserve = reserve, .conf = "",
		.page_size_bytes = page_sizes[number],
	};
	struct vmm_text error;

	page_size = page_sizes[number] != 0 ? page_sizes[number]
					    : (size_t)sysconf(_SC_PAGESIZE);

	ck_assert_msg(vmm_pool_open(&settings, &error), "%s", error.data);
}

/*
 * An emulator of one process (qemu-user) has threads beside the process's one, and so
 * nobody can see that it is alone; MADV_REMOVE it takes for a hint, and ignores.
 */
static bool
is_emulated(void)
{
	struct stat tasks;

	return stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink > 3;
}

/* Each test runs in a process of its own, and so opens its own pool. */
static const char *
pool_dir(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".";
}

/* On the pages of a device there is nothing that would be worth returning. */
static size_t
returned(size_t bytes)
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

/* Large enough for pages of 1 GiB, and so aligned to them. */
START_TEST(test_open_giant)
{
	struct vmm_settings settings = {
		.pool_dir = pool_dir(), .pool_size_bytes = 1024 * MIB,
	};
	struct vmm_text error;

	/* Where there is no such room, there is nothing to see. */
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

/* The library's system calls, to be replaced. */
static struct vmm_sys *
calls(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *page = (char *)((uintptr_t)&vmm_sys & -size);

	ck_assert_int_eq(mprotect(page, (size_t)((char *)(&vmm_sys + 1) - page),
	    PROT_READ | PROT_WRITE), 0);
	return &vmm_sys;
}

static int (*real_fallocate)(int fd, int mode, off_t offset, off_t size);

/* A signal comes every now and then, and what was done until then is undone. */
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
	calls()->fallocate = interrupted_fallocate;
	open_pool(pool_dir(), VMM_RESERVE_FULL, _i);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.reserved, POOL_SIZE);
}
END_TEST

static int (*real_madvise)(void *address, size_t size, int advice);

/* Linux before 5.14. */
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

START_TEST(test_reserve_closed)
{
	bool is_zero = true;

	/* Nor does it know process_vm_writev(2). */
	if (is_emulated())
		return;
	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	real_madvise = vmm_sys.madvise;
	calls()->madvise = old_madvise;
	close(vmm_pool.file.fd);
	for (size_t had = 0; had < POOL_SIZE; had += MIB) {
		char *range = vmm_pool_allocate(NULL, MIB, page_size, &is_zero);

		ck_assert_ptr_nonnull(range);
		memset(range, 1, MIB);
	}
}
END_TEST

START_TEST(test_zero)
{
	bool is_zero = false;
	char *range;

	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	range = vmm_pool_allocate(NULL, MIB, page_size, &is_zero);
	ck_assert_msg(is_zero, "space that was never used is zero");
	memset(range, 1, MIB);
	vmm_pool_free(range, MIB);
	is_zero = false;
	ck_assert_ptr_eq(vmm_pool_allocate(NULL, MIB, page_size, &is_zero), range);
	ck_assert_msg(!is_zero, "space that was used may be anything");
	vmm_pool_free(range, MIB);
	/* Half of it was used, half was not. */
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
	/* At the pool's end, and beyond it. */
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
	/* Once, and again after an eighth more. */
	ck_assert(!vmm_pool_outgrows(2 * MIB));
	ck_assert(!vmm_pool_outgrows(VMM_POOL_SMALL / 8));
	ck_assert(vmm_pool_outgrows(VMM_POOL_SMALL / 4 + MIB));
	/* Not for what fits below, nor for what fits nowhere. */
	vmm_pool_free(range, VMM_POOL_SMALL - MIB);
	ck_assert(!vmm_pool_outgrows(VMM_POOL_SMALL));
	ck_assert(!vmm_pool_outgrows(5 * POOL_SIZE));
}
END_TEST

START_TEST(test_returns_chunks)
{
	bool is_zero = false;
	char *range;

	open_pool(pool_dir(), VMM_RESERVE_GROW, _i);
	range = vmm_pool_allocate(NULL, 8 * MIB, page_size, &is_zero);
	memset(range, 1, 8 * MIB);
	/* Less than a chunk, then the rest of two. */
	vmm_pool_free(range, MIB);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.returned, 0);
	vmm_pool_free(range + MIB, 3 * MIB);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.returned, returned(4 * MIB));
	ck_assert(range[0] == (returned(1) == 0) || is_emulated());
	/* What is wanted again is promised again. */
	ck_assert_ptr_eq(vmm_pool_allocate(NULL, 3 * MIB, page_size, &is_zero), range);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.returned, 0);
	/* Not while somebody is about to need it. */
	vmm_pool_release_pause();
	vmm_pool_free(range, 3 * MIB);
	vmm_pool_release_resume();
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.returned, 0);
}
END_TEST

START_TEST(test_full_reserve_stays)
{
	bool is_zero = false;
	char *range;

	open_pool(pool_dir(), VMM_RESERVE_FULL, _i);
	range = vmm_pool_allocate(NULL, 8 * MIB, page_size, &is_zero);
	vmm_pool_free(range, 8 * MIB);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.returned, 0);
}
END_TEST

/* fork(2) with the pool's part of the handlers, as fork.c has them. */
static struct vmm_pool_fork forking;

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

/* With a hole among what was used. */
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
	if (pid == 0) {
		int is_good = range[0] == 1 && range[12 * MIB - 1] == 1;

		memset(range, 2, 4 * MIB);
		is_zero = true;
		is_good &= vmm_pool_allocate(NULL, 4 * MIB, page_size, &is_zero) ==
		    range + 4 * MIB;
		is_good &= range[4 * MIB] == 0;
		memset(range + 4 * MIB, 2, 4 * MIB);
		_exit(!is_good);
	}
	vmm_pool_read_figures(&figures);
	ck_assert(figures.is_private);
	memset(range, 3, 4 * MIB);
	range[9 * MIB + page_size + 100] = 3;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(range[0], 3);
	ck_assert_int_eq(range[8 * MIB], 1);
	/* The child is gone: this one returns, with what it has written. */
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
	/* And what was never used. */
	is_zero = false;
	range = vmm_pool_allocate(NULL, 4 * MIB, page_size, &is_zero);
	ck_assert_ptr_nonnull(range);
	ck_assert(is_zero);
	memset(range, 3, 4 * MIB);
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

/* Two forks have begun; the one that is to have a file is made of private memory. */
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
	/* No return while another fork is under way. */
	ck_assert(!vmm_pool_return());
	vmm_pool_fork_end(&other, true);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(vmm_pool_return());
	ck_assert_int_eq(range[0], 2);
}
END_TEST

/* A signal handler that has interrupted the pool cannot fork. */
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

Suite *
make_suite(void)
{
	Suite *suite = suite_create("pool");
	TCase *tcase = tcase_create("pool");

	tcase_add_loop_test(tcase, test_open, 0, NPAGE_SIZES);
	tcase_add_test(tcase, test_open_giant);
	tcase_add_test(tcase, test_open_fails);
	tcase_add_loop_test(tcase, test_reserve_grows, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_reserve_full, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_reserve_interrupted, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_reserve_closed, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_zero, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_wanted, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_aligned, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_full, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_outgrows, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_returns_chunks, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_full_reserve_stays, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_fork_private, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_fork_copy, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_fork_any, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_fork_two, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_fork_within, 0, NPAGE_SIZES);
	suite_add_tcase(suite, tcase);
	return suite;
}
