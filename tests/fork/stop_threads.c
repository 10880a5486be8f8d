/* SPDX-License-Identifier: BSD-3-Clause */
/* stop_threads.c: threads increment counters all over the heap, and the kernel writes to it,
 * while the process forks and its heap returns. No increment may be lost, and each child
 * must see the heap as it was at its fork. Prints TAP.
 * stop_threads THREADS INCREMENTS: each thread makes at least INCREMENTS; at least 20 forks
 * stop_threads rss: measures private memory one second after the end of a child
 * stop_threads stop: measures for how long a thread is stopped */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "stop_threads.h"
#include "../support/heap_return.h"
#include "../support/self.h"

#define NBLOCKS 64
#define BLOCK_BYTES ((size_t)1 << 20)

/*
 * A slot is an array of counters, its lanes: one for each writer that there can be, one for
 * read(2), and one for a twin, which only some slots have (heap_twin). Lanes lie side by side,
 * so that different threads write to the same pages and cache lines at the same time. Such
 * writes would be lost first.
 */
#define LANES 16
#define SLOT_BYTES (LANES * sizeof(uint64_t))
#define SLOTS_PER_BLOCK (BLOCK_BYTES / SLOT_BYTES)
#define NSLOTS (NBLOCKS * SLOTS_PER_BLOCK)
#define READ_LANE 14
#define TWIN_LANE 15
#define WRITERS_MAX 14
#define THREADS_MAX (WRITERS_MAX + 1) /* one reads */

#define NTWINS 64
#define TWIN_EVERY 16
#define ALLOCATE_EVERY 8192
/* Only some children read all of the heap, since that takes time. */
#define SUM_EVERY 8
#define FORKS_MIN 20
#define RETURN_EVERY 4
#define RETURN_LIMIT_MS 300
/* At the end the threads continue until the heap has returned, at most for the first limit.
 * When they have ended, the heap gets the second limit to return. */
#define LAST_LIMIT_MS 3000
#define END_LIMIT_MS 20000

static char *blocks[NBLOCKS];

/* Expected values, in ordinary memory, which the kernel itself copies at fork(2). */
static volatile uint64_t added[WRITERS_MAX];
static volatile uint64_t twin[WRITERS_MAX][NTWINS];
static uint64_t last_read[NSLOTS];
static uint64_t nread;
static int nwriters, is_over;
static uint64_t increments;

/*
 * Threads
 */

static pthread_t threads[THREADS_MAX];
static int nthreads;

void
stop_threads_start_thread(void *(*run)(void *argument), void *argument)
{
	if (pthread_create(&threads[nthreads++], NULL, run, argument) != 0)
		exit(99);
}

void
stop_threads_join_threads(void)
{
	while (nthreads > 0)
		pthread_join(threads[--nthreads], NULL);
}

char *
stop_threads_block(size_t bytes)
{
	void *block;

	if (posix_memalign(&block, 4096, bytes) != 0)
		exit(99);
	memset(block, 0, bytes);
	return block;
}

uint64_t
stop_threads_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * The model
 */

static volatile uint64_t *
counter(size_t slot, int lane)
{
	return (volatile uint64_t *)(void *)(blocks[slot / SLOTS_PER_BLOCK] +
	    slot % SLOTS_PER_BLOCK * SLOT_BYTES) + lane;
}

/* The heap's twin of twin[writer][number]. Twins lie far from each other. */
static volatile uint64_t *
heap_twin(int writer, int number)
{
	size_t index = (size_t)writer * NTWINS + (size_t)number;

	return counter(index * (NSLOTS / (WRITERS_MAX * NTWINS)), TWIN_LANE);
}

/* The heap's twin first: at no moment is it behind the twin in ordinary memory. */
static void
add_to_twins(int writer, int number)
{
	++*heap_twin(writer, number);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	++twin[writer][number];
}

static void *
write_counters(void *argument)
{
	int writer = (int)(uintptr_t)argument;
	uint64_t state = (uint64_t)writer * 7919 + 88172645463325252U;
	unsigned seed = (unsigned)writer;

	for (uint64_t n = 0; n < increments ||
	     !__atomic_load_n(&is_over, __ATOMIC_ACQUIRE); n++) {
		++*counter(stop_threads_random(&state) % NSLOTS, writer);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		added[writer] = n + 1;
		if (n % TWIN_EVERY == 0)
			add_to_twins(writer, (int)(n / TWIN_EVERY % NTWINS));
		if (n % ALLOCATE_EVERY == 0 && !heap_allocate(&seed))
			_exit(98);
	}
	return NULL;
}

/* The kernel writes to the heap: read(2) copies numbers from a pipe into counters. */
static void *
read_numbers(void *argument)
{
	uint64_t state = 1234567;
	int ends[2];

	if (pipe(ends) != 0)
		_exit(98);
	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		size_t slot = stop_threads_random(&state) % NSLOTS;
		uint64_t number = ++nread;

		if (write(ends[1], &number, sizeof(number)) != sizeof(number) ||
		    read(ends[0], (void *)counter(slot, READ_LANE),
			sizeof(number)) != sizeof(number))
			_exit(98);
		last_read[slot] = number;
	}
	close(ends[0]);
	close(ends[1]);
	return argument;
}

/* Sums the counters of each writer in one pass over the heap. */
static void
sum_lanes(uint64_t sums[WRITERS_MAX])
{
	memset(sums, 0, WRITERS_MAX * sizeof(*sums));
	for (size_t slot = 0; slot < NSLOTS; slot++) {
		for (int writer = 0; writer < nwriters; writer++)
			sums[writer] += *counter(slot, writer);
	}
}

/* A child sees each thread between two of its steps, or within a step. */
static int
child_sees_fork(int sums_too)
{
	uint64_t sums[WRITERS_MAX];
	int is_good = 1;

	for (int writer = 0; writer < nwriters; writer++) {
		for (int number = 0; number < NTWINS; number++)
			is_good &= *heap_twin(writer, number) -
				twin[writer][number] <= 1;
	}
	if (!sums_too)
		return is_good;
	sum_lanes(sums);
	for (int writer = 0; writer < nwriters; writer++)
		is_good &= sums[writer] - added[writer] <= 1;
	return is_good;
}

static int
has_all_increments(void)
{
	uint64_t sums[WRITERS_MAX];
	int is_good = 1;

	sum_lanes(sums);
	for (int writer = 0; writer < nwriters; writer++) {
		if (sums[writer] == added[writer])
			continue;
		printf("# thread %d: %lld of %lld increments are lost\n", writer,
		    (long long)(added[writer] - sums[writer]),
		    (long long)added[writer]);
		is_good = 0;
	}
	return is_good;
}

static int
has_all_numbers(void)
{
	size_t lost = 0;

	for (size_t slot = 0; slot < NSLOTS; slot++)
		lost += *counter(slot, READ_LANE) != last_read[slot];
	if (lost > 0)
		printf("# %zu numbers that the kernel wrote are lost\n", lost);
	return lost == 0;
}

static int
fork_once(int number)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(!child_sees_fork(number % SUM_EVERY == 0));
	return child_succeeds(pid);
}

static int
have_all_added(void)
{
	for (int writer = 0; writer < nwriters; writer++) {
		if (added[writer] < increments)
			return 0;
	}
	return 1;
}

static int
count(void)
{
	int forks = 0, seen_returned = 0, is_good = 1;
	uint64_t total = 0;

	for (int i = 0; i < NBLOCKS; i++)
		blocks[i] = stop_threads_block(BLOCK_BYTES);
	for (int writer = 0; writer < nwriters; writer++)
		stop_threads_start_thread(write_counters, (void *)(uintptr_t)writer);
	stop_threads_start_thread(read_numbers, NULL);
	while (forks < FORKS_MIN || !have_all_added()) {
		is_good &= fork_once(forks++);
		if (forks % RETURN_EVERY == 0)
			seen_returned += heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	}
	seen_returned += heap_returns(RETURNED_KB, LAST_LIMIT_MS);
	__atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
	stop_threads_join_threads();
	tap_result(is_good, "each child sees the heap of its fork");
	tap_result(has_all_increments(), "no increment is lost");
	tap_result(has_all_numbers(), "no number that the kernel wrote is lost");
	heap_returns(RETURNED_KB, END_LIMIT_MS);
	tap_result(has_all_increments() && has_all_numbers(),
	    "nothing is lost when the heap has had time to return");
	for (int writer = 0; writer < nwriters; writer++)
		total += added[writer];
	printf("# increments %llu, numbers read %llu, forks %d, seen returned %d\n",
	    (unsigned long long)total, (unsigned long long)nread, forks, seen_returned);
	return tap_plan();
}

int
main(int argc, char **argv)
{
	self_prepare();
	if (argc == 2 && strcmp(argv[1], "rss") == 0)
		return stop_threads_rss();
	if (argc == 2 && strcmp(argv[1], "stop") == 0)
		return stop_threads_pauses();
	nwriters = argc == 3 ? atoi(argv[1]) : 0;
	increments = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	if (nwriters < 1 || nwriters > WRITERS_MAX || increments == 0) {
		fprintf(stderr, "usage: stop_threads THREADS INCREMENTS | rss | stop\n");
		return 2;
	}
	return count();
}
