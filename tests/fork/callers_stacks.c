/* SPDX-License-Identifier: BSD-3-Clause */
/* callers_stacks.c: fork(2) where the stack of a coroutine or of a thread is a block of
 * the heap. */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "callers.h"

#define NMARKS 1000
#define COROUTINE_BYTES ((size_t)256 << 10)
#define THREAD_BYTES ((size_t)1 << 20)
#define FORKS 5
#define CHILD_STATUS 43

/* Fills part of a stack with numbers that depend on `owner`. */
static void
set_marks(volatile unsigned *marks, unsigned owner)
{
	for (unsigned i = 0; i < NMARKS; i++)
		marks[i] = owner * 1000 + i;
}

static int
marks_are(const volatile unsigned *marks, unsigned owner)
{
	for (unsigned i = 0; i < NMARKS; i++) {
		if (marks[i] != owner * 1000 + i)
			return 0;
	}
	return 1;
}

/*
 * Coroutines
 */

static ucontext_t main_context, coroutine;
static int is_child, is_good, reaches_end;

static void
start_coroutine(void (*body)(void), void *stack)
{
	reaches_end = 0;
	is_good = 1;
	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = COROUTINE_BYTES;
	coroutine.uc_link = &main_context;
	makecontext(&coroutine, body, 0);
	swapcontext(&main_context, &coroutine);
}

/* The child writes to the stack. Both processes reach the end of the coroutine. */
static void
fork_in_coroutine(void)
{
	volatile unsigned marks[NMARKS];

	for (int i = 0; i < FORKS && !is_child; i++) {
		pid_t pid;

		set_marks(marks, (unsigned)i);
		pid = fork();
		is_good &= marks_are(marks, (unsigned)i);
		if (pid == 0) {
			is_child = 1;
			set_marks(marks, 100);
			is_good &= callers_allocate(i) && marks_are(marks, 100);
		} else {
			is_good &= callers_wait(pid) == CHILD_STATUS &&
			    marks_are(marks, (unsigned)i);
		}
	}
	reaches_end = 1;
}

void
case_coroutine_fork(void)
{
	void *stack = malloc(COROUTINE_BYTES);

	blocks_set(20, 50000);
	blocks_write(1);
	for (int round = 0; round < 2; round++) {
		start_coroutine(fork_in_coroutine, stack);
		is_good &= reaches_end && blocks_are(1);
		if (is_child)
			_exit(is_good ? CHILD_STATUS : 1);
		tap_result(is_good && callers_allocate(round),
		    "a coroutine forks: parent and child continue and return to main");
	}
	free(stack);
}

static int round_of_allocation;

static void
allocate_in_coroutine(void)
{
	volatile unsigned marks[NMARKS];

	set_marks(marks, 7);
	is_good &= callers_allocate(round_of_allocation);
	is_good &= marks_are(marks, 7);
	reaches_end = 1;
}

/* One stack is older than the first fork, the other stack is new each time. */
void
case_coroutine_after(void)
{
	void *stack = malloc(COROUTINE_BYTES);

	blocks_set(20, 50000);
	blocks_write(1);
	start_coroutine(allocate_in_coroutine, stack);
	for (int i = 1; i <= FORKS; i++) {
		void *new_stack;
		pid_t pid = fork();

		if (pid == 0)
			_exit(CHILD_STATUS);
		if (callers_wait(pid) != CHILD_STATUS)
			break;
		round_of_allocation = i;
		start_coroutine(allocate_in_coroutine, stack);
		tap_result(is_good && reaches_end && blocks_are(1),
		    "after a fork a coroutine on its old stack can allocate");
		new_stack = malloc(COROUTINE_BYTES);
		start_coroutine(allocate_in_coroutine, new_stack);
		free(new_stack);
		tap_result(is_good && reaches_end && blocks_are(1),
		    "after a fork a coroutine on a new stack can allocate");
	}
	free(stack);
}

/*
 * Threads
 */

static void *
start_on_heap(pthread_t *thread, void *(*body)(void *))
{
	pthread_attr_t attributes;
	void *stack = NULL;

	if (posix_memalign(&stack, 65536, THREAD_BYTES) != 0)
		exit(99);
	pthread_attr_init(&attributes);
	if (pthread_attr_setstack(&attributes, stack, THREAD_BYTES) != 0 ||
	    pthread_create(thread, &attributes, body, NULL) != 0)
		exit(99);
	pthread_attr_destroy(&attributes);
	return stack;
}

static int
fork_and_check(void)
{
	volatile unsigned marks[NMARKS];
	int is_whole = 1;

	for (int i = 0; i < FORKS; i++) {
		pid_t pid;

		set_marks(marks, (unsigned)i);
		pid = fork();
		if (pid == 0) {
			is_whole &= marks_are(marks, (unsigned)i);
			set_marks(marks, 100);
			is_whole &= callers_allocate(i) && marks_are(marks, 100);
			_exit(is_whole && blocks_are(1) ? CHILD_STATUS : 1);
		}
		is_whole &= callers_wait(pid) == CHILD_STATUS &&
		    marks_are(marks, (unsigned)i) && callers_allocate(i);
	}
	return is_whole;
}

static void *
fork_in_thread(void *argument)
{
	(void)argument;
	return fork_and_check() ? NULL : &is_good;
}

static void
thread_forks(void)
{
	pthread_t thread;
	void *wrong = &is_good;
	void *stack = start_on_heap(&thread, fork_in_thread);

	pthread_join(thread, &wrong);
	tap_result(wrong == NULL && blocks_are(1),
	    "a thread whose stack is a block of the heap forks and is joined");
	free(stack);
}

/* Returns whether the main thread sleeps. Without /proc the answer is yes. */
static int
main_sleeps(void)
{
	char path[64], stat[256];
	const char *name_end;
	ssize_t got = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 1;
	got = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	stat[got > 0 ? got : 0] = '\0';
	name_end = strrchr(stat, ')');
	return name_end == NULL || strncmp(name_end, ") S", 3) == 0;
}

static sem_t may_end;
static int is_over;

static void *
wait_on_heap(void *argument)
{
	volatile unsigned marks[NMARKS];

	(void)argument;
	set_marks(marks, 5);
	sem_wait(&may_end);
	return marks_are(marks, 5) ? NULL : &is_good;
}

static void *
fork_while_joined(void *argument)
{
	/* The main thread does not sleep before it is in pthread_join. */
	while (!main_sleeps())
		sched_yield();
	argument = fork_in_thread(argument);
	sem_post(&may_end);
	return argument;
}

static void
fork_during_join(void)
{
	pthread_t waiting, forking;
	void *wrong = &is_good, *wrong_forking = &is_good;
	void *stack = start_on_heap(&waiting, wait_on_heap);

	if (pthread_create(&forking, NULL, fork_while_joined, NULL) != 0)
		exit(99);
	pthread_join(waiting, &wrong);
	pthread_join(forking, &wrong_forking);
	tap_result(wrong == NULL && wrong_forking == NULL && blocks_are(1),
	    "a thread on a heap stack is joined by a thread that waits during forks");
	free(stack);
}

static void *
run_on_heap(void *argument)
{
	volatile unsigned marks[NMARKS];
	unsigned owner = 0;

	set_marks(marks, owner);
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		if (!marks_are(marks, owner))
			argument = &is_good;
		set_marks(marks, ++owner);
	}
	return argument;
}

static void
fork_beside(void)
{
	pthread_t thread;
	void *wrong = &is_good;
	void *stack = start_on_heap(&thread, run_on_heap);
	int is_whole = fork_and_check();

	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &wrong);
	tap_result(is_whole && wrong == NULL && blocks_are(1),
	    "a thread writes to its heap stack while another thread forks");
	free(stack);
}

void
case_thread_stack(void)
{
	blocks_set(20, 50000);
	blocks_write(1);
	sem_init(&may_end, 0, 0);
	thread_forks();
	fork_during_join();
	fork_beside();
}
