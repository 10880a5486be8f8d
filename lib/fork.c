/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: the order of things around fork(2): jemalloc's locks, then the pool's. */
#include "config.h"

#include <pthread.h>

#include "fork.h"
#include "pool.h"

static struct {
	void (*prepare)(void);
	void (*parent)(void);
	void (*child)(void);
} jemalloc;

static void
before_fork(void)
{
	jemalloc.prepare();
	vmm_pool_fork_prepare();
}

static void
in_parent(void)
{
	vmm_pool_fork_parent();
	jemalloc.parent();
}

static void
in_child(void)
{
	vmm_pool_fork_child();
	jemalloc.child();
}

int
vmm_fork_register(void (*prepare)(void), void (*parent)(void),
    void (*child)(void))
{
	jemalloc.prepare = prepare;
	jemalloc.parent = parent;
	jemalloc.child = child;
	return pthread_atfork(before_fork, in_parent, in_child);
}
