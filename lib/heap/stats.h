/* SPDX-License-Identifier: BSD-3-Clause */
/* stats.h: statistics of the heap, by the pool and by jemalloc. */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include <stddef.h>

/* In bytes, except free_ranges. `allocated` and `kept`: jemalloc(3), MALLCTL NAMESPACE. */
struct vmm_stats {
	size_t pool;        /* the size of the pool */
	size_t in_use;      /* page ranges that the pool has allocated */
	size_t allocated;   /* part of in_use: blocks of the program and in tcaches */
	size_t kept;        /* part of in_use: free page ranges that arenas keep */
	size_t free_ranges; /* the number of free ranges in the pool */
};

/*
 * Reads the statistics. The values belong to slightly different moments, because other
 * threads go on. Takes jemalloc's locks and the pool's. Allocates nothing; keeps errno.
 * Thread-safe.
 */
void vmm_stats_read(struct vmm_stats *stats);

/*
 * Writes a readable summary, then jemalloc's own statistics, by calls of write(argument,
 * text). jemalloc allocates a buffer. Otherwise as vmm_stats_read. Only in the debug variant.
 */
void vmm_stats_report(void (*write)(void *argument, const char *text),
    void *argument);

#endif
