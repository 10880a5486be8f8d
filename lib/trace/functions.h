/* SPDX-License-Identifier: BSD-3-Clause */
/* functions.h: level 3 of the trace, which reports each function at its entry. */
#ifndef VMM_FUNCTIONS_H
#define VMM_FUNCTIONS_H

#include <stddef.h>

#include "trace/log.h"

/*
 * The debug variant compiles pool/, heap/ and jemalloc/ with -finstrument-functions: each
 * function calls __cyg_profile_func_enter first (gcc(1), "Program Instrumentation
 * Options"), which finds its name in this table. functions.awk generates the table.
 */
struct vmm_traced_function {
	const void *address; /* NULL if the function is not in this variant */
	struct vmm_log_place place;
};
extern const struct vmm_traced_function vmm_traced_functions[];
extern const size_t vmm_traced_count;

/* Called by the instrumented functions, in any thread. Keep errno. */
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

#endif
