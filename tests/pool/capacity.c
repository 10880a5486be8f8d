/* SPDX-License-Identifier: BSD-3-Clause */
/* capacity.c: measures how much of a pool a program can allocate, and tests a full pool. It
 * runs with the library preloaded and prints TAP. Usage: capacity POOL_SIZE [GUARD_SIZE] */
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
	/* Without a plan the test script reports a failure. */
	if (errno != ENOMEM) {
		printf("# NULL with errno %d\n", errno);
		exit(1);
	}
	return blocks * size;
}

/* Frees the chain. Returns whether each block has kept its content. */
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

/* The least share of the pool that blocks of a size must fill, in percent. */
static const struct {
	size_t size;
	double large_pool;
	double smallest_pool;
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
static int is_smallest;

/* The size of the debug variant's guard behind each block. */
static size_t guard_size;

/* Returns the size class of `size`. Each doubling has four classes: jemalloc(3). */
static size_t
class_of(size_t size)
{
	size_t step = 16;

	while (8 * step < size)
		step *= 2;
	return (size + step - 1) / step * step;
}

/* Converts a bar for blocks without a guard to one for blocks that have a guard. */
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
		    "a second thread allocates %zu bytes after %zu", bars[i].size, first);
		result(is_whole && (is_smallest || percent >=
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
	double bar = is_smallest ? bars[row].smallest_pool : bars[row].large_pool;
	int is_whole = drain(&chain, size);
	pthread_t thread;
	char what[100];

	snprintf(what, sizeof(what), "one thread allocates %zu bytes", size);
	result(is_whole && percent >= guarded(bar, size), what, percent);
	/* The first thread still has its cache meanwhile. */
	if (pthread_create(&thread, NULL, second_thread, &size) != 0 ||
	    pthread_join(thread, NULL) != 0)
		result(0, "a second thread starts", 0);
}

/* The ranges of freed small blocks merge, and large blocks fit into them. */
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
	snprintf(what, sizeof(what), "one thread allocates %zu bytes after %zu", large, small);
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
	result(is_good, "blocks of 4 MiB, 2 MiB, ... 8 bytes exist at the same time", 100);
}

static void
every_alignment(void)
{
	for (size_t alignment = sizeof(void *); alignment <= (4 << 20);
	     alignment *= 2) {
		void *block = NULL;
		char what[60];

		snprintf(what, sizeof(what), "a block has the alignment %zu", alignment);
		result(posix_memalign(&block, alignment, alignment) == 0 &&
			(uintptr_t)block % alignment == 0, what, 100);
		free(block);
	}
}

/* Threads fill the pool, check their blocks and free them, again and again. */
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
	result(is_good, "eight threads fill the pool and keep their blocks whole", 100);
	percent = 100 * (double)fill(&chain, 4096) / pool_size;
	drain(&chain, 4096);
	result(percent >= guarded(80, 4096), "one thread allocates 4096 bytes after them",
	    percent);
}

/* A thread that starts when the pool is full. */
static void *
allocate_if_possible(void *argument)
{
	void *block = malloc(100);

	(void)argument;
	if (block != NULL && !is_in_pool(block))
		return (void *)1;
	free(block);
	return NULL;
}

static void *
allocate_and_wait(void *argument)
{
	free(malloc(10));
	pthread_barrier_wait(argument);
	return NULL;
}

#define NMANY 50

/* Starts many threads at once, so that none reuses the memory of another. */
static int
start_many(pthread_t *threads, void *(*start)(void *), void *argument)
{
	pthread_attr_t attr;
	int n = 0;

	pthread_attr_init(&attr);
	/* libc keeps up to 40 MiB of stacks of ended threads, with what a thread needs for its
	 * start. All of these stacks fit, so that threads can start when the pool is full. */
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
 * A new thread reuses the memory that an ended thread needed for its start. Then the first
 * malloc of all threads comes at the same time, and not every thread gets a cache. One of
 * about three thousand rounds has found a race.
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
	is_good = start_many(threads, allocate_and_wait, &barrier) == NMANY &&
	    join_many(threads, NMANY);
	pthread_barrier_destroy(&barrier);
	for (int i = 0; i < 3; i++)
		fill(&chain, sizes[i]);
	n = start_many(threads, allocate_if_possible, NULL);
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
	/* Filling a large pool takes longer. */
	int rounds = is_smallest ? 1000 : 3;
	int good = 0;

	for (int i = 0; i < rounds; i++)
		good += round_at_a_full_pool();
	result(good == rounds, "50 threads start when the pool is full",
	    100.0 * good / rounds);
}

int
main(int argc, char **argv)
{
	if (argc != 2 && argc != 3)
		return 99;
	pool_size = strtod(argv[1], NULL);
	guard_size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	is_smallest = pool_size < 16 << 20;
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* This must come first, in an unused heap. */
	large_after_small(100);
	if (is_smallest) {
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
