/* SPDX-License-Identifier: BSD-3-Clause */
/* wrappers.c: a library that is preloaded beside libvmmalloc. Its functions stand before
 * libc's, and allocate, as those of fakeroot, cowdancer and libfaketime do. Each call
 * allocates another size, so that a thread's cache cannot serve all calls. With
 * WRAPPERS_COUNT set it prints a line on stderr at exit if its functions were called. */
#include "config.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define MAX_SIZE ((size_t)1 << 20)

#define EXPORT __attribute__((visibility("default")))

static unsigned count;

static void
allocate(void)
{
	unsigned number = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
	size_t size = (size_t)number * 4099 % MAX_SIZE + 1;
	volatile char *block = malloc(size);

	if (block != NULL)
		block[size - 1] = 1;
	free((void *)block);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): declarations */
#define WRAP(type, name, parameters, arguments) \
	EXPORT type name parameters; \
	EXPORT type name parameters \
	{ \
		static type (*next) parameters; \
		if (next == NULL) \
			*(void **)&next = dlsym(RTLD_NEXT, #name); \
		allocate(); \
		return next arguments; \
	}

/* The headers declare these functions with the same types. */
WRAP(int, close, (int fd), (fd))
WRAP(int, fallocate, (int fd, int mode, off_t offset, off_t size),
    (fd, mode, offset, size))
WRAP(int, fstat, (int fd, struct stat *stat), (fd, stat))
WRAP(int, fstatfs, (int fd, struct statfs *stat), (fd, stat))
WRAP(int, ftruncate, (int fd, off_t size), (fd, size))
WRAP(uid_t, geteuid, (void), ())
WRAP(pid_t, getpid, (void), ())
WRAP(off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence))
WRAP(int, madvise, (void *address, size_t size, int advice), (address, size, advice))
WRAP(void *, mmap, (void *address, size_t size, int protection, int flags, int fd,
    off_t offset), (address, size, protection, flags, fd, offset))
WRAP(int, mprotect, (void *address, size_t size, int protection),
    (address, size, protection))
WRAP(int, munmap, (void *address, size_t size), (address, size))
WRAP(ssize_t, pread, (int fd, void *data, size_t size, off_t offset),
    (fd, data, size, offset))
WRAP(int, pthread_cond_init, (pthread_cond_t *condition, const pthread_condattr_t *attr),
    (condition, attr))
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t offset),
    (fd, data, size, offset))
WRAP(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
WRAP(int, sched_getaffinity, (pid_t pid, size_t size, cpu_set_t *set),
    (pid, size, set))
WRAP(int, sched_yield, (void), ())
WRAP(int, unlink, (const char *path), (path))
WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
WRAP(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))

/* The headers declare these functions with other types. */
#define WRAP_AS(name, first, last) \
	int wrap_##name first __asm__(#name); \
	EXPORT int wrap_##name first \
	{ \
		static int (*next) first; \
		if (next == NULL) \
			*(void **)&next = dlsym(RTLD_NEXT, #name); \
		allocate(); \
		return next last; \
	}
/* NOLINTEND(bugprone-macro-parentheses) */
WRAP_AS(clock_gettime, (clockid_t clock, struct timespec *time), (clock, time))
WRAP_AS(getrlimit, (int resource, struct rlimit *limit), (resource, limit))
WRAP_AS(open, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAP_AS(openat, (int dir, const char *path, int flags, mode_t mode),
    (dir, path, flags, mode))
WRAP_AS(open64, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAP_AS(openat64, (int dir, const char *path, int flags, mode_t mode),
    (dir, path, flags, mode))

__attribute__((destructor)) static void
tell(void)
{
	if (getenv("WRAPPERS_COUNT") != NULL && count > 0)
		fprintf(stderr, "wrappers: functions were called\n");
}
