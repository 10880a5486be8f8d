/* SPDX-License-Identifier: BSD-3-Clause */
/* host.h: what the private jemalloc asks of the system, answered by the pool. */
#ifndef VMM_JEHOST_H
#define VMM_JEHOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "heap/je.h"

/*
 * jemalloc.syms makes jemalloc's objects call these; each has the prototype and
 * the meaning of what it replaces. Those that deal in extents keep errno, since
 * jemalloc's free does not, and may be called by any thread.
 */

/*
 * src/jemalloc.c: the environment and the symbolic link /etc/malloc.conf. From the first on
 * the library hears what jemalloc says of its settings.
 */
char *vmm_jehost_secure_getenv(const char *name);
ssize_t vmm_jehost_readlink(const char *path, char *buffer, size_t size);

/*
 * jemalloc has read its settings: what it says from now on is no complaint about them, and
 * is only passed on.
 */
void vmm_jehost_conf_end(void);

/*
 * src/pages.c: false if the pages that jemalloc was built for are at least as large as
 * the system's. Otherwise, where jemalloc would have every malloc fail, ends the process.
 */
bool vmm_jehost_pages_boot(void);

/*
 * src/pages.c: what an errno value means, in `size` bytes; returns 0. jemalloc alone
 * asks strerror_r(3), which allocates in glibc 2.41, and that while it has its locks.
 */
int vmm_jehost_buferror(int errnum, char *buffer, size_t size);

/*
 * mmap(2) as that has it, with the offset that a build without large files has; ends the
 * process if it fails within vmm_jehost_pages_boot.
 */
void *vmm_jehost_mmap(void *address, size_t size, int protection, int flags,
    int fd, long offset);

/* munmap(2), madvise(2), mprotect(2), clock_gettime(2). */
int vmm_jehost_munmap(void *address, size_t size);
int vmm_jehost_madvise(void *address, size_t size, int advice);
int vmm_jehost_mprotect(void *address, size_t size, int protection);
int vmm_jehost_clock_gettime(clockid_t clock, struct timespec *time);

/* src/background_thread.c: for threads that the library never starts. Returns 0. */
int vmm_jehost_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attr);

/* src/sz.c: the tables of size classes, without the one that is aligned to 8 alone. */
void vmm_jehost_sz_boot(const struct sc_data_s *size_classes, bool is_cache_oblivious);

/*
 * src/mutex.c: only what is waited for, and what handlers of fork(2) take and release:
 * a lock that the forking thread has already, for a signal came in between, stays its own.
 */
int vmm_jehost_mutex_lock(pthread_mutex_t *mutex);
int vmm_jehost_mutex_unlock(pthread_mutex_t *mutex);

/* Hands jemalloc's handlers to fork.c. */
int vmm_jehost_pthread_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void));

/* The library never creates a thread: EAGAIN, and no other way found by name. */
int vmm_jehost_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*start)(void *), void *argument);
void *vmm_jehost_dlsym(void *handle, const char *name);

/* No memory but the pool's: fails as sbrk(2) does. */
void *vmm_jehost_sbrk(intptr_t increment);

/* src/extent_mmap.c: a range, at `wanted` if that is not NULL; NULL if none. */
void *vmm_jehost_extent_alloc(void *wanted, size_t size, size_t alignment,
    bool *is_zero, bool *is_committed);

/* src/extent_mmap.c and src/pages.c: the range back. False: done. */
bool vmm_jehost_extent_dalloc(void *address, size_t size);
void vmm_jehost_extent_destroy(void *address, size_t size);

/*
 * src/pac.c: a kept extent, or NULL. Not for the extent's sake, but as the moment at
 * which a pool that left its file at a fork(2) looks whether it can come back.
 */
struct edata_s *vmm_jehost_ecache_alloc(struct tsdn_s *tsdn, struct pac_s *pac,
    struct ehooks_s *ehooks, struct ecache_s *ecache, struct edata_s *expanded,
    size_t size, size_t alignment, bool is_zero, bool is_guarded);

/*
 * src/pac.c: an extent from the pool, or NULL. Before it returns NULL for a new extent,
 * what this thread and all arenas cache goes back to the pool, and it tries once more:
 * here, and not behind every entry point, so that malloc is no more than a jump. jemalloc
 * holds none of its locks on arenas then (it asserts so). Not while jemalloc starts.
 */
struct edata_s *vmm_jehost_ecache_alloc_grow(struct tsdn_s *tsdn,
    struct pac_s *pac, struct ehooks_s *ehooks, struct ecache_s *ecache,
    struct edata_s *expanded, size_t size, size_t alignment, bool is_zero,
    bool is_guarded);

/* src/pages.c: nothing to be done: false, success. */
bool vmm_jehost_pages_commit(void *address, size_t size);

/* src/pages.c: true is failure, upon which jemalloc does without. */
bool vmm_jehost_pages_decommit(void *address, size_t size);
bool vmm_jehost_pages_purge_lazy(void *address, size_t size);
bool vmm_jehost_pages_purge_forced(void *address, size_t size);

/*
 * tcache.c.
 *
 * src/tcache.c and src/tsd.c: what jemalloc asks for when a thread comes to it for
 * the first time. A thread that starts while the pool is full goes without a
 * cache, for good; jemalloc 5.3.0 alone would write through a null pointer, 5.3.1 says
 * so on stderr. The memory is not cleared, 64 KiB for each thread (tcache_init sets up
 * all that it reads).
 */
#if VMM_JEMALLOC < 50301
void *vmm_jehost_tcache_palloc(struct tsdn_s *tsdn, struct arena_s *arena,
    size_t size, size_t alignment, bool is_zero, struct tcache_s *tcache);
#else
void *vmm_jehost_tcache_palloc(struct tsdn_s *tsdn, struct arena_s *arena,
    size_t size, size_t alignment, bool is_zero, bool is_slab,
    struct tcache_s *tcache);
void vmm_jehost_tcache_say(const char *message);
#endif
bool vmm_jehost_tcache_init(struct tsd_s *tsd);

/* Whether this thread is being given its cache: nothing can be done with that yet. */
bool vmm_jehost_is_before_tcache(void);

/*
 * Whoever gives a thread its cache has this lock with jemalloc 5.3.0, since for a moment
 * there may be none for any. It comes before jemalloc's own locks.
 */
extern pthread_mutex_t vmm_jehost_tcache_lock;

/* This thread is given its cache, or is to go without for good, unless that is done. */
void vmm_jehost_tcache_begin(void);

/*
 * src/tcache.c: `count` blocks of one size for a thread's cache, or fewer: a thread
 * that is new to the size gets a few at first, and twice as many each time, since
 * what it does not use it will have to give back at its end. jemalloc 5.3.1 begins with
 * half of the cache, too, and learns only as time goes by.
 */
#if VMM_JEMALLOC < 50301
void vmm_jehost_bin_fill(struct tsdn_s *tsdn, struct arena_s *arena,
    struct cache_bin_s *cache_bin, struct cache_bin_info_s *cache_bin_info,
    unsigned bin, const unsigned count);
#else
uint16_t vmm_jehost_bin_fill(struct tsdn_s *tsdn, struct arena_s *arena,
    unsigned bin, struct cache_bin_ptr_array_s *blocks, const uint16_t least,
    const uint16_t most, struct cache_bin_stats_s stats);
#endif

/*
 * src/tcache.c: when a thread ends; with `is_all`, the arena's last one. What decays
 * never (dirty_decay_ms:-1) stays with the arena for the next thread even then.
 */
void vmm_jehost_tcache_decay(struct tsdn_s *tsdn, struct arena_s *arena,
    bool is_background_thread, bool is_all);

/*
 * Has all arenas give back to the pool what they keep for later. For when the
 * pool has run out; takes jemalloc's locks.
 */
void vmm_jehost_purge_arenas(void);

/*
 * The same, and what this thread caches, for good: the pool returns to the system
 * what it can. Keeps errno.
 */
void vmm_jehost_trim(void);

#endif
