/* SPDX-License-Identifier: BSD-3-Clause */
/* model.c: threads that allocate and free, in a tree of processes, against a model: each
 * thread knows each byte of its blocks. Run with the library preloaded, with each
 * VMMALLOC_FORK. The exit status is 0 if the heaps are right.
 * model [DEPTH]: the depth of the tree of processes, 4 by default */
#include "config.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NTHREADS 4
#define NSLOTS 48
#define NCHILDREN 2
#define STEPS 400

struct slot {
	unsigned char *data;
	size_t size;
	unsigned char mark;
};

/* A thread and its blocks. The last worker is the main thread. */
static struct worker {
	pthread_mutex_t lock;
	pthread_cond_t is_allowed; /* signalled when more steps are allowed */
	pthread_t thread;
	unsigned long steps, allowed;
	int is_over;
	uint64_t random;
	int is_wrong;
	struct slot slots[NSLOTS];
} workers[NTHREADS + 1];

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t
size_for(uint64_t random)
{
	if (random % 64 == 0)
		return 1 + random / 64 % 300000;
	if (random % 8 == 0)
		return 1 + random / 64 % 20000;
	return 1 + random / 64 % 1000;
}

static int
is_whole(const struct slot *slot)
{
	for (size_t i = 0; i < slot->size; i++) {
		if (slot->data[i] != (unsigned char)(slot->mark + i % 251))
			return 0;
	}
	return 1;
}

static void
fill(struct slot *slot, unsigned char mark)
{
	slot->mark = mark;
	for (size_t i = 0; i < slot->size; i++)
		slot->data[i] = (unsigned char)(mark + i % 251);
}

/* Checks a block, and replaces it by another. */
static int
step(struct worker *worker)
{
	uint64_t random = next_random(&worker->random);
	struct slot *slot = &worker->slots[random % NSLOTS];
	size_t size = size_for(random >> 8);
	unsigned char *data = slot->data;

	if (!is_whole(slot))
		return 0;
	switch ((random >> 60) % 4) {
	case 0:
		/* realloc keeps the beginning of the block. */
		data = realloc(data, size);
		if (data != NULL && slot->size > 0 && data[0] != slot->mark)
			return 0;
		break;
	case 1:
		free(data);
		data = calloc(1, size);
		if (data != NULL && (data[0] != 0 || data[size - 1] != 0))
			return 0;
		break;
	case 2:
		free(data);
		if (posix_memalign((void **)&data, 512, size) != 0)
			data = NULL;
		break;
	default:
		free(data);
		data = malloc(size);
	}
	slot->data = data;
	slot->size = data == NULL ? 0 : size;
	fill(slot, (unsigned char)(random >> 32));
	return data != NULL;
}

static void *
work(void *argument)
{
	struct worker *worker = argument;

	pthread_mutex_lock(&worker->lock);
	while (worker->steps < worker->allowed || !worker->is_over) {
		if (worker->steps == worker->allowed) {
			pthread_cond_wait(&worker->is_allowed, &worker->lock);
			continue;
		}
		worker->is_wrong |= !step(worker);
		worker->steps++;
		/* The thread that forks can take the lock between two steps. */
		pthread_mutex_unlock(&worker->lock);
		pthread_mutex_lock(&worker->lock);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* Handlers of fork(2), which allocate. No thread is within a step during fork(2). */
static void *handler_blocks[3];

static void
renew_handler_block(int i)
{
	free(handler_blocks[i]);
	handler_blocks[i] = malloc((size_t)3000 * (size_t)(i + 1));
	memset(handler_blocks[i], i, (size_t)3000 * (size_t)(i + 1));
}

static void
prepare(void)
{
	renew_handler_block(0);
	for (int i = 0; i <= NTHREADS; i++)
		pthread_mutex_lock(&workers[i].lock);
	renew_handler_block(0);
}

static void
unlock_workers(int i)
{
	renew_handler_block(i);
	for (int worker = 0; worker <= NTHREADS; worker++)
		pthread_mutex_unlock(&workers[worker].lock);
}

static void
in_parent(void)
{
	unlock_workers(1);
}

static void
in_child(void)
{
	unlock_workers(2);
}

static int
are_all_whole(void)
{
	int is_good = 1;

	for (int i = 0; i <= NTHREADS; i++) {
		is_good &= !workers[i].is_wrong;
		for (int slot = 0; slot < NSLOTS; slot++)
			is_good &= is_whole(&workers[i].slots[slot]);
	}
	return is_good;
}

static int
start_threads(uint64_t seed)
{
	int is_good = 1;

	for (int i = 0; i <= NTHREADS; i++) {
		pthread_cond_init(&workers[i].is_allowed, NULL);
		workers[i].steps = workers[i].allowed = 0;
		workers[i].is_over = 0;
		workers[i].random = seed * 8 + (uint64_t)i + 1;
		if (i < NTHREADS)
			is_good &= pthread_create(&workers[i].thread, NULL,
			    work, &workers[i]) == 0;
	}
	return is_good;
}

/* Allows each thread `steps` more steps. With `is_over` it ends after these. */
static void
allow(unsigned long steps, int is_over)
{
	for (int i = 0; i < NTHREADS; i++) {
		pthread_mutex_lock(&workers[i].lock);
		workers[i].allowed += steps;
		workers[i].is_over = is_over;
		pthread_cond_signal(&workers[i].is_allowed);
		pthread_mutex_unlock(&workers[i].lock);
	}
}

static void
end_threads(void)
{
	allow(0, 1);
	for (int i = 0; i < NTHREADS; i++)
		pthread_join(workers[i].thread, NULL);
}

/* Steps of the main thread, while the other threads do theirs. */
static int
main_steps(void)
{
	struct worker *worker = &workers[NTHREADS];
	int is_good = 1;

	allow(STEPS, 0);
	for (int i = 0; i < STEPS / 4; i++) {
		pthread_mutex_lock(&worker->lock);
		is_good &= step(worker);
		pthread_mutex_unlock(&worker->lock);
	}
	return is_good;
}

/*
 * A process: its heap is as it was at its fork. It forks while its threads work. When
 * its threads and children have ended, its heap is as its own threads have left it.
 */
static int
generation(unsigned id, int depth)
{
	pid_t children[NCHILDREN];
	int is_good = are_all_whole() && start_threads(id);
	int nchildren = depth > 0 ? NCHILDREN : 0;

	for (int i = 0; i < nchildren; i++) {
		is_good &= main_steps();
		children[i] = fork();
		if (children[i] == 0)
			_exit(!generation(id * NCHILDREN + (unsigned)i,
			    depth - 1));
		if (children[i] < 0) {
			perror("fork");
			is_good = 0;
		}
	}
	is_good &= main_steps();
	for (int i = 0; i < nchildren; i++) {
		int status;

		is_good &= children[i] > 0 &&
		    waitpid(children[i], &status, 0) == children[i] &&
		    status == 0;
	}
	is_good &= main_steps();
	end_threads();
	is_good &= are_all_whole();
	if (!is_good)
		fprintf(stderr, "process %u: the heap is wrong\n", id);
	return is_good;
}

int
main(int argc, char **argv)
{
	for (int i = 0; i <= NTHREADS; i++)
		pthread_mutex_init(&workers[i].lock, NULL);
	pthread_atfork(prepare, in_parent, in_child);
	return !generation(1, argc > 1 ? atoi(argv[1]) : 4);
}
