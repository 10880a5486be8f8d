/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_sys.c: the table of system calls, and what they are on each architecture. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/linux_sys.h"
#include "os/linux_vdso.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* Linux 6.5, the same on every architecture */
#endif

_Static_assert(sizeof(time_t) == sizeof(long), "the kernel's calls for times of 64 bits"
    " have other names on 32-bit systems");

/* syscall(2) takes longs: of KERNEL and ONLY some parameters are longs to the kernel and
 * ints to libc. */
#define LONGS_1(a) (long)(a)
#define LONGS_2(a, ...) (long)(a), LONGS_1(__VA_ARGS__)
#define LONGS_3(a, ...) (long)(a), LONGS_2(__VA_ARGS__)
#define LONGS_4(a, ...) (long)(a), LONGS_3(__VA_ARGS__)
#define LONGS_5(a, ...) (long)(a), LONGS_4(__VA_ARGS__)
#define LONGS_6(a, ...) (long)(a), LONGS_5(__VA_ARGS__)
#define LONGS_OF(a, b, c, d, e, f, longs, ...) longs
#define LONGS(...) LONGS_OF(__VA_ARGS__, LONGS_6, LONGS_5, LONGS_4, LONGS_3, LONGS_2, \
    LONGS_1, 0)(__VA_ARGS__)

#define NO_FUNCTION(type, name, parameters, arguments)
#define BY_KERNEL(type, name, parameters, arguments) \
	static type sys_##name parameters \
	{ \
		return (type)syscall(SYS_##name, LONGS arguments); \
	}

VMM_SYS_CALLS(BY_KERNEL, NO_FUNCTION, NO_FUNCTION)

#if !defined(VMM_SYS_LIBC) && \
    ((defined(__x86_64__) && defined(__LP64__)) || defined(__aarch64__) || \
    (defined(__riscv) && __riscv_xlen == 64) || defined(__i386__))

VMM_SYS_CALLS(NO_FUNCTION, BY_KERNEL, NO_FUNCTION)

#ifdef __aarch64__
#define VDSO_CLOCK_GETTIME "__kernel_clock_gettime"
#else
#define VDSO_CLOCK_GETTIME "__vdso_clock_gettime"
#endif

/*
 * On these libc's struct stat is the kernel's. Offsets have 64 bits: whole, or as two
 * arguments of 32, the lower one first.
 */
#ifdef __LP64__
#define OFFSET(offset) (offset)
#define NAME_64(name) SYS_##name
#define SIZE_64(size)
#else
#define OFFSET(offset) (uint32_t)(offset), (uint32_t)((uint64_t)(offset) >> 32)
#define NAME_64(name) SYS_##name##64
#define SIZE_64(size) (size),
#endif

/*
 * As libc does it: without a system call where that can be, which filters (seccomp(2)) may
 * not allow.
 */
static int
sys_clock_gettime(clockid_t clock, struct timespec *time)
{
	static const void *known;
	static bool is_known;
	int (*function)(clockid_t, struct timespec *);

	if (!__atomic_load_n(&is_known, __ATOMIC_ACQUIRE)) {
		known = vmm_os_vdso_find(VDSO_CLOCK_GETTIME);
		__atomic_store_n(&is_known, true, __ATOMIC_RELEASE);
	}
	*(const void **)&function = known;
	if (function != NULL && function(clock, time) == 0)
		return 0;
	return (int)syscall(SYS_clock_gettime, clock, time);
}

/* Of libc, which begins on the new stack; nobody puts another before it. */
static int
sys_clone(int (*function)(void *), void *stack, int flags, void *argument,
    pid_t *parent, void *tls, void *child)
{
	return clone(function, stack, flags, argument, parent, tls, child);
}

static int
sys_fallocate(int fd, int mode, off_t offset, off_t size)
{
	return (int)syscall(SYS_fallocate, fd, mode, OFFSET(offset), OFFSET(size));
}

static int
sys_fcntl(int fd, int command, void *argument)
{
	return (int)syscall(NAME_64(fcntl), (long)fd, (long)command, argument);
}

static int
sys_fstat(int fd, struct stat *stat)
{
	return (int)syscall(NAME_64(fstat), fd, stat);
}

static int
sys_fstatfs(int fd, struct statfs *stat)
{
	return (int)syscall(NAME_64(fstatfs), fd, SIZE_64(sizeof(*stat)) stat);
}

static int
sys_ftruncate(int fd, off_t size)
{
	return (int)syscall(NAME_64(ftruncate), fd, OFFSET(size));
}

static pid_t
sys_getpid(void)
{
	return (pid_t)syscall(SYS_getpid);
}

static pid_t
sys_getppid(void)
{
	return (pid_t)syscall(SYS_getppid);
}

static pid_t
sys_gettid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static int
sys_sched_yield(void)
{
	return (int)syscall(SYS_sched_yield);
}

/* Large files are for who asks for them, with 32 bits. */
static int
sys_openat(int dir, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);
}

static uid_t
sys_geteuid(void)
{
#ifdef SYS_geteuid32
	return (uid_t)syscall(SYS_geteuid32);
#else
	return (uid_t)syscall(SYS_geteuid);
#endif
}

static int
sys_getrlimit(int resource, struct rlimit *limit)
{
	return (int)syscall(SYS_prlimit64, 0, resource, NULL, limit);
}

static int
sys_setrlimit(int resource, const struct rlimit *limit)
{
	return (int)syscall(SYS_prlimit64, 0, resource, limit, NULL);
}

static off_t
sys_lseek(int fd, off_t offset, int whence)
{
#ifdef SYS__llseek
	int64_t result;

	return syscall(SYS__llseek, fd, (uint32_t)((uint64_t)offset >> 32),
	    (uint32_t)offset, &result, whence) == 0 ? (off_t)result : -1;
#else
	return (off_t)syscall(SYS_lseek, fd, offset, whence);
#endif
}

static void *
sys_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
#ifdef SYS_mmap2
	/* In units of 4096 bytes, whatever the size of a page. */
	return (void *)syscall(SYS_mmap2, address, size, protection, flags, fd,
	    (uint32_t)((uint64_t)offset >> 12));
#else
	return (void *)syscall(SYS_mmap, address, size, (long)protection,
	    (long)flags, (long)fd, offset);
#endif
}

static void *
sys_mremap(void *address, size_t size, size_t new_size, int flags, void *to)
{
	return (void *)syscall(SYS_mremap, address, size, new_size,
	    (long)flags, to);
}

static ssize_t
sys_pread(int fd, void *data, size_t size, off_t offset)
{
	return syscall(SYS_pread64, fd, data, size, OFFSET(offset));
}

static ssize_t
sys_pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return syscall(SYS_pwrite64, fd, data, size, OFFSET(offset));
}

/* The kernel's says how much it has written; the rest of the set is as it was. */
static int
sys_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	CPU_ZERO_S(size, set);
	return syscall(SYS_sched_getaffinity, pid, size, set) < 0 ? -1 : 0;
}

/* Of libc, which has each thread make the call. */
static int
sys_setresuid(uid_t real, uid_t effective, uid_t saved)
{
	return setresuid(real, effective, saved);
}

static int
sys_stat(const char *path, struct stat *it)
{
#ifdef SYS_newfstatat
	return (int)syscall(SYS_newfstatat, AT_FDCWD, path, it, 0);
#else
	return (int)syscall(SYS_fstatat64, AT_FDCWD, path, it, 0);
#endif
}

static int
sys_sync_file_range(int fd, off_t offset, off_t size, unsigned flags)
{
	return (int)syscall(SYS_sync_file_range, fd, OFFSET(offset), OFFSET(size),
	    flags);
}

static int
sys_waitid(int type, id_t id, siginfo_t *info, int options)
{
	return (int)syscall(SYS_waitid, type, id, info, options, NULL);
}

static pid_t
sys_waitpid(pid_t pid, int *status, int options)
{
	return (pid_t)syscall(SYS_wait4, pid, status, options, NULL);
}

#else

/* VMM_SYS_LIBC, and architectures on which nobody has tried the above. */
#define BY_LIBC(type, name, parameters, arguments) \
	static type sys_##name parameters \
	{ \
		return name arguments; \
	}

VMM_SYS_CALLS(NO_FUNCTION, BY_LIBC, BY_LIBC)

#endif

/* The dynamic linker fills it in, and makes it read-only (ld(1), -z relro). */
#define MEMBER(type, name, parameters, arguments) .name = sys_##name,
struct vmm_sys vmm_sys __attribute__((used, section(".data.rel.ro"))) = {
	VMM_SYS_CALLS(MEMBER, MEMBER, MEMBER)
};
