/* SPDX-License-Identifier: BSD-3-Clause */
/* threads.c: threads that are interrupted, cancelled, and end with blocks of theirs, and
 * a process that ends while they allocate; run with the library preloaded. Prints TAP.
 * threads exit: one such process; its status is 7. */
#include "config.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"

#define THREADS 4
#define SLOTS 200
#define ROUNDS 400
#define PROCESSES 100
#define STATUS 7

extern char **environ;

/* A thread's blocks: the first bytes of each say where it is. */
struct heap {
	unsigned char *slots[SLOTS];
	size_t sizes[SLOTS];
	uint64_t random;
	int is_good;
	int ops; /* atomic */
};

static uint64_t
next_random(struct heap *heap)
{
	heap->random ^= heap->random << 13;
	heap->random ^= heap->random >> 7;
	return heap->random ^= heap->random << 17;
}

/* Mostly small blocks; some for which the pool has to grow. */
static void
change_one(struct heap *heap)
{
	uint64_t random = next_random(heap);
	unsigned slot = random % SLOTS;
	size_t size = 1 + (random >> 20) % ((random >> 10) % 50 == 0 ? 300000 : 3000);

	for (size_t i = 0; heap->slots[slot] != NULL && i < heap->sizes[slot]; i += 256)
		heap->is_good &= heap->slots[slot][i] == (unsigned char)slot;
	free(heap->slots[slot]);
	heap->slots[slot] = malloc(size);
	heap->sizes[slot] = size;
	heap->is_good &= heap->slots[slot] != NULL;
	if (heap->slots[slot] != NULL)
		memset(heap->slots[slot], (int)slot, size);
	__atomic_add_fetch(&heap->ops, 1, __ATOMIC_RELAXED);
}

static void
drop_all(void *argument)
{
	struct heap *heap = argument;

	for (int i = 0; i < SLOTS; i++)
		free(heap->slots[i]);
	memset(heap->slots, 0, sizeof(heap->slots));
}

static void
begin_heap(struct heap *heap, uint64_t seed)
{
	memset(heap, 0, sizeof(*heap));
	heap->random = seed * 0x9e3779b97f4a7c15 + 1;
	heap->is_good = 1;
}

/* Until it has done something. */
static void
await_ops(const struct heap *heap)
{
	while (__atomic_load_n(&heap->ops, __ATOMIC_RELAXED) == 0)
		sched_yield();
}

/*
 * Signals, which no thread has blocked, while all of them allocate.
 */

static volatile sig_atomic_t signals;

static void
count_signal(int number)
{
	(void)number;
	signals = signals + 1;
}

static void *
change_until_signals(void *argument)
{
	struct heap *heap = argument;

	while (signals < 2000 || heap->ops < 20000)
		change_one(heap);
	drop_all(heap);
	return NULL;
}

static int
are_interrupted(void)
{
	static struct heap heaps[THREADS];
	struct sigaction action = { .sa_handler = count_signal };
	struct itimerval often = { { 0, 100 }, { 0, 100 } };
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	pthread_t threads[THREADS];
	int is_good = 1;

	/* Without SA_RESTART: system calls say EINTR. */
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < THREADS; i++) {
		begin_heap(&heaps[i], (uint64_t)i);
		if (pthread_create(&threads[i], NULL, change_until_signals,
			&heaps[i]) != 0)
			abort();
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		is_good &= heaps[i].is_good;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	return is_good;
}

/*
 * Cancellation: malloc and free are no cancellation points, so that what a thread has
 * is what its handler finds.
 */

static void *
change_until_cancelled(void *argument)
{
	pthread_cleanup_push(drop_all, argument);
	for (;;) {
		change_one(argument);
		/* What the file system is asked for again each time: fallocate(2) is one. */
		free(malloc(4 << 20));
		malloc_trim(0);
		pthread_testcancel();
	}
	pthread_cleanup_pop(0);
	return NULL;
}

/* What the program has, by the pool's own count. */
static size_t
allocated(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
	return mallinfo2().uordblks;
#else
	return (size_t)mallinfo().uordblks;
#endif
}

static int
are_cancelled(void)
{
	size_t before = allocated();
	int is_good = 1;

	for (int round = 0; round < ROUNDS; round++) {
		struct heap *heap = malloc(sizeof(*heap));
		pthread_t thread;
		void *result;

		begin_heap(heap, (uint64_t)round);
		if (pthread_create(&thread, NULL, change_until_cancelled, heap) != 0)
			abort();
		await_ops(heap);
		pthread_cancel(thread);
		pthread_join(thread, &result);
		is_good &= result == PTHREAD_CANCELED && heap->is_good;
		free(heap);
	}
	printf("# allocated before: %zu, after: %zu\n", before, allocated());
	return is_good && allocated() < before + 65536;
}

/*
 * Destructors of thread-specific data, which free and allocate after each other, and
 * after the allocator has been told that its thread ends.
 */

static pthread_key_t keys[2];

struct left {
	int key;
	int rounds;
};

static void
leave(int key, int rounds)
{
	struct left *left = malloc(sizeof(*left) + 50);

	*left = (struct left){ key, rounds };
	pthread_setspecific(keys[key], left);
}

static void
pass_on(void *block)
{
	struct left *left = block;

	if (left->rounds > 1)
		leave(left->key, left->rounds - 1);
	free(left);
}

static void *
leave_blocks(void *argument)
{
	leave(0, 3);
	leave(1, 3);
	return argument;
}

static int
have_destructors(void)
{
	size_t before = allocated();

	for (int i = 0; i < 2; i++)
		pthread_key_create(&keys[i], pass_on);
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[THREADS];

		for (int i = 0; i < THREADS; i++) {
			if (pthread_create(&threads[i], NULL, leave_blocks, NULL) != 0)
				abort();
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
	}
	printf("# allocated before: %zu, after: %zu\n", before, allocated());
	return allocated() < before + 65536;
}

/*
 * Exit, with handlers that allocate and free, while threads do.
 */

static struct heap exiting[THREADS];

static void *
change_for_ever(void *argument)
{
	for (;;)
		change_one(argument);
	return NULL;
}

static void
at_exit(void)
{
	static struct heap own;

	begin_heap(&own, 1);
	for (int i = 0; i < 1000; i++)
		change_one(&own);
	drop_all(&own);
}

static void __attribute__((destructor))
at_the_end(void)
{
	free(malloc(1000));
}

static int
exit_now(void)
{
	atexit(at_exit);
	for (int i = 0; i < THREADS; i++) {
		pthread_t thread;

		begin_heap(&exiting[i], (uint64_t)getpid() + (unsigned)i);
		if (pthread_create(&thread, NULL, change_for_ever, &exiting[i]) != 0)
			abort();
		await_ops(&exiting[i]);
	}
	exit(STATUS);
}

static int
processes_exit(char *program)
{
	char *arguments[] = { program, (char *)"exit", NULL };
	int good = 0;

	for (int i = 0; i < PROCESSES; i++) {
		int status = 0;
		pid_t pid;

		if (posix_spawn(&pid, program, NULL, NULL, arguments, environ) != 0 ||
		    waitpid(pid, &status, 0) != pid)
			return 0;
		good += WIFEXITED(status) && WEXITSTATUS(status) == STATUS;
	}
	if (good < PROCESSES)
		printf("# %d of %d\n", good, PROCESSES);
	return good == PROCESSES;
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		return exit_now();
	blocks_result(are_interrupted(), "signals while threads allocate");
	blocks_result(are_cancelled(), "threads that are cancelled, and leave nothing");
	blocks_result(have_destructors(), "blocks in destructors of threads that end");
	blocks_result(processes_exit(argv[0]), "exit while other threads allocate");
	return blocks_plan();
}
