/* SPDX-License-Identifier: BSD-3-Clause */
/* bench.h: what the workloads have in common. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

/* How much is to be done, by how many, with how much beside it. */
struct bench_load {
	unsigned long operations; /* the workload's own unit: see its help */
	unsigned threads;
	unsigned long live; /* blocks that each thread has at a time */
};

/* One row of the tables of workloads; the load is what is done by default. */
struct bench_workload {
	const char *name;
	const char *help;
	struct bench_load load;
	void (*run)(const struct bench_load *load);
};

extern const struct bench_workload bench_small[], bench_large[], bench_threads[];

/* What came before was preparation: the time is taken from here on. */
void bench_begin(void);

/* Ends the process with a message, for when there is no memory. */
_Noreturn void bench_fail(const char *what);

/*
 * Peak of the resident set in KiB, of which tmpfs's pages are a part (proc(5)), and
 * what hugetlbfs's pages take now, which are not.
 */
unsigned long bench_peak_kib(void);

/* malloc, or bench_fail; every other line of a block is written. */
void *bench_block(size_t size);

/* The next of a sequence; *state is not 0. */
static inline uint64_t
bench_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Sizes as programs ask for them: mostly small, now and then a page or more. */
static inline size_t
bench_size(uint64_t random)
{
	if (random % 64 == 0)
		return 1024 + random / 64 % 7168;
	return 8 + random / 64 % 248;
}

#endif
