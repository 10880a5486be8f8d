/* SPDX-License-Identifier: BSD-3-Clause */
/* message.h: writes to stderr, the log file, the program's descriptors; os.h has the rules. */
#ifndef VMM_OS_MESSAGE_H
#define VMM_OS_MESSAGE_H

#include "os/file.h"

/*
 * Writes to stderr (write(2)), as much as can be written. The limit of file sizes is
 * checked first, here and in the other functions of this header, because a write beyond it
 * raises SIGXFSZ (setrlimit(2)).
 */
void vmm_os_write_error(const char *data, size_t length);

/*
 * Opens the log file at an absolute path for appending, or creates it with mode 0600.
 * Leaves nothing open on failure. Errors, besides those of open(2):
 * ELOOP   the last name is a symbolic link of another user than this one and the superuser
 * EPERM   the file or fifo belongs to such a user, who could read the log
 * EMLINK  the file has several names
 * ENXIO   a fifo that nobody reads
 */
int vmm_os_log_open(const char *path, struct vmm_os_file *file);

/*
 * Appends `data` with one write(2), so that the lines of several processes do not mix. Writes
 * nothing if the limit of file sizes is too low, and a part if the file system becomes full.
 */
void vmm_os_log_write(const struct vmm_os_file *file, const char *data, size_t length);

/*
 * Duplicates the program's descriptor `fd` to a high number, close-on-exec. EMFILE. EBADF
 * if `fd` is closed. After an error vmm_os_fd_write does nothing.
 */
int vmm_os_fd_duplicate(int fd, struct vmm_os_file *file);

/*
 * Writes to the file that `fd` referred to when it was duplicated, as much as can be
 * written. Uses the duplicate, or `fd` if the program has closed the duplicate. Writes
 * nothing if neither still refers to that file.
 */
void vmm_os_fd_write(const struct vmm_os_file *file, int fd, const char *data,
    size_t length);

/* Returns the descriptor that an absolute path names (/dev/stderr, /dev/fd/3), or -1. */
int vmm_os_path_to_fd(const char *path);

#endif
