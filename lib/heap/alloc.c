/* SPDX-License-Identifier: BSD-3-Clause */
/* alloc.c: the rare cases behind the entry points: errors and foreign blocks. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>

#include "heap/alloc.h"
#include "heap/guard.h"
#include "os/os.h"
#include "pool/pool.h"
#include "trace/fatal.h"
#include "trace/log.h"

/* libc's functions, NULL before vmm_alloc_find_libc. */
static struct {
	void (*free)(void *);
	void *(*realloc)(void *, size_t);
	size_t (*usable_size)(void *);
} libc;

#ifdef VMMALLOC_DEBUG
static size_t failures;

size_t
vmm_alloc_failures(void)
{
	return __atomic_load_n(&failures, __ATOMIC_RELAXED);
}
#endif

void *
vmm_alloc_refuse_alignment(size_t alignment)
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
vmm_alloc_refuse_size(size_t count, size_t size)
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
vmm_alloc_fail(size_t size)
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

#ifdef VMMALLOC_DEBUG
/* struct mallinfo2 of mallinfo2(3), glibc 2.33; older headers do not declare it. */
struct libc_info {
	size_t arena, others[3], hblkhd, more[5];
};
static struct libc_info (*libc_info)(void);

/*
 * Aborts with a message if libc cannot have allocated the foreign block: the header in front
 * of it is not readable, or libc's allocator has no memory, as in most processes. libc itself
 * would read the header, and if that is wrong, may end in a signal instead of a message.
 */
static void
check_foreign(const char *what, const void *block)
{
	size_t header_size = 2 * sizeof(size_t);
	const char *why = NULL;
	struct vmm_text text;

	if (!vmm_os_is_readable((const char *)block - header_size, header_size)) {
		why = ": there is no memory at that address";
	} else if (libc_info != NULL) {
		struct libc_info info = libc_info();

		if (info.arena == 0 && info.hblkhd == 0)
			why = ": not of the pool, and libc has given no block";
	}
	if (why == NULL) {
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, what),
		    vmm_text_str(line, " of "), vmm_text_pointer(line, block),
		    vmm_text_str(line, ": not of the pool, left to libc"));
		return;
	}
	vmm_text_clear(&text);
	vmm_text_str(&text, what);
	vmm_text_str(&text, " of ");
	vmm_text_pointer(&text, block);
	vmm_text_str(&text, why);
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, text.data));
	vmm_fatal_abort(text.data);
}
#else
#define check_foreign(what, block) ((void)0)
#endif

void
vmm_alloc_foreign_free(void *block)
{
	int saved_errno = errno;

	if (block == NULL)
		return;
	/* Extent hooks of the program may change errno. */
	if (vmm_lookup_owns(block)) {
		vmm_guard_free(block);
		errno = saved_errno;
		return;
	}
	check_foreign("free", block);
	if (libc.free != NULL)
		libc.free(block);
	errno = saved_errno;
}

void *
vmm_alloc_foreign_realloc(void *block, size_t size)
{
	bool is_jemalloc = vmm_lookup_owns(block);

	if (is_jemalloc && size == 0) {
		vmm_alloc_foreign_free(block);
		return NULL;
	}
	if (is_jemalloc) {
		void *moved = vmm_guard_rallocx(block, size, 0);

		return moved != NULL ? moved : vmm_alloc_fail(size);
	}
	check_foreign("realloc", block);
	if (libc.realloc != NULL)
		return libc.realloc(block, size);
	return vmm_alloc_fail(size);
}

size_t
vmm_alloc_foreign_usable_size(void *block)
{
	if (block == NULL)
		return 0;
	if (vmm_lookup_owns(block))
		return vmm_guard_malloc_usable_size(block);
	check_foreign("malloc_usable_size", block);
	return libc.usable_size != NULL ? libc.usable_size(block) : 0;
}

bool
vmm_alloc_find_libc(void)
{
	*(void **)&libc.free = dlsym(RTLD_NEXT, "free");
	*(void **)&libc.realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&libc.usable_size = dlsym(RTLD_NEXT, "malloc_usable_size");
#ifdef VMMALLOC_DEBUG
	*(void **)&libc_info = dlsym(RTLD_NEXT, "mallinfo2");
#endif
	return libc.free != NULL;
}
