/* SPDX-License-Identifier: BSD-3-Clause */
/* ranges.c: free page ranges: lowest fit first, merged with neighbours when freed. */
#include "config.h"

#include <stdint.h>

#include "pool/ranges.h"
#include "trace/fatal.h"
#include "trace/log.h"

/*
 * The tree is a treap (Seidel and Aragon, "Randomized Search Trees", 1996): a search tree
 * by page number, and a priority queue by a hash of that number. So its expected depth is
 * logarithmic for any order of calls. Each node has the length of the longest range in
 * its subtree, so that one descent finds the lowest fit. The name of a node is the
 * number of the page after its range, so 0 means no node.
 */

/* A search stops after this many ranges that are long enough but not aligned. */
#define MISFITS_MAX 64

static struct vmm_range *
node_of(const struct vmm_ranges *ranges, size_t node)
{
	return &ranges->pages[node - 1];
}

static uint64_t
priority_of(size_t node)
{
	/* The finalizer of splitmix64 spreads neighbouring numbers well enough. */
	uint64_t hash = (uint64_t)node * 0x9e3779b97f4a7c15U;

	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9U;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebU;
	return hash ^ (hash >> 31);
}

static size_t
max_below(const struct vmm_ranges *ranges, size_t node)
{
	return node == 0 ? 0 : node_of(ranges, node)->max_npages;
}

static void
update(struct vmm_ranges *ranges, size_t node)
{
	struct vmm_range *range = node_of(ranges, node);
	size_t left = max_below(ranges, range->left);
	size_t right = max_below(ranges, range->right);
	size_t longest = range->npages;

	if (left > longest)
		longest = left;
	if (right > longest)
		longest = right;
	range->max_npages = longest;
}

/* Splits the subtree `root` into nodes below `key` and nodes above it. */
static void
split(struct vmm_ranges *ranges, size_t root, size_t key, size_t *below,
    size_t *above)
{
	struct vmm_range *range;

	if (root == 0) {
		*below = *above = 0;
		return;
	}
	range = node_of(ranges, root);
	if (root < key) {
		split(ranges, range->right, key, &range->right, above);
		*below = root;
	} else {
		split(ranges, range->left, key, below, &range->left);
		*above = root;
	}
	update(ranges, root);
}

/* Joins two subtrees and returns the root. All nodes of `below` are below `above`'s. */
static size_t
join(struct vmm_ranges *ranges, size_t below, size_t above)
{
	if (below == 0 || above == 0)
		return below + above;
	if (priority_of(below) > priority_of(above)) {
		struct vmm_range *range = node_of(ranges, below);

		range->right = join(ranges, range->right, above);
		update(ranges, below);
		return below;
	} else {
		struct vmm_range *range = node_of(ranges, above);

		range->left = join(ranges, below, range->left);
		update(ranges, above);
		return above;
	}
}

/* Inserts `node`, whose length is set, into the subtree `root`. Returns its root. */
static size_t
insert_node(struct vmm_ranges *ranges, size_t root, size_t node)
{
	struct vmm_range *range = node_of(ranges, node);

	if (root == 0 || priority_of(node) > priority_of(root)) {
		split(ranges, root, node, &range->left, &range->right);
		update(ranges, node);
		return node;
	}
	if (node < root)
		node_of(ranges, root)->left = insert_node(ranges,
		    node_of(ranges, root)->left, node);
	else
		node_of(ranges, root)->right = insert_node(ranges,
		    node_of(ranges, root)->right, node);
	update(ranges, root);
	return root;
}

/* Removes `node` from the subtree `root`, which contains it. Returns the new root. */
static size_t
remove_node(struct vmm_ranges *ranges, size_t root, size_t node)
{
	struct vmm_range *range;

	VMM_ASSERT(root != 0);
	range = node_of(ranges, root);
	if (node == root)
		return join(ranges, range->left, range->right);
	if (node < root)
		range->left = remove_node(ranges, range->left, node);
	else
		range->right = remove_node(ranges, range->right, node);
	update(ranges, root);
	return root;
}

/* Sets the length of the range of `node`, which the subtree `root` contains. */
static void
resize_node(struct vmm_ranges *ranges, size_t root, size_t node, size_t npages)
{
	struct vmm_range *range = node_of(ranges, root);

	if (root == node)
		range->npages = npages;
	else
		resize_node(ranges, node < root ? range->left : range->right,
		    node, npages);
	update(ranges, root);
}

/* Makes the `npages` pages before `end` a free range. npages may be 0. */
static void
insert(struct vmm_ranges *ranges, size_t end, size_t npages)
{
	if (npages == 0)
		return;
	node_of(ranges, end)->npages = npages;
	ranges->root = insert_node(ranges, ranges->root, end);
}

/* Removes the free range of `node` and returns its length. */
static size_t
erase(struct vmm_ranges *ranges, size_t node)
{
	size_t npages = node_of(ranges, node)->npages;

	ranges->root = remove_node(ranges, ranges->root, node);
	*node_of(ranges, node) = (struct vmm_range){ 0 };
	return npages;
}

static size_t
first_of(const struct vmm_ranges *ranges, size_t node)
{
	return node - node_of(ranges, node)->npages;
}

/* Returns the lowest free range that contains `page` or lies above it, or 0. */
static size_t
node_after(const struct vmm_ranges *ranges, size_t page)
{
	size_t lowest = 0;

	for (size_t node = ranges->root; node != 0;) {
		if (node > page) {
			lowest = node;
			node = node_of(ranges, node)->left;
		} else {
			node = node_of(ranges, node)->right;
		}
	}
	return lowest;
}

/* Returns the free range that begins at page `first`, or 0. */
static size_t
node_at(const struct vmm_ranges *ranges, size_t first)
{
	size_t node = node_after(ranges, first);

	return node != 0 && first_of(ranges, node) == first ? node : 0;
}

/* Returns the first aligned page at or behind the start of the range of `node`. */
static size_t
aligned_first(const struct vmm_ranges *ranges, size_t node, size_t alignment)
{
	size_t address = ranges->origin + first_of(ranges, node);

	return ((address + alignment - 1) & ~(alignment - 1)) - ranges->origin;
}

static bool
fits(const struct vmm_ranges *ranges, size_t node, size_t npages,
    size_t alignment)
{
	size_t first = aligned_first(ranges, node, alignment);

	return first <= node && node - first >= npages;
}

/*
 * Returns the lowest node of the subtree `root` with room for `npages` aligned pages, or 0.
 * Each range that is long enough but does not fit decrements *misfits: at 0 returns 0.
 */
static size_t
find(const struct vmm_ranges *ranges, size_t root, size_t npages,
    size_t alignment, size_t *misfits)
{
	while (max_below(ranges, root) >= npages) {
		const struct vmm_range *range = node_of(ranges, root);
		size_t found = find(ranges, range->left, npages, alignment,
		    misfits);

		if (found != 0)
			return found;
		if (*misfits == 0)
			return 0;
		if (range->npages >= npages) {
			if (fits(ranges, root, npages, alignment))
				return root;
			--*misfits;
		}
		root = range->right;
	}
	return 0;
}

/*
 * Finds the lowest range that fits, unless there are many misfits. A misfit is long enough, but
 * too short once its start is rounded up to the alignment. After MISFITS_MAX misfits, finds the
 * lowest range of npages + alignment - 1 pages, which fits at any start, in logarithmic time.
 * If there is none, tries every range.
 */
static size_t
find_fit(const struct vmm_ranges *ranges, size_t npages, size_t alignment)
{
	size_t misfits = MISFITS_MAX;
	size_t node = find(ranges, ranges->root, npages, alignment, &misfits);

	if (node != 0 || misfits != 0)
		return node;
	misfits = SIZE_MAX;
	node = find(ranges, ranges->root, npages + alignment - 1, 1, &misfits);
	if (node != 0)
		return node;
	return find(ranges, ranges->root, npages, alignment, &misfits);
}

/* Allocates [first, first + npages), which lies in the free range of `node`. */
static void
carve(struct vmm_ranges *ranges, size_t node, size_t first, size_t npages)
{
	size_t lead = first - first_of(ranges, node);
	size_t trail = node - (first + npages);

	if (trail > 0)
		resize_node(ranges, ranges->root, node, trail);
	else
		erase(ranges, node);
	insert(ranges, first, lead);
	ranges->free_npages -= npages;
}

void
vmm_ranges_init(struct vmm_ranges *ranges, struct vmm_range *pages,
    size_t npages, size_t origin)
{
	*ranges = (struct vmm_ranges){
		.pages = pages, .npages = npages, .origin = origin,
		.free_npages = npages,
	};
	insert(ranges, npages, npages);
}

bool
vmm_ranges_allocate(struct vmm_ranges *ranges, size_t npages, size_t alignment,
    size_t *first)
{
	size_t node = find_fit(ranges, npages, alignment);

	if (node == 0)
		return false;
	*first = aligned_first(ranges, node, alignment);
	carve(ranges, node, *first, npages);
	return true;
}

bool
vmm_ranges_allocate_at(struct vmm_ranges *ranges, size_t first, size_t npages)
{
	size_t node = node_at(ranges, first);

	if (node == 0 || node_of(ranges, node)->npages < npages)
		return false;
	carve(ranges, node, first, npages);
	return true;
}

/* Whether none of the pages is free. For assertions. */
static bool __attribute__((unused))
are_allocated(const struct vmm_ranges *ranges, size_t first, size_t end)
{
	size_t node = node_after(ranges, first);

	return node == 0 || first_of(ranges, node) >= end;
}

void
vmm_ranges_free(struct vmm_ranges *ranges, size_t first, size_t npages)
{
	size_t end = first + npages;
	size_t above = node_at(ranges, end);

	VMM_ASSERT(npages != 0 && end <= ranges->npages);
	VMM_ASSERT(are_allocated(ranges, first, end));
	ranges->free_npages += npages;
	if (first > 0 && node_of(ranges, first)->npages != 0)
		npages += erase(ranges, first);
	if (above != 0)
		resize_node(ranges, ranges->root, above,
		    node_of(ranges, above)->npages + npages);
	else
		insert(ranges, end, npages);
}

void
vmm_ranges_around(const struct vmm_ranges *ranges, size_t page, size_t *first,
    size_t *npages)
{
	size_t node = node_after(ranges, page);

	VMM_ASSERT(node != 0 && first_of(ranges, node) <= page);
	*first = first_of(ranges, node);
	*npages = node - *first;
}

bool
vmm_ranges_next_used(const struct vmm_ranges *ranges, size_t page, size_t *first,
    size_t *npages)
{
	size_t node = node_after(ranges, page);

	/* Free ranges never touch: the page behind one is allocated. */
	if (node != 0 && first_of(ranges, node) <= page) {
		page = node;
		node = node_after(ranges, page);
	}
	*first = page;
	*npages = (node == 0 ? ranges->npages : first_of(ranges, node)) - page;
	return page < ranges->npages;
}

static size_t
count_below(const struct vmm_ranges *ranges, size_t node)
{
	size_t count = 0;

	for (; node != 0; node = node_of(ranges, node)->right)
		count += 1 + count_below(ranges, node_of(ranges, node)->left);
	return count;
}

size_t
vmm_ranges_count(const struct vmm_ranges *ranges)
{
	return count_below(ranges, ranges->root);
}

size_t
vmm_ranges_longest(const struct vmm_ranges *ranges)
{
	return max_below(ranges, ranges->root);
}
