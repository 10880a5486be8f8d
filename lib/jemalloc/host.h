/* SPDX-License-Identifier: BSD-3-Clause */
/* host.h: functions that the private jemalloc calls in place of libc's or of its own. */
#ifndef VMM_HOST_H
#define VMM_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "heap/je.h"

/*
 * jemalloc.syms makes jemalloc's objects call most of these functions. They have the
 * prototypes and the meaning of those that they replace; comments name jemalloc's source file.
 * Functions for extents are thread-safe and keep errno, which jemalloc's free does not save.
 */

/*
 * src/jemalloc.c: the first call of either starts the library. secure_getenv installs the
 * handler of jemalloc's messages. It returns the value of VMMALLOC_CONF for MALLOC_CONF, if
 * that is not empty, else NULL. readlink, for /etc/malloc.conf, returns options for this pool.
 */
char *vmm_jehost_secure_getenv(const char *name);
ssize_t vmm_jehost_readlink(const char *path, char *buffer, size_t size);

/*
 * Called after jemalloc has read its options. Before this call, messages of jemalloc, except
 * those of confirm_conf:true, report errors in VMMALLOC_CONF and end the process. All other
 * messages are only written to stderr or the trace.
 */
void vmm_jehost_conf_end(void);

/*
 * src/pages.c: returns false, which is success. If jemalloc was built for smaller pages than
 * the system's, every malloc would fail: then this function ends the process with a message.
 */
bool vmm_jehost_pages_boot(void);

/*
 * src/pages.c: writes the description of an errno value into `size` bytes; returns 0.
 * jemalloc would call strerror_r(3), which allocates in glibc 2.41, while it holds locks.
 */
int vmm_jehost_buferror(int errnum, char *buffer, size_t size);

/*
 * src/pages.c: mmap(2), with off_t as in a build without large file support. A failure
 * within vmm_jehost_pages_boot ends the process with a message.
 */
void *vmm_jehost_mmap(void *address, size_t size, int protection, int flags,
    int fd, long offset);

/* src/background_thread.c: clears the condition variable, which is never used. Returns 0. */
int vmm_jehost_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attr);

/* src/sz.c: sets up the table of size classes, and no size uses the class of 8 bytes. */
void vmm_jehost_sz_boot(const struct sc_data_s *size_classes, bool is_cache_oblivious);

/*
 * src/mutex.c: take a lock that is not free, and release a lock after fork(2). A lock that
 * the forking thread holds already, because a signal handler calls fork, remains held.
 */
int vmm_jehost_mutex_lock(pthread_mutex_t *mutex);
int vmm_jehost_mutex_unlock(pthread_mutex_t *mutex);

/* src/jemalloc.c: registers jemalloc's handlers, by vmm_fork_register. */
int vmm_jehost_pthread_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void));

/* The library never creates a thread: returns EAGAIN; dlsym finds no name. */
int vmm_jehost_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*start)(void *), void *argument);
void *vmm_jehost_dlsym(void *handle, const char *name);

/* No memory outside the pool: fails as sbrk(2) does. */
void *vmm_jehost_sbrk(intptr_t increment);

/* src/extent_mmap.c: returns a range, at `wanted` if that is not NULL; NULL on failure. */
void *vmm_jehost_extent_alloc(void *wanted, size_t size, size_t alignment,
    bool *is_zero, bool *is_committed);

/* src/extent_mmap.c: frees a range. Returns false, which is success. */
bool vmm_jehost_extent_dalloc(void *address, size_t size);

/*
 * src/pac.c: takes a step of the return after a fork(2), because each arena that needs an
 * extent calls this function. Then returns a free extent that the arena holds, or NULL.
 */
struct edata_s *vmm_jehost_ecache_alloc(struct tsdn_s *tsdn, struct pac_s *pac,
    struct ehooks_s *ehooks, struct ecache_s *ecache, struct edata_s *expanded,
    size_t size, size_t alignment, bool is_zero, bool is_guarded);

/*
 * src/pac.c: returns an extent from the pool, or NULL. Purges all arenas before the pool
 * grows by much. If there is no range for a new extent, flushes this thread's tcache, purges
 * all arenas and tries once more. Does neither while jemalloc initialises. All this is here,
 * not in the entry points, so that malloc is only a jump. jemalloc holds no locks of arenas
 * at that point (it asserts so).
 */
struct edata_s *vmm_jehost_ecache_alloc_grow(struct tsdn_s *tsdn,
    struct pac_s *pac, struct ehooks_s *ehooks, struct ecache_s *ecache,
    struct edata_s *expanded, size_t size, size_t alignment, bool is_zero,
    bool is_guarded);

/* src/pages.c: returns false, success, because ranges of the pool are always usable. */
bool vmm_jehost_pages_commit(void *address, size_t size);

/* src/pages.c: return true, failure; jemalloc works without them. */
bool vmm_jehost_pages_decommit(void *address, size_t size);
bool vmm_jehost_pages_purge_lazy(void *address, size_t size);
bool vmm_jehost_pages_purge_forced(void *address, size_t size);

/*
 * The following functions, up to vmm_jehost_tcache_decay, are in tcache.c.
 *
 * src/tcache.c and src/tsd.c: create a thread's tcache at its first call of jemalloc. A
 * thread that starts while the pool is full has no tcache, for good. jemalloc 5.3.0 would
 * write through a null pointer then, and 5.3.1 would print a message to stderr. The memory,
 * 64 KiB for each thread, is not cleared: jemalloc writes each part of it before reading it.
 */
#if VMM_JEMALLOC < 50301
void *vmm_jehost_tcache_palloc(struct tsdn_s *tsdn, struct arena_s *arena,
    size_t size, size_t alignment, bool is_zero, struct tcache_s *tcache);
#else
void *vmm_jehost_tcache_palloc(struct tsdn_s *tsdn, struct arena_s *arena,
    size_t size, size_t alignment, bool is_zero, bool is_slab,
    struct tcache_s *tcache);
void vmm_jehost_tcache_write(const char *message);
#endif
bool vmm_jehost_tcache_init(struct tsd_s *tsd);

/* Whether this thread's tcache is being created, and cannot be used yet. */
bool vmm_jehost_is_in_tcache_init(void);

/*
 * With jemalloc 5.3.0, vmm_jehost_tcache_init holds this lock, because it may switch off
 * tcaches for a moment, for all threads. It is taken before jemalloc's own locks.
 */
extern pthread_mutex_t vmm_jehost_tcache_lock;

/* Creates this thread's tcache, if that was not tried before. */
void vmm_jehost_tcache_begin(void);

/*
 * src/tcache.c: fills a tcache with up to `count` or `most` blocks of one size class. The
 * first fill of a class in a thread is small, and each further one is twice as large,
 * because a thread has to free unused blocks at its end. jemalloc itself begins with half of
 * the tcache; 5.3.1 adapts that, but only with time.
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
 * src/tcache.c: called when a thread ends, with `is_all` if it was the arena's last thread.
 * With dirty_decay_ms:-1 the arena even then keeps its free extents, for the next thread.
 */
void vmm_jehost_tcache_decay(struct tsdn_s *tsdn, struct arena_s *arena,
    bool is_background_thread, bool is_all);

/*
 * Purges all arenas for an allocation that follows: the pool keeps the pages in memory.
 * Takes jemalloc's locks. Thread-safe.
 */
void vmm_jehost_purge_arenas(void);

/*
 * Flushes this thread's tcache and purges all arenas: the pool releases the pages. Keeps
 * errno. Thread-safe.
 */
void vmm_jehost_trim(void);

#endif
