/* SPDX-License-Identifier: BSD-3-Clause */
/* in_pool.h: for tests, where the pool lies, as the kernel reports it in /proc. */
#ifndef IN_POOL_H
#define IN_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The memory of this process, from /proc/self/smaps. All sizes are in KiB. The functions
 * only make system calls and do not allocate, so they do not change what they report. They
 * are thread-safe.
 */
struct in_pool_figures {
	unsigned long pool_kb;      /* mappings of the pool file, also private ones */
	unsigned long place_kb;     /* addresses behind them, kept for the pool's growth */
	unsigned long pool_rss_kb;  /* pages in memory, of these mappings */
	unsigned long shared_kb;    /* those of these mappings that are shared */
	unsigned long own_rss_kb;   /* private pages; 0 in a pool without a file (":memory:") */
	unsigned long large_kb;     /* part of pool_rss_kb that is in large pages */
	unsigned long brk_rss_kb;   /* the ordinary heap, from brk(2) */
	unsigned long other_rss_kb; /* anonymous memory without stacks, also in the pool */
};

/*
 * Whether `address` lies in a writable mapping of an unlinked file or of a DAX device, or in
 * anonymous memory right behind such a mapping, which has replaced a part of it.
 */
bool is_in_pool(const void *address);

/*
 * Sets the bounds of the pool's mappings and of the addresses kept for its growth. Returns
 * false if there is no pool.
 */
bool in_pool_span(uintptr_t *from, uintptr_t *to);

/* Reads the figures. Returns false if there is no /proc/self/smaps. */
bool in_pool_read(struct in_pool_figures *figures);

#endif
