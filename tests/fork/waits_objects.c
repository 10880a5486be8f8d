/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_objects.c: part of the program waits: objects in the heap that threads wait for. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "waits.h"
#include "waits_objects.h"

#define STACK_BYTES ((size_t)256 << 10)

/* In ordinary memory. A thread that owns a mutex or is joined waits here until it may end. */
static sem_t may_end[NWAITERS];
static pthread_t ending[NWAITERS];

static void
make_sem(struct object *object, int is_shared)
{
	sem_init(&object->sem, is_shared, 0);
}

static void make_sem_private(struct object *object) { make_sem(object, 0); }
static void make_sem_shared(struct object *object) { make_sem(object, 1); }

static int
wait_sem(struct object *object, int number)
{
	(void)number;
	return sem_wait(&object->sem) == 0 ? 0 : errno;
}

static void
wake_sem(struct object *object)
{
	for (int i = 0; i < NWAITERS; i++)
		sem_post(&object->sem);
}

static void
make_mutex(struct object *object, int is_shared, int is_robust, int protocol)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, is_shared);
	pthread_mutexattr_setrobust(&attributes, is_robust);
	pthread_mutexattr_setprotocol(&attributes, protocol);
	if (pthread_mutex_init(&object->mutex, &attributes) != 0)
		_exit(99);
	pthread_mutexattr_destroy(&attributes);
}

static void
make_locked(struct object *object, int is_shared, int is_robust, int protocol)
{
	make_mutex(object, is_shared, is_robust, protocol);
	pthread_mutex_lock(&object->mutex);
}

#define PRIVATE PTHREAD_PROCESS_PRIVATE
#define SHARED PTHREAD_PROCESS_SHARED
static void make_private(struct object *object) { make_locked(object, PRIVATE, 0, 0); }
static void make_shared(struct object *object) { make_locked(object, SHARED, 0, 0); }
static void make_robust(struct object *object) { make_locked(object, PRIVATE, 1, 0); }
static void
make_pi(struct object *object)
{
	make_locked(object, PRIVATE, 0, PTHREAD_PRIO_INHERIT);
}
static void
make_shared_pi(struct object *object)
{
	make_locked(object, SHARED, 0, PTHREAD_PRIO_INHERIT);
}
static void
make_shared_robust(struct object *object)
{
	make_locked(object, SHARED, 1, 0);
}

static int
wait_mutex(struct object *object, int number)
{
	int error = pthread_mutex_lock(&object->mutex);

	(void)number;
	return error != 0 ? error : pthread_mutex_unlock(&object->mutex);
}

static void
wake_mutex(struct object *object)
{
	pthread_mutex_unlock(&object->mutex);
}

/* A thread that ends as the owner of a robust mutex: the kernel wakes the next thread. */
static void *
own_and_end(void *argument)
{
	struct object *object = argument;

	pthread_mutex_lock(&object->mutex);
	__atomic_store_n(&object->is_open, 1, __ATOMIC_RELEASE);
	while (sem_wait(&may_end[0]) != 0)
		;
	return NULL;
}

static void
make_owned(struct object *object)
{
	make_mutex(object, PRIVATE, 1, 0);
	sem_init(&may_end[0], 0, 0);
	pthread_create(&ending[0], NULL, own_and_end, object);
	if (!waits_until(&object->is_open))
		_exit(99);
}

/* The first waiter gets the mutex from the ended owner, the others from each other. */
static int
wait_owner(struct object *object, int number)
{
	int error = pthread_mutex_lock(&object->mutex);

	(void)number;
	if (error == EOWNERDEAD)
		error = pthread_mutex_consistent(&object->mutex);
	return error != 0 ? error : pthread_mutex_unlock(&object->mutex);
}

static void
wake_owner(struct object *object)
{
	(void)object;
	sem_post(&may_end[0]);
	pthread_join(ending[0], NULL);
}

static void
make_cond(struct object *object, int is_shared)
{
	pthread_condattr_t attributes;

	make_mutex(object, is_shared, 0, 0);
	pthread_condattr_init(&attributes);
	pthread_condattr_setpshared(&attributes, is_shared);
	pthread_cond_init(&object->cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void make_cond_private(struct object *object) { make_cond(object, PRIVATE); }
static void make_cond_shared(struct object *object) { make_cond(object, SHARED); }

static int
wait_cond(struct object *object, int number)
{
	int error = pthread_mutex_lock(&object->mutex);

	(void)number;
	while (error == 0 && !object->is_open)
		error = pthread_cond_wait(&object->cond, &object->mutex);
	return error != 0 ? error : pthread_mutex_unlock(&object->mutex);
}

static void
wake_cond(struct object *object)
{
	pthread_mutex_lock(&object->mutex);
	object->is_open = 1;
	pthread_cond_broadcast(&object->cond);
	pthread_mutex_unlock(&object->mutex);
}

static void
make_rwlock_shared(struct object *object)
{
	pthread_rwlockattr_t attributes;

	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setpshared(&attributes, SHARED);
	pthread_rwlock_init(&object->rwlock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
	pthread_rwlock_wrlock(&object->rwlock);
}

/* One waiter writes, the others read. */
static int
wait_rwlock(struct object *object, int number)
{
	int error = number == 0 ? pthread_rwlock_wrlock(&object->rwlock)
				: pthread_rwlock_rdlock(&object->rwlock);

	return error != 0 ? error : pthread_rwlock_unlock(&object->rwlock);
}

static void
wake_rwlock(struct object *object)
{
	pthread_rwlock_unlock(&object->rwlock);
}

static void
make_barrier_shared(struct object *object)
{
	pthread_barrierattr_t attributes;

	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, SHARED);
	pthread_barrier_init(&object->barrier, &attributes, NWAITERS + 1);
	pthread_barrierattr_destroy(&attributes);
}

static int
wait_barrier(struct object *object, int number)
{
	int error = pthread_barrier_wait(&object->barrier);

	(void)number;
	return error == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : error;
}

static void
wake_barrier(struct object *object)
{
	pthread_barrier_wait(&object->barrier);
}

/* Threads whose stacks are blocks of the heap: the kernel wakes threads in pthread_join. */
static void *
wait_for_end(void *argument)
{
	while (sem_wait(argument) != 0)
		;
	return argument;
}

static void
make_ending(struct object *object)
{
	pthread_attr_t attributes;
	void *stack;

	(void)object;
	for (int i = 0; i < NWAITERS; i++) {
		sem_init(&may_end[i], 0, 0);
		pthread_attr_init(&attributes);
		if (posix_memalign(&stack, 4096, STACK_BYTES) != 0 ||
		    pthread_attr_setstack(&attributes, stack, STACK_BYTES) != 0 ||
		    pthread_create(&ending[i], &attributes, wait_for_end,
			&may_end[i]) != 0)
			_exit(99);
		pthread_attr_destroy(&attributes);
	}
}

static int
wait_join(struct object *object, int number)
{
	(void)object;
	return pthread_join(ending[number], NULL);
}

static void
wake_join(struct object *object)
{
	(void)object;
	for (int i = 0; i < NWAITERS; i++)
		sem_post(&may_end[i]);
}

const struct lock locks[] = {
	{ "sem_private", make_sem_private, wait_sem, wake_sem },
	{ "sem_shared", make_sem_shared, wait_sem, wake_sem },
	{ "mutex_private", make_private, wait_mutex, wake_mutex },
	{ "mutex_shared", make_shared, wait_mutex, wake_mutex },
	{ "mutex_robust", make_robust, wait_mutex, wake_mutex },
	{ "mutex_pi", make_pi, wait_mutex, wake_mutex },
	{ "mutex_shared_pi", make_shared_pi, wait_mutex, wake_mutex },
	{ "mutex_shared_robust", make_shared_robust, wait_mutex, wake_mutex },
	{ "owner_ends", make_owned, wait_owner, wake_owner },
	{ "cond_private", make_cond_private, wait_cond, wake_cond },
	{ "cond_shared", make_cond_shared, wait_cond, wake_cond },
	{ "rwlock_shared", make_rwlock_shared, wait_rwlock, wake_rwlock },
	{ "barrier_shared", make_barrier_shared, wait_barrier, wake_barrier },
	{ "join", make_ending, wait_join, wake_join },
};
