/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: the private jemalloc's locks, around fork(2). */
#include "config.h"

#include <errno.h>

#include "heap/fork.h"
#include "heap/je.h"
#include "heap/start.h"
#include "jemalloc/host.h"
#include "os/os.h"
#include "trace/fatal.h"
#include "trace/log.h"

/* jemalloc's handlers for fork(2). */
static struct {
	void (*prepare)(void);
	void (*parent)(void);
	void (*child)(void);
} own_handlers;

/*
 * fork(2) may be called by the handler of a signal that has interrupted an allocation.
 * Locks that this thread has already stay its own: the interrupted code goes on to hold
 * them in the parent, and releases them in both. Other threads may hold the rest for ever,
 * as they wait for those: then the fork has to fail.
 */
#define LOCKS_MAX 64
struct locks {
	pthread_mutex_t *list[LOCKS_MAX];
	size_t count;
};

static __thread struct {
	struct locks own;     /* this thread had them before */
	struct locks missing; /* it went on without them */
	bool is_hopeless;     /* one of those may be this thread's own */
	uint64_t begin_us;
	uint64_t patience_us; /* after that it goes on without what others have */
} forking __attribute__((tls_model("initial-exec")));

/* How long another thread may have no processor while it takes or releases a lock. */
#define UNOWNED_US 2000000
#define PATIENCE_US 200000

static void
add_lock(struct locks *locks, pthread_mutex_t *mutex)
{
	if (locks->count == LOCKS_MAX)
		vmm_fatal_abort("fork(2) finds too many locks taken");
	locks->list[locks->count++] = mutex;
}

static bool
has_lock(const struct locks *locks, const pthread_mutex_t *mutex)
{
	for (size_t i = 0; i < locks->count; i++) {
		if (locks->list[i] == mutex)
			return true;
	}
	return false;
}

/* Takes a lock for fork(2), or notes why not. */
static void
take_lock(pthread_mutex_t *mutex)
{
#ifdef __GLIBC__
	const volatile int *owner = &mutex->__data.__owner;
	uint64_t begin_us = vmm_os_now_us();

	while (pthread_mutex_trylock(mutex) != 0) {
		uint64_t now_us = vmm_os_now_us();
		bool is_alone = *owner == 0 && !vmm_os_has_threads();

		/* Another thread may have released it, and ended, just before. */
		if (is_alone && pthread_mutex_trylock(mutex) == 0)
			return;
		if (is_alone || *owner == vmm_os_thread()) {
			add_lock(&forking.own, mutex);
			return;
		}
		/*
		 * glibc notes the owner behind the lock, and a signal may come in between:
		 * nobody can say whether this thread was interrupted there.
		 */
		if (*owner == 0 && now_us - begin_us > UNOWNED_US)
			forking.is_hopeless = true;
		if (forking.is_hopeless ||
		    (*owner != 0 && now_us - forking.begin_us > forking.patience_us)) {
			add_lock(&forking.missing, mutex);
			return;
		}
		vmm_os_pause();
	}
#else
	pthread_mutex_lock(mutex);
#endif
}

int
vmm_jehost_mutex_lock(pthread_mutex_t *mutex)
{
	if (!vmm_fork_is_locking())
		return pthread_mutex_lock(mutex);
	take_lock(mutex);
	return 0;
}

int
vmm_jehost_mutex_unlock(pthread_mutex_t *mutex)
{
	if (has_lock(&forking.own, mutex) || has_lock(&forking.missing, mutex))
		return 0;
	return pthread_mutex_unlock(mutex);
}

/* Takes all locks. False if that can never be. */
static bool
lock_allocator(void)
{
	/* This thread is to have its cache, or to go without, when it takes the lock. */
	vmm_jehost_tcache_begin();
	forking.is_hopeless = false;
	for (forking.patience_us = PATIENCE_US;; forking.patience_us *= 2) {
		forking.own.count = forking.missing.count = 0;
		forking.begin_us = vmm_os_now_us();
		take_lock(&vmm_jehost_tcache_lock);
		own_handlers.prepare();
		if (forking.missing.count == 0)
			return true;
		if (forking.own.count > 0 || forking.is_hopeless)
			return false;
		/* Nothing was interrupted: others take their time, and get it. */
		own_handlers.parent();
		vmm_jehost_mutex_unlock(&vmm_jehost_tcache_lock);
	}
}

static void
unlock_in_parent(void)
{
	own_handlers.parent();
	vmm_jehost_mutex_unlock(&vmm_jehost_tcache_lock);
	forking.own.count = forking.missing.count = 0;
}

static bool
unlock_in_child(void)
{
	bool was_interrupted = forking.own.count > 0;

	/* All locks of jemalloc's are new after this. */
	own_handlers.child();
	vmm_jehost_mutex_unlock(&vmm_jehost_tcache_lock);
	for (size_t i = 0; i < forking.own.count; i++) {
		if (forking.own.list[i] != &vmm_jehost_tcache_lock)
			pthread_mutex_lock(forking.own.list[i]);
	}
	forking.own.count = forking.missing.count = 0;
	return was_interrupted;
}

int
vmm_jehost_pthread_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void))
{
	const struct vmm_fork_allocator with_lock = {
		lock_allocator, unlock_in_parent, unlock_in_child, vmm_jehost_purge_arenas
	};
	enum vmm_fork kind = vmm_heap_start()->fork;
	static bool is_registered;
	int error;

	/* jemalloc begins anew where memory was wanting, and comes here once more. */
	if (is_registered)
		return 0;
	own_handlers.prepare = prepare;
	own_handlers.parent = parent;
	own_handlers.child = child;
	if (kind == VMM_FORK_NONE)
		return 0;
	error = vmm_fork_register(kind, &with_lock);
	is_registered = error == 0;
	return error;
}
