/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_sys.c: the table of system calls, and how each architecture makes them. */
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

#ifndef SYS_cachestat
#define SYS_cachestat VMM_SYS_NEW(451) /* Linux 6.5 */
#endif

_Static_assert(sizeof(time_t) == sizeof(long), "the kernel's calls for times of 64 bits"
    " have other names on 32-bit systems");

/* Some arguments in rows of KERNEL and ONLY are ints, but syscall(2) takes longs. */
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
 * On these architectures libc's struct stat is the kernel's. A 64-bit offset is passed
 * whole, or as two arguments of 32 bits with the lower half first.
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

/* By the vDSO if possible, as in libc: a seccomp filter may forbid the system call. */
static int
sys_clock_gettime(clockid_t clock, struct timespec *time)
{
	static const void *found;
	static bool is_searched;
	int (*function)(clockid_t, struct timespec *);

	if (!__atomic_load_n(&is_searched, __ATOMIC_ACQUIRE)) {
		found = vmm_os_vdso_find(VDSO_CLOCK_GETTIME);
		__atomic_store_n(&is_searched, true, __ATOMIC_RELEASE);
	}
	*(const void **)&function = found;
	if (function != NULL && function(clock, time) == 0)
		return 0;
	return (int)syscall(SYS_clock_gettime, clock, time);
}

/* libc's clone, which calls `function` on the new stack. No preloaded library replaces it. */
static int
sys_clone(int (*function)(void *), void *stack, int flags, void *argument,
    pid_t *parent, void *tls, void *child)
{
	return clone(function, stack, flags, argument, parent, tls, child);
}

#define CALL(type, name, parameters, ...) \
	static type sys_##name parameters \
	{ \
		return (type)syscall(__VA_ARGS__); \
	}

CALL(int, fallocate, (int fd, int mode, off_t offset, off_t size), SYS_fallocate, fd, mode,
    OFFSET(offset), OFFSET(size))
CALL(int, fcntl, (int fd, int command, void *argument), NAME_64(fcntl), (long)fd,
    (long)command, argument)
CALL(int, fstat, (int fd, struct stat *stat), NAME_64(fstat), fd, stat)
CALL(int, fstatfs, (int fd, struct statfs *stat), NAME_64(fstatfs), fd,
    SIZE_64(sizeof(*stat)) stat)
CALL(int, ftruncate, (int fd, off_t size), NAME_64(ftruncate), fd, OFFSET(size))
CALL(pid_t, getpid, (void), SYS_getpid)
CALL(pid_t, getppid, (void), SYS_getppid)
CALL(int, getrlimit, (int resource, struct rlimit *limit), SYS_prlimit64, 0, resource,
    NULL, limit)
CALL(pid_t, gettid, (void), SYS_gettid)
CALL(void *, mremap, (void *address, size_t size, size_t new_size, int flags, void *to),
    SYS_mremap, address, size, new_size, (long)flags, to)
/* Without O_LARGEFILE a 32-bit system refuses large files (open(2)). */
CALL(int, openat, (int dir, const char *path, int flags, mode_t mode), SYS_openat, dir,
    path, flags | O_LARGEFILE, mode)
CALL(ssize_t, pread, (int fd, void *data, size_t size, off_t offset), SYS_pread64, fd, data,
    size, OFFSET(offset))
CALL(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t offset), SYS_pwrite64,
    fd, data, size, OFFSET(offset))
CALL(int, sched_yield, (void), SYS_sched_yield)
CALL(int, setrlimit, (int resource, const struct rlimit *limit), SYS_prlimit64, 0, resource,
    limit, NULL)
CALL(int, sync_file_range, (int fd, off_t offset, off_t size, unsigned flags),
    SYS_sync_file_range, fd, OFFSET(offset), OFFSET(size), flags)
CALL(int, waitid, (int type, id_t id, siginfo_t *info, int options), SYS_waitid, type, id,
    info, options, NULL)
CALL(pid_t, waitpid, (pid_t pid, int *status, int options), SYS_wait4, pid, status, options,
    NULL)

#ifdef SYS_geteuid32
CALL(uid_t, geteuid, (void), SYS_geteuid32)
#else
CALL(uid_t, geteuid, (void), SYS_geteuid)
#endif

#ifdef SYS_newfstatat
CALL(int, stat, (const char *path, struct stat *it), SYS_newfstatat, AT_FDCWD, path, it, 0)
#else
CALL(int, stat, (const char *path, struct stat *it), SYS_fstatat64, AT_FDCWD, path, it, 0)
#endif

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
	/* The unit of the offset is 4096 bytes, whatever the size of a page is. */
	return (void *)syscall(SYS_mmap2, address, size, protection, flags, fd,
	    (uint32_t)((uint64_t)offset >> 12));
#else
	return (void *)syscall(SYS_mmap, address, size, (long)protection,
	    (long)flags, (long)fd, offset);
#endif
}

/* The kernel fills only the part of the set whose size it returns. */
static int
sys_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	CPU_ZERO_S(size, set);
	return syscall(SYS_sched_getaffinity, pid, size, set) < 0 ? -1 : 0;
}

/* libc's function, which makes every thread make the call. */
static int
sys_setresuid(uid_t real, uid_t effective, uid_t saved)
{
	return setresuid(real, effective, saved);
}

#else

/* For VMM_SYS_LIBC, and for architectures on which the code above was never tried. */
#define BY_LIBC(type, name, parameters, arguments) \
	static type sys_##name parameters \
	{ \
		return name arguments; \
	}

VMM_SYS_CALLS(NO_FUNCTION, BY_LIBC, BY_LIBC)

#endif

/* The dynamic linker fills the table in, and makes it read-only (ld(1), -z relro). */
#define MEMBER(type, name, parameters, arguments) .name = sys_##name,
struct vmm_sys vmm_sys __attribute__((used, section(".data.rel.ro"))) = {
	VMM_SYS_CALLS(MEMBER, MEMBER, MEMBER)
};
