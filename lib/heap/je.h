/* SPDX-License-Identifier: BSD-3-Clause */
/* je.h: declares functions and variables of the private jemalloc. */
#ifndef VMM_JE_H
#define VMM_JE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

/* jemalloc(3) documents each function under its name without `je_`. */
void *je_malloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *je_calloc(size_t count, size_t size)
    __attribute__((malloc, alloc_size(1, 2)));
void *je_aligned_alloc(size_t alignment, size_t size)
    __attribute__((malloc, alloc_size(2)));
void je_free(void *block);
size_t je_malloc_usable_size(void *block);

void *je_mallocx(size_t size, int flags)
    __attribute__((malloc, alloc_size(1)));
void *je_rallocx(void *block, size_t size, int flags)
    __attribute__((alloc_size(2)));
size_t je_xallocx(void *block, size_t size, size_t extra, int flags);
size_t je_sallocx(const void *block, int flags);
void je_dallocx(void *block, int flags);
void je_sdallocx(void *block, size_t size, int flags);
size_t je_nallocx(size_t size, int flags);
int je_mallctl(const char *name, void *old, size_t *old_length, void *new_value,
    size_t new_length);
int je_mallctlnametomib(const char *name, size_t *mib, size_t *mib_length);
int je_mallctlbymib(const size_t *mib, size_t mib_length, void *old,
    size_t *old_length, void *new_value, size_t new_length);
void je_malloc_stats_print(void (*write_cb)(void *, const char *),
    void *argument, const char *options);

extern const char *je_malloc_conf;               /* options that jemalloc reads first */
extern const char *je_malloc_conf_2_conf_harder; /* options that jemalloc reads last */
extern void (*je_malloc_message)(void *argument, const char *message);

/*
 * Internal functions and variables of jemalloc; jemalloc/host.h, foreign.c and profile.c say
 * what they are for. Types have jemalloc's names, so that the compiler can compare these
 * prototypes with jemalloc's headers (private-jemalloc.sh).
 */
struct arena_s;
struct cache_bin_s;
struct cache_bin_info_s;
struct ecache_s;
struct edata_s;
struct ehooks_s;
struct emap_s;
struct pac_s;
struct rtree_ctx_s;
struct rtree_leaf_elm_s;
struct rtree_s;
struct sc_data_s;
struct tcache_s;
struct tsd_s;
struct tsdn_s;

extern bool je_opt_tcache;
extern bool je_opt_prof;
extern ssize_t je_opt_dirty_decay_ms;
void je_arena_decay(struct tsdn_s *tsdn, struct arena_s *arena,
    bool is_background_thread, bool is_all);
bool je_pages_boot(void);
extern uint8_t je_sz_size2index_tab[];
void je_sz_boot(const struct sc_data_s *size_classes, bool is_cache_oblivious);
bool je_tsd_tcache_enabled_data_init(struct tsd_s *tsd);
#if VMM_JEMALLOC < 50301
/* sdallocx without flags, as jemalloc's operators delete call it: 3 instructions less. */
void je_je_sdallocx_noflags(void *block, size_t size);
#define je_free_sized je_je_sdallocx_noflags
void *je_arena_palloc(struct tsdn_s *tsdn, struct arena_s *arena, size_t size,
    size_t alignment, bool is_zero, struct tcache_s *tcache);
void je_arena_cache_bin_fill_small(struct tsdn_s *tsdn, struct arena_s *arena,
    struct cache_bin_s *cache_bin, struct cache_bin_info_s *cache_bin_info,
    unsigned bin, unsigned count);
#else
struct cache_bin_ptr_array_s;
/* The struct below is passed by value, so it needs jemalloc's definition. */
#ifndef JEMALLOC_INTERNAL_CACHE_BIN_H
struct cache_bin_stats_s {
	uint64_t nrequests;
};
#endif
uint16_t je_arena_ptr_array_fill_small(struct tsdn_s *tsdn, struct arena_s *arena,
    unsigned bin, struct cache_bin_ptr_array_s *blocks, const uint16_t least,
    const uint16_t most, struct cache_bin_stats_s stats);
void je_free_sized(void *block, size_t size);
void *je_arena_palloc(struct tsdn_s *tsdn, struct arena_s *arena, size_t size,
    size_t alignment, bool is_zero, bool is_slab, struct tcache_s *tcache);
#endif

extern struct emap_s je_arena_emap_global;
void je_rtree_ctx_data_init(struct rtree_ctx_s *context);
struct rtree_leaf_elm_s *je_rtree_leaf_elm_lookup_hard(struct tsdn_s *tsdn,
    struct rtree_s *tree, struct rtree_ctx_s *context, uintptr_t key,
    bool is_dependent, bool is_to_be_made);

struct edata_s *je_ecache_alloc(struct tsdn_s *tsdn, struct pac_s *pac,
    struct ehooks_s *ehooks, struct ecache_s *ecache, struct edata_s *expanded,
    size_t size, size_t alignment, bool is_zero, bool is_guarded);
struct edata_s *je_ecache_alloc_grow(struct tsdn_s *tsdn, struct pac_s *pac,
    struct ehooks_s *ehooks, struct ecache_s *ecache, struct edata_s *expanded,
    size_t size, size_t alignment, bool is_zero, bool is_guarded);

#pragma GCC visibility pop

#endif
