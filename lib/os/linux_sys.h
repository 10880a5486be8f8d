/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_sys.h: the table of the system calls that the library makes itself. */
#ifndef VMM_OS_LINUX_SYS_H
#define VMM_OS_LINUX_SYS_H

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>

/*
 * On x86-64, i386, arm64 and riscv64 the calls are made with syscall(2), except clone and
 * setresuid, and are no cancellation points. libc's functions are avoided there, because
 * another preloaded library may replace them (fakeroot, cowdancer, fakechroot, libfaketime)
 * by functions that allocate, while the caller holds a lock of the allocator. On other
 * architectures, and with VMM_SYS_LIBC (sanitizers must see the calls), libc's functions are
 * used where libc has them; some are cancellation points.
 *
 * Each call has the parameters and the result of the function of that name in section 2 of
 * the manual: it returns -1 and sets errno on failure. Any thread may make it.
 *
 * A row has the type of the result, the name, the parameters, and the arguments.
 * KERNEL: on every architecture the kernel's call has this name and these arguments.
 * ONLY:   the same, and always made with syscall(2), because libc has no such function, or
 *         one with another result.
 * OTHER:  linux_sys.c has a function for it.
 */
#define VMM_SYS_CALLS(ONLY, KERNEL, OTHER) \
	ONLY(int, cachestat, (int fd, void *range, void *figures, unsigned flags), \
	    (fd, range, figures, flags)) \
	KERNEL(int, close, (int fd), (fd)) \
	KERNEL(int, dup3, (int fd, int to, int flags), (fd, to, flags)) \
	KERNEL(int, flock, (int fd, int operation), (fd, operation)) \
	ONLY(int, futex, (void *word, int operation, unsigned value, \
	    const struct timespec *timeout), (word, operation, value, timeout)) \
	ONLY(long, getcwd, (char *path, size_t size), (path, size)) \
	ONLY(long, get_mempolicy, (int *mode, unsigned long *nodes, unsigned long max, \
	    void *address, unsigned long flags), (mode, nodes, max, address, flags)) \
	ONLY(long, getdents64, (int fd, void *entries, size_t size), (fd, entries, size)) \
	KERNEL(ssize_t, getrandom, (void *data, size_t size, unsigned flags), \
	    (data, size, flags)) \
	KERNEL(int, getsockopt, (int fd, int level, int option, void *value, \
	    socklen_t *size), (fd, level, option, value, size)) \
	KERNEL(int, ioctl, (int fd, unsigned long request, void *argument), \
	    (fd, request, argument)) \
	KERNEL(int, madvise, (void *address, size_t size, int advice), \
	    (address, size, advice)) \
	ONLY(long, mbind, (void *address, unsigned long size, int mode, \
	    const unsigned long *nodes, unsigned long max, unsigned flags), \
	    (address, size, mode, nodes, max, flags)) \
	KERNEL(int, memfd_create, (const char *name, unsigned flags), (name, flags)) \
	KERNEL(int, mlock, (const void *address, size_t size), (address, size)) \
	KERNEL(int, mlock2, (const void *address, size_t size, unsigned flags), \
	    (address, size, flags)) \
	KERNEL(int, mprotect, (void *address, size_t size, int protection), \
	    (address, size, protection)) \
	KERNEL(int, munmap, (void *address, size_t size), (address, size)) \
	KERNEL(int, nanosleep, (const struct timespec *time, struct timespec *left), \
	    (time, left)) \
	KERNEL(int, prctl, (int option, unsigned long a, unsigned long b, \
	    unsigned long c, unsigned long d), (option, a, b, c, d)) \
	KERNEL(ssize_t, process_vm_readv, (pid_t pid, const struct iovec *local, \
	    unsigned long nlocal, const struct iovec *remote, unsigned long nremote, \
	    unsigned long flags), (pid, local, nlocal, remote, nremote, flags)) \
	KERNEL(ssize_t, process_vm_writev, (pid_t pid, const struct iovec *local, \
	    unsigned long nlocal, const struct iovec *remote, unsigned long nremote, \
	    unsigned long flags), (pid, local, nlocal, remote, nremote, flags)) \
	KERNEL(long, ptrace, (int request, pid_t pid, void *address, void *data), \
	    (request, pid, address, data)) \
	KERNEL(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size)) \
	KERNEL(ssize_t, readlinkat, (int dir, const char *path, char *data, \
	    size_t size), (dir, path, data, size)) \
	KERNEL(int, setpgid, (pid_t pid, pid_t group), (pid, group)) \
	KERNEL(int, statx, (int dir, const char *path, int flags, unsigned mask, \
	    struct statx *stat), (dir, path, flags, mask, stat)) \
	KERNEL(int, tgkill, (pid_t group, pid_t thread, int signal), \
	    (group, thread, signal)) \
	KERNEL(int, unshare, (int flags), (flags)) \
	KERNEL(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags)) \
	KERNEL(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size)) \
	OTHER(int, clock_gettime, (clockid_t clock, struct timespec *time), (clock, time)) \
	OTHER(int, clone, (int (*function)(void *), void *stack, int flags, \
	    void *argument, pid_t *parent, void *tls, void *child), \
	    (function, stack, flags, argument, parent, tls, child)) \
	OTHER(int, fallocate, (int fd, int mode, off_t offset, off_t size), \
	    (fd, mode, offset, size)) \
	OTHER(int, fcntl, (int fd, int command, void *argument), (fd, command, argument)) \
	OTHER(int, fstat, (int fd, struct stat *stat), (fd, stat)) \
	OTHER(int, fstatfs, (int fd, struct statfs *stat), (fd, stat)) \
	OTHER(int, ftruncate, (int fd, off_t size), (fd, size)) \
	OTHER(uid_t, geteuid, (void), ()) \
	OTHER(pid_t, getpid, (void), ()) \
	OTHER(pid_t, getppid, (void), ()) \
	OTHER(int, getrlimit, (int resource, struct rlimit *limit), (resource, limit)) \
	OTHER(pid_t, gettid, (void), ()) \
	OTHER(off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence)) \
	OTHER(void *, mmap, (void *address, size_t size, int protection, int flags, \
	    int fd, off_t offset), (address, size, protection, flags, fd, offset)) \
	OTHER(void *, mremap, (void *address, size_t size, size_t new_size, \
	    int flags, void *to), (address, size, new_size, flags, to)) \
	OTHER(int, openat, (int dir, const char *path, int flags, mode_t mode), \
	    (dir, path, flags, mode)) \
	OTHER(ssize_t, pread, (int fd, void *data, size_t size, off_t offset), \
	    (fd, data, size, offset)) \
	OTHER(ssize_t, pwrite, (int fd, const void *data, size_t size, \
	    off_t offset), (fd, data, size, offset)) \
	OTHER(int, sched_getaffinity, (pid_t pid, size_t size, cpu_set_t *set), \
	    (pid, size, set)) \
	OTHER(int, sched_yield, (void), ()) \
	OTHER(int, setresuid, (uid_t real, uid_t effective, uid_t saved), \
	    (real, effective, saved)) \
	OTHER(int, setrlimit, (int resource, const struct rlimit *limit), \
	    (resource, limit)) \
	OTHER(int, stat, (const char *path, struct stat *it), (path, it)) \
	OTHER(int, sync_file_range, (int fd, off_t offset, off_t size, \
	    unsigned flags), (fd, offset, size, flags)) \
	OTHER(int, waitid, (int type, id_t id, siginfo_t *info, int options), \
	    (type, id, info, options)) \
	OTHER(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))

/*
 * The number of a call that the system's headers may lack. Since Linux 5.0 a new call has the
 * same number on all architectures but these. There it counts as unknown: no call has INT_MAX.
 */
#if defined(__alpha__) || defined(__ia64__) || defined(__mips__)
#define VMM_SYS_NEW(number) INT_MAX
#else
#define VMM_SYS_NEW(number) (number)
#endif

/* NOLINTNEXTLINE(bugprone-macro-parentheses): a declaration */
#define VMM_SYS_MEMBER(type, name, parameters, arguments) type (*name) parameters;

/* Read-only in the library. Tests make calls fail (tests/faults/system_calls_seam.c). */
extern struct vmm_sys {
	VMM_SYS_CALLS(VMM_SYS_MEMBER, VMM_SYS_MEMBER, VMM_SYS_MEMBER)
} vmm_sys;

/*
 * linux_vdso.c: the function of that name that the kernel maps into each process (vdso(7)),
 * or NULL. It returns 0 or a negative errno value. Thread-safe.
 */
const void *vmm_os_vdso_find(const char *name);

#endif
