/* SPDX-License-Identifier: BSD-3-Clause */
/* in_pool.h: for tests, where the pool lies, as the kernel sees it. */
#ifndef IN_POOL_H
#define IN_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The memory of this process, by /proc/self/smaps: sizes in KiB. All functions
 * read with system calls alone, so that looking does not allocate.
 */
struct in_pool_figures {
	unsigned long pool_kb;      /* of the pool, what is mapped */
	unsigned long place_kb;     /* and the place in the address space behind it */
	unsigned long pool_rss_kb;  /* of it, in RAM */
	unsigned long shared_kb;    /* of it, mapped shared: the file itself */
	unsigned long own_rss_kb;   /* of it, in private pages: copies of the file's */
	unsigned long brk_rss_kb;   /* the ordinary heap below brk(2) */
	unsigned long other_rss_kb; /* anonymous memory elsewhere, without stacks */
};

/* Whether `address` lies in the mapping of an unlinked file, or in memory that
 * took its place after fork(2), next to it. */
bool is_in_pool(const void *address);

/* From where to where the pool's mappings and the place kept for its growth reach;
 * false if there are none. */
bool in_pool_span(uintptr_t *from, uintptr_t *to);

/* Reads the figures; false where there is no /proc/self/smaps. */
bool in_pool_look(struct in_pool_figures *figures);

#endif
