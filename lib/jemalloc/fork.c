/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: takes and releases the private jemalloc's locks around fork(2). */
#include "config.h"

#include <errno.h>

#include "heap/fork.h"
#include "heap/je.h"
#include "heap/start.h"
#include "jemalloc/host.h"
#include "os/os.h"
#include "trace/fatal.h"
#include "trace/log.h"

/* The handlers that jemalloc passes to pthread_atfork(3). */
static struct {
	void (*prepare)(void);
	void (*parent)(void);
	void (*child)(void);
} handlers;

/*
 * A signal handler that has interrupted an allocation may call fork(2). Locks that this
 * thread holds already remain held: the interrupted code releases them later, in the parent
 * and in the child. Another thread may wait for one of these locks while it holds a lock
 * that the fork needs: then the fork must fail.
 */
#define HELD_MAX 64
static __thread struct {
	pthread_mutex_t *held[HELD_MAX]; /* locks that the interrupted code holds */
	size_t nheld;
	size_t nmissing;      /* missing locks: they did not become free in time */
	bool is_hopeless;     /* this thread itself may hold one of the missing locks */
	uint64_t begin_us;
	uint64_t patience_us; /* how long all other threads together have to release locks */
} forking __attribute__((tls_model("initial-exec")));

/* glibc may set the owner of a taken lock this much later, if its thread gets no CPU. */
#define UNOWNED_US 2000000
#define PATIENCE_US 200000

static void
add_held(pthread_mutex_t *mutex)
{
	/* jemalloc holds at most a few locks at a time. */
	if (forking.nheld == HELD_MAX)
		vmm_fatal_abort("fork(2) finds too many locks taken");
	forking.held[forking.nheld++] = mutex;
}

static bool
is_held(const pthread_mutex_t *mutex)
{
	for (size_t i = 0; i < forking.nheld; i++) {
		if (forking.held[i] == mutex)
			return true;
	}
	return false;
}

/* Takes a lock for fork(2), or records that this thread holds it, or that it is missing. */
static void
take_lock(pthread_mutex_t *mutex)
{
	const volatile int *owner = &mutex->__data.__owner;
	uint64_t begin_us = vmm_os_now_us();

	while (pthread_mutex_trylock(mutex) != 0) {
		uint64_t now_us = vmm_os_now_us();
		bool is_single = *owner == 0 && !vmm_os_has_threads();

		/* The last other thread may have released the lock just before it ended. */
		if (is_single && pthread_mutex_trylock(mutex) == 0)
			return;
		if (is_single || *owner == vmm_os_thread()) {
			add_held(mutex);
			return;
		}
		/*
		 * glibc sets the owner after it takes the lock. A signal may have interrupted
		 * this thread in between, which cannot be detected.
		 */
		if (*owner == 0 && now_us - begin_us > UNOWNED_US)
			forking.is_hopeless = true;
		if (forking.is_hopeless ||
		    (*owner != 0 && now_us - forking.begin_us > forking.patience_us)) {
			forking.nmissing++;
			return;
		}
		vmm_os_pause();
	}
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
	if (is_held(mutex))
		return 0;
	/* A missing lock is another thread's: leave it as it is. */
	if (forking.nmissing > 0 && mutex->__data.__owner != vmm_os_thread())
		return 0;
	return pthread_mutex_unlock(mutex);
}

/* Takes all locks. Returns false if that is impossible. */
static bool
lock_allocator(void)
{
	/* Creating the tcache takes vmm_jehost_tcache_lock, so it must be done before. */
	vmm_jehost_tcache_begin();
	forking.is_hopeless = false;
	for (forking.patience_us = PATIENCE_US;; forking.patience_us *= 2) {
		forking.nheld = forking.nmissing = 0;
		forking.begin_us = vmm_os_now_us();
		take_lock(&vmm_jehost_tcache_lock);
		handlers.prepare();
		if (forking.nmissing == 0)
			return true;
		if (forking.nheld > 0 || forking.is_hopeless)
			return false;
		/* No allocation was interrupted, so the other threads only need more time. */
		handlers.parent();
		vmm_jehost_mutex_unlock(&vmm_jehost_tcache_lock);
	}
}

static void
unlock_in_parent(void)
{
	handlers.parent();
	vmm_jehost_mutex_unlock(&vmm_jehost_tcache_lock);
	forking.nheld = forking.nmissing = 0;
}

static bool
unlock_in_child(void)
{
	bool was_interrupted = forking.nheld > 0;

	/* jemalloc's handler initialises its locks anew; those held must be taken again. */
	handlers.child();
	vmm_jehost_mutex_unlock(&vmm_jehost_tcache_lock);
	for (size_t i = 0; i < forking.nheld; i++) {
		if (forking.held[i] != &vmm_jehost_tcache_lock)
			pthread_mutex_lock(forking.held[i]);
	}
	forking.nheld = forking.nmissing = 0;
	return was_interrupted;
}

int
vmm_jehost_pthread_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void))
{
	const struct vmm_fork_allocator allocator = {
		lock_allocator, unlock_in_parent, unlock_in_child, vmm_jehost_purge_arenas
	};
	enum vmm_fork kind = vmm_heap_start()->fork;
	static bool is_registered;
	int error;

	/* jemalloc repeats its initialisation, and this call, if memory was missing. */
	if (is_registered)
		return 0;
	handlers.prepare = prepare;
	handlers.parent = parent;
	handlers.child = child;
	if (kind == VMM_FORK_NONE)
		return 0;
	error = vmm_fork_register(kind, &allocator);
	is_registered = error == 0;
	return error;
}
