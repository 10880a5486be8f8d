/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_proc.h: what other files for Linux read in /proc, without libc's buffers. */
#ifndef VMM_OS_LINUX_PROC_H
#define VMM_OS_LINUX_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/*
 * What a process has, as its calling thread sees it. /proc/self is the main thread, and
 * has no memory and no descriptors any more once that has ended (pthread_exit(3)).
 */
#define VMM_OS_SELF "/proc/thread-self/"

/* The threads of this process, also when the main thread has ended. */
#define VMM_OS_TASKS "/proc/self/task"

/*
 * Raises RLIMIT_NOFILE for the moment, if that is allowed; and sets it as before. The
 * second keeps errno.
 */
bool vmm_os_nofile_raise(struct rlimit *before);
void vmm_os_nofile_restore(const struct rlimit *before);

/* openat(2), close-on-exec, also where that limit is reached. -1 with errno. */
int vmm_os_proc_open(int directory, const char *path, int flags);

/*
 * Calls `visit` with the name of each entry of a directory, from its beginning, until it
 * returns true; returns whether it has.
 */
bool vmm_os_proc_each(int directory, bool (*visit)(void *argument, const char *name),
    void *argument);

/*
 * Reads the beginning of a file, relative to the descriptor of a directory, as a string of
 * less than `size` bytes. If it cannot be read: "", and an errno value.
 */
int vmm_os_proc_read(int directory, const char *path, char *data, size_t size);

/* The same, of /proc/self/task/ID/`name`, by a descriptor of VMM_OS_TASKS. */
int vmm_os_proc_read_task(int tasks, const char *id, const char *name, char *data,
    size_t size);

/* A file that is being read line by line. */
struct vmm_os_lines {
	int fd;
	size_t begin, end; /* of what has been read, and not been returned */
	char *data;
	int error;         /* why there is no next line, if that is not the end */
};

/* Opens a file, as vmm_os_proc_open; an errno value, or 0: then it has to be closed. */
int vmm_os_lines_open(struct vmm_os_lines *lines, int directory, const char *path);

/* The next line, without its end; NULL behind the last. A very long one is cut. */
char *vmm_os_lines_next(struct vmm_os_lines *lines);
void vmm_os_lines_close(struct vmm_os_lines *lines);

/*
 * The numbers behind names such as "Seccomp:" in a file of such lines, each 0 if it is
 * not there. An errno value, or 0.
 */
struct vmm_os_field {
	const char *name;
	int base;
	uint64_t value;
};
int vmm_os_proc_fields(int directory, const char *path, struct vmm_os_field *fields,
    size_t count);

#endif
