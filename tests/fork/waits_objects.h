/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_objects.h: part of waits: objects in the heap that threads wait for. */
#ifndef FORK_WAITS_OBJECTS_H
#define FORK_WAITS_OBJECTS_H

#include <pthread.h>
#include <semaphore.h>

#define NWAITERS 3

/* Lies at the beginning of a page of the heap. */
struct object {
	sem_t sem;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_rwlock_t rwlock;
	pthread_barrier_t barrier;
	int is_open;
};

/*
 * `make` makes the object and, where that is needed, locks it. NWAITERS threads call
 * `wait`, with the numbers 0, 1, 2; it returns 0 or an errno. `wake` wakes all of them.
 */
struct lock {
	const char *name;
	void (*make)(struct object *object);
	int (*wait)(struct object *object, int number);
	void (*wake)(struct object *object);
};

extern const struct lock locks[];

#endif
