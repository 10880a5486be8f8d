/* SPDX-License-Identifier: BSD-3-Clause */
/* fail.c: allocations that fail: the errno value, the trace and the count. */
#include "config.h"

#include <errno.h>
#include <stdint.h>

#include "heap/fail.h"
#include "trace/log.h"

#ifdef VMMALLOC_DEBUG
static size_t failures;

size_t
vmm_fail_count(void)
{
	return __atomic_load_n(&failures, __ATOMIC_RELAXED);
}
#endif

void *
vmm_fail_alignment(size_t alignment)
{
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "alignment is "),
	    vmm_text_uint(line, alignment),
	    vmm_text_str(line, alignment > SIZE_MAX / 2 + 1
		? ", larger than the largest power of two: "
		: (alignment & (alignment - 1)) != 0 || alignment == 0
		? ", no power of two: " : ", no multiple of a pointer's size: "),
	    vmm_text_errno(line, EINVAL));
	(void)alignment;
	errno = EINVAL;
	return NULL;
}

void *
vmm_fail_overflow(size_t count, size_t size)
{
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_uint(line, count),
	    vmm_text_str(line, " times "), vmm_text_uint(line, size),
	    vmm_text_str(line, " bytes are more than there can be: "),
	    vmm_text_errno(line, ENOMEM));
	(void)count;
	(void)size;
	errno = ENOMEM;
	return NULL;
}

void *
vmm_fail_memory(size_t size)
{
	errno = ENOMEM;
#ifdef VMMALLOC_DEBUG
	__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
#endif
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "no room for "),
	    vmm_text_uint(line, size), vmm_text_str(line, " bytes"));
	(void)size;
	return NULL;
}
