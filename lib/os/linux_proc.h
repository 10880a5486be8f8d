/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_proc.h: reads files of /proc without libc's buffers. */
#ifndef VMM_OS_LINUX_PROC_H
#define VMM_OS_LINUX_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/*
 * The directory of the calling thread, which shows the memory and the descriptors of the
 * process. /proc/self shows neither once the main thread has ended (pthread_exit(3)).
 */
#define VMM_OS_SELF "/proc/thread-self/"

/* The threads of the process. Valid also after the main thread has ended. */
#define VMM_OS_TASKS "/proc/self/task"

/*
 * vmm_os_nofile_raise raises RLIMIT_NOFILE; it returns false if that is not allowed.
 * vmm_os_nofile_restore restores the limit, and keeps errno. Between the two no other thread
 * may raise the limit: it would then restore the raised limit.
 */
bool vmm_os_nofile_raise(struct rlimit *before);
void vmm_os_nofile_restore(const struct rlimit *before);

/* openat(2) with O_CLOEXEC, above RLIMIT_NOFILE if necessary. Returns -1 with errno. */
int vmm_os_proc_open(int directory, const char *path, int flags);

/*
 * Calls `visit` with the name of each entry of a directory, until `visit` returns true.
 * Returns true in that case.
 */
bool vmm_os_proc_each(int directory, bool (*visit)(void *argument, const char *name),
    void *argument);

/*
 * Reads the first bytes of a file, at most `size` - 1, as a string. `path` is relative to
 * the descriptor `directory`. On failure the string is empty.
 */
int vmm_os_proc_read(int directory, const char *path, char *data, size_t size);

/* The same for the file ID/NAME of `tasks`, a descriptor of VMM_OS_TASKS. */
int vmm_os_proc_read_task(int tasks, const char *id, const char *name, char *data,
    size_t size);

/* A file that is read line by line. */
struct vmm_os_lines {
	int fd;
	size_t begin, end; /* of the data that was read but not yet returned */
	char *data;
	int error;         /* why a read failed, or 0 */
};

/* Opens a file as vmm_os_proc_open does. The caller closes it after success. */
int vmm_os_lines_open(struct vmm_os_lines *lines, int directory, const char *path);

/* Returns the next line without its newline, or NULL. Splits a line of 8 KiB or more. */
char *vmm_os_lines_next(struct vmm_os_lines *lines);
void vmm_os_lines_close(struct vmm_os_lines *lines);

/*
 * Reads the numbers behind names such as "Seccomp:". The value of a missing name is 0. With
 * the base VMM_OS_FIELD_COUNT the value is how many numbers there are.
 */
#define VMM_OS_FIELD_COUNT 0
struct vmm_os_field {
	const char *name;
	int base;
	uint64_t value;
};
int vmm_os_proc_fields(int directory, const char *path, struct vmm_os_field *fields,
    size_t count);

#endif
