/* SPDX-License-Identifier: BSD-3-Clause */
/* inject.h: what the test of failing calls and the seam in its library tell each
 * other, in a page that all of their processes share. */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * The functions of libc by which the library makes system calls, and that can fail:
 * how, what each returns, its name, its parameters, and these as arguments. How:
 * PLAIN has done nothing then; DONE has done what it was to do (close(2)); SHORT may
 * also do less than it was asked for; OPEN may not know O_TMPFILE.
 */
#define INJECT_CALLS(X) \
	X(DONE, int, close, (int fd), (fd)) \
	X(PLAIN, int, clone, (int (*function)(void *), void *stack, int flags, \
	    void *argument, void *parent, void *tls, void *child), \
	    (function, stack, flags, argument, parent, tls, child)) \
	X(PLAIN, int, dup3, (int fd, int to, int flags), (fd, to, flags)) \
	X(PLAIN, int, fallocate, (int fd, int mode, off_t offset, off_t length), \
	    (fd, mode, offset, length)) \
	X(PLAIN, int, fcntl, (int fd, int command, void *argument), \
	    (fd, command, argument)) \
	X(PLAIN, int, fstat, (int fd, struct stat *stat), (fd, stat)) \
	X(PLAIN, int, fstatfs, (int fd, struct statfs *stat), (fd, stat)) \
	X(PLAIN, int, ftruncate, (int fd, off_t length), (fd, length)) \
	X(SHORT, ssize_t, getrandom, (void *data, size_t size, unsigned flags), \
	    (data, size, flags)) \
	X(PLAIN, int, getrlimit, (int resource, struct rlimit *limit), \
	    (resource, limit)) \
	X(PLAIN, int, getsockopt, (int fd, int level, int option, void *value, \
	    socklen_t *size), (fd, level, option, value, size)) \
	X(PLAIN, int, ioctl, (int fd, unsigned long request, void *argument), \
	    (fd, request, argument)) \
	X(PLAIN, off_t, lseek, (int fd, off_t offset, int whence), \
	    (fd, offset, whence)) \
	X(PLAIN, int, madvise, (void *address, size_t size, int advice), \
	    (address, size, advice)) \
	X(PLAIN, int, mlock, (const void *address, size_t size), (address, size)) \
	X(PLAIN, int, mlock2, (const void *address, size_t size, unsigned flags), \
	    (address, size, flags)) \
	X(PLAIN, void *, mmap, (void *address, size_t size, int protection, int flags, \
	    int fd, off_t offset), \
	    (address, size, protection, flags, fd, offset)) \
	X(PLAIN, int, mprotect, (void *address, size_t size, int protection), \
	    (address, size, protection)) \
	X(PLAIN, void *, mremap, (void *address, size_t size, size_t new_size, \
	    int flags, void *to), (address, size, new_size, flags, to)) \
	X(PLAIN, int, munmap, (void *address, size_t size), (address, size)) \
	X(OPEN, int, open, (const char *path, int flags, mode_t mode), \
	    (path, flags, mode)) \
	X(PLAIN, int, openat, (int dir, const char *path, int flags, mode_t mode), \
	    (dir, path, flags, mode)) \
	X(SHORT, ssize_t, pread, (int fd, void *data, size_t size, off_t offset), \
	    (fd, data, size, offset)) \
	X(PLAIN, int, prctl, (int option, unsigned long a, unsigned long b, \
	    unsigned long c, unsigned long d), (option, a, b, c, d)) \
	X(PLAIN, long, ptrace, (int request, pid_t pid, void *address, void *data), \
	    (request, pid, address, data)) \
	X(SHORT, ssize_t, pwrite, (int fd, const void *data, size_t size, \
	    off_t offset), (fd, data, size, offset)) \
	X(SHORT, ssize_t, read, (int fd, void *data, size_t size), \
	    (fd, data, size)) \
	X(PLAIN, ssize_t, readlinkat, (int dir, const char *path, char *data, \
	    size_t size), (dir, path, data, size)) \
	X(PLAIN, int, sched_getaffinity, (pid_t pid, size_t size, cpu_set_t *set), \
	    (pid, size, set)) \
	X(PLAIN, int, setresuid, (uid_t real, uid_t effective, uid_t saved), \
	    (real, effective, saved)) \
	X(PLAIN, int, setrlimit, (int resource, const struct rlimit *limit), \
	    (resource, limit)) \
	X(PLAIN, int, stat, (const char *path, struct stat *stat), (path, stat)) \
	X(PLAIN, int, statx, (int dir, const char *path, int flags, unsigned mask, \
	    struct statx *stat), (dir, path, flags, mask, stat)) \
	X(PLAIN, int, sync_file_range, (int fd, off_t offset, off_t length, \
	    unsigned flags), (fd, offset, length, flags)) \
	X(PLAIN, long, syscall, (long number, long a, long b, long c, long d, long e), \
	    (number, a, b, c, d, e)) \
	X(PLAIN, int, unlink, (const char *path), (path)) \
	X(PLAIN, int, waitid, (int type, id_t id, siginfo_t *info, int options), \
	    (type, id, info, options)) \
	X(PLAIN, pid_t, waitpid, (pid_t pid, int *status, int options), \
	    (pid, status, options)) \
	X(SHORT, ssize_t, write, (int fd, const void *data, size_t size), \
	    (fd, data, size))

#define INJECT_NUMBER(how, type, name, parameters, arguments) INJECT_##name,
enum inject_call { INJECT_CALLS(INJECT_NUMBER) INJECT_COUNT };
#undef INJECT_NUMBER

/* In place of an errno: half of what was asked for is done, and said. */
#define INJECT_SHORT (-1)

struct inject {
	/* By the test. */
	enum inject_call call; /* which is to fail */
	unsigned nth;          /* the how manieth; 0: none */
	int error;             /* with what errno */
	bool is_lasting;       /* and all after it */
	bool has_no_tmpfile;   /* as on a file system without O_TMPFILE */
	/* By the seam. */
	unsigned counts[INJECT_COUNT];
	unsigned injected;
	pid_t by;              /* the process of the last that has failed */
	bool was_started;      /* the program was in main by then */
	/* By the program. */
	bool is_started;
	bool is_child_aborted; /* a child was ended by SIGABRT */
};

#endif
