/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: fork(2): the order of locks around it, and its failures. */
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
 * The innermost vmm_fork of this thread whose before_fork has not run yet; else NULL, also
 * when libc forks by itself, as in daemon(3). Fork handlers of the program may call fork:
 * that is an inner vmm_fork with a struct of its own.
 */
static __thread struct vmm_pool_fork *pending
    __attribute__((tls_model("initial-exec")));

/* True while this thread's before_fork takes locks: a signal handler must not fork then. */
static __thread bool is_locking __attribute__((tls_model("initial-exec")));

/* The state of this thread's fork between its handlers. */
static __thread struct {
	struct vmm_pool_fork *call;
	struct vmm_pool_fork implicit; /* the call when libc forks by itself */
	bool is_locked; /* all locks are held; if false, the child must end */
	sigset_t signals;
} current __attribute__((tls_model("initial-exec")));

bool
vmm_fork_is_locking(void)
{
	return is_locking;
}

/*
 * Locks libc's list of FILEs first: a thread that holds that lock may wait for a FILE whose
 * owner waits for the allocator. libc's fork takes that lock too late, after all handlers,
 * when the allocator's locks are held. Signals stay unblocked while this thread waits for
 * locks. When it holds all locks, it blocks signals until in_parent or in_child, because a
 * signal handler might fork.
 */
static void
before_fork(void)
{
	bool is_locked;
	sigset_t saved;

	if (is_locking || vmm_pool_is_inside())
		vmm_fatal_abort("a signal handler calls daemon(3), or another"
		    " function that forks inside libc, while its thread is in"
		    " fork(2) or in the pool");
	vmm_os_stdio_lock();
	is_locking = true;
	is_locked = jemalloc.prepare();
	vmm_pool_lock();
	vmm_os_signals_block(&saved);
	is_locking = false;
	current.is_locked = is_locked;
	current.signals = saved;
	current.implicit = (struct vmm_pool_fork){ .is_begun = false };
	current.call = pending != NULL ? pending : &current.implicit;
	pending = NULL;
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
	vmm_os_stdio_unlock();
	vmm_os_signals_restore(&saved);
	vmm_pool_fork_wake();
}

static void
in_child(void)
{
	sigset_t saved = current.signals;
	bool was_interrupted;

	vmm_log_in_child();
	if (!current.is_locked && current.call == &current.implicit)
		vmm_fatal_abort("a signal handler that interrupted the allocator calls"
		    " daemon(3), or another function that forks inside libc");
	/* fork fails with EAGAIN in the parent, which waits for this child to end. */
	if (!current.is_locked)
		vmm_os_exit(0);
	vmm_pool_fork_child(current.call);
	was_interrupted = jemalloc.child();
	vmm_os_stdio_reset();
	/*
	 * Purge the arenas first: their free ranges need not be copied. If a signal has
	 * interrupted malloc, the arenas are not consistent and must not be purged.
	 */
	if (current.call->wants_file && !was_interrupted)
		jemalloc.purge();
	vmm_pool_fork_settle(current.call);
	vmm_os_signals_restore(&saved);
}

/* Calls libc's fork and waits until the child has its pool file, if it needs one. */
static pid_t
fork_and_wait(struct vmm_pool_fork *fork)
{
	struct vmm_pool_fork *outer = pending;
	pid_t pid;
	int error;

	pending = fork;
	pid = vmm_os_fork();
	/* In the child no call of fork is pending: an outer call is the parent's. */
	pending = pid == 0 ? NULL : outer;
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
 * Calls of vmm_pool_return in the parent: the first begins the return, each other takes a
 * step, which stops other threads. 64 complete the return except for very large heaps.
 */
#define RETURN_STEPS 64
#define RETURN_STEPS_WITH_THREADS 3

static void
return_to_file(void)
{
	int steps = vmm_os_has_threads() ? RETURN_STEPS_WITH_THREADS : RETURN_STEPS;

	/*
	 * Purging the arenas first would leave less to copy, but takes locks that this thread
	 * may hold: a signal handler that interrupted malloc may have called fork.
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
	/* A signal handler has interrupted this thread in before_fork. */
	if (is_locking) {
		errno = EAGAIN;
		return -1;
	}
	if (vmm_pool_fork_begin(&fork, kind) == 0)
		pid = fork_and_wait(&fork);
	else
		errno = fork.error;
	if (pid != 0) {
		vmm_pool_fork_end(&fork, pid > 0);
		vmm_pool_fork_wake();
	}
	/* The child needs the parent's file only if VMMALLOC_FORK=3 gave it none. */
	if (pid > 0 && fork.wants_file)
		return_to_file();
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
