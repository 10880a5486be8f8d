/* SPDX-License-Identifier: BSD-3-Clause */
/* operators.h: C++ operators new and delete by their names in the C++ ABI. */
#ifndef VMM_OPERATORS_H
#define VMM_OPERATORS_H

#include <stddef.h>

#include "entry/entry.h"

/*
 * The Itanium C++ ABI, which gcc and clang follow, writes size_t as `m` or, where
 * pointers have 32 bits, as `j`; std::align_val_t is a size_t, and a reference to
 * std::nothrow_t a pointer, of which only the type matters.
 */
#if __SIZEOF_SIZE_T__ == 8
#define VMM_CXX(before, after) #before "m" #after
#else
#define VMM_CXX(before, after) #before "j" #after
#endif

struct nothrow;

/*
 * The operators in terms of which the standard defines the others
 * ([new.delete]): a program that replaces one of these replaces those as well.
 */
VMM_EXPORT void *vmm_new(size_t size) __asm__(VMM_CXX(_Znw, ));
VMM_EXPORT void *vmm_new_aligned(size_t size, size_t alignment)
    __asm__(VMM_CXX(_Znw, St11align_val_t));
VMM_EXPORT void vmm_delete(void *block) __asm__("_ZdlPv");
VMM_EXPORT void vmm_delete_array(void *block) __asm__("_ZdaPv");
VMM_EXPORT void vmm_delete_aligned(void *block)
    __asm__("_ZdlPvSt11align_val_t");

/*
 * The same functions under names that no program can replace: by these others
 * learn whether the program did.
 */
void *vmm_own_new(size_t size);
void *vmm_own_new_aligned(size_t size, size_t alignment);
void vmm_own_delete(void *block);
void vmm_own_delete_array(void *block);

/*
 * The operator `name` of the C++ runtime that the program brought along, for when
 * there is no memory: it asks our malloc once more, calls the new_handler, and
 * throws or returns NULL ([new.delete.single]). Aborts, with a message, in a
 * program without one. Never returns NULL.
 */
void *vmm_operators_runtime(const char *name);

/* The same, of operator new alone, called. */
void *vmm_operators_new(size_t size);
void *vmm_operators_new_aligned(size_t size, size_t alignment);

/*
 * What the operators do by themselves. `name` is for the trace, which has no line for
 * a block that the runtime had to find: there is one for the malloc that it called.
 */

static inline void *
vmm_operators_get(const char *name, size_t size)
{
	void *block = vmm_guard_malloc(size);

	(void)name;
	if (VMM_UNLIKELY(block == NULL))
		return vmm_operators_new(size);
	VMM_LOG_CALL_AS(name, VMM_RESULT_POINTER(block), VMM_NUMBER(size));
	return block;
}

static inline void *
vmm_operators_get_aligned(const char *name, size_t size, size_t alignment)
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
vmm_operators_give(const char *name, void *block)
{
	(void)name;
	VMM_LOG_CALL_VOID_AS(name, VMM_POINTER(block));
	vmm_entry_free(block);
}

static inline void
vmm_operators_give_sized(const char *name, void *block, size_t size)
{
	(void)name;
	VMM_LOG_CALL_VOID_AS(name, VMM_POINTER(block), VMM_NUMBER(size));
	vmm_entry_free_sized(block, size);
}

#endif
