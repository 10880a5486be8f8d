/* SPDX-License-Identifier: BSD-3-Clause */
/* operators.h: the C++ operators new and delete, by their mangled names. */
#ifndef VMM_OPERATORS_H
#define VMM_OPERATORS_H

#include <stddef.h>

#include "entry/entry.h"

/*
 * The Itanium C++ ABI, which gcc and clang follow, mangles size_t as `m`, or as `j` where
 * pointers have 32 bits. std::align_val_t is passed as a size_t, and a reference to
 * std::nothrow_t as a pointer.
 */
#if __SIZEOF_SIZE_T__ == 8
#define VMM_CXX(before, after) #before "m" #after
#else
#define VMM_CXX(before, after) #before "j" #after
#endif

struct nothrow;

/*
 * If a program replaces an operator of this list, others must do something else
 * (operators_derived.c). The C++ standard defines some by these ([new.delete]): they must call
 * the program's. A delete with a size may get a block of new_nothrow or new_array_nothrow: it
 * must not use the size, because the program's operator may have passed a larger one to malloc.
 */
VMM_EXPORT void *vmm_new(size_t size) __asm__(VMM_CXX(_Znw, ));
VMM_EXPORT void *vmm_new_array(size_t size) __asm__(VMM_CXX(_Zna, ));
VMM_EXPORT void *vmm_new_nothrow(size_t size, const struct nothrow *tag)
    __asm__(VMM_CXX(_Znw, RKSt9nothrow_t));
VMM_EXPORT void *vmm_new_array_nothrow(size_t size, const struct nothrow *tag)
    __asm__(VMM_CXX(_Zna, RKSt9nothrow_t));
VMM_EXPORT void *vmm_new_aligned(size_t size, size_t alignment)
    __asm__(VMM_CXX(_Znw, St11align_val_t));
VMM_EXPORT void *vmm_new_array_aligned(size_t size, size_t alignment)
    __asm__(VMM_CXX(_Zna, St11align_val_t));
VMM_EXPORT void vmm_delete(void *block) __asm__("_ZdlPv");
VMM_EXPORT void vmm_delete_array(void *block) __asm__("_ZdaPv");
VMM_EXPORT void vmm_delete_aligned(void *block, size_t alignment)
    __asm__("_ZdlPvSt11align_val_t");
VMM_EXPORT void vmm_delete_array_aligned(void *block, size_t alignment)
    __asm__("_ZdaPvSt11align_val_t");

/*
 * Aliases of the same functions that a program cannot replace. If the two addresses of an
 * operator differ, the program has replaced it.
 */
void *vmm_own_new(size_t size);
void *vmm_own_new_array(size_t size);
void *vmm_own_new_nothrow(size_t size, const struct nothrow *tag);
void *vmm_own_new_array_nothrow(size_t size, const struct nothrow *tag);
void *vmm_own_new_aligned(size_t size, size_t alignment);
void *vmm_own_new_array_aligned(size_t size, size_t alignment);
void vmm_own_delete(void *block);
void vmm_own_delete_array(void *block);
void vmm_own_delete_aligned(void *block, size_t alignment);
void vmm_own_delete_array_aligned(void *block, size_t alignment);
#define VMM_OPERATORS_ALIAS(name)                                              \
	__attribute__((alias(name), visibility("hidden")))

/*
 * Returns the operator of the program's C++ runtime with the mangled name `name`, for use
 * when there is no memory: that operator calls malloc again, calls the new_handler, and
 * throws or returns NULL ([new.delete.single]). Without a C++ runtime, aborts with a message.
 */
void *vmm_operators_runtime(const char *name);

/* Call the runtime's operator new. */
void *vmm_operators_new(size_t size);
void *vmm_operators_new_aligned(size_t size, size_t alignment);

/*
 * The library's own operators. `name` is for the trace. If the runtime's operator new
 * allocates the block, the trace has a line only for the malloc that this operator calls.
 */

static inline void *
vmm_operators_allocate(const char *name, size_t size)
{
	void *block = vmm_guard_malloc(size);

	(void)name;
	if (VMM_UNLIKELY(block == NULL))
		return vmm_operators_new(size);
	VMM_LOG_CALL_AS(name, VMM_RESULT_POINTER(block), VMM_NUMBER(size));
	return block;
}

static inline void *
vmm_operators_allocate_aligned(const char *name, size_t size, size_t alignment)
{
	void *block = vmm_entry_aligned(alignment, size);

	(void)name;
	if (VMM_UNLIKELY(block == NULL))
		return vmm_operators_new_aligned(size, alignment);
	VMM_LOG_CALL_AS(name, VMM_RESULT_POINTER(block), VMM_NUMBER(size),
	    VMM_NUMBER(alignment));
	return block;
}

static inline void
vmm_operators_free(const char *name, void *block)
{
	(void)name;
	VMM_LOG_CALL_VOID_AS(name, VMM_POINTER(block));
	vmm_entry_free(block);
}

static inline void
vmm_operators_free_sized(const char *name, void *block, size_t size)
{
	(void)name;
	VMM_LOG_CALL_VOID_AS(name, VMM_POINTER(block), VMM_NUMBER(size));
	vmm_entry_free_sized(block, size);
}

#endif
