/* SPDX-License-Identifier: BSD-3-Clause */
/* soak_fork.c: forks of soak, and the work of its children. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak.h"

#define DEPTH_MAX 2
#define CHILD_SECONDS 300 /* a child that lives so long hangs: SIGALRM ends it */

/*
 * A child has only the thread that has forked. A worker whose lock that thread did not have
 * may have been changing a block, so the child forgets the worker's blocks.
 */
static void
become_child(unsigned set, uint64_t seed)
{
	for (int i = 0; i <= NWORKERS; i++) {
		struct worker *worker = &workers[i];

		init_worker(i, seed);
		worker->has_thread = worker->is_wanted = false;
		if (worker == MAIN_WORKER || set & 1U << i)
			continue;
		memset(worker->slots, 0, sizeof(worker->slots));
		memset(&worker->chain, 0, sizeof(worker->chain));
		worker->is_filling = false;
	}
	pthread_mutex_init(&exchange.lock, NULL);
	if (!(set & 1U << NWORKERS))
		memset(exchange.slots, 0, sizeof(exchange.slots));
}

/* Works for a moment, sometimes with threads, and sometimes with a child of its own. */
static void
work_in_child(int depth)
{
	uint64_t random = shadow_random(&MAIN_WORKER->random);
	unsigned long steps = 1 + random % 300;
	int nthreads = random & 1024 ? 0 : (int)(random >> 11) % 4;
	int children = 0;

	for (int i = 0; i < nthreads; i++) {
		workers[i].steps = steps;
		start_thread(&workers[i]);
	}
	while (steps-- > 0)
		step(MAIN_WORKER);
	if (depth < DEPTH_MAX && (random >> 13) % 4 == 0) {
		unsigned set = (unsigned)(random >> 16) & ALL_LOCKS;

		take_locks(set);
		children = fork_child(set, depth);
		release_locks(set);
		if (children > 0)
			count(&counts->nested);
	}
	for (int i = 0; i < nthreads; i++) {
		if (workers[i].has_thread)
			pthread_join(workers[i].thread, NULL);
		workers[i].has_thread = false;
		workers[i].steps = 0;
	}
	reap(children, 0);
}

static _Noreturn void
child(unsigned set, int depth)
{
	uint64_t random = MAIN_WORKER->random;

	alarm(CHILD_SECONDS);
	if (fork_setting == 0 && random % 8 == 0)
		execl("/bin/true", "true", (char *)NULL);
	/* With VMMALLOC_FORK=0 the child shares its parent's heap: libvmmalloc(7). */
	if (fork_setting == 0)
		_exit(0);
	become_child(set, random);
	check_all("in a child");
	work_in_child(depth + 1);
	check_all("later in a child");
	if (random & 2)
		free_all();
	if (random & 4)
		exit(0);
	_exit(0);
}

int
fork_child(unsigned set, int depth)
{
	pid_t pid = fork();

	if (pid == 0)
		child(set, depth);
	if (pid < 0)
		shadow_fault("fork: %s", strerror(errno));
	else
		count(&counts->forks);
	return pid > 0;
}

int
reap(int children, int flags)
{
	int status = 0;
	pid_t pid = 1;

	while (children > 0 && (pid = waitpid(-1, &status, flags)) != 0) {
		if (pid < 0 || status != 0)
			shadow_fault("child %d: status %x", (int)pid,
			    (unsigned)status);
		children--;
	}
	return children;
}
