/* SPDX-License-Identifier: BSD-3-Clause */
/* disk.h: for tests, the pool's file as its file system sees it. */
#ifndef DISK_H
#define DISK_H

#include <stdint.h>

/* The descriptor of a file without a name on the file system of `dir`: the pool's,
 * in a process that has no other. -1 if there is none. */
int disk_pool_descriptor(const char *dir);

/* A sum over all of that file, read without the mapping; 0 if it is not there. */
uint64_t disk_pool_sum(void);

/* Makes a file at `path` that takes all the space that is left, to the last page;
 * returns its descriptor, or -1. */
int disk_eat(const char *path);

#endif
