/* SPDX-License-Identifier: BSD-3-Clause */
/* disk.h: for tests, the pool file, and files that fill a file system. */
#ifndef DISK_H
#define DISK_H

#include <stdint.h>

/*
 * Returns the lowest descriptor of a file without a name on the file system of `dir`. That
 * is the pool file if the process has no other such file. Returns -1 if there is none.
 */
int disk_pool_descriptor(const char *dir);

/*
 * Returns a checksum of the pool file, which it reads by pread(2); 0 if there is no file.
 */
uint64_t disk_pool_sum(void);

/*
 * Creates a file at `path` that takes all space of the file system, to the last page.
 * Returns its descriptor, or -1.
 */
int disk_fill(const char *path);

#endif
