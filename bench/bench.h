/* SPDX-License-Identifier: BSD-3-Clause */
/* bench.h: declarations that all workloads share. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

/* The size of a run. */
struct bench_load {
	unsigned long operations; /* in the unit of the workload: see its help */
	unsigned threads;
	/* Blocks that each thread holds at a time; in the workload access: MiB. */
	unsigned long live;
};

/* A row in the tables of workloads, with its default load. */
struct bench_workload {
	const char *name;
	const char *help;
	struct bench_load load;
	void (*run)(const struct bench_load *load);
};

extern const struct bench_workload bench_small[], bench_large[], bench_threads[];

/* Starts the clock, after the preparation of a workload. */
void bench_begin(void);

/* Ends the process with a message and status 1, for example without memory. */
_Noreturn void bench_fail(const char *what);

/*
 * Returns the peak of the resident set plus the current pages of hugetlbfs, in KiB. The
 * resident set counts pages of tmpfs, and none of hugetlbfs (proc(5)).
 */
unsigned long bench_peak_kib(void);

/* malloc, or bench_fail. Writes to every second cache line of the block. */
void *bench_block(size_t size);

/* The next number of a pseudo-random sequence (xorshift). *state must not be 0. */
static inline uint64_t
bench_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A size as in real programs: mostly small, now and then a page or more. */
static inline size_t
bench_size(uint64_t random)
{
	if (random % 64 == 0)
		return 1024 + random / 64 % 7168;
	return 8 + random / 64 % 248;
}

#endif
