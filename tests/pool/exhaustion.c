/* SPDX-License-Identifier: BSD-3-Clause */
/* exhaustion.c: threads fill a pool for a time, and check each byte of each block. The
 * program runs with the library preloaded. Usage:
 * exhaustion 0: prints how many bytes a new process can allocate in blocks of each size.
 * exhaustion SECONDS PERCENT BYTES... [trim]: prints TAP. Afterwards PERCENT of these BYTES
 * must be available again, with `trim` after malloc_trim(3). */
#include "config.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/shadow.h"

#define NTHREADS 8
#define NSIZES 4
#define ALL ((size_t)1 << 40) /* more blocks than a pool can have */

static const size_t sizes[NSIZES] = { 32, 4096, 100000, 1000000 };
static time_t until;
static int count;

/* The results of each thread. */
static struct worker {
	pthread_t thread;
	uint64_t random;
	unsigned long blocks, limits;
	int is_wrong;
} workers[NTHREADS];

static void
result(int is_good, const char *what)
{
	printf("%sok %d - %s\n", is_good ? "" : "not ", ++count, what);
}

/*
 * Fills the pool with blocks of one size. Frees half of them and fills the pool again with
 * blocks of another size, which leaves the free memory in pieces. Then frees all.
 */
static void
fill_and_drain(struct worker *worker)
{
	uint64_t random = shadow_random(&worker->random);
	struct shadow_chain first = { .size = 32 + random % 4000 };
	struct shadow_chain second = { .size = 32 + (random >> 12) % 300 };

	if (random >> 60 == 0)
		first.size = 4000 + (random >> 24) % 2000000;
	if (random >> 58 == 1)
		second.size = 4000 + (random >> 24) % 200000;
	worker->is_wrong |= !shadow_fill(&first, ALL);
	worker->blocks += first.count;
	shadow_drain(&first, first.count / 2);
	worker->is_wrong |= !shadow_fill(&second, ALL);
	worker->blocks += second.count;
	worker->limits += 2;
	worker->is_wrong |= !shadow_chain_is_whole(&first, "at the limit");
	shadow_drain(&second, ALL);
	shadow_drain(&first, ALL);
}

static void *
work(void *argument)
{
	struct worker *worker = argument;

	while (time(NULL) < until)
		fill_and_drain(worker);
	return NULL;
}

static void
eight_threads(void)
{
	unsigned long blocks = 0, limits = 0;
	int is_good = 1, all = 0;
	char what[100];

	for (; all < NTHREADS; all++) {
		workers[all].random = (uint64_t)until * (uint64_t)(2 * all + 1);
		if (pthread_create(&workers[all].thread, NULL, work,
			&workers[all]) != 0)
			break;
	}
	result(all == NTHREADS, "eight threads start");
	while (all-- > 0) {
		is_good &= pthread_join(workers[all].thread, NULL) == 0 &&
		    !workers[all].is_wrong;
		blocks += workers[all].blocks;
		limits += workers[all].limits;
	}
	snprintf(what, sizeof(what), "%lu blocks filled the pool %lu times",
	    blocks, limits);
	result(is_good && limits >= NTHREADS, what);
	result(shadow_counts->faults == 0, "each byte has kept its content");
	result(shadow_counts->bytes_checked > 0, "bytes were checked");
}

static size_t
capacity(size_t size)
{
	struct shadow_chain chain = { .size = size };
	size_t bytes;

	if (!shadow_fill(&chain, ALL))
		return 0;
	bytes = chain.count * size;
	shadow_drain(&chain, ALL);
	return bytes;
}

/* One block less than before is good enough, too. */
static void
compare(size_t size, size_t before, size_t percent)
{
	size_t after = capacity(size);
	char what[200];

	snprintf(what, sizeof(what), "afterwards %zu bytes fit in blocks of %zu: "
	    "%.1f %% of the bytes in a new process", after, size,
	    100.0 * (double)after / (double)before);
	result(after + size >= before ||
		after >= before / 100 * percent, what);
}

int
main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	shadow_start(true);
	until = time(NULL) + seconds;
	if (seconds == 0) {
		for (int i = 0; i < NSIZES; i++)
			printf("%zu\n", capacity(sizes[i]));
		return shadow_counts->faults != 0;
	}
	if (argc != 3 + NSIZES && argc != 4 + NSIZES)
		return 99;
	eight_threads();
	if (argc == 4 + NSIZES)
		malloc_trim(0);
	for (int i = 0; i < NSIZES; i++)
		compare(sizes[i], strtoul(argv[3 + i], NULL, 10),
		    strtoul(argv[2], NULL, 10));
	result(shadow_counts->faults == 0, "no fault at the end");
	printf("1..%d\n", count);
	return 0;
}
