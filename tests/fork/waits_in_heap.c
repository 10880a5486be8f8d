/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_in_heap.c: part of the program waits: threads wait on a futex in the heap while
 * two other threads fork. Each must wake afterwards. */
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

struct lock_waiter {
	const struct lock *lock;
	struct object *object;
	pthread_t thread;
	int number;
	pid_t id;
	int is_there, is_woken, error;
};

static void *
wait_for_lock(void *argument)
{
	struct lock_waiter *self = argument;

	self->id = self_thread();
	__atomic_store_n(&self->is_there, 1, __ATOMIC_RELEASE);
	self->error = self->lock->wait(self->object, self->number);
	__atomic_store_n(&self->is_woken, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *
fork_often(void *argument)
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
forks_of_others(int count)
{
	pthread_t threads[NFORKERS];
	int share[NFORKERS], is_good = 1;
	void *wrong;

	for (int i = 0; i < NFORKERS; i++) {
		share[i] = (count + i) / NFORKERS;
		pthread_create(&threads[i], NULL, fork_often, &share[i]);
	}
	waits_write_block();
	for (int i = 0; i < NFORKERS; i++) {
		pthread_join(threads[i], &wrong);
		is_good &= wrong == NULL;
	}
	return is_good;
}

/* Returns how many waiters do not sleep: they have ended early, or did not start. */
static int
start_waiters(struct lock_waiter *waiters, const struct lock *lock,
    struct object *object)
{
	int wrong = 0;

	for (int i = 0; i < NWAITERS; i++) {
		waiters[i] = (struct lock_waiter){
			.lock = lock, .object = object, .number = i
		};
		pthread_create(&waiters[i].thread, NULL, wait_for_lock, &waiters[i]);
	}
	for (int i = 0; i < NWAITERS; i++)
		wrong += !waits_until(&waiters[i].is_there) ||
		    !self_sleeps(waiters[i].id) ||
		    __atomic_load_n(&waiters[i].is_woken, __ATOMIC_ACQUIRE);
	return wrong;
}

static int
always(void *argument)
{
	(void)argument;
	return 1;
}

/* With `has_child` a child lives while the waiters are woken. */
static int
run_round(const struct lock *lock, int forks, int has_child)
{
	struct lock_waiter waiters[NWAITERS];
	struct heap_child child;
	struct object *object;
	int is_good;

	if (posix_memalign((void **)&object, 4096, sizeof(*object)) != 0)
		_exit(99);
	memset(object, 0, sizeof(*object));
	lock->make(object);
	cases_stage("starting the waiters");
	is_good = start_waiters(waiters, lock, object) == 0;
	cases_stage("forking %d times", forks);
	is_good &= forks_of_others(forks);
	if (has_child)
		is_good &= heap_child_start(&child, always, NULL);
	else
		heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	for (int i = 0; i < NWAITERS; i++)
		is_good &= !__atomic_load_n(&waiters[i].is_woken, __ATOMIC_ACQUIRE);
	cases_stage("waking the waiters after %d forks", forks);
	lock->wake(object);
	for (int i = 0; i < NWAITERS; i++) {
		pthread_join(waiters[i].thread, NULL);
		if (waiters[i].error != 0)
			cases_comment("%s", strerror(waiters[i].error));
		is_good &= waiters[i].error == 0;
	}
	return has_child ? heap_child_end(&child) && is_good : is_good;
}

void
run_lock(const struct test_case *self)
{
	const struct lock *lock = locks;

	while (strcmp(lock->name, self->name) != 0)
		lock++;
	waits_write_block();
	for (int round = 0; round < NROUNDS; round++) {
		int forks = forks_of_round[round];

		cases_result(run_round(lock, forks, 0),
		    "threads that wait during %d forks wake", forks);
		cases_result(run_round(lock, forks, 1),
		    "threads that wait during %d forks wake while a child lives",
		    forks);
	}
}
