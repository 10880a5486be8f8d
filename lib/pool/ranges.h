/* SPDX-License-Identifier: BSD-3-Clause */
/* ranges.h: which page ranges are free. The pages themselves are not touched. */
#ifndef VMM_RANGES_H
#define VMM_RANGES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * There is one record per page. Only the record of a free range's last page is in use, as
 * the range's node in a search tree. So an allocation from the front of a range, the common
 * case, changes lengths but moves no node. Records of pages where no free range ever ended
 * stay zero, and the kernel gives no memory to them.
 */
struct vmm_range {
	size_t npages;     /* length of the range that ends here, 0 for none */
	size_t max_npages; /* length of the longest range in this subtree */
	size_t left;       /* child nodes, named as in ranges.c; 0 for none */
	size_t right;
};

/*
 * The free pages among [0, npages). The caller serialises all calls. `pages` belongs to
 * the caller: `npages` records, zeroed before vmm_ranges_init. No function can fail
 * unless its comment says so, and none calls malloc or the system.
 */
struct vmm_ranges {
	struct vmm_range *pages;
	size_t npages;
	size_t origin;      /* address of page 0, in pages, to which alignments refer */
	size_t root;        /* a node, 0 when nothing is free */
	size_t free_npages;
};

/* Makes all pages one free range. `origin` is the address of page 0, in pages. */
void vmm_ranges_init(struct vmm_ranges *ranges, struct vmm_range *pages,
    size_t npages, size_t origin);

/*
 * Allocates `npages` pages at a multiple of `alignment`, a power of two in pages, and sets
 * *first to the first page. The pages are the lowest that fit. With an alignment above 1
 * they may be higher, if the search for the lowest takes too long. Returns false, with
 * nothing changed, if no free range fits. Takes logarithmic time; linear time with an
 * alignment above 1, if no free range is long enough to fit wherever it begins.
 */
bool vmm_ranges_allocate(struct vmm_ranges *ranges, size_t npages, size_t alignment,
    size_t *first);

/*
 * Allocates exactly [first, first + npages), so that the range below can grow. Returns
 * false, with nothing changed, unless a long enough free range begins at `first`.
 */
bool vmm_ranges_allocate_at(struct vmm_ranges *ranges, size_t first, size_t npages);

/* Frees [first, first + npages), any part of allocated ranges. npages is not 0. */
void vmm_ranges_free(struct vmm_ranges *ranges, size_t first, size_t npages);

/* Sets *first and *npages to the free range that contains `page`, a free page. */
void vmm_ranges_around(const struct vmm_ranges *ranges, size_t page,
    size_t *first, size_t *npages);

/*
 * Sets *first and *npages to the first allocated pages at or above `page`, up to the
 * next free range. Returns false if there are none.
 */
bool vmm_ranges_next_used(const struct vmm_ranges *ranges, size_t page,
    size_t *first, size_t *npages);

/* Returns the number of free ranges, in time proportional to it. */
size_t vmm_ranges_count(const struct vmm_ranges *ranges);

/* Returns the length of the longest free range in pages, 0 if nothing is free. */
size_t vmm_ranges_longest(const struct vmm_ranges *ranges);

#endif
