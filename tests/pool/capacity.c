/* SPDX-License-Identifier: BSD-3-Clause */
/* capacity.c: how much of a pool a program can have, and what happens when it is
 * full; run with the library preloaded. Prints TAP. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/in_pool.h"

static int count;

static void
result(int is_good, const char *what, double percent)
{
	printf("%sok %d - %s: %.1f %%\n", is_good ? "" : "not ", ++count, what,
	    percent);
}

/* A chain of blocks, each of which points to the one before. */
struct block {
	struct block *before;
	uintptr_t check;
};

static size_t
fill(struct block **chain, size_t size)
{
	size_t blocks = 0;
	struct block *block;

	while ((block = malloc(size)) != NULL) {
		block->before = *chain;
		block->check = (uintptr_t)block ^ size;
		*chain = block;
		blocks++;
	}
	/* No plan, then: whoever reads this counts that as a failure. */
	if (errno != ENOMEM) {
		printf("# NULL with errno %d\n", errno);
		exit(1);
	}
	return blocks * size;
}

/* Frees the chain; returns whether each block was as it had been left. */
static int
drain(struct block **chain, size_t size)
{
	int is_whole = 1;

	while (*chain != NULL) {
		struct block *block = *chain;

		is_whole &= block->check == ((uintptr_t)block ^ size);
		*chain = block->before;
		free(block);
	}
	return is_whole;
}

/* What is to be reached, in percent of the pool. */
static const struct {
	size_t size;
	double large_pool;
	double least_pool;
} bars[] = {
	{ 16, 98, 95 },
	{ 100, 87, 85 },
	{ 4096, 98, 95 },
	{ 100000, 82, 80 },
	{ 1000000, 90, 80 },
};

#define NBARS (sizeof(bars) / sizeof(bars[0]))
#define SECOND_THREAD_BAR 80.0

static double pool_size;
static int is_least;

/* What a block has in addition to its size: the debug variant's guard. */
static size_t guard_size;

/* The size class of `size`: there are four for each doubling (jemalloc(3)). */
static size_t
class_of(size_t size)
{
	size_t step = 16;

	while (8 * step < size)
		step *= 2;
	return (size + step - 1) / step * step;
}

/* A bar for blocks without a guard, as it is for those that have one. */
static double
guarded(double bar, size_t size)
{
	return bar * (double)class_of(size) /
	    (double)class_of(size + guard_size);
}

static void *
second_thread(void *argument)
{
	size_t first = *(size_t *)argument;

	for (size_t i = 0; i < NBARS; i++) {
		struct block *chain = NULL;
		char what[100];
		double percent = 100 * (double)fill(&chain, bars[i].size) /
		    pool_size;
		int is_whole = drain(&chain, bars[i].size);

		snprintf(what, sizeof(what),
		    "second thread, %zu bytes after %zu", bars[i].size, first);
		result(is_whole && (is_least || percent >=
			guarded(SECOND_THREAD_BAR, bars[i].size)), what, percent);
	}
	return NULL;
}

static void
one_thread_and_a_second(size_t row)
{
	struct block *chain = NULL;
	size_t size = bars[row].size;
	double percent = 100 * (double)fill(&chain, size) / pool_size;
	double bar = is_least ? bars[row].least_pool : bars[row].large_pool;
	int is_whole = drain(&chain, size);
	pthread_t thread;
	char what[100];

	snprintf(what, sizeof(what), "one thread, %zu bytes", size);
	result(is_whole && percent >= guarded(bar, size), what, percent);
	/* The first thread lives on, with what it caches. */
	if (pthread_create(&thread, NULL, second_thread, &size) != 0 ||
	    pthread_join(thread, NULL) != 0)
		result(0, "a second thread", 0);
}

/* What smaller blocks leave behind them joins, and larger ones have it. */
static void
large_after_small(size_t small)
{
	struct block *chain = NULL;
	size_t large = 1000000;
	char what[100];
	double percent;
	int is_whole;

	fill(&chain, small);
	is_whole = drain(&chain, small);
	percent = 100 * (double)fill(&chain, large) / pool_size;
	is_whole &= drain(&chain, large);
	snprintf(what, sizeof(what), "one thread, %zu bytes after %zu", large, small);
	result(is_whole && percent >= guarded(SECOND_THREAD_BAR, large), what, percent);
}

static void
descending_series(void)
{
	void *blocks[32];
	int n = 0, is_good = 1;

	for (size_t size = 4 << 20; size >= 8; size /= 2) {
		blocks[n] = malloc(size);
		is_good &= blocks[n] != NULL;
		if (blocks[n] != NULL)
			memset(blocks[n], n, size);
		n++;
	}
	while (n-- > 0) {
		is_good &= blocks[n] != NULL && *(char *)blocks[n] == n;
		free(blocks[n]);
	}
	result(is_good, "4 MiB, 2 MiB, ... 8 bytes at once", 100);
}

static void
every_alignment(void)
{
	for (size_t alignment = sizeof(void *); alignment <= (4 << 20);
	     alignment *= 2) {
		void *block = NULL;
		char what[60];

		snprintf(what, sizeof(what), "alignment %zu", alignment);
		result(posix_memalign(&block, alignment, alignment) == 0 &&
			(uintptr_t)block % alignment == 0, what, 100);
		free(block);
	}
}

/* Threads at the limit: each fills, checks and drains, again and again. */
#define NTHREADS 8
#define NROUNDS 30

static void *
at_the_limit(void *argument)
{
	static const size_t sizes[] = { 16, 48, 300, 5000, 70000, 600000 };
	size_t number = (size_t)argument;

	for (size_t round = 0; round < NROUNDS; round++) {
		size_t size = sizes[(number + round) %
		    (sizeof(sizes) / sizeof(sizes[0]))];
		struct block *chain = NULL;

		fill(&chain, size);
		if (!drain(&chain, size))
			return argument;
	}
	return NULL;
}

static void
eight_threads(void)
{
	pthread_t threads[NTHREADS];
	struct block *chain = NULL;
	int is_good = 1, all = 0;
	double percent;

	for (size_t i = 0; i < NTHREADS; i++)
		all += pthread_create(&threads[i], NULL, at_the_limit,
		    (void *)(i + 1)) == 0;
	is_good = all == NTHREADS;
	while (all-- > 0) {
		void *wrong;

		pthread_join(threads[all], &wrong);
		is_good &= wrong == NULL;
	}
	result(is_good, "eight threads at the limit", 100);
	percent = 100 * (double)fill(&chain, 4096) / pool_size;
	drain(&chain, 4096);
	result(percent >= guarded(80, 4096), "one thread, 4096 bytes after them",
	    percent);
}

/* A thread that begins while there is nothing left. */
static void *
nothing_left(void *argument)
{
	void *block = malloc(100);

	(void)argument;
	if (block != NULL && !is_in_pool(block))
		return (void *)1;
	free(block);
	return NULL;
}

static void *
waits(void *argument)
{
	free(malloc(10));
	pthread_barrier_wait(argument);
	return NULL;
}

#define NMANY 50

/* Starts that many at once, so that none takes over what another leaves. */
static int
start_many(pthread_t *threads, void *(*start)(void *), void *argument)
{
	pthread_attr_t attr;
	int n = 0;

	pthread_attr_init(&attr);
	/* libc keeps stacks for later, 40 MiB of them: these are to be among those. */
	pthread_attr_setstacksize(&attr, 256 << 10);
	while (n < NMANY && pthread_create(&threads[n], &attr, start, argument) == 0)
		n++;
	pthread_attr_destroy(&attr);
	return n;
}

static int
join_many(pthread_t *threads, int n)
{
	int is_good = 1;

	while (n-- > 0) {
		void *wrong;

		pthread_join(threads[n], &wrong);
		is_good &= wrong == NULL;
	}
	return is_good;
}

/*
 * What a thread needs of the heap before it begins, it takes over from one that has
 * ended. Their first malloc comes at the same time, and not each gets a cache: of some
 * three thousand rounds one has found a race.
 */
static int
round_at_a_full_pool(void)
{
	static const size_t sizes[] = { 100000, 4096, 16 };
	struct block *chain = NULL;
	pthread_t threads[NMANY];
	pthread_barrier_t barrier;
	int is_good, n;
	void *block;

	pthread_barrier_init(&barrier, NULL, NMANY);
	is_good = start_many(threads, waits, &barrier) == NMANY &&
	    join_many(threads, NMANY);
	pthread_barrier_destroy(&barrier);
	for (int i = 0; i < 3; i++)
		fill(&chain, sizes[i]);
	n = start_many(threads, nothing_left, NULL);
	is_good &= n > NMANY / 2 && join_many(threads, n);
	while (chain != NULL) {
		struct block *before = chain->before;

		free(chain);
		chain = before;
	}
	block = malloc(1000000);
	is_good &= block != NULL;
	free(block);
	return is_good;
}

static void
threads_at_a_full_pool(void)
{
	/* A large pool takes longer to fill. */
	int rounds = is_least ? 1000 : 3;
	int good = 0;

	for (int i = 0; i < rounds; i++)
		good += round_at_a_full_pool();
	result(good == rounds, "50 threads begin at a full pool",
	    100.0 * good / rounds);
}

int
main(int argc, char **argv)
{
	if (argc != 2 && argc != 3)
		return 99;
	pool_size = strtod(argv[1], NULL);
	guard_size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	is_least = pool_size < 16 << 20;
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* First, in a heap in which nothing has happened yet. */
	large_after_small(100);
	if (is_least) {
		descending_series();
		every_alignment();
	}
	for (size_t i = 0; i < NBARS; i++)
		one_thread_and_a_second(i);
	eight_threads();
	threads_at_a_full_pool();
	printf("1..%d\n", count);
	return 0;
}
