/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_table.c: part of the program waits: each of many threads waits in a different
 * call, while the process forks and its heap returns again and again. This must
 * interrupt no call (exceptions: interrupted_max), and no real signal may be lost. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "waits.h"
#include "waits_calls.h"
#include "../support/heap_return.h"
#include "../support/self.h"

#define WAITERS_MAX 64
#define NROUNDS 30
#define NSIGNALS 20
#define ALLOCATIONS_PER_ROUND 24
/* In every fifth round the whole heap has time to return. */
#define WHOLE_EVERY 5
#define WHOLE_LIMIT_MS 400
#define EVENT_LIMIT_US 3000000
/* A timeout may end this much early, since some count the ticks of the kernel's clock. */
#define EARLY_US 10000
/* A stop may interrupt calls with longer timeouts: libvmmalloc(7). */
#define LONG_MS 1000

static struct waiter waiters[WAITERS_MAX];
static int nwaiters;
static int is_over;
static int rounds_returned, rounds;

static __thread struct waiter *own_waiter;

static void
on_signal(int number)
{
	(void)number;
	if (own_waiter != NULL)
		__atomic_add_fetch(&own_waiter->handled, 1, __ATOMIC_RELEASE);
}

static void
increment(int *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELEASE);
}

static int
value_of(const int *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void
count_outcome(struct waiter *waiter, enum outcome outcome, int error, long long took_us)
{
	switch (outcome) {
	case WAIT_GOT:
		waiter->next++;
		increment(&waiter->got);
		break;
	case WAIT_TIMED_OUT:
		increment(&waiter->timed_out);
		if (took_us < waiter->call->timeout_ms * 1000LL - EARLY_US)
			increment(&waiter->early);
		break;
	case WAIT_FAILED:
		if (error == EINTR) {
			increment(&waiter->interrupted);
			break;
		}
		/* fall through */
	default:
		waiter->last_error = error;
		increment(&waiter->wrong);
	}
}

static void *
wait_until_over(void *argument)
{
	struct waiter *waiter = argument;
	sigset_t child_ends;

	/* If a process is traced, the kernel delivers also a signal that will be ignored. It
	 * then interrupts some calls, on the ordinary heap too. */
	sigemptyset(&child_ends);
	sigaddset(&child_ends, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &child_ends, NULL);
	own_waiter = waiter;
	waiter->id = self_thread();
	increment(&waiter->is_there);
	for (;;) {
		long long begin_us = self_now_us();
		enum outcome outcome;
		int error;

		errno = 0;
		outcome = waiter->call->wait(waiter);
		error = errno;
		if (value_of(&is_over))
			break;
		count_outcome(waiter, outcome, error, self_now_us() - begin_us);
		/* A call that is always wrong would otherwise be repeated without end. */
		if (waiter->wrong > 100)
			break;
	}
	increment(&waiter->is_over);
	return NULL;
}

static void
start_waiter(const struct call *call)
{
	struct waiter *waiter = &waiters[nwaiters];
	void *page;

	if (posix_memalign(&page, 4096, 4096) != 0)
		_exit(99);
	memset(page, 0, 4096);
	*waiter = (struct waiter){ .call = call, .number = nwaiters,
		.heap = page, .next = 1 };
	if (!call->open(waiter)) {
		cases_skip(call->name, strerror(errno));
		return;
	}
	nwaiters++;
	pthread_create(&waiter->thread, NULL, wait_until_over, waiter);
	if (!waits_until(&waiter->is_there))
		_exit(99);
}

static void
start_waiters(const struct table *table)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t fed;

	/* Without SA_RESTART: calls return EINTR. */
	sigaction(SIGUSR2, &action, NULL);
	sigemptyset(&fed);
	sigaddset(&fed, FED_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &fed, NULL);
	for (int list = 0; list < 3; list++) {
		const struct call *call = table->lists[list];

		for (; call != NULL && call->name != NULL; call++) {
			if (call->is_long || !table->has_signals)
				start_waiter(call);
		}
	}
}

/* Signals end the waiters, which may be in calls without a timeout. */
static void
end_waiters(void)
{
	cases_stage("ending the waiters");
	increment(&is_over);
	for (int i = 0; i < nwaiters; i++) {
		while (!value_of(&waiters[i].is_over)) {
			pthread_kill(waiters[i].thread, SIGUSR2);
			sched_yield();
		}
		pthread_join(waiters[i].thread, NULL);
	}
}

/* The heap leaves its file, and returns at least in part. */
static void
run_round(void)
{
	static unsigned seed = 1;

	rounds++;
	cases_stage("round %d", rounds);
	if (!heap_forks())
		_exit(97);
	waits_write_block();
	for (int i = 0; i < ALLOCATIONS_PER_ROUND; i++)
		heap_allocate(&seed);
	if (rounds % WHOLE_EVERY == 0)
		heap_returns(RETURNED_KB, WHOLE_LIMIT_MS);
	rounds_returned += heap_is_returned(RETURNED_KB);
}

/*
 * Without signals: each round feeds all waiters, which are already waiting.
 */

static int
becomes(const int *counter, int at_least)
{
	long long limit_us = self_now_us() + EVENT_LIMIT_US;

	while (value_of(counter) < at_least) {
		if (self_now_us() > limit_us)
			return 0;
		sched_yield();
	}
	return 1;
}

/* A waiter that has missed a value is not fed again: it may sleep for ever. */
static void
feed_waiters(int round)
{
	static int is_lost[WAITERS_MAX];

	for (int i = 0; i < nwaiters; i++) {
		struct waiter *waiter = &waiters[i];

		if (waiter->call->feed == NULL || is_lost[i])
			continue;
		waiter->fed++;
		waiter->call->feed(waiter);
	}
	for (int i = 0; i < nwaiters; i++) {
		if (waiters[i].call->feed == NULL || is_lost[i] ||
		    becomes(&waiters[i].got, round))
			continue;
		is_lost[i] = 1;
		cases_comment("%s: did not return the value fed in round %d",
		    waiters[i].call->name, round);
	}
}

/*
 * How often a call may return EINTR without a signal. A process that is not dumpable and
 * has no privileges cannot see which threads wait on futexes. The library then interrupts
 * all threads, once for each fork.
 */
static int
interrupted_max(const struct call *call)
{
	if (call->timeout_ms > LONG_MS)
		return INT_MAX;
	return getenv("TEST_NOT_DUMPABLE") != NULL ? rounds : 0;
}

static void
result_without_signals(const struct waiter *waiter)
{
	const struct call *call = waiter->call;
	int is_good = waiter->wrong == 0 && waiter->early == 0;

	is_good &= waiter->interrupted <= interrupted_max(call);
	if (call->feed != NULL)
		is_good &= waiter->got == NROUNDS;
	else if (call->timeout_ms <= LONG_MS)
		is_good &= waiter->timed_out > 0;
	if (!is_good || waiter->interrupted > 0)
		cases_comment("%s: got %d, timed out %d, early %d, EINTR %d,"
		    " wrong %d (errno %d)", call->name, waiter->got,
		    waiter->timed_out, waiter->early, waiter->interrupted,
		    waiter->wrong, waiter->last_error);
	cases_result(is_good, "%s works beside forks and stops", call->name);
}

static void
without_signals(void)
{
	for (int round = 1; round <= NROUNDS; round++) {
		for (int i = 0; i < nwaiters; i++) {
			if (waiters[i].call->feed != NULL)
				self_sleeps(waiters[i].id);
		}
		run_round();
		feed_waiters(round);
	}
	/* Waits: a call that is repeated after a stop may start its timeout again. */
	for (int i = 0; i < nwaiters; i++) {
		if (waiters[i].call->feed == NULL &&
		    waiters[i].call->timeout_ms <= LONG_MS)
			becomes(&waiters[i].timed_out, 1);
	}
}

/*
 * With signals: each signal interrupts the call of its waiter.
 */

static int signals_missed[WAITERS_MAX];

static void *
send_signals(void *argument)
{
	for (int n = 0; n < NSIGNALS; n++) {
		for (int i = 0; i < nwaiters; i++) {
			struct waiter *waiter = &waiters[i];
			int handled = value_of(&waiter->handled);
			int interrupted;

			self_sleeps(waiter->id);
			interrupted = value_of(&waiter->interrupted);
			pthread_kill(waiter->thread, SIGUSR2);
			if (!becomes(&waiter->handled, handled + 1) ||
			    !becomes(&waiter->interrupted, interrupted + 1))
				signals_missed[i]++;
		}
	}
	increment(argument);
	return NULL;
}

static void
result_with_signals(const struct waiter *waiter)
{
	const struct call *call = waiter->call;
	int missed = signals_missed[waiter->number];
	int is_good = missed == 0 && waiter->wrong == 0 && waiter->early == 0;

	is_good &= waiter->handled == NSIGNALS;
	is_good &= waiter->interrupted >= NSIGNALS &&
	    waiter->interrupted - NSIGNALS <= interrupted_max(call);
	if (!is_good)
		cases_comment("%s: %d signals, handled %d, EINTR %d, missed %d,"
		    " wrong %d (errno %d)", call->name, NSIGNALS, waiter->handled,
		    waiter->interrupted, missed, waiter->wrong,
		    waiter->last_error);
	cases_result(is_good, "%s is interrupted by each signal", call->name);
}

static void
with_signals(void)
{
	pthread_t sender;
	int is_sent = 0;

	pthread_create(&sender, NULL, send_signals, &is_sent);
	while (rounds < NROUNDS || !value_of(&is_sent))
		run_round();
	pthread_join(sender, NULL);
}

void
run_table(const struct test_case *self)
{
	const struct table *table = self->with;
	static struct waiter at_end[WAITERS_MAX];

	waits_write_block();
	start_waiters(table);
	if (table->has_signals)
		with_signals();
	else
		without_signals();
	/* The signals that end the waiters must not count. */
	memcpy(at_end, waiters, sizeof(at_end));
	end_waiters();
	for (int i = 0; i < nwaiters; i++) {
		if (table->has_signals)
			result_with_signals(&at_end[i]);
		else
			result_without_signals(&at_end[i]);
	}
	cases_comment("%d rounds, the heap was seen returned in %d", rounds,
	    rounds_returned);
	cases_result(heap_return_is_as_expected(rounds_returned, rounds,
	    table->lists[0] == calls_aio),
	    table->lists[0] == calls_aio
		? "the heap does not return beside asynchronous I/O"
		: "the heap returns while threads wait, if they can be stopped");
}
