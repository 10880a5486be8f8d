/* SPDX-License-Identifier: BSD-3-Clause */
/* operators_derived.c: the C++ operators that the standard defines by other operators. */
#include "config.h"

#include <stdbool.h>

#include "entry/operators.h"

/*
 * Whether the program has replaced no operator of operators.h. If so, the operators below do
 * the work themselves. If not, and before the constructor runs, each calls the operator by
 * which the standard defines it. The dynamic linker leads that call to the program's operator.
 */
static bool are_own;

static void __attribute__((constructor))
compare_operators(void)
{
#define OPERATOR(name) { (void (*)(void))vmm_##name, (void (*)(void))vmm_own_##name }
	static const struct {
		void (*used)(void), (*own)(void);
	} operators[] = {
		OPERATOR(new), OPERATOR(new_array),
		OPERATOR(new_nothrow), OPERATOR(new_array_nothrow),
		OPERATOR(new_aligned), OPERATOR(new_array_aligned),
		OPERATOR(delete), OPERATOR(delete_array),
		OPERATOR(delete_aligned), OPERATOR(delete_array_aligned),
	};
	bool are_equal = true;

	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		void (*own)(void) = operators[i].own;

		/* Without this, clang takes the two names for two functions. */
		__asm__("" : "+r"(own));
		if (own != operators[i].used)
			are_equal = false;
	}
	are_own = are_equal;
}

VMM_EXPORT void *
vmm_new_array(size_t size)
{
	if (VMM_LIKELY(are_own))
		return vmm_operators_allocate("operator new[]", size);
	return vmm_new(size);
}

VMM_EXPORT void *
vmm_new_array_aligned(size_t size, size_t alignment)
{
	if (VMM_LIKELY(are_own))
		return vmm_operators_allocate_aligned("operator new[]", size,
		    alignment);
	return vmm_new_aligned(size, alignment);
}

/*
 * By the standard, new (std::nothrow) calls the same operator without nothrow and catches its
 * exception. While there is memory there is no exception, so the library allocates the block
 * itself. If memory is missing, or are_own is false, it calls the C++ runtime's operator.
 */

static inline void *
new_nothrow(size_t size, const struct nothrow *tag, const char *symbol,
    const char *name)
{
	void *block = NULL;

	(void)name;
	if (VMM_LIKELY(are_own))
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
	if (VMM_LIKELY(are_own))
		block = vmm_entry_aligned(alignment, size);
	if (VMM_UNLIKELY(block == NULL))
		return ((void *(*)(size_t, size_t, const struct nothrow *))
			vmm_operators_runtime(symbol))(size, alignment, tag);
	VMM_LOG_CALL_AS(name, VMM_RESULT_POINTER(block), VMM_NUMBER(size),
	    VMM_NUMBER(alignment));
	return block;
}

VMM_EXPORT void *
vmm_new_nothrow(size_t size, const struct nothrow *tag)
{
	return new_nothrow(size, tag, VMM_CXX(_Znw, RKSt9nothrow_t),
	    "operator new");
}

VMM_EXPORT void *
vmm_new_array_nothrow(size_t size, const struct nothrow *tag)
{
	return new_nothrow(size, tag, VMM_CXX(_Zna, RKSt9nothrow_t),
	    "operator new[]");
}

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
	if (VMM_LIKELY(are_own))
		vmm_operators_free("operator delete[]", block);
	else
		vmm_delete(block);
}

VMM_EXPORT void
vmm_delete_array_aligned(void *block, size_t alignment)
{
	if (VMM_LIKELY(are_own))
		vmm_operators_free("operator delete[]", block);
	else
		vmm_delete_aligned(block, alignment);
}

/*
 * With the size jemalloc saves a look-up. It must be the size that jemalloc got: an operator
 * new of the program may pass a larger one to malloc.
 */

VMM_EXPORT void vmm_delete_sized(void *block, size_t size)
    __asm__(VMM_CXX(_ZdlPv, ));
VMM_EXPORT void
vmm_delete_sized(void *block, size_t size)
{
	if (VMM_LIKELY(are_own))
		vmm_operators_free_sized("operator delete", block, size);
	else
		vmm_delete(block);
}

VMM_EXPORT void vmm_delete_array_sized(void *block, size_t size)
    __asm__(VMM_CXX(_ZdaPv, ));
VMM_EXPORT void
vmm_delete_array_sized(void *block, size_t size)
{
	if (VMM_LIKELY(are_own))
		vmm_operators_free_sized("operator delete[]", block, size);
	else
		vmm_delete_array(block);
}

#define DELETE_ALIGNED_SIZED(function, symbol, name, other)                    \
	VMM_EXPORT void function(void *block, size_t size, size_t alignment)   \
	    __asm__(symbol);                                                   \
	VMM_EXPORT void function(void *block, size_t size, size_t alignment)   \
	{                                                                      \
		(void)size;                                                    \
		if (VMM_LIKELY(are_own))                                     \
			vmm_operators_free(name, block);                       \
		else                                                           \
			other(block, alignment);                               \
	}

DELETE_ALIGNED_SIZED(vmm_delete_aligned_sized, VMM_CXX(_ZdlPv, St11align_val_t),
    "operator delete", vmm_delete_aligned)
DELETE_ALIGNED_SIZED(vmm_delete_array_aligned_sized,
    VMM_CXX(_ZdaPv, St11align_val_t), "operator delete[]",
    vmm_delete_array_aligned)

/* C++ calls these only when a constructor throws: they need not be fast. */
#define DELETE_NOTHROW(function, symbol, other)                                \
	VMM_EXPORT void function(void *block, const struct nothrow *tag)       \
	    __asm__(symbol);                                                   \
	VMM_EXPORT void function(void *block, const struct nothrow *tag)       \
	{                                                                      \
		(void)tag;                                                     \
		other(block);                                                  \
	}

DELETE_NOTHROW(vmm_delete_nothrow, "_ZdlPvRKSt9nothrow_t", vmm_delete)
DELETE_NOTHROW(vmm_delete_array_nothrow, "_ZdaPvRKSt9nothrow_t", vmm_delete_array)

#define DELETE_ALIGNED_NOTHROW(function, symbol, other)                        \
	VMM_EXPORT void function(void *block, size_t alignment,                \
	    const struct nothrow *tag) __asm__(symbol);                        \
	VMM_EXPORT void function(void *block, size_t alignment,                \
	    const struct nothrow *tag)                                         \
	{                                                                      \
		(void)tag;                                                     \
		other(block, alignment);                                       \
	}

DELETE_ALIGNED_NOTHROW(vmm_delete_aligned_nothrow,
    "_ZdlPvSt11align_val_tRKSt9nothrow_t", vmm_delete_aligned)
DELETE_ALIGNED_NOTHROW(vmm_delete_array_aligned_nothrow,
    "_ZdaPvSt11align_val_tRKSt9nothrow_t", vmm_delete_array_aligned)

extern void *vmm_own_new_array(size_t size)
    VMM_OPERATORS_ALIAS(VMM_CXX(_Zna, ));
extern void *vmm_own_new_nothrow(size_t size, const struct nothrow *tag)
    VMM_OPERATORS_ALIAS(VMM_CXX(_Znw, RKSt9nothrow_t));
extern void *vmm_own_new_array_nothrow(size_t size, const struct nothrow *tag)
    VMM_OPERATORS_ALIAS(VMM_CXX(_Zna, RKSt9nothrow_t));
extern void *vmm_own_new_array_aligned(size_t size, size_t alignment)
    VMM_OPERATORS_ALIAS(VMM_CXX(_Zna, St11align_val_t));
extern void vmm_own_delete_array(void *block) VMM_OPERATORS_ALIAS("_ZdaPv");
extern void vmm_own_delete_array_aligned(void *block, size_t alignment)
    VMM_OPERATORS_ALIAS("_ZdaPvSt11align_val_t");
