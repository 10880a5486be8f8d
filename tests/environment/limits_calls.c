/* SPDX-License-Identifier: BSD-3-Clause */
/* limits_calls.c: part of the program limits: makes system calls fail by a filter
 * (seccomp(2)). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limits.h"

static int
call_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} calls[] = {
		{ "fallocate", SYS_fallocate }, { "madvise", SYS_madvise },
		{ "statx", SYS_statx }, { "fcntl", SYS_fcntl },
		{ "getrandom", SYS_getrandom }, { "prlimit64", SYS_prlimit64 },
		{ "fstatfs", SYS_fstatfs }, { "ioctl", SYS_ioctl },
		{ "sched_getaffinity", SYS_sched_getaffinity },
		{ "clone", SYS_clone },
		{ "mremap", SYS_mremap }, { "lseek", SYS_lseek },
		{ "pwrite64", SYS_pwrite64 }, { "pread64", SYS_pread64 },
		{ "rt_sigprocmask", SYS_rt_sigprocmask },
		{ "sync_file_range", SYS_sync_file_range },
		{ "ftruncate", SYS_ftruncate },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	}
	exit(99);
}

/* The filter stays for good, and children inherit it. */
int
forbid(const char *call, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
		    (unsigned)call_number(call), 0, 1),
		BPF_STMT(BPF_RET | BPF_K,
		    SECCOMP_RET_ERRNO | ((unsigned)error & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		sizeof(filter) / sizeof(filter[0]), filter
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int
error_number(const char *name)
{
	return strcmp(name, "EPERM") == 0 ? EPERM
	    : strcmp(name, "EAGAIN") == 0 ? EAGAIN : ENOSYS;
}

/* Reserved file blocks stay usable. When all of them are in use, malloc returns NULL. */
void
without_fallocate(const char *error_name)
{
	int error = error_number(error_name);
	int is_full;
	pid_t pid;

	tap_result(blocks_write(1), "the blocks are allocated");
	if (!forbid("fallocate", error))
		exit(99);
	is_full = !heap_grows() && errno == ENOMEM;
	tap_result(is_full && blocks_are(1) && blocks_write(2) &&
	    blocks_are(2) && blocks_write(1),
	    "without fallocate: malloc returns NULL with ENOMEM");
	errno = 0;
	pid = fork_setting == 0 ? -1 : fork();
	if (pid == 0)
		_exit(!(blocks_are(1) && blocks_write(3) && blocks_are(3)));
	if (fork_setting == 2)
		tap_result(pid == -1 && errno == error,
		    "without fallocate: fork fails");
	else if (fork_setting != 0)
		tap_result(child_succeeds(pid),
		    "without fallocate: a child has a private heap");
	tap_result(blocks_are(1), "without fallocate: the content is kept");
}

/* Forks ten times. Each fork must fail with EAGAIN, and the heap must work. */
static int
forks_fail(void)
{
	int is_good = 1;

	for (int i = 0; i < 10; i++) {
		pid_t pid;

		errno = 0;
		pid = fork();
		if (pid == 0)
			_exit(0);
		is_good &= pid == -1 && errno == EAGAIN &&
		    blocks_are(1) && blocks_write(2) && heap_grows() &&
		    blocks_are(2) && blocks_write(1);
	}
	return is_good;
}

static int
descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 2000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* clone(2) fails after the library has prepared everything for the fork. */
void
without_clone(const char *unused)
{
	int before, is_good;

	(void)unused;
	tap_result(blocks_write(1), "the blocks are allocated");
	before = descriptors();
	if (!forbid("clone", EAGAIN))
		exit(99);
	is_good = forks_fail();
	tap_result(is_good, "without clone: fork fails with EAGAIN");
	tap_result(descriptors() == before,
	    "without clone: no descriptor is left open");
}
