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
#include "libvmmalloc.h"
#include "os.h"
#include "pool.h"

/* In no header of glibc's. */
int __register_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void), void *library);

/* Opens the pool before main at the latest: a bad environment is said at start. */
static void __attribute__((constructor))
start(void)
{
	je_free(je_malloc(1));
	vmm_alloc_find_others();
}

static bool
is_power_of_two(size_t number)
{
	return number != 0 && (number & (number - 1)) == 0;
}

/* C standard. What each returns, and when it fails, is said in libvmmalloc.h. */

VMM_EXPORT void *
malloc(size_t size)
{
	void *block = je_malloc(vmm_entry_size(size));

	if (VMM_LIKELY(block != NULL))
		return block;
	return vmm_alloc_malloc(vmm_entry_size(size));
}

VMM_EXPORT void
free(void *block)
{
	if (VMM_LIKELY(vmm_pool_has(block)))
		je_free(block);
	else
		vmm_alloc_other_free(block);
}

VMM_EXPORT void *
calloc(size_t count, size_t size)
{
	size_t bytes;
	void *block;

	if (VMM_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
		errno = ENOMEM;
		return NULL;
	}
	bytes = vmm_entry_size(bytes);
	/* jemalloc's calloc has no fast path; above that it may know of zeroes. */
	if (VMM_LIKELY(bytes <= VMM_ENTRY_SMALL_SIZE)) {
		block = je_malloc(bytes);
		if (VMM_LIKELY(block != NULL))
			return memset(block, 0, bytes);
	} else {
		block = je_calloc(1, bytes);
		if (VMM_LIKELY(block != NULL))
			return block;
	}
	return vmm_alloc_calloc(bytes);
}

VMM_EXPORT void *
realloc(void *block, size_t size)
{
	void *moved;

	if (VMM_UNLIKELY(!vmm_pool_has(block)))
		return block == NULL ? malloc(size)
				     : vmm_alloc_other_realloc(block, size);
	if (VMM_UNLIKELY(size == 0)) {
		je_free(block);
		return NULL;
	}
	/* Its realloc does the same after 38 instructions for other cases. */
	moved = je_rallocx(block, vmm_entry_size(size), 0);
	if (VMM_LIKELY(moved != NULL))
		return moved;
	return vmm_alloc_realloc(block, vmm_entry_size(size));
}

VMM_EXPORT void *
aligned_alloc(size_t alignment, size_t size)
{
	if (VMM_UNLIKELY(!is_power_of_two(alignment))) {
		errno = EINVAL;
		return NULL;
	}
	return vmm_entry_aligned(alignment, size);
}

VMM_EXPORT void
free_sized(void *block, size_t size)
{
	if (VMM_LIKELY(vmm_pool_has(block)))
		je_sdallocx(block, vmm_entry_size(size), 0);
	else
		vmm_alloc_other_free(block);
}

VMM_EXPORT void
free_aligned_sized(void *block, size_t alignment, size_t size)
{
	(void)alignment;
	(void)size;
	free(block);
}

/* POSIX. */

VMM_EXPORT int
posix_memalign(void **block, size_t alignment, size_t size)
{
	int saved_errno = errno;
	void *aligned;

	if (VMM_UNLIKELY(!is_power_of_two(alignment) ||
		alignment % sizeof(void *) != 0))
		return EINVAL;
	aligned = vmm_entry_aligned(alignment, size);
	/* A second try may have had success, and left what the first one set. */
	errno = saved_errno;
	if (VMM_UNLIKELY(aligned == NULL))
		return ENOMEM;
	*block = aligned;
	return 0;
}

/* glibc and older systems. */

VMM_EXPORT void *
reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;

	if (VMM_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(block, bytes);
}

VMM_EXPORT void *
memalign(size_t alignment, size_t size)
{
	size_t power = VMM_ALLOC_ALIGNMENT;

	if (VMM_UNLIKELY(alignment > SIZE_MAX / 2 + 1)) {
		errno = EINVAL;
		return NULL;
	}
	while (power < alignment)
		power *= 2;
	return vmm_entry_aligned(power, size);
}

VMM_EXPORT void *
valloc(size_t size)
{
	return vmm_entry_aligned(vmm_os_page_size(), size);
}

VMM_EXPORT void *
pvalloc(size_t size)
{
	size_t page_size = vmm_os_page_size();
	size_t rounded;

	if (VMM_UNLIKELY(
		__builtin_add_overflow(size, page_size - 1, &rounded))) {
		errno = ENOMEM;
		return NULL;
	}
	return vmm_entry_aligned(page_size, rounded & ~(page_size - 1));
}

VMM_EXPORT size_t
malloc_usable_size(void *block)
{
	if (VMM_LIKELY(vmm_pool_has(block)))
		return je_malloc_usable_size(block);
	return vmm_alloc_other_usable_size(block);
}

VMM_EXPORT void
cfree(void *block)
{
	free(block);
}

/* jemalloc's extended interface: see jemalloc(3). */

VMM_EXPORT void *
mallocx(size_t size, int flags)
{
	void *block = je_mallocx(size, flags);

	if (VMM_UNLIKELY(block == NULL) && vmm_alloc_make_room(size))
		block = je_mallocx(size, flags);
	return block;
}

VMM_EXPORT void *
rallocx(void *block, size_t size, int flags)
{
	void *moved = je_rallocx(block, size, flags);

	if (VMM_UNLIKELY(moved == NULL) && vmm_alloc_make_room(size))
		moved = je_rallocx(block, size, flags);
	return moved;
}

VMM_EXPORT size_t
xallocx(void *block, size_t size, size_t extra, int flags)
{
	return je_xallocx(block, size, extra, flags);
}

VMM_EXPORT size_t
sallocx(const void *block, int flags)
{
	return je_sallocx(block, flags);
}

VMM_EXPORT void
dallocx(void *block, int flags)
{
	je_dallocx(block, flags);
}

VMM_EXPORT void
sdallocx(void *block, size_t size, int flags)
{
	je_sdallocx(block, size, flags);
}

VMM_EXPORT size_t
nallocx(size_t size, int flags)
{
	return je_nallocx(size, flags);
}

VMM_EXPORT int
mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp,
    size_t newlen)
{
	/* The library creates no thread; jemalloc would try, and complain (redis). */
	if (newp != NULL && strcmp(name, "background_thread") == 0)
		return EPERM;
	return je_mallctl(name, oldp, oldlenp, newp, newlen);
}

VMM_EXPORT int
mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp)
{
	return je_mallctlnametomib(name, mibp, miblenp);
}

VMM_EXPORT int
mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
    void *newp, size_t newlen)
{
	return je_mallctlbymib(mib, miblen, oldp, oldlenp, newp, newlen);
}

VMM_EXPORT void
malloc_stats_print(void (*write_cb)(void *, const char *), void *cbopaque,
    const char *opts)
{
	je_malloc_stats_print(write_cb, cbopaque, opts);
}

/* POSIX: fork(2), so that a heap which cannot be copied is a failure like others. */

VMM_EXPORT pid_t
fork(void)
{
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
	je_free(je_malloc(1));
	return vmm_os_atfork(prepare, parent, child, library);
}
