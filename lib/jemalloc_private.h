/* SPDX-License-Identifier: BSD-3-Clause */
/* jemalloc_private.h: what the private copy of jemalloc offers (see jemalloc(3)). */
#ifndef VMM_JEMALLOC_PRIVATE_H
#define VMM_JEMALLOC_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

/* Each does, and returns, what jemalloc(3) says of the name without `je_`. */
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

/* Configuration that jemalloc reads at its start, before and after all other. */
extern const char *je_malloc_conf;
extern const char *je_malloc_conf_2_conf_harder;

/* Of its internals: see jehost.h for why. */
extern bool je_opt_tcache;
extern bool je_opt_prof;
/* What its operators delete call: sdallocx without flags, 3 instructions less. */
void je_je_sdallocx_noflags(void *block, size_t size);
void je_arena_cache_bin_fill_small(void *tsdn, void *arena, void *cache_bin,
    void *cache_bin_info, unsigned bin, unsigned count);
extern ssize_t je_opt_dirty_decay_ms;
void je_arena_decay(void *tsdn, void *arena, bool is_background_thread, bool is_all);
bool je_pages_boot(void);
extern uint8_t je_sz_size2index_tab[];
void je_sz_boot(const void *size_classes, bool is_cache_oblivious);
bool je_tsd_tcache_enabled_data_init(void *tsd);
void *je_arena_palloc(void *tsdn, void *arena, size_t size, size_t alignment,
    bool is_zero, void *tcache);

void *je_ecache_alloc(void *tsdn, void *pac, void *ehooks, void *ecache,
    void *expanded, size_t size, size_t alignment, bool is_zero,
    bool is_guarded);
void *je_ecache_alloc_grow(void *tsdn, void *pac, void *ehooks, void *ecache,
    void *expanded, size_t size, size_t alignment, bool is_zero,
    bool is_guarded);

#pragma GCC visibility pop

#endif
