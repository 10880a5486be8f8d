/* SPDX-License-Identifier: BSD-3-Clause */
/* own_locks.c: threads allocate ranges and fork. ThreadSanitizer checks the pool's locks, and
 * the order in which the library's handlers take locks. One lock stands for jemalloc's locks.
 * Built by test_own_locks.sh. The exit status is 0 if the ranges keep their content.
 * own_locks DIR FORK: VMMALLOC_POOL_DIR and VMMALLOC_FORK */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/fork.h"
#include "os/os.h"
#include "pool/pool.h"

#define POOL_BYTES ((size_t)64 << 20)
#define NTHREADS 4
#define NRANGES 32
#define STEPS 3000
#define FORKS 40
#define PAGE ((size_t)65536) /* a multiple of the page size of any system */

static pthread_mutex_t jemalloc_lock = PTHREAD_MUTEX_INITIALIZER;

static bool
lock(void)
{
	return pthread_mutex_lock(&jemalloc_lock) == 0;
}

static void
unlock(void)
{
	pthread_mutex_unlock(&jemalloc_lock);
}

/*
 * The vmm_os_ functions below replace os/linux_stop.c. They make no helper process: threads
 * cannot be stopped. A process with a single thread does the work in that thread.
 */
static int has_threads = 1;

static bool
unlock_in_child(void)
{
	has_threads = 0;
	unlock();
	return false;
}

static void
purge_nothing(void)
{
}

bool
vmm_os_has_threads(void)
{
	return has_threads;
}

int
vmm_os_may_stop(enum vmm_os_others others)
{
	return others != VMM_OS_NO_OTHERS && has_threads ? EPERM : 0;
}

int
vmm_os_call_stopped(void (*work)(void *argument), void *argument,
    enum vmm_os_others others, bool stack_stays)
{
	(void)stack_stays;
	if (others != VMM_OS_NO_OTHERS && has_threads)
		return EPERM;
	work(argument);
	return 0;
}

struct range {
	unsigned char *data;
	size_t size;
};

static int
step(struct range *ranges, uint64_t *state)
{
	struct range *range;
	bool is_zero = false;

	*state = *state * 6364136223846793005U + 1442695040888963407U;
	range = &ranges[(*state >> 33) % NRANGES];
	/* jemalloc holds none of its locks when it asks for extents. */
	lock();
	unlock();
	if (range->data != NULL) {
		int is_good = range->data[0] == (unsigned char)(range->size / PAGE);

		vmm_pool_free(range->data, range->size);
		range->data = NULL;
		return is_good;
	}
	range->size = (1 + (*state >> 40) % 12) * PAGE;
	vmm_pool_return();
	range->data = vmm_pool_allocate(NULL, range->size, PAGE, &is_zero);
	if (range->data != NULL)
		range->data[0] = (unsigned char)(range->size / PAGE);
	return 1;
}

static int
run_steps(uint64_t seed)
{
	struct range ranges[NRANGES] = { { NULL, 0 } };
	int is_good = 1;

	for (int i = 0; i < STEPS; i++)
		is_good &= step(ranges, &seed);
	for (int i = 0; i < NRANGES; i++) {
		if (ranges[i].data != NULL)
			vmm_pool_free(ranges[i].data, ranges[i].size);
	}
	return is_good;
}

static void *
run_worker(void *argument)
{
	return run_steps((uint64_t)(uintptr_t)argument) ? NULL : argument;
}

/* A thread that forks, while the workers run and a second such thread forks, too. */
static void *
run_forker(void *argument)
{
	for (int i = 0; i < FORKS; i++) {
		int status;
		pid_t pid = vmm_fork();

		if (pid == 0) {
			struct range ranges[NRANGES] = { { NULL, 0 } };
			uint64_t seed = (uint64_t)i;
			int is_good = 1;

			for (int n = 0; n < 50; n++)
				is_good &= step(ranges, &seed);
			_exit(!is_good);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			return argument;
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	struct vmm_settings settings = {
		.pool_dir = argc > 2 ? argv[1] : ".",
		.pool_size_bytes = POOL_BYTES,
		.fork = argc > 2 ? (enum vmm_fork)atoi(argv[2]) : VMM_FORK_ANY,
		.conf = "",
	};
	const struct vmm_fork_allocator allocator = {
		lock, unlock, unlock_in_child, purge_nothing
	};
	struct vmm_text error;
	pthread_t threads[NTHREADS + 2];
	int is_good = 1;

	if (!vmm_pool_open(&settings, &error)) {
		fputs(error.data, stderr);
		return 99;
	}
	if (vmm_fork_register(settings.fork, &allocator) != 0)
		return 99;
	for (uintptr_t i = 0; i < NTHREADS + 2; i++)
		pthread_create(&threads[i], NULL,
		    i < NTHREADS ? run_worker : run_forker, (void *)(i + 1));
	for (int i = 0; i < NTHREADS + 2; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		is_good &= wrong == NULL;
	}
	return !is_good;
}
