/* SPDX-License-Identifier: BSD-3-Clause */
/* ranges.c: fuzzes the allocator of page ranges against a model: a byte per page. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "pool/ranges.h"

#define NPAGES_MAX 300
#define AT_MAX ((size_t)1200) /* longer inputs show nothing new */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vmm_range *records;
static struct vmm_ranges ranges;
static unsigned char in_use[NPAGES_MAX];
static size_t npages, origin;

/* The lowest page where the model has room, or npages. */
static size_t
model_find(size_t wanted, size_t alignment)
{
	size_t run = 0;

	for (size_t end = 1; end <= npages; end++) {
		run = in_use[end - 1] ? 0 : run + 1;
		if (run >= wanted && (end - wanted + origin) % alignment == 0)
			return end - wanted;
	}
	return npages;
}

static void
step_allocate(size_t wanted, size_t alignment)
{
	size_t expected = model_find(wanted, alignment);
	size_t first = npages;

	expect(vmm_ranges_allocate(&ranges, wanted, alignment, &first) ==
	    (expected != npages), "a range is found if there is one");
	if (expected == npages)
		return;
	expect(first < npages && wanted <= npages - first, "the range is within the pool");
	expect(alignment != 1 || first == expected, "the lowest range");
	expect((first + origin) % alignment == 0, "the range is aligned");
	for (size_t page = first; page < first + wanted; page++) {
		expect(!in_use[page], "each page was free");
		in_use[page] = 1;
	}
}

static void
step_allocate_at(size_t first, size_t wanted)
{
	int fits = !in_use[first] && (first == 0 || in_use[first - 1]) &&
	    wanted <= npages - first;

	for (size_t i = 0; fits && i < wanted; i++)
		fits = !in_use[first + i];
	expect(vmm_ranges_allocate_at(&ranges, first, wanted) == fits,
	    "allocated if it fits");
	if (fits)
		memset(in_use + first, 1, wanted);
}

static void
step_free(size_t first, size_t most)
{
	size_t count = 0;

	while (count < most && first + count < npages && in_use[first + count])
		in_use[first + count++] = 0;
	if (count > 0)
		vmm_ranges_free(&ranges, first, count);
}

/* Checks the queries: the free range around a page, and the next range in use from that page
 * on. */
static void
step_query(size_t page)
{
	size_t from = page, to = page;
	size_t first = 0, length = 0;

	if (!in_use[page]) {
		while (from > 0 && !in_use[from - 1])
			from--;
		while (to < npages && !in_use[to])
			to++;
		vmm_ranges_around(&ranges, page, &first, &length);
		expect(first == from && length == to - from, "the free range around the page");
	}
	for (from = page; from < npages && !in_use[from]; from++)
		;
	for (to = from; to < npages && in_use[to]; to++)
		;
	expect(vmm_ranges_next_used(&ranges, page, &first, &length) ==
	    (from < npages), "there is a range in use");
	expect(from == npages || (first == from && length == to - from),
	    "the next range in use");
}

/* Checks the tree: order, lengths as in the model, max_npages. Returns the longest
 * range. */
static size_t
check_tree(size_t node, size_t from, size_t to)
{
	const struct vmm_range *range;
	size_t longest, below;

	if (node == 0)
		return 0;
	range = &ranges.pages[node - 1];
	expect(node > from && node <= to, "the tree is in order");
	expect(range->npages > 0 && range->npages <= node, "a valid length");
	for (size_t page = node - range->npages; page < node; page++)
		expect(!in_use[page], "the page is free in the model");
	expect(node == npages || in_use[node], "no free page after the range");
	expect(node == range->npages || in_use[node - range->npages - 1],
	    "no free page before the range");
	longest = range->npages;
	below = check_tree(range->left, from, node - 1);
	longest = below > longest ? below : longest;
	below = check_tree(range->right, node, to);
	longest = below > longest ? below : longest;
	expect(range->max_npages == longest, "max_npages is the longest range of the subtree");
	return longest;
}

static void
check_all(void)
{
	size_t free_npages = 0, count = 0;

	for (size_t page = 0; page < npages; page++) {
		free_npages += !in_use[page];
		count += !in_use[page] && (page == 0 || in_use[page - 1]);
	}
	expect(ranges.free_npages == free_npages, "the number of free pages");
	expect(vmm_ranges_count(&ranges) == count, "the number of ranges");
	expect(check_tree(ranges.root, 0, npages) ==
	    vmm_ranges_longest(&ranges), "the longest range");
}

static void
step(const uint8_t *bytes)
{
	size_t page = (size_t)(bytes[1] * 2 + bytes[0] / 128) % npages;
	size_t length = 1 + bytes[2] % 64U;

	switch (bytes[0] % 8) {
	case 0:
	case 1:
		step_allocate(length, 1);
		break;
	case 2:
		step_allocate(length, (size_t)1 << bytes[1] % 9);
		break;
	case 3:
		step_allocate_at(page, length);
		break;
	case 4:
		step_allocate((size_t)bytes[1] * bytes[2] + 1, 1);
		break;
	default:
		step_free(page, length);
	}
	step_query(page);
	check_all();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	npages = 1 + data[0] + (data[0] == 255 ? 44 : 0);
	origin = data[1];
	/* Exactly one record for each page, so that the sanitizer sees an overrun. */
	records = calloc(npages, sizeof(*records));
	if (records == NULL)
		return 0;
	memset(in_use, 0, sizeof(in_use));
	vmm_ranges_init(&ranges, records, npages, origin);
	for (size_t at = 2; at + 3 <= size && at < AT_MAX; at += 3)
		step(data + at);
	free(records);
	return 0;
}
