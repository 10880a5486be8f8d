/* SPDX-License-Identifier: BSD-3-Clause */
/* threads.c: threads that are interrupted or cancelled, threads that end with blocks, and a
 * process that exits while threads allocate. The program runs with the library preloaded.
 * Usage: threads: prints TAP. threads exit: is the process that exits, with status 7. */
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

/* A thread's blocks. The number of a slot is the content of its block. */
struct heap {
	unsigned char *slots[SLOTS];
	size_t sizes[SLOTS];
	uint64_t random;
	int is_good;
	int ops; /* operations, atomic */
};

static uint64_t
next_random(struct heap *heap)
{
	heap->random ^= heap->random << 13;
	heap->random ^= heap->random >> 7;
	return heap->random ^= heap->random << 17;
}

/* Replaces the block in a random slot. Most are small; for some the pool must grow. */
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
free_all(void *argument)
{
	struct heap *heap = argument;

	for (int i = 0; i < SLOTS; i++)
		free(heap->slots[i]);
	memset(heap->slots, 0, sizeof(heap->slots));
}

static void
init_heap(struct heap *heap, uint64_t seed)
{
	memset(heap, 0, sizeof(*heap));
	heap->random = seed * 0x9e3779b97f4a7c15 + 1;
	heap->is_good = 1;
}

/* Waits until the thread has done something. */
static void
await_ops(const struct heap *heap)
{
	while (__atomic_load_n(&heap->ops, __ATOMIC_RELAXED) == 0)
		sched_yield();
}

/*
 * Signals interrupt threads that allocate.
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
	free_all(heap);
	return NULL;
}

static int
test_signals(void)
{
	static struct heap heaps[THREADS];
	struct sigaction action = { .sa_handler = count_signal };
	struct itimerval often = { { 0, 100 }, { 0, 100 } };
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	pthread_t threads[THREADS];
	int is_good = 1;

	/* Without SA_RESTART system calls return EINTR. */
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < THREADS; i++) {
		init_heap(&heaps[i], (uint64_t)i);
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
 * Cancellation: malloc and free are no cancellation points, so the cleanup handler finds
 * all blocks of the thread.
 */

static void *
change_until_cancelled(void *argument)
{
	pthread_cleanup_push(free_all, argument);
	for (;;) {
		change_one(argument);
		/* For this block the pool calls fallocate(2), a cancellation point in libc. */
		free(malloc(4 << 20));
		malloc_trim(0);
		pthread_testcancel();
	}
	pthread_cleanup_pop(0);
	return NULL;
}

/* Returns the bytes that the program has allocated. */
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
test_cancellation(void)
{
	size_t before = allocated();
	int is_good = 1;

	for (int round = 0; round < ROUNDS; round++) {
		struct heap *heap = malloc(sizeof(*heap));
		pthread_t thread;
		void *result;

		init_heap(heap, (uint64_t)round);
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
 * Destructors of thread-specific data free and allocate. Some run after jemalloc's own
 * destructor for the thread.
 */

static pthread_key_t keys[2];

struct item {
	int key;
	int rounds;
};

static void
set_item(int key, int rounds)
{
	struct item *item = malloc(sizeof(*item) + 50);

	*item = (struct item){ key, rounds };
	pthread_setspecific(keys[key], item);
}

static void
destroy(void *block)
{
	struct item *item = block;

	if (item->rounds > 1)
		set_item(item->key, item->rounds - 1);
	free(item);
}

static void *
set_items(void *argument)
{
	set_item(0, 3);
	set_item(1, 3);
	return argument;
}

static int
test_destructors(void)
{
	size_t before = allocated();

	for (int i = 0; i < 2; i++)
		pthread_key_create(&keys[i], destroy);
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[THREADS];

		for (int i = 0; i < THREADS; i++) {
			if (pthread_create(&threads[i], NULL, set_items, NULL) != 0)
				abort();
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
	}
	printf("# allocated before: %zu, after: %zu\n", before, allocated());
	return allocated() < before + 65536;
}

/*
 * A process exits while its threads allocate. Its exit handlers allocate, too.
 */

static struct heap exiting[THREADS];

static void *
change_until_exit(void *argument)
{
	for (;;)
		change_one(argument);
	return NULL;
}

static void
exit_handler(void)
{
	static struct heap own;

	init_heap(&own, 1);
	for (int i = 0; i < 1000; i++)
		change_one(&own);
	free_all(&own);
}

static void __attribute__((destructor))
destructor(void)
{
	free(malloc(1000));
}

static int
exit_now(void)
{
	atexit(exit_handler);
	for (int i = 0; i < THREADS; i++) {
		pthread_t thread;

		init_heap(&exiting[i], (uint64_t)getpid() + (unsigned)i);
		if (pthread_create(&thread, NULL, change_until_exit, &exiting[i]) != 0)
			abort();
		await_ops(&exiting[i]);
	}
	exit(STATUS);
}

static int
test_exit(char *program)
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
		printf("# %d of %d processes exited with status %d\n", good, PROCESSES,
		    STATUS);
	return good == PROCESSES;
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		return exit_now();
	tap_result(test_signals(), "signals interrupt threads that allocate");
	tap_result(test_cancellation(), "cancelled threads leave no block");
	tap_result(test_destructors(), "destructors of threads allocate and free");
	tap_result(test_exit(argv[0]), "a process exits while its threads allocate");
	return tap_plan();
}
