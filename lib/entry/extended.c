/* SPDX-License-Identifier: BSD-3-Clause */
/* extended.c: jemalloc's extended interface (jemalloc(3)): mallocx, mallctl, ... */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "entry/entry.h"
#include "libvmmalloc.h"

VMM_EXPORT void *
mallocx(size_t size, int flags)
{
	void *block = vmm_guard_mallocx(size, flags);

	VMM_LOG_CALL(VMM_RESULT_POINTER(block), VMM_NUMBER(size),
	    VMM_NUMBER(flags));
	return block;
}

VMM_EXPORT void *
rallocx(void *block, size_t size, int flags)
{
	void *moved = vmm_guard_rallocx(block, size, flags);

	VMM_LOG_CALL(VMM_RESULT_POINTER(moved), VMM_POINTER(block),
	    VMM_NUMBER(size), VMM_NUMBER(flags));
	return moved;
}

VMM_EXPORT size_t
xallocx(void *block, size_t size, size_t extra, int flags)
{
	size_t usable = vmm_guard_xallocx(block, size, extra, flags);

	VMM_LOG_CALL(VMM_RESULT(usable), VMM_POINTER(block), VMM_NUMBER(size),
	    VMM_NUMBER(extra), VMM_NUMBER(flags));
	return usable;
}

VMM_EXPORT size_t
sallocx(const void *block, int flags)
{
	VMM_LOG_ENTER();
	return vmm_guard_sallocx(block, flags);
}

VMM_EXPORT void
dallocx(void *block, int flags)
{
	VMM_LOG_CALL_VOID(VMM_POINTER(block), VMM_NUMBER(flags));
	vmm_guard_dallocx(block, flags);
}

VMM_EXPORT void
sdallocx(void *block, size_t size, int flags)
{
	VMM_LOG_CALL_VOID(VMM_POINTER(block), VMM_NUMBER(size), VMM_NUMBER(flags));
	vmm_guard_sdallocx(block, size, flags);
}

VMM_EXPORT size_t
nallocx(size_t size, int flags)
{
	VMM_LOG_ENTER();
	return vmm_guard_nallocx(size, flags);
}

/* The library creates no thread. jemalloc would try to create one, and print an error. */
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
	size_t thread_mib, length = 1;

	if (miblen == 1 && wants_thread(newp, newlen) &&
	    je_mallctlnametomib(background_thread, &thread_mib, &length) == 0 &&
	    mib[0] == thread_mib)
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
