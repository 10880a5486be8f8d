/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_file.h: functions that open and examine files, for the port to Linux only. */
#ifndef VMM_OS_LINUX_FILE_H
#define VMM_OS_LINUX_FILE_H

#include <sys/types.h>

#include "os/file.h"

/*
 * Moves a new descriptor to a high number, close-on-exec, and sets `file`, with file->fs all
 * zero. If `fd` is negative, returns errno as open(2) has set it. EMFILE. On failure
 * `fd` is closed and file->fd is -1.
 */
int vmm_os_file_adopt(int fd, struct vmm_os_file *file);

/* Sets the descriptor's offset to VMM_OS_FILE_MARK. An error is ignored. */
void vmm_os_file_mark(const struct vmm_os_file *file);

/* Makes a file in memory, close-on-exec (memfd_create(2)). Returns -1 with errno. */
int vmm_os_memfd(const char *name, unsigned flags);

/* Opens a pool in memory as vmm_os_file_create does; `dir` begins with ":memory:". */
int vmm_os_memory_open(const char *dir, struct vmm_os_file *file);

/* Whether a character device is memory: it belongs to /sys/bus/dax (Linux 5.1). */
bool vmm_os_device_is_memory(dev_t device);

/* Opens a device as vmm_os_file_create does. ENOTDIR if `path` is not a memory device. */
int vmm_os_device_open(const char *path, struct vmm_os_file *file);

/* Reads the properties of a new file's file system. On btrfs disables copy-on-write. */
void vmm_os_fs_read(int fd, struct vmm_os_fs *fs);

#endif
