/* SPDX-License-Identifier: BSD-3-Clause */
/* start.h: reads the settings and opens the pool, once, at the first allocation. */
#ifndef VMM_START_H
#define VMM_START_H

#include "base/settings.h"

/*
 * Reads the environment and opens the pool at the first call; ends the process with a
 * message if that fails. Returns the settings. Not thread-safe: jemalloc's initialisation
 * calls it, in one thread. Allocates nothing. The settings never change, but their strings
 * belong to the environment, which the program may change as soon as it runs.
 */
const struct vmm_settings *vmm_heap_start(void);

#ifdef VMMALLOC_DEBUG
/* Writes the statistics if VMMALLOC_LOG_STATS=1; traces "pool closed". Keeps errno. */
void vmm_heap_stop(void);
#endif

#endif
