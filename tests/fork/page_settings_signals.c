/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_signals.c: part of the program page_settings: signal handlers that write
 * to the heap while it returns, and a signal handler that forks on a small stack. */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "page_settings.h"
#include "../support/heap_return.h"

/* A signal handler increments counters in the heap and in ordinary memory, also while the
 * only thread of the process moves the heap. */
#define COUNTERS 64
#define COUNTED_FORKS 40
#define ALLOCATIONS_BETWEEN 8
static volatile long *counters[COUNTERS], counted;

static void
on_timer(int number)
{
	(void)number;
	for (int i = 0; i < COUNTERS; i++)
		++*counters[i];
	counted++;
}

void
run_signal_counts(const struct test_case *self)
{
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 200 }, { 0, 200 } };
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int is_good = 1;

	(void)self;
	for (int i = 0; i < COUNTERS; i++) {
		void *block;

		if (posix_memalign(&block, page, 16 * page) != 0)
			_exit(99);
		memset(block, 0, 16 * page);
		counters[i] = block;
	}
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < COUNTED_FORKS; i++) {
		unsigned seed = 1;

		is_good &= heap_forks();
		filler_write((char)i);
		for (int n = 0; n < ALLOCATIONS_BETWEEN; n++)
			heap_allocate(&seed);
	}
	is_good &= heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	setitimer(ITIMER_REAL, &never, NULL);
	cases_comment("%ld signals", counted);
	for (int i = 0; i < COUNTERS; i++)
		is_good &= *counters[i] == counted;
	cases_result(is_good && counted > 0,
	    "no write of a signal handler is lost while the heap leaves and returns");
}

/* A signal handler on a small stack forks, as a crash handler does to start a debugger. */
#define SIGNAL_STACK 8192
static volatile pid_t from_handler;

static void
on_signal(int number)
{
	(void)number;
	from_handler = fork();
	if (from_handler == 0)
		_exit(0);
}

void
run_signal_stack(const struct test_case *self)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_size = SIGNAL_STACK };
	char *map = mmap(NULL, page + SIGNAL_STACK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)self;
	if (SIGNAL_STACK < sysconf(_SC_MINSIGSTKSZ) + SIGNAL_STACK / 2) {
		cases_skip("a signal handler can fork on 8 KiB of stack",
		    "signals need more stack on this machine");
		return;
	}
	mprotect(map, page, PROT_NONE);
	stack.ss_sp = map + page;
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	filler_write(1);
	for (int i = 0; i < 2; i++) {
		raise(SIGUSR1);
		cases_result(child_succeeds(from_handler),
		    "a signal handler can fork on 8 KiB of stack");
	}
}
