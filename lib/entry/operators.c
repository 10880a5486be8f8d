/* SPDX-License-Identifier: BSD-3-Clause */
/* operators.c: the C++ operators that define the others, and access to the C++ runtime's. */
#include "config.h"

#include <dlfcn.h>

#include "entry/operators.h"
#include "trace/fatal.h"

void *
vmm_operators_runtime(const char *name)
{
	/* RTLD_NEXT misses the runtime of a library opened with RTLD_LOCAL: use names. */
	static const char *const runtimes[] = {
		"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"
	};
	void *function = dlsym(RTLD_NEXT, name);

	for (size_t i = 0; function == NULL &&
	     i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		void *runtime = dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD);

		if (runtime != NULL)
			function = dlsym(runtime, name);
	}
	if (function == NULL)
		vmm_fatal_abort("no memory for operator new, and no C++ "
		    "runtime found that could say so");
	return function;
}

void *
vmm_operators_new(size_t size)
{
	return ((void *(*)(size_t))vmm_operators_runtime(
	    VMM_CXX(_Znw, )))(size);
}

void *
vmm_operators_new_aligned(size_t size, size_t alignment)
{
	return ((void *(*)(size_t, size_t))vmm_operators_runtime(
	    VMM_CXX(_Znw, St11align_val_t)))(size, alignment);
}

VMM_EXPORT void *
vmm_new(size_t size)
{
	return vmm_operators_allocate("operator new", size);
}

VMM_EXPORT void *
vmm_new_aligned(size_t size, size_t alignment)
{
	return vmm_operators_allocate_aligned("operator new", size, alignment);
}

VMM_EXPORT void
vmm_delete(void *block)
{
	vmm_operators_free("operator delete", block);
}

VMM_EXPORT void
vmm_delete_aligned(void *block, size_t alignment)
{
	(void)alignment;
	vmm_own_delete(block);
}

extern void *vmm_own_new(size_t size) VMM_OPERATORS_ALIAS(VMM_CXX(_Znw, ));
extern void *vmm_own_new_aligned(size_t size, size_t alignment)
    VMM_OPERATORS_ALIAS(VMM_CXX(_Znw, St11align_val_t));
extern void vmm_own_delete(void *block) VMM_OPERATORS_ALIAS("_ZdlPv");
extern void vmm_own_delete_aligned(void *block, size_t alignment)
    VMM_OPERATORS_ALIAS("_ZdlPvSt11align_val_t");
