/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_memory.c: mappings, and windows that are moved into the pool, on Linux. */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>

#include "os/linux_sys.h"
#include "os/os.h"

/* mremap(2) moves large pages, and page tables as a whole, between multiples of this. */
#define ALIGNMENT_LARGE ((size_t)2 << 20)

void *
vmm_os_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return vmm_sys.mmap(address, size, protection, flags, fd, offset);
}

int
vmm_os_munmap(void *address, size_t size)
{
	return vmm_sys.munmap(address, size);
}

int
vmm_os_madvise(void *address, size_t size, int advice)
{
	return vmm_sys.madvise(address, size, advice);
}

int
vmm_os_mprotect(void *address, size_t size, int protection)
{
	return vmm_sys.mprotect(address, size, protection);
}

int
vmm_os_map_plain(size_t size, void **address)
{
	void *map = vmm_sys.mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return errno;
	*address = map;
	return 0;
}

int
vmm_os_map_shared(size_t size, void **address)
{
	void *map = vmm_sys.mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return errno;
	*address = map;
	return 0;
}

void
vmm_os_unmap(void *address, size_t length)
{
	vmm_sys.munmap(address, length);
}

void
vmm_os_discard(void *address, size_t length)
{
	vmm_sys.madvise(address, length, MADV_DONTNEED);
}

int
vmm_os_place_map(size_t size, size_t alignment, void **address)
{
	size_t whole = size + alignment;
	size_t lead;
	char *map;

	if (whole < size)
		return ENOMEM;
	map = vmm_sys.mmap(NULL, whole, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return errno;
	lead = -(uintptr_t)map & (alignment - 1);
	if (lead != 0)
		vmm_sys.munmap(map, lead);
	vmm_sys.munmap(map + lead + size, alignment - lead);
	*address = map + lead;
	return 0;
}

/*
 * Applies VMMALLOC_NUMA to a new private mapping, then makes it accessible: before that,
 * mlockall(2) with MCL_FUTURE has made no pages. On failure unmaps it.
 */
static int
bind_private(void *map, size_t length)
{
	int error;

	if (!vmm_os_numa_is_set())
		return 0;
	vmm_os_numa_apply(map, length);
	if (vmm_sys.mprotect(map, length, PROT_READ | PROT_WRITE) == 0)
		return 0;
	error = errno;
	vmm_sys.munmap(map, length);
	return error;
}

/*
 * The same for a new shared mapping. tmpfs has the policy in the file. Huge pages are reserved
 * without regard to nodes, so with mode bind a store could raise SIGBUS: all are allocated now.
 */
static int
bind_shared(const struct vmm_os_file *file, void *map, size_t length)
{
	int error = 0;

	if (file == NULL || !file->fs.maps_reserve || !vmm_os_numa_is_set())
		return 0;
	vmm_os_numa_apply(map, length);
	if (vmm_os_numa_is_strict())
		error = vmm_os_populate(map, length);
	if (error != 0)
		vmm_sys.munmap(map, length);
	return error == ENOSPC ? ENOMEM : error;
}

/* Maps, without a descriptor, the file that the page before `address` is mapped from. */
static int
map_again(void *address, size_t length, void **window)
{
	size_t page_size = vmm_os_page_size();
	/* With an old size of 0 mremap(2) maps the file again, from that page on. */
	char *map = vmm_sys.mremap((char *)address - page_size, 0,
	    page_size + length, MREMAP_MAYMOVE, NULL);

	if (map == MAP_FAILED)
		return errno;
	vmm_sys.munmap(map, page_size);
	*window = map + page_size;
	return 0;
}

/* Maps a place whose alignment lets a window move by large pages; NULL if impossible. */
static void *
aligned_place(const struct vmm_os_file *file, size_t offset, size_t length)
{
	size_t alignment = ALIGNMENT_LARGE;
	void *place = NULL;

	if (file != NULL && file->fs.page_size > alignment)
		alignment = file->fs.page_size;
	if (length >= alignment && offset % alignment == 0 &&
	    vmm_os_place_map(length, alignment, &place) != 0)
		place = NULL;
	return place;
}

int
vmm_os_window_map(const struct vmm_os_file *file, void *address, size_t offset,
    size_t length, enum vmm_os_backing backing, void **window)
{
	bool has_file = file != NULL && backing != VMM_OS_ANONYMOUS;
	bool is_bound = backing != VMM_OS_SHARED && vmm_os_numa_is_set();
	/*
	 * A second mapping of that size must not count for overcommit (MAP_NORESERVE). The only
	 * mapping of a pool without a file must.
	 */
	int flags = backing == VMM_OS_SHARED ? MAP_SHARED
	    : file != NULL && file->fs.is_fileless ? MAP_PRIVATE
						    : MAP_PRIVATE | MAP_NORESERVE;
	void *place, *map;

	if (has_file && !vmm_os_file_is_open(file))
		return backing == VMM_OS_PRIVATE || offset == 0
		    ? EBADF : map_again((char *)address + offset, length, window);
	if (!has_file)
		flags |= MAP_ANONYMOUS;
	place = aligned_place(file, offset, length);
	map = vmm_sys.mmap(place, length, is_bound ? PROT_NONE : PROT_READ | PROT_WRITE,
	    place == NULL ? flags : flags | MAP_FIXED, has_file ? file->fd : -1,
	    has_file ? (off_t)offset : 0);
	if (map == MAP_FAILED) {
		int error = errno;

		if (place != NULL)
			vmm_sys.munmap(place, length);
		return error;
	}
	*window = map;
	return backing == VMM_OS_SHARED ? bind_shared(file, map, length)
					: bind_private(map, length);
}

int
vmm_os_window_move(void *window, void *address, size_t offset, size_t length)
{
	int error;

	if (vmm_sys.mremap(window, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
		(char *)address + offset) != MAP_FAILED)
		return 0;
	error = errno;
	vmm_sys.munmap(window, length);
	return error;
}

int
vmm_os_place_clear(void *address, size_t offset, size_t length)
{
	void *nothing = vmm_sys.mmap(NULL, length, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return nothing == MAP_FAILED
	    ? errno : vmm_os_window_move(nothing, address, offset, length);
}

int
vmm_os_file_map_at(const struct vmm_os_file *file, void *address, size_t offset,
    size_t length)
{
	void *map;

	if (!vmm_os_file_is_open(file))
		return EBADF;
	map = vmm_sys.mmap((char *)address + offset, length, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED, file->fd, (off_t)offset);
	if (map == MAP_FAILED)
		return errno;
	vmm_os_numa_apply(map, length);
	return 0;
}

bool
vmm_os_is_readable(const void *address, size_t length)
{
	char bytes[16];
	struct iovec to = { bytes, length };
	struct iovec from = { (void *)(uintptr_t)address, length };
	ssize_t got = vmm_sys.process_vm_readv(vmm_os_thread(), &to, 1, &from, 1, 0);

	return got < 0 ? errno != EFAULT : (size_t)got == length;
}

int
vmm_os_copy_readable(void *to, const void *from, size_t length)
{
	struct iovec local = { to, length };
	struct iovec own = { (void *)(uintptr_t)from, length };
	/* By this thread's ID: the main thread may have ended. */
	ssize_t got = vmm_sys.process_vm_readv(vmm_os_thread(), &local, 1, &own, 1, 0);

	return got < 0 ? (errno == EFAULT ? EFAULT : 0) : (size_t)got < length ? EFAULT : 0;
}

void
vmm_os_guards_remove(void *address, size_t length)
{
	enum { GUARD_REMOVE = 103 }; /* MADV_GUARD_REMOVE */

	vmm_sys.madvise(address, length, GUARD_REMOVE);
}
