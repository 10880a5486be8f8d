/* SPDX-License-Identifier: BSD-3-Clause */
/* entry.c: the functions that a program calls: one test and one call each. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "entry.h"
#include "fork.h"
#include "init.h"
#include "libvmmalloc.h"
#include "os.h"
#include "profile.h"

/* In no header of glibc's. */
int __register_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void), void *library);

/* Where a shared library is linked with this one, and the program is not. */
static const char behind_libc[] = "libvmmalloc: has no effect: the dynamic linker finds"
    " libc's malloc first. Link the program itself with -lvmmalloc, or preload the"
    " library\n";

/* Opens the pool before main at the latest: a bad environment is said at start. */
static void __attribute__((constructor))
start(void)
{
	if (!vmm_alloc_find_others()) {
		vmm_os_write_error(behind_libc, sizeof(behind_libc) - 1);
		return;
	}
	je_free(je_malloc(1));
	vmm_profile_start((void *)malloc);
}

#ifdef VMMALLOC_DEBUG
/*
 * At exit(3), wherever it was called, and when the last of several threads ends
 * (pthread_exit(3)). The pool stays: other destructors may follow.
 */
static void __attribute__((destructor))
stop(void)
{
	vmm_init_stop();
}
#endif

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
		return block == NULL ? vmm_entry_get(size)
				     : vmm_alloc_other_realloc(block, size);
	if (VMM_UNLIKELY(size == 0)) {
		vmm_block_free(block);
		return NULL;
	}
	/* Its realloc does the same after 38 instructions for other cases. */
	moved = vmm_block_rallocx(block, size, 0);
	return VMM_LIKELY(moved != NULL) ? moved : vmm_alloc_fail(size);
}

/* Where jemalloc may know of zeroes. */
static __attribute__((noinline)) void *
zeroed_large(size_t bytes)
{
	return vmm_alloc_checked(vmm_block_calloc(1, bytes), bytes);
}

static inline void *
zeroed(size_t count, size_t size)
{
	size_t bytes;
	void *block;

	if (VMM_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
		return vmm_alloc_refuse_size(count, size);
	/* jemalloc's calloc has no fast path. */
	if (VMM_UNLIKELY(bytes > VMM_ENTRY_SMALL_SIZE))
		return zeroed_large(bytes);
	block = vmm_entry_get(bytes);
	return VMM_LIKELY(block != NULL) ? memset(block, 0, bytes) : NULL;
}

/* C standard. libvmmalloc.h says what each returns, and when it fails. */

VMM_EXPORT void *
malloc(size_t size)
{
	void *block = vmm_entry_get(size);

	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(size));
	return block;
}

VMM_EXPORT void
free(void *block)
{
	VMM_LOG_GIVEN(VMM_POINTER(block));
	vmm_entry_give(block);
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
	    : vmm_alloc_refuse_alignment(alignment);

	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(alignment),
	    VMM_NUMBER(size));
	return block;
}

VMM_EXPORT void
free_sized(void *block, size_t size)
{
	VMM_LOG_GIVEN(VMM_POINTER(block), VMM_NUMBER(size));
	vmm_entry_give_sized(block, size);
}

VMM_EXPORT void
free_aligned_sized(void *block, size_t alignment, size_t size)
{
	VMM_LOG_GIVEN(VMM_POINTER(block), VMM_NUMBER(alignment),
	    VMM_NUMBER(size));
	(void)alignment;
	(void)size;
	vmm_entry_give(block);
}

/* POSIX. */

VMM_EXPORT int
posix_memalign(void **block, size_t alignment, size_t size)
{
	int saved_errno = errno;
	bool is_fit = is_power_of_two(alignment) &&
	    alignment % sizeof(void *) == 0;
	void *aligned = VMM_LIKELY(is_fit) ? vmm_entry_aligned(alignment, size)
					   : vmm_alloc_refuse_alignment(alignment);

	/* A second try may have had success, and left what the first one set. */
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
 * As libc's, for the realloc that the program has: another allocator before this library,
 * or in the program, may have no reallocarray. (The name may be a macro's: tests/fuzz.)
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
		moved = vmm_alloc_refuse_size(count, size);
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
		block = vmm_alloc_refuse_alignment(alignment);
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
		block = vmm_alloc_refuse_size(1, size);
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
		return vmm_block_malloc_usable_size(block);
	return vmm_alloc_other_usable_size(block);
}

VMM_EXPORT void
cfree(void *block)
{
	VMM_LOG_GIVEN(VMM_POINTER(block));
	vmm_entry_give(block);
}

/* jemalloc's extended interface: see jemalloc(3). */

VMM_EXPORT void *
mallocx(size_t size, int flags)
{
	void *block = vmm_block_mallocx(size, flags);

	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(size),
	    VMM_NUMBER(flags));
	return block;
}

VMM_EXPORT void *
rallocx(void *block, size_t size, int flags)
{
	void *moved = vmm_block_rallocx(block, size, flags);

	VMM_LOG_CALL(VMM_RESULT_POINTER(moved), VMM_POINTER(block),
	    VMM_NUMBER(size), VMM_NUMBER(flags));
	return moved;
}

VMM_EXPORT size_t
xallocx(void *block, size_t size, size_t extra, int flags)
{
	size_t usable = vmm_block_xallocx(block, size, extra, flags);

	VMM_LOG_CALL(VMM_RESULT(usable), VMM_POINTER(block), VMM_NUMBER(size),
	    VMM_NUMBER(extra), VMM_NUMBER(flags));
	return usable;
}

VMM_EXPORT size_t
sallocx(const void *block, int flags)
{
	VMM_LOG_ENTER();
	return vmm_block_sallocx(block, flags);
}

VMM_EXPORT void
dallocx(void *block, int flags)
{
	VMM_LOG_GIVEN(VMM_POINTER(block), VMM_NUMBER(flags));
	vmm_block_dallocx(block, flags);
}

VMM_EXPORT void
sdallocx(void *block, size_t size, int flags)
{
	VMM_LOG_GIVEN(VMM_POINTER(block), VMM_NUMBER(size), VMM_NUMBER(flags));
	vmm_block_sdallocx(block, size, flags);
}

VMM_EXPORT size_t
nallocx(size_t size, int flags)
{
	VMM_LOG_ENTER();
	return vmm_block_nallocx(size, flags);
}

/* The library creates no thread; jemalloc would try, and complain (redis). */
static const char background_thread[] = "background_thread";

static bool
wants_thread(const void *newp, size_t newlen)
{
	return newp != NULL && (newlen != sizeof(bool) || *(const bool *)newp);
}

VMM_EXPORT int
mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp,
    size_t newlen)
{
	VMM_LOG_ENTER();
	if (wants_thread(newp, newlen) && strcmp(name, background_thread) == 0)
		return EPERM;
	return je_mallctl(name, oldp, oldlenp, newp, newlen);
}

VMM_EXPORT int
mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp)
{
	VMM_LOG_ENTER();
	return je_mallctlnametomib(name, mibp, miblenp);
}

VMM_EXPORT int
mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
    void *newp, size_t newlen)
{
	VMM_LOG_ENTER();
	size_t its_mib, its_length = 1;

	if (miblen == 1 && wants_thread(newp, newlen) &&
	    je_mallctlnametomib(background_thread, &its_mib, &its_length) == 0 &&
	    mib[0] == its_mib)
		return EPERM;
	return je_mallctlbymib(mib, miblen, oldp, oldlenp, newp, newlen);
}

VMM_EXPORT void
malloc_stats_print(void (*write_cb)(void *, const char *), void *cbopaque,
    const char *opts)
{
	VMM_LOG_ENTER();
	je_malloc_stats_print(write_cb, cbopaque, opts);
}

/* POSIX: fork(2), so that a heap which cannot be copied is a failure like others. */

VMM_EXPORT pid_t
fork(void)
{
	VMM_LOG_ENTER();
	return vmm_fork();
}

/*
 * glibc: what pthread_atfork(3) calls, from the part of it that is linked into each
 * program and library. Handlers of a library that is set up before anybody has
 * allocated would otherwise come before the heap's, and find its locks taken.
 */

VMM_EXPORT int
__register_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void), void *library)
{
	VMM_LOG_ENTER();
	je_free(je_malloc(1));
	return vmm_os_atfork(prepare, parent, child, library);
}
