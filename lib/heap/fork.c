/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: fork(2): the order of locks around it, and how it fails. */
#include "config.h"

#include <errno.h>
#include <stddef.h>

#include "heap/fork.h"
#include "os/os.h"
#include "pool/pool.h"
#include "trace/fatal.h"
#include "trace/log.h"

static struct vmm_fork_allocator jemalloc;

/* VMMALLOC_FORK; VMM_FORK_NONE until the handlers are registered. */
static enum vmm_fork kind = VMM_FORK_NONE;

/*
 * What this thread's innermost call of fork has begun, until its handlers take it over:
 * then it is NULL, as it is where libc forks by itself. Handlers of the program that
 * fork, before or after ours, make calls of their own.
 */
static __thread struct vmm_pool_fork *begun
    __attribute__((tls_model("initial-exec")));

/* This thread is taking the allocator's locks, and may be interrupted by a signal. */
static __thread bool takes_locks __attribute__((tls_model("initial-exec")));

/* The fork that this thread has under way between its handlers. */
static __thread struct {
	struct vmm_pool_fork *call;
	struct vmm_pool_fork unasked;
	bool is_locked; /* false: the child must not live */
	sigset_t signals;
} current __attribute__((tls_model("initial-exec")));

bool
vmm_fork_takes_locks(void)
{
	return takes_locks;
}

/*
 * libc's list of FILEs is locked first: a thread that has it may wait for a FILE whose
 * owner waits for the allocator. libc itself takes it after all handlers, when the
 * allocator's locks are held. Signals are open while locks are waited for; once they are
 * all held no signal handler runs until in_parent or in_child, for it might fork.
 */
static void
before_fork(void)
{
	bool is_locked;
	sigset_t saved;

	if (takes_locks || vmm_pool_is_inside())
		vmm_fatal_abort("a signal handler calls daemon(3), or another"
		    " function that forks inside libc, while its thread is in"
		    " fork(2) or in the pool");
	vmm_os_files_lock();
	takes_locks = true;
	is_locked = jemalloc.prepare();
	vmm_pool_lock();
	vmm_os_signals_block(&saved);
	takes_locks = false;
	current.is_locked = is_locked;
	current.signals = saved;
	current.unasked = (struct vmm_pool_fork){ .is_begun = false };
	current.call = begun != NULL ? begun : &current.unasked;
	begun = NULL;
	vmm_pool_fork_prepare(current.call, kind);
}

static void
in_parent(void)
{
	sigset_t saved = current.signals;

	if (!current.is_locked)
		current.call->error = EAGAIN;
	vmm_pool_unlock();
	jemalloc.parent();
	vmm_os_files_unlock();
	vmm_os_signals_restore(&saved);
	vmm_pool_fork_wake();
}

static void
in_child(void)
{
	sigset_t saved = current.signals;
	bool was_interrupted;

	vmm_log_in_child();
	if (!current.is_locked && current.call == &current.unasked)
		vmm_fatal_abort("a signal handler that interrupted the allocator calls"
		    " daemon(3), or another function that forks inside libc");
	/* Its parent knows, and waits for it. */
	if (!current.is_locked)
		vmm_os_exit(0);
	vmm_pool_fork_child(current.call);
	was_interrupted = jemalloc.child();
	vmm_os_files_reset();
	/*
	 * First what arenas keep, which then need not be copied. Not if a signal has
	 * interrupted malloc, for then arenas are not consistent.
	 */
	if (current.call->wants_file && !was_interrupted)
		jemalloc.purge();
	vmm_pool_fork_settle(current.call);
	vmm_os_signals_restore(&saved);
}

/* Calls libc's fork, and waits until a child that makes a file has done so. */
static pid_t
fork_begun(struct vmm_pool_fork *fork)
{
	struct vmm_pool_fork *outer = begun;
	pid_t pid;
	int error;

	begun = fork;
	pid = vmm_os_fork();
	/* Not the parent's: the call that a child returns to is its own from now on. */
	begun = pid == 0 ? NULL : outer;
	if (pid <= 0)
		return pid;
	error = fork->error != 0 ? fork->error : vmm_pool_fork_await(fork, pid);
	if (error == 0)
		return pid;
	vmm_os_reap(pid);
	errno = error;
	return -1;
}

/*
 * How many steps of the return a call of fork may take before it is over: all of it, but
 * for very large heaps; a few where each holds up other threads.
 */
#define STEPS_MAX 64
#define STEPS_MAX_WITH_THREADS 3

static void
return_after(void)
{
	int steps = vmm_os_has_threads() ? STEPS_MAX_WITH_THREADS : STEPS_MAX;

	/*
	 * When it begins, what arenas keep would be better given back. But that takes locks,
	 * which this thread may have: fork may have been called by a signal's handler.
	 */
	for (int i = 0; i < steps; i++)
		vmm_pool_return();
}

pid_t
vmm_fork(void)
{
	struct vmm_pool_fork fork;
	pid_t pid = -1;

	if (kind == VMM_FORK_NONE)
		return vmm_os_fork();
	/* A handler of a signal that came while this thread took the locks. */
	if (takes_locks) {
		errno = EAGAIN;
		return -1;
	}
	if (vmm_pool_fork_begin(&fork, kind) == 0)
		pid = fork_begun(&fork);
	else
		errno = fork.error;
	if (pid != 0) {
		vmm_pool_fork_end(&fork, pid > 0);
		vmm_pool_fork_wake();
	}
	/* A child that has a file needs its parent's no longer. */
	if (pid > 0 && fork.wants_file)
		return_after();
	return pid;
}

int
vmm_fork_register(enum vmm_fork fork_kind,
    const struct vmm_fork_allocator *allocator)
{
	extern void *__dso_handle __attribute__((visibility("hidden")));

	jemalloc = *allocator;
	kind = fork_kind;
	return vmm_os_atfork(before_fork, in_parent, in_child, &__dso_handle);
}
