/* SPDX-License-Identifier: BSD-3-Clause */
/* alloc.c: the rare ways behind the entry points. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>

#include "alloc.h"
#include "block.h"
#include "jehost.h"
#include "log.h"
#include "pool.h"

static struct {
	void (*free)(void *);
	void *(*realloc)(void *, size_t);
	size_t (*usable_size)(void *);
} libc;

static size_t failures;

size_t
vmm_alloc_failures(void)
{
	VMM_LOG_ENTER();
	return __atomic_load_n(&failures, __ATOMIC_RELAXED);
}

void *
vmm_alloc_refuse(int error)
{
	VMM_LOG_ENTER();
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_errno(line, error));
	errno = error;
	return NULL;
}

void *
vmm_alloc_fail(size_t size)
{
	VMM_LOG_ENTER();
	errno = ENOMEM;
	__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "no room for "),
	    vmm_text_uint(line, size), vmm_text_str(line, " bytes"));
	(void)size;
	return NULL;
}

void
vmm_alloc_other_free(void *block)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;

	if (block != NULL)
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "free of "),
		    vmm_text_pointer(line, block), vmm_text_str(line,
			": not of the pool, left to libc"));
	if (block != NULL && libc.free != NULL)
		libc.free(block);
	errno = saved_errno;
}

void *
vmm_alloc_other_realloc(void *block, size_t size)
{
	VMM_LOG_ENTER();
	if (libc.realloc != NULL)
		return libc.realloc(block, size);
	return vmm_alloc_fail(size);
}

size_t
vmm_alloc_other_usable_size(void *block)
{
	VMM_LOG_ENTER();
	return block != NULL && libc.usable_size != NULL
	    ? libc.usable_size(block)
	    : 0;
}

void
vmm_alloc_find_others(void)
{
	VMM_LOG_ENTER();
	*(void **)&libc.free = dlsym(RTLD_NEXT, "free");
	*(void **)&libc.realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&libc.usable_size = dlsym(RTLD_NEXT, "malloc_usable_size");
}
