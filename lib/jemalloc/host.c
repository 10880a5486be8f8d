/* SPDX-License-Identifier: BSD-3-Clause */
/* host.c: replaces functions that the private jemalloc calls. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/text.h"
#include "heap/guard.h"
#include "heap/je.h"
#include "jemalloc/host.h"
#include "os/os.h"
#include "pool/pool.h"
#include "trace/fatal.h"
#include "trace/log.h"

/* jemalloc is in pages_boot, which would write to the result of an mmap that failed. */
static bool is_in_pages_boot;

void *
vmm_jehost_mmap(void *address, size_t size, int protection, int flags, int fd,
    long offset)
{
	void *map = vmm_os_mmap(address, size, protection, flags, fd, offset);
	struct vmm_text error;

	if (map != MAP_FAILED || !is_in_pages_boot)
		return map;
	vmm_text_clear(&error);
	vmm_text_str(&error, "Error (libvmmalloc): no memory to start with: ");
	vmm_text_errno(&error, errno);
	vmm_text_str(&error, "\nlibvmmalloc: the library needs some ordinary memory"
	    " besides the pool; raise ulimit -v or ulimit -d\n");
	vmm_fatal_setup(&error);
}

int
vmm_jehost_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attr)
{
	(void)attr;
	memset(condition, 0, sizeof(pthread_cond_t));
	return 0;
}

int
vmm_jehost_buferror(int errnum, char *buffer, size_t size)
{
	struct vmm_text text;
	size_t length;

	vmm_text_clear(&text);
	vmm_text_errno(&text, errnum);
	length = text.length < size ? text.length : size - 1;
	memcpy(buffer, text.data, length);
	buffer[length] = '\0';
	return 0;
}

bool
vmm_jehost_pages_boot(void)
{
	struct vmm_text error;
	bool failed;

	is_in_pages_boot = true;
	failed = je_pages_boot();
	is_in_pages_boot = false;
	if (!failed)
		return false;
	vmm_text_clear(&error);
	vmm_text_str(&error, "Error (libvmmalloc): the library is built for"
	    " smaller pages of memory than this system's, of ");
	vmm_text_uint(&error, vmm_os_page_size());
	vmm_text_str(&error, " bytes\nlibvmmalloc: build the library with a jemalloc"
	    " that is configured with --with-lg-page=");
	vmm_text_uint(&error, (uint64_t)__builtin_ctzl(vmm_os_page_size()));
	vmm_text_str(&error, "\n");
	vmm_fatal_setup(&error);
}

/*
 * jemalloc's smallest size class has 8 bytes and is aligned to 8 bytes only. jemalloc finds
 * the class of a size up to 4 KiB in a table, by the size in units of 8 bytes, rounded up.
 * This function gives sizes up to 8 the class of 16 bytes: for all functions of jemalloc,
 * and without a test in each malloc.
 */
void
vmm_jehost_sz_boot(const struct sc_data_s *size_classes, bool is_cache_oblivious)
{
	/* jemalloc calls this function after it has read its options. */
	vmm_jehost_conf_end();
	je_sz_boot(size_classes, is_cache_oblivious);
	je_sz_size2index_tab[0] = je_sz_size2index_tab[1] =
	    je_sz_size2index_tab[VMM_BLOCK_ALIGNMENT / 8];
}

int
vmm_jehost_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*start)(void *), void *argument)
{
	(void)thread;
	(void)attr;
	(void)start;
	(void)argument;
	return EAGAIN;
}

void *
vmm_jehost_dlsym(void *handle, const char *name)
{
	(void)handle;
	(void)name;
	return NULL;
}

void *
vmm_jehost_sbrk(intptr_t increment)
{
	(void)increment;
	return (void *)-1;
}

void *
vmm_jehost_extent_alloc(void *wanted, size_t size, size_t alignment,
    bool *is_zero, bool *is_committed)
{
	void *range = vmm_pool_allocate(wanted, size, alignment, is_zero);

	if (range != NULL)
		*is_committed = true;
	return range;
}

struct edata_s *
vmm_jehost_ecache_alloc(struct tsdn_s *tsdn, struct pac_s *pac,
    struct ehooks_s *ehooks, struct ecache_s *ecache, struct edata_s *expanded,
    size_t size, size_t alignment, bool is_zero, bool is_guarded)
{
	if (vmm_pool_return())
		vmm_jehost_purge_arenas();
	return je_ecache_alloc(tsdn, pac, ehooks, ecache, expanded, size,
	    alignment, is_zero, is_guarded);
}

struct edata_s *
vmm_jehost_ecache_alloc_grow(struct tsdn_s *tsdn, struct pac_s *pac,
    struct ehooks_s *ehooks, struct ecache_s *ecache, struct edata_s *expanded,
    size_t size, size_t alignment, bool is_zero, bool is_guarded)
{
	int saved_errno = errno;
	struct edata_s *extent;

	/*
	 * Purge the arenas first: free memory that they hold may be enough. But if `tsdn` is
	 * NULL, jemalloc is still initialising, and mallctl would wait for that for ever.
	 */
	if (tsdn != NULL && expanded == NULL && vmm_pool_outgrows(size)) {
		vmm_jehost_purge_arenas();
		errno = saved_errno;
	}
	extent = je_ecache_alloc_grow(tsdn, pac, ehooks, ecache, expanded, size,
	    alignment, is_zero, is_guarded);

	/* No retry for growth in place: jemalloc calls this function again for a new block. */
	if (extent != NULL || tsdn == NULL || expanded != NULL ||
	    size >= vmm_pool_span.size)
		return extent;
	if (!vmm_jehost_is_in_tcache_init())
		je_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	vmm_jehost_purge_arenas();
	errno = saved_errno;
	return je_ecache_alloc_grow(tsdn, pac, ehooks, ecache, expanded, size,
	    alignment, is_zero, is_guarded);
}

bool
vmm_jehost_extent_dalloc(void *address, size_t size)
{
	vmm_pool_free(address, size);
	return false;
}

bool
vmm_jehost_pages_commit(void *address, size_t size)
{
	(void)address;
	(void)size;
	return false;
}

/*
 * Decommit and purge fail. jemalloc would map other memory over the pool, or use
 * MADV_DONTNEED and rely on zeroes afterwards; but a shared file mapping then still has its
 * old contents (madvise(2)). After a failure jemalloc zeroes the memory itself.
 */
bool
vmm_jehost_pages_decommit(void *address, size_t size)
{
	(void)address;
	(void)size;
	return true;
}
#define SAME __attribute__((alias("vmm_jehost_pages_decommit")))
SAME bool vmm_jehost_pages_purge_lazy(void *address, size_t size);
SAME bool vmm_jehost_pages_purge_forced(void *address, size_t size);

void
vmm_jehost_purge_arenas(void)
{
	vmm_pool_release_pause();
	/* 4096: all arenas (jemalloc(3), MALLCTL_ARENAS_ALL). */
	je_mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
	vmm_pool_release_resume();
}

void
vmm_jehost_trim(void)
{
	int saved_errno = errno;

	je_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	je_mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
	errno = saved_errno;
}
