/* SPDX-License-Identifier: BSD-3-Clause */
/* large.c: workloads of one thread with large blocks. */
#include "config.h"

#include <stdlib.h>

#include "bench.h"

#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)

static void
touch(char *block, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE)
		((volatile char *)block)[i] = 1;
}

/* Allocates 1, 2, 4 to 64 MiB, writes each page, and frees the block. */
static void
large(const struct bench_load *load)
{
	for (unsigned long i = 0; i < load->operations; i++) {
		size_t size = MIB << i % 7;
		char *block = malloc(size);

		if (block == NULL)
			bench_fail("out of memory");
		touch(block, size);
		free(block);
	}
}

/* Reads at random addresses. Each address depends on the value read before. */
static void
access_randomly(const struct bench_load *load)
{
	size_t size = load->live * MIB;
	uint64_t *heap = malloc(size);
	uint64_t mask = size / sizeof(*heap) - 1;
	uint64_t state = 1;

	if (heap == NULL || (size & (size - 1)) != 0)
		bench_fail("no memory of a power of two");
	touch((char *)heap, size);
	for (size_t i = 0; i < size / sizeof(*heap); i += PAGE / sizeof(*heap))
		heap[i] = 0;
	bench_begin();
	for (unsigned long i = 0; i < load->operations; i++)
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407 +
		    heap[(state >> 20) & mask];
	/* Use the result, or the compiler removes the loop. */
	if (state == 0)
		abort();
	free(heap);
}

const struct bench_workload bench_large[] = {
	{ "large", "blocks of 1 to 64 MiB, touched and freed", { 70, 1, 0 }, large },
	{ "access", "dependent reads all over 1024 MiB", { 2000000, 1, 1024 },
	    access_randomly },
	{ NULL, NULL, { 0, 0, 0 }, NULL }
};
