/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool_os.c: tests of functions of os/ in conditions that few systems have. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check_pool.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* Makes a pool file of the pool's size, without a pool. */
static void
make_file(struct vmm_os_file *file)
{
	ck_assert_int_eq(vmm_os_file_create(pool_dir(), file), 0);
	ck_assert_int_eq(vmm_os_file_resize(file, POOL_SIZE), 0);
}

static ssize_t (*real_read)(int fd, void *data, size_t size);

/* Hides the number of seccomp filters in /proc/PID/status, as before Linux 5.9. */
static ssize_t
old_read(int fd, void *data, size_t size)
{
	ssize_t got = real_read(fd, data, size);
	char *field = got <= 0 ? NULL : memmem(data, (size_t)got, "Seccomp_filters:", 16);

	if (field != NULL)
		*field = 'X';
	return got;
}

/* Adds a filter that decides about ptrace(2). Returns false if that is impossible. */
static bool
filter_ptrace(unsigned decision)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, decision),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/* The program adds a filter after the library has found that it may stop threads. */
START_TEST(test_os_new_filter)
{
	bool is_old_kernel = _i == 1;

	real_read = vmm_sys.read;
	if (is_old_kernel)
		writable_calls()->read = old_read;
	if (!filter_ptrace(SECCOMP_RET_ALLOW) || vmm_os_may_stop(VMM_OS_STOP_OTHERS) != 0)
		return;
	ck_assert(filter_ptrace(SECCOMP_RET_ERRNO | EPERM));
	ck_assert_int_eq(vmm_os_may_stop(VMM_OS_STOP_OTHERS), EPERM);
	/* At exit(3) LeakSanitizer would use ptrace(2), and fail. */
	_exit(0);
}
END_TEST

/* Before its second listing, the program maps a file of its own over all of a part. */
START_TEST(test_os_parts_replaced)
{
	struct vmm_os_file file, other;
	struct vmm_os_parts before, now;
	void *place;

	make_file(&file);
	make_file(&other);
	ck_assert_int_eq(vmm_os_place_map(POOL_SIZE, MIB, &place), 0);
	ck_assert_int_eq(vmm_os_file_map_at(&file, place, 0, POOL_SIZE), 0);
	ck_assert_int_eq(vmm_os_parts_read(place, 0, POOL_SIZE, NULL, &before), 0);
	ck_assert_uint_eq(before.count, 1);
	ck_assert(before.list[0].is_pool);
	ck_assert_ptr_eq(mmap(place, POOL_SIZE, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED, other.fd, MIB), place);
	ck_assert_int_eq(vmm_os_parts_read(place, 0, POOL_SIZE, &before, &now), 0);
	ck_assert_uint_eq(now.count, 1);
	ck_assert(!now.list[0].is_pool);
	ck_assert(now.has_settings);
}
END_TEST

static void *(*real_mmap)(void *address, size_t size, int protection, int flags, int fd,
    off_t offset);

/* Maps whole pages of 2 MiB only, as on hugetlbfs. */
static void *
huge_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (size % (2 * MIB) != 0 || (size_t)offset % (2 * MIB) != 0) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	return real_mmap(address, size, protection, flags, fd, offset);
}

static unsigned wakes;

static int
count_wakes(void *word, int operation, unsigned value, const struct timespec *timeout)
{
	(void)operation;
	(void)value;
	(void)timeout;
	wakes += *(char *)word == 1;
	return 0;
}

/* Makes a pool file with one byte, and counts the wakes at that byte. */
static void
make_file_to_wake(struct vmm_os_file *file)
{
	make_file(file);
	ck_assert_int_eq(vmm_os_file_write(file, 3 * MIB, "\1", 1), 0);
	writable_calls()->futex = count_wakes;
}

START_TEST(test_os_wake_huge)
{
	struct vmm_os_file file;

	make_file_to_wake(&file);
	file.fs.page_size = 2 * MIB;
	real_mmap = vmm_sys.mmap;
	writable_calls()->mmap = huge_mmap;
	vmm_os_futex_wake_file(&file, 3 * MIB);
	ck_assert_uint_eq(wakes, 1);
}
END_TEST

/* As if the program had closed the file, and opened another, which got the number. */
static void
make_closed_file(struct vmm_os_file *file, const struct vmm_os_file *other)
{
	make_file(file);
	ck_assert_int_eq(dup2(other->fd, file->fd), file->fd);
}

START_TEST(test_os_wake_closed)
{
	struct vmm_os_file file, other;

	make_file_to_wake(&other);
	make_closed_file(&file, &other);
	vmm_os_futex_wake_file(&file, 3 * MIB);
	ck_assert_uint_eq(wakes, 0);
}
END_TEST

/* No function may write to another file, or map it, in place of the one that was closed. */
START_TEST(test_os_use_closed)
{
	struct vmm_os_file file, other;
	void *place, *window;

	make_file(&other);
	make_closed_file(&file, &other);
	ck_assert_int_eq(vmm_os_place_map(MIB, MIB, &place), 0);
	ck_assert_int_eq(vmm_os_file_write(&file, 0, "1", 1), EBADF);
	ck_assert_int_eq(vmm_os_file_map_at(&file, place, 0, MIB), EBADF);
	ck_assert_int_eq(vmm_os_window_map(&file, place, 0, MIB, VMM_OS_SHARED,
	    &window), EBADF);
	ck_assert_int_eq(vmm_os_window_map(&file, place, 0, MIB, VMM_OS_PRIVATE,
	    &window), EBADF);
}
END_TEST

/* The limit of descriptors is lower by now than the descriptor of the replaced file. */
START_TEST(test_os_replace_past_limit)
{
	struct vmm_os_file file, by;
	struct rlimit limit;
	int number;

	make_file(&file);
	number = file.fd;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)number;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	make_file(&by);
	vmm_os_file_replace(&file, &by);
	ck_assert_int_eq(file.fd, by.fd);
	ck_assert(vmm_os_file_is_open(&file));
	ck_assert_int_eq(fcntl(number, F_GETFD), -1);
}
END_TEST

void
add_os_tests(TCase *tcase)
{
#ifndef STOP_WITHOUT_HELPER
	tcase_add_loop_test(tcase, test_os_new_filter, 0, 2);
#endif
	tcase_add_test(tcase, test_os_parts_replaced);
	tcase_add_test(tcase, test_os_wake_huge);
	tcase_add_test(tcase, test_os_wake_closed);
	tcase_add_test(tcase, test_os_use_closed);
	tcase_add_test(tcase, test_os_replace_past_limit);
}
