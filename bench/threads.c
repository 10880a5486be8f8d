/* SPDX-License-Identifier: BSD-3-Clause */
/* threads.c: workloads in which one thread frees what another has allocated. */
#include "config.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bench.h"

static void
begin_thread(pthread_t *thread, void *(*start)(void *), void *argument)
{
	if (pthread_create(thread, NULL, start, argument) != 0)
		bench_fail("no thread");
}

static void *
records_of(size_t count, size_t size)
{
	void *records = calloc(count, size);

	if (records == NULL)
		bench_fail("out of memory");
	return records;
}

/*
 * A server, after Larson and Krishnan (ISMM 1998): each thread replaces random blocks
 * in its array, and ends. A new thread takes over the array.
 */
#define EPOCHS 32

struct server {
	void **slots;
	unsigned long count;
	unsigned long operations;
	uint64_t state;
};

static void *
serve(void *argument)
{
	struct server *server = argument;

	for (unsigned long i = 0; i < server->operations; i++) {
		uint64_t random = bench_random(&server->state);
		void **slot = &server->slots[random % server->count];

		free(*slot);
		*slot = malloc(bench_size(random >> 12));
		if (*slot == NULL)
			bench_fail("out of memory");
		*(volatile char *)*slot = 1;
	}
	return NULL;
}

static void
larson(const struct bench_load *load)
{
	struct server *servers = records_of(load->threads, sizeof(*servers));
	pthread_t *threads = records_of(load->threads, sizeof(*threads));

	for (unsigned i = 0; i < load->threads; i++) {
		servers[i].slots = records_of(load->live, sizeof(void *));
		servers[i].count = load->live;
		servers[i].operations = load->operations / load->threads / EPOCHS;
		servers[i].state = i + 1;
	}
	bench_begin();
	for (unsigned epoch = 0; epoch < EPOCHS; epoch++) {
		for (unsigned i = 0; i < load->threads; i++)
			begin_thread(&threads[i], serve,
			    &servers[(i + epoch) % load->threads]);
		for (unsigned i = 0; i < load->threads; i++)
			pthread_join(threads[i], NULL);
	}
	for (unsigned i = 0; i < load->threads; i++) {
		for (unsigned long slot = 0; slot < load->live; slot++)
			free(servers[i].slots[slot]);
		free(servers[i].slots);
	}
	free(servers);
	free(threads);
}

/* Half of the threads allocate, the others free. A ring connects two threads. */
#define RING 1024

struct ring {
	void *blocks[RING];
	unsigned long put __attribute__((aligned(64)));
	unsigned long taken __attribute__((aligned(64)));
	unsigned long count;
};

static void *
produce(void *argument)
{
	struct ring *ring = argument;
	uint64_t state = (uintptr_t)ring | 1;

	for (unsigned long i = 0; i < ring->count; i++) {
		void *block = malloc(bench_size(bench_random(&state)));

		if (block == NULL)
			bench_fail("out of memory");
		*(volatile char *)block = 1;
		while (i - __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE) == RING)
			sched_yield();
		ring->blocks[i % RING] = block;
		__atomic_store_n(&ring->put, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *
consume(void *argument)
{
	struct ring *ring = argument;

	for (unsigned long i = 0; i < ring->count; i++) {
		while (__atomic_load_n(&ring->put, __ATOMIC_ACQUIRE) == i)
			sched_yield();
		free(ring->blocks[i % RING]);
		__atomic_store_n(&ring->taken, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void
producers(const struct bench_load *load)
{
	unsigned pairs = load->threads > 1 ? load->threads / 2 : 1;
	pthread_t *threads = records_of(2 * pairs, sizeof(*threads));
	struct ring *rings = aligned_alloc(64, pairs * sizeof(*rings));

	if (rings == NULL)
		bench_fail("out of memory");
	bench_begin();
	for (unsigned i = 0; i < pairs; i++) {
		rings[i].put = rings[i].taken = 0;
		rings[i].count = load->operations / pairs;
		begin_thread(&threads[2 * i], produce, &rings[i]);
		begin_thread(&threads[2 * i + 1], consume, &rings[i]);
	}
	for (unsigned i = 0; i < 2 * pairs; i++)
		pthread_join(threads[i], NULL);
	free(rings);
	free(threads);
}

/* How many blocks a request replaces. */
#define REQUEST 1000

struct short_lived {
	void **blocks;
	unsigned long count;
	uint64_t state;
};

static void *
live_shortly(void *argument)
{
	struct short_lived *life = argument;

	for (unsigned long i = 0; i < life->count; i++)
		life->blocks[i] =
		    bench_block(bench_size(bench_random(&life->state)));
	for (unsigned i = 0; i < REQUEST; i++) {
		uint64_t random = bench_random(&life->state);
		void **slot = &life->blocks[random % life->count];

		free(*slot);
		*slot = bench_block(bench_size(random >> 12));
	}
	for (unsigned long i = 0; i < life->count; i += 2) {
		free(life->blocks[i]);
		life->blocks[i] = NULL;
	}
	return NULL;
}

/*
 * Threads begin, serve a request, free half of their blocks, and end. The main thread
 * frees the rest.
 */
static void
born(const struct bench_load *load)
{
	pthread_t *threads = records_of(load->threads, sizeof(*threads));
	struct short_lived *lives = records_of(load->threads, sizeof(*lives));

	for (unsigned i = 0; i < load->threads; i++) {
		lives[i].blocks = records_of(load->live, sizeof(void *));
		lives[i].count = load->live;
		lives[i].state = i + 1;
	}
	bench_begin();
	for (unsigned long done = 0; done < load->operations;
	     done += load->threads) {
		for (unsigned i = 0; i < load->threads; i++)
			begin_thread(&threads[i], live_shortly, &lives[i]);
		for (unsigned i = 0; i < load->threads; i++) {
			pthread_join(threads[i], NULL);
			for (unsigned long b = 0; b < load->live; b++)
				free(lives[i].blocks[b]);
		}
	}
	for (unsigned i = 0; i < load->threads; i++)
		free(lives[i].blocks);
	free(lives);
	free(threads);
}

const struct bench_workload bench_threads[] = {
	{ "larson", "a server whose threads leave their blocks to others",
	    { 10000000, 4, 1000 }, larson },
	{ "producers", "one thread allocates, another frees", { 1000000, 2, 0 },
	    producers },
	{ "born", "threads begin, serve a request and end", { 6000, 4, 100 }, born },
	{ NULL, NULL, { 0, 0, 0 }, NULL }
};
