/* SPDX-License-Identifier: BSD-3-Clause */
/* ranges.h: which page ranges of a row of pages are free; no memory is touched. */
#ifndef VMM_RANGES_H
#define VMM_RANGES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * One record per page, of which only that of a free range's last page is in use:
 * it is the range's node in a search tree. Taking from the front of a range, the
 * common case, so changes one number; and where no range ever ended the records
 * are all zero and never were given memory by the kernel.
 */
struct vmm_range {
	size_t npages;     /* length of the range that ends here, 0 for none */
	size_t max_npages; /* longest range in this subtree */
	size_t left;       /* child nodes, named by their ranges' ends; 0 for none */
	size_t right;
};

/*
 * The free pages among [0, npages). The caller keeps the lock, and owns `pages`:
 * `npages` records, zeroed before vmm_ranges_init.
 */
struct vmm_ranges {
	struct vmm_range *pages;
	size_t npages;
	size_t origin;      /* where page 0 lies, in pages: what alignments refer to */
	size_t root;        /* a node, 0 when nothing is free */
	size_t free_npages;
};

/* Makes all of the `npages` pages, the first at address `origin`, one free range. */
void vmm_ranges_init(struct vmm_ranges *ranges, struct vmm_range *pages,
    size_t npages, size_t origin);

/*
 * Takes the lowest free `npages` pages whose first page lies at a multiple of
 * `alignment`, a power of two in pages, and sets *first to its number. False, and
 * nothing taken, if there are none. Logarithmic in the number of free ranges for
 * alignment 1; for larger ones, too, until little is left.
 */
bool vmm_ranges_allocate(struct vmm_ranges *ranges, size_t npages, size_t alignment,
    size_t *first);

/*
 * Takes exactly [first, first + npages). False, and nothing taken, unless a free
 * range that is long enough begins at `first`: what the owner of the range just
 * below needs to grow in place.
 */
bool vmm_ranges_allocate_at(struct vmm_ranges *ranges, size_t first, size_t npages);

/* Gives [first, first + npages) back; it may be any part of what was taken. */
void vmm_ranges_free(struct vmm_ranges *ranges, size_t first, size_t npages);

/* Sets *first and *npages to the free range that `page`, a free page, lies in. */
void vmm_ranges_around(const struct vmm_ranges *ranges, size_t page,
    size_t *first, size_t *npages);

/*
 * Sets *first and *npages to what is in use from `page` on up to the next free range.
 * False if nothing is.
 */
bool vmm_ranges_next_used(const struct vmm_ranges *ranges, size_t page,
    size_t *first, size_t *npages);

/* How many free ranges there are; looks at each. */
size_t vmm_ranges_count(const struct vmm_ranges *ranges);

/* Length of the longest free range in pages, 0 if nothing is free. */
size_t vmm_ranges_longest(const struct vmm_ranges *ranges);

#endif
