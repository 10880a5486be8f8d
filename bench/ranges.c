/* SPDX-License-Identifier: BSD-3-Clause */
/* ranges.c: measures operations on the pool's tree of free page ranges, by its size:
 *	ranges OPERATIONS FREE_RANGES
 * prints the operations, the seconds, and the peak of memory in KiB. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "bench.h"
#include "pool/ranges.h"

/* Free and allocated pages alternate. Behind them is a free range of this many pages. */
#define TAIL 1024

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void
set_up(struct vmm_ranges *ranges, size_t count)
{
	size_t npages = 2 * count + TAIL, first;
	void *records = mmap(NULL, npages * sizeof(struct vmm_range),
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (records == MAP_FAILED) {
		fputs("ranges: out of memory\n", stderr);
		exit(1);
	}
	vmm_ranges_init(ranges, records, npages, 0);
	vmm_ranges_allocate(ranges, 2 * count, 1, &first);
	for (size_t page = 0; page < 2 * count; page += 2)
		vmm_ranges_free(ranges, page, 1);
}

/* Allocates and frees three ranges: `page`, the lowest free page, and the lowest range of
 * two pages. */
static void
operate(struct vmm_ranges *ranges, size_t page)
{
	size_t first;

	if (vmm_ranges_allocate_at(ranges, page, 1))
		vmm_ranges_free(ranges, page, 1);
	if (vmm_ranges_allocate(ranges, 1, 1, &first))
		vmm_ranges_free(ranges, first, 1);
	if (vmm_ranges_allocate(ranges, 2, 1, &first))
		vmm_ranges_free(ranges, first, 2);
}

int
main(int argc, char **argv)
{
	unsigned long operations = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	uint64_t state = 88172645463325252;
	struct vmm_ranges ranges;
	double begin;

	if (operations == 0 || count == 0)
		return 2;
	set_up(&ranges, count);
	begin = now();
	for (unsigned long i = 0; i < operations; i += 6)
		operate(&ranges, 2 * (bench_random(&state) % count));
	printf("%lu %.6f %lu\n", operations, now() - begin, bench_peak_kib());
	return 0;
}
