/* SPDX-License-Identifier: BSD-3-Clause */
/* functions.c: level 3 of the trace, which reports each function at its entry. */
#include "config.h"

#include "trace/log.h"

#ifdef VMMALLOC_DEBUG

/* Called by the instrumented functions, in any thread. Both keep errno. */
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

void
__cyg_profile_func_enter(void *function, void *caller)
{
	(void)caller;
	if (!VMM_LOG_IS(VMM_LOG_FUNCTIONS))
		return;
	for (size_t i = 0; i < vmm_traced_count; i++) {
		if (vmm_traced_functions[i].address == function) {
			vmm_log_enter(&vmm_traced_functions[i].place);
			return;
		}
	}
}

void
__cyg_profile_func_exit(void *function, void *caller)
{
	(void)function;
	(void)caller;
}

#endif
