/* SPDX-License-Identifier: BSD-3-Clause */
/* tcache.c: the caches of the private jemalloc's threads, at their begin and end. */
#include "config.h"

#include <errno.h>

#include "heap/je.h"
#include "jemalloc/host.h"
#include "trace/log.h"

pthread_mutex_t vmm_jehost_tcache_lock = PTHREAD_MUTEX_INITIALIZER;

/* Whether this thread was given its cache, or is being given it. */
static __thread bool has_begun __attribute__((tls_model("initial-exec")));
static __thread bool is_before_tcache __attribute__((tls_model("initial-exec")));

bool
vmm_jehost_is_before_tcache(void)
{
	return is_before_tcache;
}

void
vmm_jehost_tcache_begin(void)
{
	if (!has_begun)
		je_free(je_malloc(1));
}

/* Bins in which a thread's fills are counted; jemalloc has 36 to 39 of them. */
#define NBINS 64
/*
 * jemalloc.syms has what this earns. First fills of 4 to 32 and fewer doublings win less,
 * or no more.
 */
#define FILL_FIRST 8U
#define FILL_DOUBLINGS 6

/* How many blocks of a size this thread takes this time; no more than `count`. */
static unsigned
fill_count(unsigned bin, unsigned count)
{
	static __thread unsigned char fills[NBINS]
	    __attribute__((tls_model("initial-exec")));
	unsigned few = count;

	if (bin < NBINS && fills[bin] < FILL_DOUBLINGS)
		few = FILL_FIRST << fills[bin]++;
	return few < count ? few : count;
}

#if VMM_JEMALLOC < 50301
/* Whether there was no memory for the cache that a thread is being given. */
static __thread bool has_no_tcache __attribute__((tls_model("initial-exec")));

void *
vmm_jehost_tcache_palloc(struct tsdn_s *tsdn, struct arena_s *arena, size_t size,
    size_t alignment, bool is_zero, struct tcache_s *tcache)
{
	/* Stacks of pointers, which are written before they are read. */
	void *block = je_arena_palloc(tsdn, arena, size, alignment,
	    is_zero && !is_before_tcache, tcache);

	has_no_tcache = block == NULL;
	return block;
}

bool
vmm_jehost_tcache_init(struct tsd_s *tsd)
{
	bool failed;

	has_begun = true;
	/* jemalloc reads je_opt_tcache twice, and must find the same both times. */
	pthread_mutex_lock(&vmm_jehost_tcache_lock);
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
	pthread_mutex_unlock(&vmm_jehost_tcache_lock);
	return failed;
}

void
vmm_jehost_bin_fill(struct tsdn_s *tsdn, struct arena_s *arena,
    struct cache_bin_s *cache_bin, struct cache_bin_info_s *cache_bin_info,
    unsigned bin, const unsigned count)
{
	je_arena_cache_bin_fill_small(tsdn, arena, cache_bin, cache_bin_info,
	    bin, fill_count(bin, count));
}
#else
void *
vmm_jehost_tcache_palloc(struct tsdn_s *tsdn, struct arena_s *arena, size_t size,
    size_t alignment, bool is_zero, bool is_slab, struct tcache_s *tcache)
{
	/* Stacks of pointers, which are written before they are read. */
	return je_arena_palloc(tsdn, arena, size, alignment,
	    is_zero && !is_before_tcache, is_slab, tcache);
}

bool
vmm_jehost_tcache_init(struct tsd_s *tsd)
{
	bool failed;

	has_begun = true;
	is_before_tcache = true;
	failed = je_tsd_tcache_enabled_data_init(tsd);
	is_before_tcache = false;
	return failed;
}

uint16_t
vmm_jehost_bin_fill(struct tsdn_s *tsdn, struct arena_s *arena, unsigned bin,
    struct cache_bin_ptr_array_s *blocks, const uint16_t least, const uint16_t most,
    struct cache_bin_stats_s stats)
{
	unsigned count = fill_count(bin, least);

	return je_arena_ptr_array_fill_small(tsdn, arena, bin, blocks,
	    (uint16_t)count, count < least ? (uint16_t)count : most, stats);
}

void
vmm_jehost_tcache_say(const char *message)
{
	(void)message;
}
#endif

void
vmm_jehost_tcache_decay(struct tsdn_s *tsdn, struct arena_s *arena,
    bool is_background_thread, bool is_all)
{
	je_arena_decay(tsdn, arena, is_background_thread,
	    is_all && je_opt_dirty_decay_ms >= 0);
}
