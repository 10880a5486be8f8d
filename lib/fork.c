/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: fork(2): the order of locks around it, and how it fails. */
#include "config.h"

#include <errno.h>

#include "fatal.h"
#include "fork.h"
#include "log.h"
#include "os.h"
#include "pool.h"

static struct vmm_fork_allocator jemalloc;

/* VMMALLOC_FORK; what it is before there are handlers means that there are none. */
static enum vmm_fork kind = VMM_FORK_NONE;

/* What this thread's call of fork has begun; NULL where libc forks by itself. */
static __thread struct vmm_pool_fork *asked
    __attribute__((tls_model("initial-exec")));

/* The fork that is going on, and its thread's signals; jemalloc's locks guard them. */
static struct vmm_pool_fork *current;
static struct vmm_pool_fork unasked;
static sigset_t signals;

/*
 * From here to in_parent or in_child no signal handler runs, which might fork, too,
 * and would wait for locks that this thread has.
 */
static void
before_fork(void)
{
	sigset_t saved;

	vmm_os_signals_block(&saved);
	jemalloc.prepare();
	signals = saved;
	current = asked;
	if (current == NULL) {
		/* daemon(3), forkpty(3) and others: no way to make them fail. */
		current = &unasked;
		vmm_pool_fork_begin(current, VMM_FORK_PRIVATE);
	}
	vmm_pool_fork_prepare(current);
}

static void
in_parent(void)
{
	sigset_t saved = signals;
	struct vmm_pool_fork *fork = current;

	vmm_pool_fork_parent(fork);
	if (fork == &unasked)
		vmm_pool_fork_end(fork);
	jemalloc.parent();
	vmm_os_signals_restore(&saved);
}

static void
in_child(void)
{
	sigset_t saved = signals;

	/* Its parent knows, and waits for it: see vmm_fork. */
	if (current->error != 0 && current != &unasked)
		vmm_os_exit(0);
	vmm_pool_fork_child(current);
	jemalloc.child();
	vmm_os_signals_restore(&saved);
}

/* Where a copy fails while libc's fork is under way, there is a child to reap. */
static pid_t
fork_begun(struct vmm_pool_fork *fork)
{
	pid_t pid;

	asked = fork;
	pid = vmm_os_fork();
	asked = NULL;
	if (pid > 0 && fork->error != 0) {
		vmm_os_reap(pid);
		errno = fork->error;
		pid = -1;
	}
	return pid;
}

pid_t
vmm_fork(void)
{
	VMM_LOG_ENTER();
	struct vmm_pool_fork fork;
	sigset_t saved;
	int cancel_state;
	pid_t pid = -1;

	/* Without handlers, and from a handler of the program's, as libc would. */
	if (kind == VMM_FORK_NONE || asked != NULL)
		return vmm_os_fork();
	cancel_state = vmm_os_cancel_disable();
	/* A handler that forks would wait for the locks that are taken here. */
	vmm_os_signals_block(&saved);
	if (kind != VMM_FORK_PRIVATE)
		jemalloc.purge();
	vmm_pool_fork_begin(&fork, kind);
	vmm_os_signals_restore(&saved);
	if (fork.error == 0)
		pid = fork_begun(&fork);
	else
		errno = fork.error;
	if (pid != 0)
		vmm_pool_fork_end(&fork);
	vmm_os_cancel_restore(cancel_state);
	return pid;
}

int
vmm_fork_register(enum vmm_fork fork_kind,
    const struct vmm_fork_allocator *allocator)
{
	VMM_LOG_ENTER();
	extern void *__dso_handle __attribute__((visibility("hidden")));

	jemalloc = *allocator;
	kind = fork_kind;
	return vmm_os_atfork(before_fork, in_parent, in_child, &__dso_handle);
}
