/* SPDX-License-Identifier: BSD-3-Clause */
/* default_size.c: the size of the pool if neither -s nor VMMALLOC_POOL_SIZE gives it. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "command.h"
#include "libvmmalloc.h"
#include "os/os.h"
#include "run.h"

/* The smallest default: a multiple of 2 MiB, so that large pages fit. */
#define LEAST_SIZE (16 * MIB)
_Static_assert(LEAST_SIZE >= VMMALLOC_MIN_POOL, "the library would refuse the default");

/*
 * The default is a part of the free space, because each program that the command starts
 * inherits the variable and makes a pool of that size. A pool that grows needs its size
 * to be free only when the program starts. If each pool reserves all of its space at
 * start, as many programs fit as there are parts: make, its shell, the compiler and the
 * programs that the compiler starts.
 */
#define PARTS_GROWING 4
#define PARTS_FULL 32

/*
 * The largest size within the limits: `limit_bytes` for files; a quarter of RLIMIT_AS,
 * because the program needs addresses for other mappings as well; 512 MiB with pointers of
 * 32 bits.
 */
static uint64_t
most_bytes(uint64_t limit_bytes)
{
	uint64_t most = sizeof(void *) == 4 ? 512 * MIB : UINT64_MAX;
	struct rlimit limit;

	if (limit_bytes < most)
		most = limit_bytes;
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur / 4 < most)
		most = limit.rlim_cur / 4;
	return most;
}

/* Returns the number of parts. Sets room->free_bytes where statfs(2) cannot tell it. */
static uint64_t
count_parts(const struct vmm_os_fs *fs, struct vmm_os_limits *room)
{
	const char *reserve = getenv("VMMALLOC_RESERVE");

	if (fs->device_bytes != 0)
		return 1;
	if (fs->maps_reserve)
		room->free_bytes = free_huge_pages(fs->page_size);
	else if ((fs->is_fileless || room->free_bytes == UINT64_MAX) &&
	    room->free_bytes > meminfo("/proc/meminfo", "MemAvailable:"))
		room->free_bytes = meminfo("/proc/meminfo", "MemAvailable:");
	if (fs->maps_reserve || (reserve != NULL && strcmp(reserve, "full") == 0))
		return PARTS_FULL;
	return PARTS_GROWING;
}

const char *
default_size(const char *dir)
{
	static char text[32];
	char free_text[16];
	struct vmm_os_file file;
	struct vmm_os_limits room;
	uint64_t parts, size;
	int error = vmm_os_file_create(dir, &file);

	if (error != 0)
		fail(STATUS_OURS, "pool directory %s: %s", dir, strerror(error));
	vmm_os_file_limits(&file, &room);
	parts = count_parts(&file.fs, &room);
	size = room.free_bytes / parts;
	if (size > most_bytes(room.limit_bytes))
		size = most_bytes(room.limit_bytes);
	if (size < LEAST_SIZE)
		size = LEAST_SIZE;
	size = size / (2 * MIB) * (2 * MIB);
	if (size > room.free_bytes)
		fail(STATUS_OURS, "pool directory %s: only %s is free, the default size"
		    " is at least 16M; use -s for a smaller pool (at least 14M), or -d"
		    " for another directory", dir, human(room.free_bytes, free_text));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
	return text;
}
