/* SPDX-License-Identifier: BSD-3-Clause */
/* exhaustion.c: threads at the limit of a pool for a time, each byte of each block
 * verified, and what can be had afterwards; run with the library preloaded.
 * exhaustion SECONDS PERCENT BYTES... [trim]: how much is to be there again of what a
 * process that had only just begun could have, of each size, or after malloc_trim(3);
 * `exhaustion 0` prints that. Prints TAP. */
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
#define MOST ((size_t)1 << 40) /* more than there is of anything */

static const size_t sizes[NSIZES] = { 32, 4096, 100000, 1000000 };
static time_t until;
static int count;

/* What each thread has done. */
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
 * All the blocks of a size that there are. Then half of them go and blocks of another
 * size come in their place, so that what is free is in pieces; then those, and the
 * rest.
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
	worker->is_wrong |= !shadow_fill(&first, MOST);
	worker->blocks += first.count;
	shadow_drain(&first, first.count / 2);
	worker->is_wrong |= !shadow_fill(&second, MOST);
	worker->blocks += second.count;
	worker->limits += 2;
	worker->is_wrong |= !shadow_chain_is_whole(&first, "at the limit");
	shadow_drain(&second, MOST);
	shadow_drain(&first, MOST);
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
	result(all == NTHREADS, "eight threads begin");
	while (all-- > 0) {
		is_good &= pthread_join(workers[all].thread, NULL) == 0 &&
		    !workers[all].is_wrong;
		blocks += workers[all].blocks;
		limits += workers[all].limits;
	}
	snprintf(what, sizeof(what), "%lu blocks, the limit reached %lu times",
	    blocks, limits);
	result(is_good && limits >= NTHREADS, what);
	result(shadow_counts->faults == 0, "each byte was as it had been left");
	result(shadow_counts->bytes_checked > 0, "and was looked at");
}

static size_t
capacity(size_t size)
{
	struct shadow_chain chain = { .size = size };
	size_t bytes;

	if (!shadow_fill(&chain, MOST))
		return 0;
	bytes = chain.count * size;
	shadow_drain(&chain, MOST);
	return bytes;
}

/* As much as that, or one block less. */
static void
compare(size_t size, size_t before, size_t percent)
{
	size_t after = capacity(size);
	char what[200];

	snprintf(what, sizeof(what), "afterwards %zu bytes in blocks of %zu: "
	    "%.1f %% of what a new process can have", after, size,
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
