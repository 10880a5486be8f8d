/* SPDX-License-Identifier: BSD-3-Clause */
/* small.c: workloads of one thread with small blocks. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define SEED UINT64_C(88172645463325252)

static void
free_all(void **slots, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		free(slots[i]);
	free(slots);
}

static void **
slots_of(unsigned long count)
{
	void **slots = calloc(count, sizeof(*slots));

	if (slots == NULL)
		bench_fail("out of memory");
	return slots;
}

static void
store(void **slot, void *block)
{
	if (block == NULL)
		bench_fail("out of memory");
	*(volatile char *)block = 1;
	*slot = block;
}

static void
churn(const struct bench_load *load)
{
	void **slots = slots_of(load->live);
	uint64_t state = SEED;

	for (unsigned long i = 0; i < load->live; i++)
		store(&slots[i], malloc(bench_size(bench_random(&state))));
	bench_begin();
	for (unsigned long i = 0; i < load->operations; i++) {
		uint64_t random = bench_random(&state);
		void **slot = &slots[random % load->live];

		free(*slot);
		store(slot, malloc(bench_size(random >> 12)));
	}
	free_all(slots, load->live);
}

/* Blocks of 16 to 28 KiB. Each is a page range of its own. */
static void
pages(const struct bench_load *load)
{
	void **slots = slots_of(load->live);
	uint64_t state = SEED;

	for (unsigned long i = 0; i < load->live; i++)
		store(&slots[i], malloc((4 + bench_random(&state) % 4) << 12));
	bench_begin();
	for (unsigned long i = 0; i < load->operations; i++) {
		uint64_t random = bench_random(&state);
		void **slot = &slots[random % load->live];

		free(*slot);
		store(slot, malloc((4 + (random >> 40) % 4) << 12));
	}
	free_all(slots, load->live);
}

/* Of eight calls, one is calloc, one realloc, one has alignment 32, one 64. */
static void *
mixed_block(void *old, size_t size, unsigned kind)
{
	void *block = NULL;

	if (kind == 0)
		return realloc(old, size);
	free(old);
	if (kind == 1)
		return calloc(1, size);
	if (kind == 2)
		return posix_memalign(&block, 32, size) == 0 ? block : NULL;
	if (kind == 3)
		return aligned_alloc(64, (size + 63) & ~(size_t)63);
	return malloc(size);
}

static void
mixed(const struct bench_load *load)
{
	void **slots = slots_of(load->live);
	uint64_t state = SEED;

	bench_begin();
	for (unsigned long i = 0; i < load->operations; i++) {
		uint64_t random = bench_random(&state);
		void **slot = &slots[random % load->live];

		store(slot, mixed_block(*slot, bench_size(random >> 12),
		    (unsigned)(random >> 60) & 7));
	}
	free_all(slots, load->live);
}

static void
aligned(const struct bench_load *load)
{
	void **slots = slots_of(load->live);
	uint64_t state = SEED;

	bench_begin();
	for (unsigned long i = 0; i < load->operations; i++) {
		uint64_t random = bench_random(&state);
		void **slot = &slots[random % load->live];
		void *block = NULL;

		/* Alignments of 16 to 4096. */
		free(*slot);
		if (posix_memalign(&block, (size_t)16 << (random >> 60) % 9,
			bench_size(random >> 12)) != 0)
			block = NULL;
		store(slot, block);
	}
	free_all(slots, load->live);
}

/* Several vectors grow by half each time, from 64 bytes to 1 MiB. */
static void
grow(const struct bench_load *load)
{
	void **slots = slots_of(load->live);
	size_t *sizes = calloc(load->live, sizeof(*sizes));
	uint64_t state = SEED;

	if (sizes == NULL)
		bench_fail("out of memory");
	bench_begin();
	for (unsigned long i = 0; i < load->operations; i++) {
		unsigned long slot = bench_random(&state) % load->live;
		size_t size = sizes[slot] < 64 ? 64 : sizes[slot] + sizes[slot] / 2;

		if (size > (size_t)1 << 20) {
			free(slots[slot]);
			slots[slot] = NULL;
			size = 64;
		}
		store(&slots[slot], realloc(slots[slot], size));
		memset((char *)slots[slot] + size / 2, 1, 64 < size / 2 ? 64 : size / 2);
		sizes[slot] = size;
	}
	free(sizes);
	free_all(slots, load->live);
}

/*
 * A real program's blocks: sizes, and after how many allocations each was freed.
 * bench/recorded.sh makes the table.
 */
struct recorded {
	unsigned size;
	unsigned char life_log2; /* freed after 2^n to 2^(n+1) allocations */
	unsigned weight;
};

static const struct recorded recorded[] = {
#include "recorded.h"
};
#define NRECORDED (sizeof(recorded) / sizeof(recorded[0]))

/* For each moment up to the end of the longest life, a list of the blocks to free then. */
#define LIFE_LOG2_MAX 20
#define NMOMENTS ((size_t)2 << LIFE_LOG2_MAX)

struct dated {
	struct dated *next;
};

static const struct recorded *
draw(uint64_t random, const unsigned *sums)
{
	unsigned wanted = (unsigned)(random % sums[NRECORDED - 1]);
	size_t low = 0, high = NRECORDED - 1;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (sums[middle] > wanted)
			high = middle;
		else
			low = middle + 1;
	}
	return &recorded[low];
}

static void
free_moment(struct dated **moment)
{
	for (struct dated *block = *moment, *next; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	*moment = NULL;
}

static void
trace(const struct bench_load *load)
{
	static unsigned sums[NRECORDED];
	struct dated **moments = (struct dated **)slots_of(NMOMENTS);
	uint64_t state = SEED;
	unsigned sum = 0;

	for (size_t i = 0; i < NRECORDED; i++)
		sums[i] = sum += recorded[i].weight;
	bench_begin();
	for (unsigned long i = 0; i < load->operations; i++) {
		uint64_t random = bench_random(&state);
		const struct recorded *row = draw(random >> 24, sums);
		size_t life = (size_t)1 << row->life_log2;
		struct dated *block = malloc(row->size < sizeof(*block)
		    ? sizeof(*block) : row->size);
		struct dated **moment;

		if (block == NULL)
			bench_fail("out of memory");
		free_moment(&moments[i % NMOMENTS]);
		moment = &moments[(i + life + random % life) % NMOMENTS];
		block->next = *moment;
		*moment = block;
	}
	for (size_t i = 0; i < NMOMENTS; i++)
		free_moment(&moments[i]);
	free(moments);
}

const struct bench_workload bench_small[] = {
	{ "churn", "malloc and free of small blocks", { 10000000, 1, 4096 }, churn },
	{ "pages", "the same, with blocks of 4 to 7 pages", { 1000000, 1, 1000 }, pages },
	{ "mixed", "the same; half of the calls are calloc, realloc or aligned",
	    { 5000000, 1, 4096 }, mixed },
	{ "trace", "sizes and lives of a real program's blocks",
	    { 4000000, 1, 0 }, trace },
	{ "aligned", "posix_memalign with 16 to 4096", { 2000000, 1, 4096 }, aligned },
	{ "grow", "realloc to 1.5 times the size, from 64 bytes to 1 MiB",
	    { 100000, 1, 64 }, grow },
	{ NULL, NULL, { 0, 0, 0 }, NULL }
};
