/* SPDX-License-Identifier: BSD-3-Clause */
/* lookup.h: whether a foreign block belongs to an extent of jemalloc. */
#ifndef VMM_LOOKUP_H
#define VMM_LOOKUP_H

#include <stdbool.h>

/*
 * Whether the page of `block` belongs to an extent of jemalloc. Outside the pool, that is an
 * extent that the program's own hooks allocated (jemalloc(3), arena.<i>.extent_hooks).
 * Accepts any address. Thread-safe, takes no lock, keeps errno.
 */
bool vmm_lookup_owns(const void *block);

#endif
