/* SPDX-License-Identifier: BSD-3-Clause */
/* jehost.c: what the private jemalloc asks of the system, answered by the pool. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "block.h"
#include "fatal.h"
#include "fork.h"
#include "init.h"
#include "jehost.h"
#include "jemalloc_private.h"
#include "log.h"
#include "os.h"
#include "pool.h"
#include "text.h"

/*
 * jemalloc reads its configuration from five places, each overruling those
 * before it (jemalloc(3), TUNING): the first two and the last are symbols, and
 * belong to the library; the third is a symbolic link, in whose place stands
 * what depends on the pool; the fourth is the environment, the user's.
 *
 * What is behind each is what bench/run --conf says of the alternative, on two cores
 * (bench/RESULTS.md): time, if not said otherwise.
 *
 * retain:false            An arena gives back what it does not need; kept, it
 *                         would be lost to the other arenas of a pool that cannot
 *                         grow. true: large 1.8, grow 1.06; memory 1.7 and 1.06.
 * oversize_threshold:0    No arena of their own for large blocks, which would
 *                         purge each at once. 8 MiB: born 1.08, the rest alike.
 * dirty_decay_ms:-1       Free ranges stay with their arena until the pool runs out,
 *                         or is to grow. 10 s: large 18, born 1.6.
 * muzzy_decay_ms:0        Who would rather have the system get them back sets it
 *                         otherwise: the pool returns what it is given.
 * lg_tcache_nslots_mul:2, tcache_nslots_small_max:600, tcache_gc_incr_bytes:262144
 *                         Threads cache up to three times as many small blocks, and
 *                         look through them a fourth as often. jemalloc's own 1,
 *                         200, 65536: churn 1.04, c++ 1.03 of the instructions. What
 *                         short-lived threads would pay for it, vmm_jehost_bin_fill
 *                         saves.
 *
 * Left as jemalloc has them, since what was tried made no difference: metadata_thp
 * (auto), and narenas (1, 2) but for small pools (see arena_count).
 */
const char *je_malloc_conf =
    "retain:false,oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:0,"
    "lg_tcache_nslots_mul:2,tcache_nslots_small_max:600,"
    "tcache_gc_incr_bytes:262144";

/*
 * What a user cannot change, since it would take memory from elsewhere (dss, hpa),
 * create threads, or break what the entry points promise (zero_realloc).
 */
const char *je_malloc_conf_2_conf_harder =
    "dss:disabled,hpa:false,background_thread:false,zero_realloc:free";

/*
 * An arena of this size still packs well: it keeps a slab of each small size, and
 * free ranges that others cannot use until the pool runs out.
 */
#define POOL_BYTES_PER_ARENA ((size_t)16 << 20)
#define ARENAS_PER_CPU 4 /* jemalloc's own default */

static size_t
arena_count(void)
{
	size_t by_pool = vmm_pool_span.size / POOL_BYTES_PER_ARENA;
	size_t by_cpu = (size_t)vmm_os_cpu_count() * ARENAS_PER_CPU;
	size_t count = by_pool < by_cpu ? by_pool : by_cpu;

	return count > 0 ? count : 1;
}

ssize_t
vmm_jehost_readlink(const char *path, char *buffer, size_t size)
{
	VMM_LOG_ENTER();
	struct vmm_text conf;

	(void)path;
	vmm_init_start();
	vmm_text_clear(&conf);
	vmm_text_str(&conf, "narenas:");
	vmm_text_uint(&conf, arena_count());
	if (conf.length > size)
		return 0;
	memcpy(buffer, conf.data, conf.length);
	return (ssize_t)conf.length;
}

char *
vmm_jehost_secure_getenv(const char *name)
{
	VMM_LOG_ENTER();
	const struct vmm_settings *settings = vmm_init_start();

	if (strcmp(name, "MALLOC_CONF") != 0 || *settings->conf == '\0')
		return NULL;
	return (char *)(uintptr_t)settings->conf;
}

/* While jemalloc looks at the system's pages: it writes to one that it did not get. */
static bool is_in_pages_boot;

void *
vmm_jehost_mmap(void *address, size_t size, int protection, int flags, int fd,
    long offset)
{
	VMM_LOG_ENTER();
	void *map = vmm_os_mmap(address, size, protection, flags, fd, offset);
	struct vmm_text error;

	if (map != MAP_FAILED || !is_in_pages_boot)
		return map;
	vmm_text_clear(&error);
	vmm_text_str(&error, "Error (libvmmalloc): no memory to start with: ");
	vmm_text_errno(&error, errno);
	vmm_text_str(&error, "\nlibvmmalloc: some ordinary memory is needed"
	    " besides the pool (ulimit -v, ulimit -d)\n");
	vmm_fatal_setup(&error);
}

int
vmm_jehost_buferror(int errnum, char *buffer, size_t size)
{
	VMM_LOG_ENTER();
	struct vmm_text text;
	size_t length;

	vmm_text_clear(&text);
	vmm_text_errno(&text, errnum);
	length = text.length < size ? text.length : size - 1;
	memcpy(buffer, text.data, length);
	buffer[length] = '\0';
	return 0;
}

bool
vmm_jehost_pages_boot(void)
{
	VMM_LOG_ENTER();
	struct vmm_text error;
	bool failed;

	is_in_pages_boot = true;
	failed = je_pages_boot();
	is_in_pages_boot = false;
	if (!failed)
		return false;
	vmm_text_clear(&error);
	vmm_text_str(&error, "Error (libvmmalloc): the library is built for"
	    " smaller pages of memory than this system's, of ");
	vmm_text_uint(&error, vmm_os_page_size());
	vmm_text_str(&error, " bytes\nlibvmmalloc: build it with a jemalloc that"
	    " is configured with --with-lg-page\n");
	vmm_fatal_setup(&error);
}

/*
 * jemalloc's smallest class, of 8 bytes, is aligned to 8 bytes only. It finds classes
 * up to a page in a table, by the size in units of 8 bytes, rounded up: here sizes up
 * to 8 get the class of 16, in every way at once, as no test at each malloc would.
 */
void
vmm_jehost_sz_boot(const void *size_classes, bool is_cache_oblivious)
{
	VMM_LOG_ENTER();
	je_sz_boot(size_classes, is_cache_oblivious);
	je_sz_size2index_tab[0] = je_sz_size2index_tab[1] =
	    je_sz_size2index_tab[VMM_BLOCK_ALIGNMENT / 8];
}

/*
 * Whoever gives a thread its cache has this, since for a moment there may be none for
 * any: see vmm_jehost_tcache_init. Comes before jemalloc's locks.
 */
static pthread_mutex_t tcache_lock = PTHREAD_MUTEX_INITIALIZER;

/* Whether this thread was given its cache, or is being given it; whether it has the lock. */
static __thread bool has_begun __attribute__((tls_model("initial-exec")));
static __thread bool is_before_tcache __attribute__((tls_model("initial-exec")));

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
	uint64_t begin_us;
	uint64_t patience_us; /* after that it goes on without what others have */
} forking __attribute__((tls_model("initial-exec")));

/* How long a lock may have no owner while another thread takes or releases it. */
#define UNOWNED_US 200000
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

/*
 * Takes a lock for fork(2), or notes why not. glibc notes the owner of each mutex, but a
 * signal may come between the lock and the note: then it has no owner, for good where
 * there is one thread, or for longer than others need.
 */
static void
take_lock(pthread_mutex_t *mutex)
{
#ifdef __GLIBC__
	const volatile int *owner = &mutex->__data.__owner;
	uint64_t begin_us = vmm_os_now_us();

	while (pthread_mutex_trylock(mutex) != 0) {
		uint64_t now_us = vmm_os_now_us();

		if (*owner == vmm_os_thread() || (*owner == 0 &&
			(!vmm_os_has_threads() || now_us - begin_us > UNOWNED_US))) {
			add_lock(&forking.own, mutex);
			return;
		}
		if (*owner != 0 && now_us - forking.begin_us > forking.patience_us) {
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
	VMM_LOG_ENTER();
	if (!vmm_fork_takes_locks())
		return pthread_mutex_lock(mutex);
	take_lock(mutex);
	return 0;
}

int
vmm_jehost_mutex_unlock(pthread_mutex_t *mutex)
{
	VMM_LOG_ENTER();
	if (has_lock(&forking.own, mutex) || has_lock(&forking.missing, mutex))
		return 0;
	return pthread_mutex_unlock(mutex);
}

/* Takes all locks. False if that can never be, or there are too many to note. */
static bool
before_fork(void)
{
	/* This thread is to have its cache, or to go without, when it takes the lock. */
	if (!has_begun)
		je_free(je_malloc(1));
	for (forking.patience_us = PATIENCE_US;; forking.patience_us *= 2) {
		forking.own.count = forking.missing.count = 0;
		forking.begin_us = vmm_os_now_us();
		take_lock(&tcache_lock);
		own_handlers.prepare();
		if (forking.missing.count == 0)
			return true;
		if (forking.own.count > 0)
			return false;
		/* Nothing was interrupted: others take their time, and get it. */
		own_handlers.parent();
		vmm_jehost_mutex_unlock(&tcache_lock);
	}
}

static void
in_parent(void)
{
	own_handlers.parent();
	vmm_jehost_mutex_unlock(&tcache_lock);
	forking.own.count = forking.missing.count = 0;
}

static bool
in_child(void)
{
	bool was_interrupted = forking.own.count > 0;

	/* All locks of jemalloc's are new after this. */
	own_handlers.child();
	vmm_jehost_mutex_unlock(&tcache_lock);
	for (size_t i = 0; i < forking.own.count; i++) {
		if (forking.own.list[i] != &tcache_lock)
			pthread_mutex_lock(forking.own.list[i]);
	}
	forking.own.count = forking.missing.count = 0;
	return was_interrupted;
}

int
vmm_jehost_pthread_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void))
{
	VMM_LOG_ENTER();
	const struct vmm_fork_allocator with_lock = {
		before_fork, in_parent, in_child, vmm_jehost_purge_arenas
	};
	enum vmm_fork kind = vmm_init_start()->fork;
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

int
vmm_jehost_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*start)(void *), void *argument)
{
	VMM_LOG_ENTER();
	(void)thread;
	(void)attr;
	(void)start;
	(void)argument;
	return EAGAIN;
}

void *
vmm_jehost_dlsym(void *handle, const char *name)
{
	VMM_LOG_ENTER();
	(void)handle;
	(void)name;
	return NULL;
}

void *
vmm_jehost_sbrk(intptr_t increment)
{
	VMM_LOG_ENTER();
	(void)increment;
	return (void *)-1;
}

void *
vmm_jehost_extent_alloc(void *wanted, size_t size, size_t alignment,
    bool *is_zero, bool *is_committed)
{
	VMM_LOG_ENTER();
	void *range = vmm_pool_take(wanted, size, alignment, is_zero);

	if (range != NULL)
		*is_committed = true;
	return range;
}

void *
vmm_jehost_ecache_alloc(void *tsdn, void *pac, void *ehooks, void *ecache,
    void *expanded, size_t size, size_t alignment, bool is_zero, bool is_guarded)
{
	VMM_LOG_ENTER();
	if (vmm_pool_return())
		vmm_jehost_purge_arenas();
	return je_ecache_alloc(tsdn, pac, ehooks, ecache, expanded, size,
	    alignment, is_zero, is_guarded);
}

/* Whether there was no memory for the cache that a thread is being given. */
static __thread bool has_no_tcache __attribute__((tls_model("initial-exec")));

void *
vmm_jehost_ecache_alloc_grow(void *tsdn, void *pac, void *ehooks, void *ecache,
    void *expanded, size_t size, size_t alignment, bool is_zero, bool is_guarded)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;
	void *extent;

	/* Before the pool grows by much: what arenas keep may do instead. */
	if (expanded == NULL && vmm_pool_outgrows(size)) {
		vmm_jehost_purge_arenas();
		errno = saved_errno;
	}
	extent = je_ecache_alloc_grow(tsdn, pac, ehooks, ecache, expanded, size,
	    alignment, is_zero, is_guarded);

	/* What cannot grow in place moves, and comes here again. */
	if (extent != NULL || expanded != NULL || size >= vmm_pool_span.size)
		return extent;
	if (!is_before_tcache)
		je_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	vmm_jehost_purge_arenas();
	errno = saved_errno;
	return je_ecache_alloc_grow(tsdn, pac, ehooks, ecache, expanded, size,
	    alignment, is_zero, is_guarded);
}

bool
vmm_jehost_extent_dalloc(void *address, size_t size)
{
	VMM_LOG_ENTER();
	vmm_pool_give(address, size);
	return false;
}

void
vmm_jehost_extent_destroy(void *address, size_t size)
{
	VMM_LOG_ENTER();
	vmm_pool_give(address, size);
}

bool
vmm_jehost_pages_commit(void *address, size_t size)
{
	VMM_LOG_ENTER();
	(void)address;
	(void)size;
	return false;
}

bool
vmm_jehost_pages_decommit(void *address, size_t size)
{
	VMM_LOG_ENTER();
	(void)address;
	(void)size;
	return true;
}

/*
 * MADV_DONTNEED, which these stand for, would bring the old contents of a shared
 * file mapping back instead of zeroes (madvise(2)); jemalloc then zeroes itself.
 */
bool
vmm_jehost_pages_purge_lazy(void *address, size_t size)
{
	VMM_LOG_ENTER();
	(void)address;
	(void)size;
	return true;
}

bool
vmm_jehost_pages_purge_forced(void *address, size_t size)
{
	VMM_LOG_ENTER();
	(void)address;
	(void)size;
	return true;
}

void
vmm_jehost_purge_arenas(void)
{
	VMM_LOG_ENTER();
	vmm_pool_keep_begin();
	/* 4096 stands for all arenas (jemalloc(3), MALLCTL_ARENAS_ALL). */
	je_mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
	vmm_pool_keep_end();
}

void
vmm_jehost_trim(void)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;

	je_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	je_mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
	errno = saved_errno;
}

void *
vmm_jehost_tcache_palloc(void *tsdn, void *arena, size_t size,
    size_t alignment, bool is_zero, void *tcache)
{
	VMM_LOG_ENTER();
	/* Stacks of pointers, which are written before they are read. */
	void *block = je_arena_palloc(tsdn, arena, size, alignment,
	    is_zero && !is_before_tcache, tcache);

	has_no_tcache = block == NULL;
	return block;
}

bool
vmm_jehost_tcache_init(void *tsd)
{
	VMM_LOG_ENTER();
	bool failed;

	has_begun = true;
	/* jemalloc reads je_opt_tcache twice, and must find the same both times. */
	pthread_mutex_lock(&tcache_lock);
	is_before_tcache = true;
	has_no_tcache = false;
	failed = je_tsd_tcache_enabled_data_init(tsd);
	if (has_no_tcache) {
		/* Again, with caches off. They were on, or none would have been asked for. */
		je_opt_tcache = false;
		failed = je_tsd_tcache_enabled_data_init(tsd);
		je_opt_tcache = true;
	}
	is_before_tcache = false;
	pthread_mutex_unlock(&tcache_lock);
	return failed;
}

void
vmm_jehost_tcache_decay(void *tsdn, void *arena, bool is_background_thread,
    bool is_all)
{
	VMM_LOG_ENTER();
	je_arena_decay(tsdn, arena, is_background_thread,
	    is_all && je_opt_dirty_decay_ms >= 0);
}

/* Bins in which a thread's fills are counted; jemalloc has 36 to 39 of them. */
#define NBINS 64
/*
 * born, a thread for each 1100 blocks: 0.66 of the instructions of filling as jemalloc
 * does (half of the cache at once), larson 0.75, churn 1.00. First fills of 4 to 32
 * and fewer doublings win less, or no more.
 */
#define FILL_FIRST 8U
#define FILL_DOUBLINGS 6

void
vmm_jehost_bin_fill(void *tsdn, void *arena, void *cache_bin,
    void *cache_bin_info, unsigned bin, unsigned count)
{
	VMM_LOG_ENTER();
	static __thread unsigned char fills[NBINS]
	    __attribute__((tls_model("initial-exec")));

	if (bin < NBINS && fills[bin] < FILL_DOUBLINGS) {
		unsigned few = FILL_FIRST << fills[bin]++;

		if (few < count)
			count = few;
	}
	je_arena_cache_bin_fill_small(tsdn, arena, cache_bin, cache_bin_info,
	    bin, count);
}
