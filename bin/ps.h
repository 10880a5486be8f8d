/* SPDX-License-Identifier: BSD-3-Clause */
/* ps.h: the pool of another process, as /proc shows it. */
#ifndef VMM_COMMAND_PS_H
#define VMM_COMMAND_PS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* All sizes are in bytes. */
struct pool {
	unsigned long long inode; /* of the pool file; 0: the process has closed it */
	uint64_t base, size;      /* the pool's address range */
	uint64_t file_size;       /* if the file is open */
	uint64_t blocks;          /* file blocks of the pool file; valid if has_blocks */
	bool has_blocks;
	uint64_t ram_bytes;
	uint64_t private_bytes;  /* part of ram_bytes: private memory since a fork(2) */
	uint64_t large_bytes;    /* part of ram_bytes in pages of 2 MiB or more */
	bool has_file;           /* false: the pool is ":memory:" */
	char dir[PATH_MAX];       /* directory of the file, name of the device, ":memory:..." */
};

/* Opens /proc/PID/NAME for reading. Returns NULL and sets errno if that fails. */
FILE *open_proc(const char *pid, const char *name);

/*
 * Fills `pool`, which must be zeroed, from /proc/PID. Returns false if the process does
 * not exist, has no pool, or may not be examined by this user. Sets *is_hidden to
 * whether the last is the reason.
 */
bool find_pool(const char *pid, struct pool *pool, bool *is_hidden);

/*
 * nodes.c: writes the bytes of the pool on each node to `text` ("0=20M,1=1.5G"), or "-" if the
 * machine has one node. A longer text is cut.
 */
void format_nodes(const char *pid, const struct pool *pool, char *text, size_t size);

#endif
