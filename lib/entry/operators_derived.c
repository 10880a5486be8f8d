/* SPDX-License-Identifier: BSD-3-Clause */
/* operators_derived.c: the C++ operators that the standard defines by other operators. */
#include "config.h"

#include "entry/operators.h"

/*
 * They are in a file of their own, so that their calls of other operators go through the
 * dynamic linker and reach an operator of the program if it has replaced the library's.
 */

VMM_EXPORT void *vmm_new_array(size_t size) __asm__(VMM_CXX(_Zna, ));
VMM_EXPORT void *
vmm_new_array(size_t size)
{
	if (VMM_LIKELY(vmm_new == vmm_own_new))
		return vmm_operators_allocate("operator new[]", size);
	return vmm_new(size);
}

VMM_EXPORT void *vmm_new_array_aligned(size_t size, size_t alignment)
    __asm__(VMM_CXX(_Zna, St11align_val_t));
VMM_EXPORT void *
vmm_new_array_aligned(size_t size, size_t alignment)
{
	if (VMM_LIKELY(vmm_new_aligned == vmm_own_new_aligned))
		return vmm_operators_allocate_aligned("operator new[]", size,
		    alignment);
	return vmm_new_aligned(size, alignment);
}

/*
 * By the standard, new (std::nothrow) calls operator new and catches its exception. While
 * there is memory there is no exception, so the library allocates the block itself. If memory
 * is missing, or the program has replaced operator new, it calls the C++ runtime's operator.
 */

static inline void *
new_nothrow(size_t size, const struct nothrow *tag, const char *symbol,
    const char *name)
{
	void *block = NULL;

	(void)name;
	if (VMM_LIKELY(vmm_new == vmm_own_new))
		block = vmm_guard_malloc(size);
	if (VMM_UNLIKELY(block == NULL))
		return ((void *(*)(size_t, const struct nothrow *))
			vmm_operators_runtime(symbol))(size, tag);
	VMM_LOG_CALL_AS(name, VMM_RESULT_POINTER(block), VMM_NUMBER(size));
	return block;
}

static inline void *
new_aligned_nothrow(size_t size, size_t alignment, const struct nothrow *tag,
    const char *symbol, const char *name)
{
	void *block = NULL;

	(void)name;
	if (VMM_LIKELY(vmm_new_aligned == vmm_own_new_aligned))
		block = vmm_entry_aligned(alignment, size);
	if (VMM_UNLIKELY(block == NULL))
		return ((void *(*)(size_t, size_t, const struct nothrow *))
			vmm_operators_runtime(symbol))(size, alignment, tag);
	VMM_LOG_CALL_AS(name, VMM_RESULT_POINTER(block), VMM_NUMBER(size),
	    VMM_NUMBER(alignment));
	return block;
}

#define NEW_NOTHROW(function, symbol, name)                                    \
	VMM_EXPORT void *function(size_t size, const struct nothrow *tag)      \
	    __asm__(symbol);                                                   \
	VMM_EXPORT void *function(size_t size, const struct nothrow *tag)      \
	{                                                                      \
		return new_nothrow(size, tag, symbol, name);                   \
	}

NEW_NOTHROW(vmm_new_nothrow, VMM_CXX(_Znw, RKSt9nothrow_t), "operator new")
NEW_NOTHROW(vmm_new_array_nothrow, VMM_CXX(_Zna, RKSt9nothrow_t),
    "operator new[]")

#define NEW_ALIGNED_NOTHROW(function, symbol, name)                            \
	VMM_EXPORT void *function(size_t size, size_t alignment,               \
	    const struct nothrow *tag) __asm__(symbol);                        \
	VMM_EXPORT void *function(size_t size, size_t alignment,               \
	    const struct nothrow *tag)                                         \
	{                                                                      \
		return new_aligned_nothrow(size, alignment, tag, symbol,       \
		    name);                                                     \
	}

NEW_ALIGNED_NOTHROW(vmm_new_aligned_nothrow,
    VMM_CXX(_Znw, St11align_val_tRKSt9nothrow_t), "operator new")
NEW_ALIGNED_NOTHROW(vmm_new_array_aligned_nothrow,
    VMM_CXX(_Zna, St11align_val_tRKSt9nothrow_t), "operator new[]")

VMM_EXPORT void
vmm_delete_array(void *block)
{
	if (VMM_LIKELY(vmm_delete == vmm_own_delete))
		vmm_operators_free("operator delete[]", block);
	else
		vmm_delete(block);
}
extern void vmm_own_delete_array(void *block)
    __attribute__((alias("_ZdaPv"), visibility("hidden")));

/*
 * With the size jemalloc saves a look-up. The size must be the requested one, so it is used
 * only if the program has not replaced the operators delete without a size.
 */

VMM_EXPORT void vmm_delete_sized(void *block, size_t size)
    __asm__(VMM_CXX(_ZdlPv, ));
VMM_EXPORT void
vmm_delete_sized(void *block, size_t size)
{
	if (VMM_LIKELY(vmm_delete == vmm_own_delete))
		vmm_operators_free_sized("operator delete", block, size);
	else
		vmm_delete(block);
}

VMM_EXPORT void vmm_delete_array_sized(void *block, size_t size)
    __asm__(VMM_CXX(_ZdaPv, ));
VMM_EXPORT void
vmm_delete_array_sized(void *block, size_t size)
{
	if (VMM_LIKELY(vmm_delete == vmm_own_delete &&
		vmm_delete_array == vmm_own_delete_array))
		vmm_operators_free_sized("operator delete[]", block, size);
	else
		vmm_delete_array(block);
}

/* These operators ignore the arguments behind the block: tags, alignments and sizes. */
#define DELETE_BY(other, function, name)                                       \
	VMM_EXPORT void function(void *block) __asm__(name);                   \
	VMM_EXPORT void function(void *block)                                  \
	{                                                                      \
		other(block);                                                  \
	}

DELETE_BY(vmm_delete, vmm_delete_nothrow, "_ZdlPvRKSt9nothrow_t")
DELETE_BY(vmm_delete_array, vmm_delete_array_nothrow, "_ZdaPvRKSt9nothrow_t")
DELETE_BY(vmm_delete_aligned, vmm_delete_aligned_nothrow,
    "_ZdlPvSt11align_val_tRKSt9nothrow_t")
DELETE_BY(vmm_delete_aligned, vmm_delete_aligned_sized,
    VMM_CXX(_ZdlPv, St11align_val_t))
DELETE_BY(vmm_delete_aligned, vmm_delete_array_aligned, "_ZdaPvSt11align_val_t")
DELETE_BY(vmm_delete_aligned, vmm_delete_array_aligned_nothrow,
    "_ZdaPvSt11align_val_tRKSt9nothrow_t")
DELETE_BY(vmm_delete_aligned, vmm_delete_array_aligned_sized,
    VMM_CXX(_ZdaPv, St11align_val_t))
