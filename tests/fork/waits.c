/* SPDX-License-Identifier: BSD-3-Clause */
/* waits.c: threads that wait in the kernel, for objects in the heap or in calls that a stop
 * interrupts, while other threads fork and the heap returns. Prints TAP.
 * waits [CASE...]; waits list */
#include "config.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "waits.h"
#include "waits_calls.h"
#include "../support/self.h"

#define WRITTEN_BYTES ((size_t)8 << 20)
#define UNTIL_US 5000000

void
waits_write_block(void)
{
	static char *block;
	static char value;

	if (block == NULL)
		block = malloc(WRITTEN_BYTES);
	if (block == NULL)
		_exit(99);
	memset(block, ++value, WRITTEN_BYTES);
}

int
waits_until(const int *flag)
{
	long long limit_us = self_now_us() + UNTIL_US;

	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE)) {
		if (self_now_us() > limit_us)
			return 0;
		sched_yield();
	}
	return 1;
}

static const struct table table = { { calls_plain, calls_ipc, calls_futex }, 0 },
	table_signals = { { calls_plain, calls_ipc, calls_futex }, 1 },
	table_shared = { { calls_shared }, 0 },
	table_waitv = { { calls_waitv }, 0 },
	table_new_wait = { { calls_new_wait }, 0 },
	table_shared_signals = { { calls_shared }, 1 },
	table_aio = { { calls_aio }, 0 },
	table_aio_signals = { { calls_aio }, 1 };

#define LOCK_LIMIT_S 8
static const struct test_case cases[] = {
	{ "sem_private", run_lock, NULL, LOCK_LIMIT_S },
	{ "sem_shared", run_lock, NULL, LOCK_LIMIT_S },
	{ "mutex_private", run_lock, NULL, LOCK_LIMIT_S },
	{ "mutex_shared", run_lock, NULL, LOCK_LIMIT_S },
	{ "mutex_robust", run_lock, NULL, LOCK_LIMIT_S },
	{ "mutex_pi", run_lock, NULL, LOCK_LIMIT_S },
	{ "mutex_shared_pi", run_lock, NULL, LOCK_LIMIT_S },
	{ "mutex_shared_robust", run_lock, NULL, LOCK_LIMIT_S },
	{ "owner_ends", run_lock, NULL, LOCK_LIMIT_S },
	{ "cond_private", run_lock, NULL, LOCK_LIMIT_S },
	{ "cond_shared", run_lock, NULL, LOCK_LIMIT_S },
	{ "rwlock_shared", run_lock, NULL, LOCK_LIMIT_S },
	{ "barrier_shared", run_lock, NULL, LOCK_LIMIT_S },
	{ "join", run_lock, NULL, LOCK_LIMIT_S },
	{ "calls", run_table, &table, 60 },
	{ "calls_signals", run_table, &table_signals, 60 },
	{ "shared_futex", run_table, &table_shared, 60 },
	{ "futex_waitv", run_table, &table_waitv, 60 },
	{ "futex_wait", run_table, &table_new_wait, 60 },
	{ "shared_futex_signals", run_table, &table_shared_signals, 60 },
	{ "aio", run_table, &table_aio, 60 },
	{ "aio_signals", run_table, &table_aio_signals, 60 },
};

int
main(int argc, char **argv)
{
	int status;

	/* The kernel removes System V objects with their namespace, even after SIGKILL. */
	unshare(CLONE_NEWIPC);
	status = cases_main(argc, argv, 1, cases, sizeof(cases) / sizeof(cases[0]));
	calls_clean_up();
	return status;
}
