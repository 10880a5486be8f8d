/* SPDX-License-Identifier: BSD-3-Clause */
/* start.h: the one-time start, at the first allocation, whenever that comes. */
#ifndef VMM_INIT_H
#define VMM_INIT_H

#include "base/settings.h"

/*
 * Reads the environment and opens the pool, once; ends the process with a message
 * if that cannot be. Called by jemalloc's initialisation, which lets one thread
 * in. Allocates nothing. The settings stay as they are afterwards, but their
 * strings are the environment's: use them before the program runs.
 */
const struct vmm_settings *vmm_heap_start(void);

#ifdef VMMALLOC_DEBUG
/* The end of the trace, and the statistics, if they are wanted. Keeps errno. */
void vmm_heap_stop(void);
#endif

#endif
