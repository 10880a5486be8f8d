/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_threads.c: part of the program page_settings: fork(2) and the return
 * beside threads that end, that change settings, or whose stacks are blocks of the heap. */
#include "config.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "page_settings.h"
#include "../support/heap_return.h"

#define STACK_BYTES ((size_t)1 << 20)

static pthread_t main_thread;

/* After pthread_exit(3) in the main thread /proc/self shows the state of a thread that has
 * ended. */
static void *
returns_without_main(void *self)
{
	pthread_join(main_thread, NULL);
	run_returns(self);
	cases_end();
}

void
run_main_ended(const struct test_case *self)
{
	pthread_t thread;

	main_thread = pthread_self();
	pthread_create(&thread, NULL, returns_without_main, (void *)(uintptr_t)self);
	pthread_exit(NULL);
}

/* A thread that is just ending cannot be stopped. Here threads end all the time. */
static void *
end(void *argument)
{
	return argument;
}

static void *
start_and_end(void *is_over)
{
	pthread_t thread;

	while (!__atomic_load_n((int *)is_over, __ATOMIC_RELAXED)) {
		if (pthread_create(&thread, NULL, end, NULL) == 0)
			pthread_join(thread, NULL);
	}
	return NULL;
}

void
run_threads_end(const struct test_case *self)
{
	static int is_over;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, start_and_end, &is_over);
	run_returns(self);
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* A thread makes and frees stacks of coroutines: blocks whose first page is inaccessible.
 * These guards must stay set, also when they are set while another thread forks. */
#define NSTACKS 100
#define STACK_PAGES 4
#define GUARDED_FORKS 300
#define GUARDED_FORKS_LEAST 30
#define GUARDED_SECONDS 20
#define ALLOCATIONS_BETWEEN 8

static void *
make_and_free_stacks(void *is_over)
{
	static char *stacks[NSTACKS];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned seed = 1;
	uintptr_t wrong = 0;

	while (!__atomic_load_n((int *)is_over, __ATOMIC_RELAXED)) {
		char **stack = &stacks[((seed = seed * 1103515245 + 12345) >> 8) %
		    NSTACKS];

		if (*stack == NULL) {
			if (posix_memalign((void **)stack, page,
				STACK_PAGES * page) != 0)
				_exit(99);
			memset(*stack, 1, STACK_PAGES * page);
			wrong |= mprotect(*stack, page, PROT_NONE) != 0;
			/* A check takes much longer than mprotect(2): few are enough. */
			wrong |= seed >> 8 & 0xff ? 0 : can_read(*stack);
		} else {
			wrong |= mprotect(*stack, page, PROT_READ | PROT_WRITE) != 0;
			memset(*stack, 2, page);
			free(*stack);
			*stack = NULL;
		}
	}
	return (void *)wrong;
}

void
run_guards_beside(const struct test_case *self)
{
	static int is_over;
	pthread_t thread;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	time_t until = time(NULL) + GUARDED_SECONDS;
	void *guarded, *wrong;
	int is_good = 1;
	unsigned seed = 1;

	(void)self;
	filler_write(1);
	/* Once pages have a setting, all threads stop for each fork: libvmmalloc(7). */
	if (posix_memalign(&guarded, page, page) != 0 ||
	    mprotect(guarded, page, PROT_NONE) != 0 || !heap_forks())
		_exit(99);
	pthread_create(&thread, NULL, make_and_free_stacks, &is_over);
	for (int i = 0; i < GUARDED_FORKS &&
	     (i < GUARDED_FORKS_LEAST || time(NULL) < until); i++) {
		cases_stage("fork %d", i);
		is_good &= heap_forks();
		/* The heap returns, so that it leaves again at the next fork. */
		for (int n = 0; n < ALLOCATIONS_BETWEEN; n++)
			heap_allocate(&seed);
	}
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &wrong);
	cases_result(is_good && wrong == NULL,
	    "guards that are set beside forks stay until they are removed");
	mprotect(guarded, page, PROT_READ | PROT_WRITE);
	free(guarded);
}

/* libc keeps a thread's data on its stack, here a block of the heap. This data includes the
 * type of cancellation. */
static void *
check_cancel_type(void *argument)
{
	int type;

	run_returns(argument);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
	cases_result(type == PTHREAD_CANCEL_DEFERRED,
	    "a thread whose stack is a block of the heap keeps its type of cancellation");
	return NULL;
}

void
run_cancel_type(const struct test_case *self)
{
	pthread_attr_t attributes;
	pthread_t thread;
	void *stack;

	pthread_attr_init(&attributes);
	if (posix_memalign(&stack, (size_t)sysconf(_SC_PAGESIZE), STACK_BYTES) != 0)
		_exit(99);
	pthread_attr_setstack(&attributes, stack, STACK_BYTES);
	pthread_create(&thread, &attributes, check_cancel_type, (void *)(uintptr_t)self);
	pthread_join(thread, NULL);
}
