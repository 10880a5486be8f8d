/* SPDX-License-Identifier: BSD-3-Clause */
/* ranges.c: page ranges, taken lowest fit first and merged when they come back. */
#include "config.h"

#include <stdint.h>

#include "fatal.h"
#include "ranges.h"

/*
 * The tree is a treap (Seidel and Aragon, "Randomized Search Trees", 1996): in
 * order of page number, and a heap by a priority that is a hash of that number,
 * so that its depth is logarithmic whatever the order of calls. Each node knows
 * the longest range below it, which is what makes lowest fit one descent.
 *
 * A node is named by its first page + 1, so that all-zero records are no nodes.
 */

/* How many ranges of the right length but unfit alignment a search looks at. */
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

/* Parts the subtree `root` into nodes below `key` and nodes above it. */
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

/* Joins two subtrees, all nodes of the first below all of the second. */
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

/* Puts `node`, whose length is set, into the subtree `root`; returns its root. */
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

/* Takes `node` out of the subtree `root` that holds it; returns its root. */
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

/* Records [first, first + npages) as a free range; nothing if it is empty. */
static void
insert(struct vmm_ranges *ranges, size_t first, size_t npages)
{
	if (npages == 0)
		return;
	ranges->pages[first + npages - 1].npages = npages;
	ranges->pages[first].npages = npages;
	ranges->root = insert_node(ranges, ranges->root, first + 1);
	ranges->free_npages += npages;
}

/* Forgets the free range that begins at `first`; returns its length. */
static size_t
erase(struct vmm_ranges *ranges, size_t first)
{
	size_t npages = ranges->pages[first].npages;

	ranges->root = remove_node(ranges, ranges->root, first + 1);
	ranges->pages[first + npages - 1].npages = 0;
	ranges->pages[first] = (struct vmm_range){ 0 };
	ranges->free_npages -= npages;
	return npages;
}

/* First page at or above that of `node` that lies at a multiple of `alignment`. */
static size_t
aligned_first(const struct vmm_ranges *ranges, size_t node, size_t alignment)
{
	size_t place = ranges->origin + node - 1;

	return ((place + alignment - 1) & ~(alignment - 1)) - ranges->origin;
}

static bool
fits(const struct vmm_ranges *ranges, size_t node, size_t npages,
    size_t alignment)
{
	size_t lead = aligned_first(ranges, node, alignment) - (node - 1);
	size_t length = node_of(ranges, node)->npages;

	return lead <= length && length - lead >= npages;
}

/*
 * The lowest node of the subtree `root` with room for `npages` aligned pages, or
 * 0. Gives up after *misfits ranges that are long enough but lie badly.
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
 * Lowest fit, but logarithmic: where many ranges lie badly, the lowest of those
 * that are long enough however they lie; and only if there is none, each.
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

/* Takes [first, first + npages) out of the free range that begins at `start`. */
static void
carve(struct vmm_ranges *ranges, size_t start, size_t first, size_t npages)
{
	size_t end = start + erase(ranges, start);

	VMM_ASSERT(start <= first && first + npages <= end);
	insert(ranges, start, first - start);
	insert(ranges, first + npages, end - (first + npages));
}

void
vmm_ranges_init(struct vmm_ranges *ranges, struct vmm_range *pages,
    size_t npages, size_t origin)
{
	*ranges = (struct vmm_ranges){
		.pages = pages, .npages = npages, .origin = origin
	};
	insert(ranges, 0, npages);
}

bool
vmm_ranges_take(struct vmm_ranges *ranges, size_t npages, size_t alignment,
    size_t *first)
{
	size_t node = find_fit(ranges, npages, alignment);

	if (node == 0)
		return false;
	*first = aligned_first(ranges, node, alignment);
	carve(ranges, node - 1, *first, npages);
	return true;
}

bool
vmm_ranges_take_at(struct vmm_ranges *ranges, size_t first, size_t npages)
{
	const struct vmm_range *range;

	if (first >= ranges->npages)
		return false;
	range = &ranges->pages[first];
	/* Only a node has max_npages; the last page's record has a length only. */
	if (range->max_npages == 0 || range->npages < npages)
		return false;
	carve(ranges, first, first, npages);
	return true;
}

void
vmm_ranges_give(struct vmm_ranges *ranges, size_t first, size_t npages)
{
	size_t end = first + npages;

	VMM_ASSERT(npages != 0 && end <= ranges->npages);
	VMM_ASSERT(ranges->pages[first].npages == 0);
	if (end < ranges->npages && ranges->pages[end].npages != 0)
		npages += erase(ranges, end);
	if (first > 0 && ranges->pages[first - 1].npages != 0) {
		size_t below = ranges->pages[first - 1].npages;

		first -= below;
		npages += erase(ranges, first);
	}
	insert(ranges, first, npages);
}

size_t
vmm_ranges_longest(const struct vmm_ranges *ranges)
{
	return max_below(ranges, ranges->root);
}
