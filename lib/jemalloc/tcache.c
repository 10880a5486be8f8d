/* SPDX-License-Identifier: BSD-3-Clause */
/* tcache.c: the tcaches of threads: creation, fills, and the end of a thread. */
#include "config.h"

#include <errno.h>

#include "heap/je.h"
#include "jemalloc/host.h"
#include "trace/log.h"

pthread_mutex_t vmm_jehost_tcache_lock = PTHREAD_MUTEX_INITIALIZER;

/* Whether the creation of this thread's tcache has begun, and whether it is going on. */
static __thread bool was_begun __attribute__((tls_model("initial-exec")));
static __thread bool is_in_tcache_init __attribute__((tls_model("initial-exec")));

bool
vmm_jehost_is_in_tcache_init(void)
{
	return is_in_tcache_init;
}

void
vmm_jehost_tcache_begin(void)
{
	if (!was_begun)
		je_free(je_malloc(1));
}

/* Size classes whose fills are counted; jemalloc has 36 to 39 small ones. */
#define NBINS 64
/*
 * jemalloc.syms says how many instructions these values save. Other first fills from 4 to 32
 * blocks, and fewer doublings, were measured, too: none saves more.
 */
#define FILL_FIRST 8U
#define FILL_DOUBLINGS 6

/*
 * Returns the number of blocks for this fill, at most `count`. Each call doubles it for the
 * next fill of the size class by this thread, up to FILL_DOUBLINGS times.
 */
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
/* There was no memory for this thread's tcache. */
static __thread bool was_refused __attribute__((tls_model("initial-exec")));

void *
vmm_jehost_tcache_palloc(struct tsdn_s *tsdn, struct arena_s *arena, size_t size,
    size_t alignment, bool is_zero, struct tcache_s *tcache)
{
	/* No zeroing: a tcache is stacks of pointers, which are written before read. */
	void *block = je_arena_palloc(tsdn, arena, size, alignment,
	    is_zero && !is_in_tcache_init, tcache);

	was_refused = block == NULL;
	return block;
}

bool
vmm_jehost_tcache_init(struct tsd_s *tsd)
{
	bool failed;

	was_begun = true;
	/* jemalloc reads je_opt_tcache twice and must find the same value both times. */
	pthread_mutex_lock(&vmm_jehost_tcache_lock);
	is_in_tcache_init = true;
	was_refused = false;
	failed = je_tsd_tcache_enabled_data_init(tsd);
	if (was_refused) {
		/* Try again with tcaches off; they were on, as palloc was called. */
		je_opt_tcache = false;
		failed = je_tsd_tcache_enabled_data_init(tsd);
		je_opt_tcache = true;
	}
	is_in_tcache_init = false;
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
	/* No zeroing: a tcache is stacks of pointers, which are written before read. */
	return je_arena_palloc(tsdn, arena, size, alignment,
	    is_zero && !is_in_tcache_init, is_slab, tcache);
}

bool
vmm_jehost_tcache_init(struct tsd_s *tsd)
{
	bool failed;

	was_begun = true;
	is_in_tcache_init = true;
	failed = je_tsd_tcache_enabled_data_init(tsd);
	is_in_tcache_init = false;
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
vmm_jehost_tcache_write(const char *message)
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
