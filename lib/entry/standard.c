/* SPDX-License-Identifier: BSD-3-Clause */
/* standard.c: the allocation functions of C, POSIX and glibc: one test and one call each. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "entry/entry.h"
#include "libvmmalloc.h"
#include "os/os.h"

static bool
is_power_of_two(size_t number)
{
	return number != 0 && (number & (number - 1)) == 0;
}

static inline void *
reallocate(void *block, size_t size)
{
	void *moved;

	if (VMM_UNLIKELY(!vmm_pool_has(block)))
		return block == NULL ? vmm_entry_malloc(size)
				     : vmm_foreign_realloc(block, size);
	if (VMM_UNLIKELY(size == 0)) {
		vmm_guard_free(block);
		return NULL;
	}
	/* je_realloc does the same, after 38 instructions for other cases. */
	moved = vmm_guard_rallocx(block, size, 0);
	return VMM_LIKELY(moved != NULL) ? moved : vmm_fail_memory(size);
}

/* For large blocks jemalloc may know that the memory is zero already. */
static __attribute__((noinline)) void *
zeroed_large(size_t bytes)
{
	return vmm_fail_checked(vmm_guard_calloc(1, bytes), bytes);
}

static inline void *
zeroed(size_t count, size_t size)
{
	size_t bytes;
	void *block;

	if (VMM_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
		return vmm_fail_overflow(count, size);
	/* jemalloc's calloc has no fast path: small blocks come from malloc. */
	if (VMM_UNLIKELY(bytes > VMM_ENTRY_SMALL_SIZE))
		return zeroed_large(bytes);
	block = vmm_entry_malloc(bytes);
	return VMM_LIKELY(block != NULL) ? memset(block, 0, bytes) : NULL;
}

/* C standard. libvmmalloc.h documents results and errors. */

VMM_EXPORT void *
malloc(size_t size)
{
	void *block = vmm_entry_malloc(size);

	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(size));
	return block;
}

VMM_EXPORT void
free(void *block)
{
	VMM_LOG_CALL_VOID(VMM_POINTER(block));
	vmm_entry_free(block);
}

VMM_EXPORT void *
calloc(size_t count, size_t size)
{
	void *block = zeroed(count, size);

	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(count),
	    VMM_NUMBER(size));
	return block;
}

VMM_EXPORT void *
realloc(void *block, size_t size)
{
	void *moved = reallocate(block, size);

	VMM_LOG_CALL(VMM_RESULT_POINTER(moved), VMM_POINTER(block),
	    VMM_NUMBER(size));
	return moved;
}

VMM_EXPORT void *
aligned_alloc(size_t alignment, size_t size)
{
	void *block = VMM_LIKELY(is_power_of_two(alignment))
	    ? vmm_entry_aligned(alignment, size)
	    : vmm_fail_alignment(alignment);

	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(alignment),
	    VMM_NUMBER(size));
	return block;
}

VMM_EXPORT void
free_sized(void *block, size_t size)
{
	VMM_LOG_CALL_VOID(VMM_POINTER(block), VMM_NUMBER(size));
	vmm_entry_free_sized(block, size);
}

VMM_EXPORT void
free_aligned_sized(void *block, size_t alignment, size_t size)
{
	VMM_LOG_CALL_VOID(VMM_POINTER(block), VMM_NUMBER(alignment),
	    VMM_NUMBER(size));
	(void)alignment;
	(void)size;
	vmm_entry_free(block);
}

/* POSIX. */

VMM_EXPORT int
posix_memalign(void **block, size_t alignment, size_t size)
{
	int saved_errno = errno;
	bool is_fit = is_power_of_two(alignment) &&
	    alignment % sizeof(void *) == 0;
	void *aligned = VMM_LIKELY(is_fit) ? vmm_entry_aligned(alignment, size)
					   : vmm_fail_alignment(alignment);

	/* A failed first try may have set errno although a second try succeeded. */
	errno = saved_errno;
	VMM_LOG_CALL(VMM_RESULT_POINTER(aligned), VMM_POINTER(block),
	    VMM_NUMBER(alignment), VMM_NUMBER(size));
	if (VMM_UNLIKELY(aligned == NULL))
		return is_fit ? ENOMEM : EINVAL;
	*block = aligned;
	return 0;
}

/* glibc and older systems. */

/*
 * As in libc, reallocarray calls the realloc that the program calls: another allocator may
 * come before this library and lack reallocarray. (In tests/analysis/fuzz realloc is a macro.)
 */
#define NAME(function) NAME_OF(function)
#define NAME_OF(function) #function
extern void *own_realloc(void *block, size_t size) __THROW __attribute__((
    alias(NAME(realloc)), visibility("hidden"), warn_unused_result, alloc_size(2)));

VMM_EXPORT void *
reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;
	void *moved;

	if (VMM_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
		moved = vmm_fail_overflow(count, size);
	else if (VMM_UNLIKELY(realloc != own_realloc))
		moved = realloc(block, bytes);
	else
		moved = reallocate(block, bytes);
	VMM_LOG_CALL(VMM_RESULT_POINTER(moved), VMM_POINTER(block),
	    VMM_NUMBER(count), VMM_NUMBER(size));
	return moved;
}

VMM_EXPORT void *
memalign(size_t alignment, size_t size)
{
	size_t power = VMM_BLOCK_ALIGNMENT;
	void *block;

	if (VMM_UNLIKELY(alignment > SIZE_MAX / 2 + 1)) {
		block = vmm_fail_alignment(alignment);
	} else {
		while (power < alignment)
			power *= 2;
		block = vmm_entry_aligned(power, size);
	}
	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(alignment),
	    VMM_NUMBER(size));
	return block;
}

VMM_EXPORT void *
valloc(size_t size)
{
	void *block = vmm_entry_aligned(vmm_os_page_size(), size);

	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(size));
	return block;
}

VMM_EXPORT void *
pvalloc(size_t size)
{
	size_t page_size = vmm_os_page_size();
	size_t rounded;
	void *block;

	if (VMM_UNLIKELY(
		__builtin_add_overflow(size, page_size - 1, &rounded)))
		block = vmm_fail_overflow(1, size);
	else
		block = vmm_entry_aligned(page_size,
		    rounded & ~(page_size - 1));
	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(size));
	return block;
}

VMM_EXPORT size_t
malloc_usable_size(void *block)
{
	VMM_LOG_ENTER();
	if (VMM_LIKELY(vmm_pool_has(block)))
		return vmm_guard_malloc_usable_size(block);
	return vmm_foreign_usable_size(block);
}

VMM_EXPORT void
cfree(void *block)
{
	VMM_LOG_CALL_VOID(VMM_POINTER(block));
	vmm_entry_free(block);
}
