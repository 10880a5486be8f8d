/* SPDX-License-Identifier: BSD-3-Clause */
/* lookup.h: whether a block outside the pool is jemalloc's. */
#ifndef VMM_LOOKUP_H
#define VMM_LOOKUP_H

#include <stdbool.h>

/*
 * Whether jemalloc has an extent at that page. Outside the pool, that is an extent which the
 * program's own hooks allocated (jemalloc(3), arena.<i>.extent_hooks). Accepts any address.
 * Thread-safe, takes no lock, keeps errno.
 */
bool vmm_lookup_owns(const void *block);

#endif
