/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.h: maps memory, places and windows; lists and replaces parts; os.h has the rules. */
#ifndef VMM_OS_MEMORY_H
#define VMM_OS_MEMORY_H

#include <sys/types.h>

#include "os/file.h"

/* The system calls of these names, with their results and errno; jemalloc calls them. */
void *vmm_os_mmap(void *address, size_t size, int protection, int flags, int fd,
    off_t offset);
int vmm_os_munmap(void *address, size_t size);
int vmm_os_madvise(void *address, size_t size, int advice);
int vmm_os_mprotect(void *address, size_t size, int protection);

/* Maps private zeroed memory; a page takes memory when it is first touched. ENOMEM. */
int vmm_os_map_plain(size_t size, void **address);

/* Maps zeroed memory that this process shares with its children of fork(2). ENOMEM. */
int vmm_os_map_shared(size_t size, void **address);

/* Unmaps memory (munmap(2)). */
void vmm_os_unmap(void *address, size_t length);

/* Drops the pages of a private mapping (MADV_DONTNEED). Their content is undefined then. */
void vmm_os_discard(void *address, size_t length);

/*
 * Makes every page writable, as a store into each would (madvise(2), MADV_POPULATE_WRITE,
 * Linux 5.14). ENOSPC where a store would get SIGBUS; EINVAL on older kernels.
 */
int vmm_os_populate(void *address, size_t length);

/*
 * Replaces the small pages of each 2 MiB of a shared mapping by one large page with the same
 * content (madvise(2), MADV_COLLAPSE, Linux 6.1). Each 2 MiB must have a page already. May
 * take long. EINVAL: not supported, or forbidden (shmem_enabled). ENOMEM, EAGAIN, EBUSY: not
 * now. After a failure some may have been replaced.
 */
int vmm_os_collapse(void *address, size_t length);

/*
 * Whether the processor's large pages have 2 MiB (sysfs, hpage_pmd_size); false if not known.
 * With larger ones vmm_os_collapse may do nothing and return 0. Reads a file.
 */
bool vmm_os_has_2m_pages(void);

/*
 * Asks for large pages, or for none, in anonymous memory that is touched later (MADV_HUGEPAGE,
 * MADV_NOHUGEPAGE). A failure is ignored.
 */
void vmm_os_advise_large(void *address, size_t length, bool is_wanted);

/*
 * Returns the lowest limit of this process's control groups and of those above them, in bytes
 * (cgroups(7), memory.max; version 1: memory.limit_in_bytes). UINT64_MAX: no limit, or not
 * known. Swap is not counted. Expects the hierarchies below /sys/fs/cgroup.
 */
uint64_t vmm_os_memory_limit(void);

/* Maps every page for reading (madvise(2), MADV_POPULATE_READ, Linux 5.14), if possible. */
void vmm_os_populate_read(void *address, size_t length);

/*
 * Whether `length` bytes, at most 16, can be read (process_vm_readv(2)). The test raises no
 * signal. True if it is refused.
 */
bool vmm_os_is_readable(const void *address, size_t length);

/*
 * Copies `length` bytes (process_vm_readv(2)), or those before the first unreadable one: then
 * EFAULT, without a signal. If the call is refused, copies nothing, but returns 0.
 */
int vmm_os_copy_readable(void *to, const void *from, size_t length);

/* Removes guard pages (madvise(2), MADV_GUARD_INSTALL, Linux 6.13), if there are any. */
void vmm_os_guards_remove(void *address, size_t length);

/*
 * Sets is_private[i] for each page of a private mapping: true if the process has written to
 * the page, so that it is no longer the file's (/proc/self/pagemap). Also true for pages
 * about which /proc reports nothing.
 */
void vmm_os_private_pages(const void *address, size_t npages, unsigned char *is_private);

/*
 * Maps a place: `size` bytes of address space at a multiple of `alignment`, a power of two.
 * It is not accessible, so neither mlockall(2) nor strict overcommit counts it. ENOMEM.
 */
int vmm_os_place_map(size_t size, size_t alignment, void **address);

/* Unmaps [offset, offset + length) of a place, and makes it inaccessible again. */
int vmm_os_place_clear(void *address, size_t offset, size_t length);

/* The memory behind a window. */
enum vmm_os_backing {
	VMM_OS_SHARED,    /* the file; if it is closed, the file of the page before */
	VMM_OS_PRIVATE,   /* the file; a copy of a page once it is written to */
	VMM_OS_ANONYMOUS, /* zeroed memory; `file` may be NULL */
};

/*
 * Maps a window: [offset, offset + length) of the file, or zeroed memory, readable and
 * writable. The window is later moved to `address` + offset. It is not mapped there at once,
 * because a failing mmap(2) with MAP_FIXED may unmap what was there (until Linux 6.11).
 * ENOMEM, EBADF. The window has the policy of vmm_os_numa_set; a shared one of huge pages then
 * gets its pages at once if the policy is VMM_NUMA_BIND: ENOMEM if the nodes lack them; EINVAL
 * before Linux 5.14. Memory of a pool without a file counts for overcommit.
 */
int vmm_os_window_map(const struct vmm_os_file *file, void *address, size_t offset,
    size_t length, enum vmm_os_backing backing, void **window);

/*
 * Moves a window to `address` + offset and replaces what is mapped there. Other threads see
 * the old memory or the new (mremap(2)). On failure the window is unmapped.
 */
int vmm_os_window_move(void *window, void *address, size_t offset, size_t length);

/*
 * Maps [offset, offset + length) of the file at `address` + offset, shared (MAP_SHARED), and
 * replaces what is mapped there. EBADF if the program has closed the descriptor.
 * For huge pages, which kernels before Linux 5.16 cannot move.
 */
int vmm_os_file_map_at(const struct vmm_os_file *file, void *address,
    size_t offset, size_t length);

/* A part: one mapping in the pool's address range. */
struct vmm_os_part {
	size_t begin, end; /* offsets in the pool */
	int protection;    /* as in mmap(2) */
	bool is_shared;
	bool has_file;
	bool is_pool;       /* false: the program has mapped something else there */
	bool is_locked;    /* mlock(2) */
	bool is_locked_on_fault; /* mlock2(2), MLOCK_ONFAULT */
	bool is_dontfork;  /* madvise(2), MADV_DONTFORK: children do not get it */
	unsigned settings; /* a bit for each advice that a mapping keeps (madvise(2)) */
};

struct vmm_os_parts {
	struct vmm_os_part *list; /* by address */
	size_t count;
	size_t bytes;      /* size of the list's own mapping */
	bool has_settings; /* the program has changed settings of a part */
};

/*
 * Lists the parts in [offset, offset + length) of the pool at `address`, and their settings
 * (/proc/thread-self/maps). Settings that are not the default, and locks, are read from
 * smaps, which is slow. `earlier` is an earlier list or NULL: if it has the same mappings,
 * their settings are copied from it. ENOENT if this process has no /proc; EMFILE, ENFILE,
 * ENOMEM. The caller frees the new list, which is empty on failure.
 */
int vmm_os_parts_read(const void *address, size_t offset, size_t length,
    const struct vmm_os_parts *earlier, struct vmm_os_parts *parts);

/* Appends a part to a list that vmm_os_parts_read made, or that is all zero. ENOMEM. */
int vmm_os_parts_add(struct vmm_os_parts *parts, const struct vmm_os_part *part);
void vmm_os_parts_free(struct vmm_os_parts *parts);

/*
 * Replaces a part by a window of the same size. The window gets the part's protection, advice
 * and locks; the locks only as far as RLIMIT_MEMLOCK allows. On failure it is unmapped.
 */
int vmm_os_part_replace(const struct vmm_os_part *part, void *address, void *window);

#endif
