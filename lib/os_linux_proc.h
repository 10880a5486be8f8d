/* SPDX-License-Identifier: BSD-3-Clause */
/* os_linux_proc.h: what other files for Linux read in /proc, without libc's buffers. */
#ifndef VMM_OS_LINUX_PROC_H
#define VMM_OS_LINUX_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* The number behind `name` in a file of "Name: number" lines; 0 if there is none. */
uint64_t vmm_os_proc_number(const char *data, const char *name, int base);

#endif
