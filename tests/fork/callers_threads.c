/* SPDX-License-Identifier: BSD-3-Clause */
/* callers_threads.c: fork(2) beside threads that write, allocate or fork. */
#include "config.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "callers.h"

static int is_over;

/*
 * snapshot: threads increment a counter in the heap, and then its twin in ordinary memory.
 * A child whose twin is ahead of the counter has a heap that is older than its other memory.
 */

#define MIB ((size_t)1 << 20)
#define NMIB 50
#define NCOUNTERS 10
#define NWRITERS 2
#define SNAPSHOTS 20

static unsigned long *in_heap[NCOUNTERS];
static unsigned long in_bss[NCOUNTERS];

static void *
count_up(void *argument)
{
	unsigned first = *(unsigned *)argument;

	for (unsigned long n = 1; !__atomic_load_n(&is_over, __ATOMIC_RELAXED);
	     n++) {
		for (unsigned i = first; i < NCOUNTERS; i += NWRITERS) {
			__atomic_store_n(in_heap[i], n, __ATOMIC_SEQ_CST);
			__atomic_store_n(&in_bss[i], n, __ATOMIC_SEQ_CST);
		}
	}
	return NULL;
}

static int
is_consistent(void)
{
	for (unsigned i = 0; i < NCOUNTERS; i++) {
		if (*in_heap[i] < in_bss[i])
			return 0;
	}
	return 1;
}

static void
fill_heap(void)
{
	for (unsigned i = 0; i < NMIB; i++) {
		char *data = malloc(MIB);

		if (data == NULL)
			exit(99);
		memset(data, 0, MIB);
		if (i % (NMIB / NCOUNTERS) == 0)
			in_heap[i / (NMIB / NCOUNTERS)] =
			    (unsigned long *)(void *)(data + MIB / 2);
	}
}

void
case_snapshot(void)
{
	static unsigned numbers[NWRITERS];
	pthread_t threads[NWRITERS];
	int nbad = 0;

	fill_heap();
	for (unsigned i = 0; i < NWRITERS; i++) {
		numbers[i] = i;
		threads[i] = callers_start(count_up, &numbers[i]);
	}
	for (unsigned i = 0; i < NCOUNTERS; i++) {
		while (__atomic_load_n(&in_bss[i], __ATOMIC_RELAXED) == 0)
			sched_yield();
	}
	for (int i = 0; i < SNAPSHOTS; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(!is_consistent());
		nbad += !child_succeeds(pid);
	}
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < NWRITERS; i++)
		pthread_join(threads[i], NULL);
	printf("# %d of %d children are wrong\n", nbad, SNAPSHOTS);
	tap_result(nbad == 0,
	    "no child has a heap that is older than the rest of its memory");
}

/*
 * threads-at-once: several threads fork at the same time. Each child has its parent's heap, and
 * no descriptor that the fork of another thread has opened: with VMMALLOC_FORK=2 and 3 the
 * parent opens a file, to see whether the child can, and closes it before clone(2).
 */

#define NFORKERS 4
#define FORKS_EACH 50
#define FD_MAX 4096
#define FD_HIGH 500 /* descriptors of pools have higher numbers, if RLIMIT_NOFILE allows */

/* The descriptors of a child made before other threads fork, in memory shared with it. */
static struct {
	int count;
	char is_open[FD_HIGH];
} *reference;

static int nbad_heap, nbad_files;

static int
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void
note_descriptors(void)
{
	for (int fd = 0; fd < FD_MAX; fd++) {
		reference->count += is_open(fd);
		if (fd < FD_HIGH)
			reference->is_open[fd] = (char)is_open(fd);
	}
}

static int
has_reference_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < FD_MAX; fd++) {
		if (!is_open(fd))
			continue;
		count++;
		if (fd < FD_HIGH && !reference->is_open[fd])
			return 0;
	}
	return count <= reference->count;
}

/* Exits with 1 if the heap is wrong, 2 if there are descriptors of other forks. */
static _Noreturn void
check_child(void)
{
	if (!blocks_are(1) || !blocks_write(2) || !blocks_are(2))
		_exit(1);
	_exit(has_reference_descriptors() ? 0 : 2);
}

static void *
fork_often(void *argument)
{
	for (int i = 0; i < FORKS_EACH; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			check_child();
		status = callers_wait(pid);
		if (status == 2)
			__atomic_add_fetch(&nbad_files, 1, __ATOMIC_RELAXED);
		else if (status != 0)
			__atomic_add_fetch(&nbad_heap, 1, __ATOMIC_RELAXED);
	}
	return argument;
}

void
case_threads_at_once(void)
{
	pthread_t threads[NFORKERS];
	pid_t pid;

	reference = mmap(NULL, sizeof(*reference), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (reference == MAP_FAILED)
		exit(99);
	blocks_set(50, 20000);
	blocks_write(1);
	pid = fork();
	if (pid == 0) {
		note_descriptors();
		_exit(0);
	}
	tap_result(child_succeeds(pid), "a process with one thread forks");
	for (int i = 0; i < NFORKERS; i++)
		threads[i] = callers_start(fork_often, NULL);
	for (int i = 0; i < NFORKERS; i++)
		pthread_join(threads[i], NULL);
	printf("# of %d children %d have a wrong heap, %d descriptors of other forks\n",
	    NFORKERS * FORKS_EACH, nbad_heap, nbad_files);
	tap_result(nbad_heap == 0 && blocks_are(1),
	    "children of threads that fork at the same time have their parent's heap");
	tap_result(nbad_files == 0,
	    "no child has a descriptor of another thread's fork");
}

/*
 * stall: measures how long threads that allocate wait while another thread forks.
 */

#define NALLOCATORS 8
#define STALL_FORKS 5
#define LIMIT_US 1000000

static struct allocator {
	pthread_t thread;
	int64_t longest_us;
	int nrounds;
	int is_wrong;
} allocators[NALLOCATORS];

static void *
allocate_and_free(void *argument)
{
	struct allocator *self = argument;

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		int64_t begin_us = callers_now_us();
		int64_t took_us;

		for (size_t i = 0; i < 8; i++) {
			char *data = malloc(600000 + i * 100000);

			self->is_wrong |= data == NULL;
			if (data != NULL)
				data[0] = 1;
			free(data);
		}
		took_us = callers_now_us() - begin_us;
		if (took_us > self->longest_us)
			self->longest_us = took_us;
		__atomic_add_fetch(&self->nrounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

void
case_stall(void)
{
	const char *times = getenv("TEST_TIMES");
	char *heap = malloc(100 * MIB);
	int64_t longest_us = 0;
	int is_good = 1;

	if (heap == NULL)
		exit(99);
	memset(heap, 1, 100 * MIB);
	for (int i = 0; i < NALLOCATORS; i++)
		allocators[i].thread = callers_start(allocate_and_free, &allocators[i]);
	for (int i = 0; i < NALLOCATORS; i++) {
		while (__atomic_load_n(&allocators[i].nrounds, __ATOMIC_ACQUIRE) == 0)
			sched_yield();
	}
	for (int i = 0; i < STALL_FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid < 0)
			printf("# fork: %s\n", strerror(errno));
		is_good &= child_succeeds(pid);
	}
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < NALLOCATORS; i++) {
		pthread_join(allocators[i].thread, NULL);
		is_good &= !allocators[i].is_wrong;
		if (allocators[i].longest_us > longest_us)
			longest_us = allocators[i].longest_us;
	}
	printf("# longest wait %lld us\n", (long long)longest_us);
	tap_result(is_good, "forks beside threads that allocate large blocks succeed");
	/* Other processes may use the processors: see measures in tests/support/lib.sh. */
	if (times == NULL || strcmp(times, "no") != 0)
		tap_result(longest_us < LIMIT_US,
		    "no thread waits a second or longer for its blocks");
	else
		tap_result(1, "no thread waits a second or longer for its blocks"
		    " # SKIP left out by TEST_TIMES");
	free(heap);
}
