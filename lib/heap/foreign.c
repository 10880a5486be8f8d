/* SPDX-License-Identifier: BSD-3-Clause */
/* foreign.c: blocks outside the pool: whose they are, and who frees them. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>

#include "heap/fail.h"
#include "heap/foreign.h"
#include "heap/guard.h"
#include "heap/je.h"
#include "os/os.h"
#include "pool/pool.h"
#include "trace/fatal.h"
#include "trace/log.h"

/* libc's functions, NULL before vmm_foreign_find_libc. */
static struct {
	void (*free)(void *);
	void *(*realloc)(void *, size_t);
	size_t (*usable_size)(void *);
} libc;

#ifdef VMMALLOC_DEBUG
/* struct mallinfo2 of mallinfo2(3), glibc 2.33; older headers do not declare it. */
struct libc_info {
	size_t arena, others[3], hblkhd, more[5];
};
static struct libc_info (*libc_info)(void);

/*
 * Aborts with a message if libc cannot have allocated the foreign block: the header in front
 * of the block is not readable, or libc's allocator holds no memory, as in most processes.
 * libc itself would read the header; a wrong one may end the process without a message.
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

/*
 * jemalloc maps each page to the record of its extent. Its free crashes for other addresses.
 * For them je_rtree_leaf_elm_lookup_hard with is_dependent = false returns NULL, or an element
 * without a record. It requires a cache, the context; each call here uses a new one.
 */
#define CONTEXT_SIZE 1024 /* sizeof(rtree_ctx_t) is 384 (rtree_tsd.h, 5.3.0, 5.3.1) */

/*
 * The first word of a leaf element is the address of the record, or 0. Bits below the
 * record's alignment and from ADDRESS_BITS on hold other data (rtree.h, rtree_leaf_elm_s).
 */
#define RECORD_ALIGNMENT 128
#define ADDRESS_BITS (sizeof(void *) == 8 ? 48 : 32)

/*
 * Whether the page of `block` belongs to an extent of jemalloc. Outside the pool, the
 * program's own hooks allocated that extent. Accepts any address. Takes no lock, keeps errno.
 */
static bool
is_of_jemalloc(const void *block)
{
	uintptr_t context[CONTEXT_SIZE / sizeof(uintptr_t)];
	uintptr_t *element, record;

	/* jemalloc may ignore these bits, and find the extent of another address. */
	if ((uint64_t)(uintptr_t)block >> ADDRESS_BITS != 0)
		return false;
	je_rtree_ctx_data_init((void *)context);
	element = (void *)je_rtree_leaf_elm_lookup_hard(NULL,
	    (struct rtree_s *)&je_arena_emap_global, (void *)context,
	    (uintptr_t)block, false, false);
	if (element == NULL)
		return false;
	record = __atomic_load_n(element, __ATOMIC_ACQUIRE);
	record <<= 8 * sizeof(record) - ADDRESS_BITS;
	record >>= 8 * sizeof(record) - ADDRESS_BITS;
	return record >= RECORD_ALIGNMENT;
}

void
vmm_foreign_free(void *block)
{
	int saved_errno = errno;

	if (block == NULL)
		return;
	/* Extent hooks of the program may change errno. */
	if (is_of_jemalloc(block)) {
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
vmm_foreign_realloc(void *block, size_t size)
{
	bool is_jemalloc = is_of_jemalloc(block);

	if (is_jemalloc && size == 0) {
		vmm_foreign_free(block);
		return NULL;
	}
	if (is_jemalloc) {
		void *moved = vmm_guard_rallocx(block, size, 0);

		return moved != NULL ? moved : vmm_fail_memory(size);
	}
	check_foreign("realloc", block);
	if (libc.realloc != NULL)
		return libc.realloc(block, size);
	return vmm_fail_memory(size);
}

size_t
vmm_foreign_usable_size(void *block)
{
	if (block == NULL)
		return 0;
	if (is_of_jemalloc(block))
		return vmm_guard_malloc_usable_size(block);
	check_foreign("malloc_usable_size", block);
	return libc.usable_size != NULL ? libc.usable_size(block) : 0;
}

bool
vmm_foreign_find_libc(void)
{
	*(void **)&libc.free = dlsym(RTLD_NEXT, "free");
	*(void **)&libc.realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&libc.usable_size = dlsym(RTLD_NEXT, "malloc_usable_size");
#ifdef VMMALLOC_DEBUG
	*(void **)&libc_info = dlsym(RTLD_NEXT, "mallinfo2");
#endif
	return libc.free != NULL;
}
