/* SPDX-License-Identifier: BSD-3-Clause */
/* functions.h: the functions whose entry level 3 of the trace reports. */
#ifndef VMM_FUNCTIONS_H
#define VMM_FUNCTIONS_H

#include <stddef.h>

#include "trace/log.h"

/*
 * The debug variant of pool/, heap/ and jemalloc/ is compiled with -finstrument-functions:
 * each function calls __cyg_profile_func_enter first (gcc(1), "Program Instrumentation
 * Options"), which looks for its name here. functions.awk makes the table.
 */
struct vmm_traced_function {
	const void *address; /* NULL: not in this variant */
	struct vmm_log_place place;
};
extern const struct vmm_traced_function vmm_traced_functions[];
extern const size_t vmm_traced_count;

/* Called by the compiler's instrumentation. Any thread; errno stays. */
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

#endif
