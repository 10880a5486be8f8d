/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_locks.c: part of waits: threads wait on a futex in the heap while two
 * other threads fork. Each has to be woken afterwards. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "waits.h"
#include "waits_objects.h"
#include "../support/heap_return.h"
#include "../support/self.h"

#define NFORKERS 2
#define ALLOCATIONS_PER_FORK 4
#define RETURN_LIMIT_MS 300

static const int forks_of_round[] = { 1, 2, 5, 20 };
#define NROUNDS (int)(sizeof(forks_of_round) / sizeof(forks_of_round[0]))

struct one {
	const struct lock *lock;
	struct object *object;
	pthread_t thread;
	int number;
	pid_t id;
	int is_there, is_woken, error;
};

static void *
waiter(void *argument)
{
	struct one *one = argument;

	one->id = self_thread();
	__atomic_store_n(&one->is_there, 1, __ATOMIC_RELEASE);
	one->error = one->lock->wait(one->object, one->number);
	__atomic_store_n(&one->is_woken, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *
forker(void *argument)
{
	unsigned seed = 1;

	for (int i = *(int *)argument; i > 0; i--) {
		if (!heap_forks())
			return argument;
		for (int j = 0; j < ALLOCATIONS_PER_FORK; j++)
			heap_allocate(&seed);
	}
	return NULL;
}

static int
others_fork(int count)
{
	pthread_t threads[NFORKERS];
	int share[NFORKERS], is_good = 1;
	void *wrong;

	for (int i = 0; i < NFORKERS; i++) {
		share[i] = (count + i) / NFORKERS;
		pthread_create(&threads[i], NULL, forker, &share[i]);
	}
	waits_dirty();
	for (int i = 0; i < NFORKERS; i++) {
		pthread_join(threads[i], &wrong);
		is_good &= wrong == NULL;
	}
	return is_good;
}

/* Returns how many waiters were woken before their time, or could not be started. */
static int
start_waiters(struct one *ones, const struct lock *lock, struct object *object)
{
	int wrong = 0;

	for (int i = 0; i < NWAITERS; i++) {
		ones[i] = (struct one){ .lock = lock, .object = object, .number = i };
		pthread_create(&ones[i].thread, NULL, waiter, &ones[i]);
	}
	for (int i = 0; i < NWAITERS; i++)
		wrong += !waits_until(&ones[i].is_there) ||
		    !self_sleeps(ones[i].id) ||
		    __atomic_load_n(&ones[i].is_woken, __ATOMIC_ACQUIRE);
	return wrong;
}

static int
always(void *argument)
{
	(void)argument;
	return 1;
}

/* In every second round the waiters are woken while a child lives. */
static int
one_round(const struct lock *lock, int forks, int has_child)
{
	struct one ones[NWAITERS];
	struct heap_child child;
	struct object *object;
	int is_good;

	if (posix_memalign((void **)&object, 4096, sizeof(*object)) != 0)
		_exit(99);
	memset(object, 0, sizeof(*object));
	lock->make(object);
	cases_stage("starting the waiters");
	is_good = start_waiters(ones, lock, object) == 0;
	cases_stage("forking %d times", forks);
	is_good &= others_fork(forks);
	if (has_child)
		is_good &= heap_child_start(&child, always, NULL);
	else
		heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	for (int i = 0; i < NWAITERS; i++)
		is_good &= !__atomic_load_n(&ones[i].is_woken, __ATOMIC_ACQUIRE);
	cases_stage("waking the waiters after %d forks", forks);
	lock->wake(object);
	for (int i = 0; i < NWAITERS; i++) {
		pthread_join(ones[i].thread, NULL);
		if (ones[i].error != 0)
			cases_comment("%s", strerror(ones[i].error));
		is_good &= ones[i].error == 0;
	}
	return has_child ? heap_child_end(&child) && is_good : is_good;
}

void
run_lock(const struct test_case *self)
{
	const struct lock *lock = locks;

	while (strcmp(lock->name, self->name) != 0)
		lock++;
	waits_dirty();
	for (int round = 0; round < NROUNDS; round++) {
		int forks = forks_of_round[round];

		cases_result(one_round(lock, forks, 0),
		    "threads wake after %d forks", forks);
		cases_result(one_round(lock, forks, 1),
		    "threads wake after %d forks, while a child lives", forks);
	}
}
