/* SPDX-License-Identifier: BSD-3-Clause */
/* open.c: creates the pool, or reports why it cannot be created. */
#include "config.h"

#include <errno.h>

#include "base/probe.h"
#include "pool/state.h"
#include "trace/log.h"

/* The sizes of large pages on DAX and huge page file systems. */
#define ALIGNMENT_GIANT ((size_t)1 << 30)
#define ALIGNMENT_LARGE ((size_t)2 << 20)

static int
map_pool(void)
{
	const struct vmm_os_fs *fs = &vmm_pool.file.fs;
	size_t alignment = vmm_pool.size >= ALIGNMENT_GIANT ? ALIGNMENT_GIANT
							: ALIGNMENT_LARGE;
	void *address;
	int error;

	error = vmm_os_place_map(vmm_pool.size,
	    vmm_larger(alignment, fs->page_size), &address);
	/* A limit of the address space (ulimit -v) may leave no room for giant pages. */
	if (error == ENOMEM && alignment > vmm_larger(ALIGNMENT_LARGE, fs->page_size))
		error = vmm_os_place_map(vmm_pool.size,
		    vmm_larger(ALIGNMENT_LARGE, fs->page_size), &address);
	if (error != 0)
		return error;
	vmm_pool.base = address;
	/* On hugetlbfs mmap(2) reserves; a device has a fixed size. Map all at once. */
	if (fs->maps_reserve || fs->device_bytes != 0)
		error = vmm_pool_map_to(vmm_pool.size);
	return error;
}

static int
set_up_ranges(void)
{
	size_t npages = vmm_pool.size / vmm_pool.page_size;
	size_t records_size = vmm_round_up(npages * sizeof(struct vmm_range),
	    vmm_pool.page_size);
	size_t nchunks = vmm_pool.size / VMM_CHUNK_SIZE + 1;
	void *records;
	int error = vmm_os_map_plain(
	    records_size + vmm_round_up(nchunks, vmm_pool.page_size), &records);

	if (error != 0)
		return error;
	vmm_ranges_init(&vmm_pool.ranges, records, npages,
	    (uintptr_t)vmm_pool.base / vmm_pool.page_size);
	vmm_pool.chunks = (unsigned char *)records + records_size;
	return 0;
}

/* Sets the new file's size. EFBIG or ENOSPC if it would have no room. */
static int
size_file(struct vmm_os_limits *room)
{
	vmm_os_file_limits(&vmm_pool.file, room);
	if (vmm_pool.size > room->limit_bytes)
		return EFBIG;
	if (vmm_pool.size > room->free_bytes)
		return vmm_pool.file.fs.is_fileless ? ENOMEM : ENOSPC;
	return vmm_os_file_resize(&vmm_pool.file, vmm_pool.size);
}

static int
set_up_fork(const struct vmm_settings *settings)
{
	vmm_pool.reserve = settings->reserve;
	if (settings->never_stop_threads)
		vmm_pool.others = VMM_OS_SPARE_OTHERS;
	vmm_pool.owner = vmm_os_process();
	/* Only a child's file needs the path: a failure is reported by child_file.c. */
	if (vmm_os_path_absolute(settings->pool_dir, vmm_pool.dir,
		sizeof(vmm_pool.dir)) != 0)
		vmm_pool.dir[0] = '\0';
	/* A pool without a file is private from the start: fork(2) copies it on write. */
	vmm_pool.is_private = vmm_pool.file.fs.is_fileless;
	return settings->fork == VMM_FORK_NONE || vmm_pool.is_private
	    ? 0 : vmm_os_process_mark_make(&vmm_pool.fork_mark);
}

/* Reserves the first step now, to refuse a file system that cannot reserve. */
static int
reserve_first(void)
{
	uint64_t bytes;
	int error;

	/* Without a file the kernel allocates at the first touch. */
	if (vmm_pool.is_private && vmm_pool.reserve == VMM_RESERVE_GROW)
		return 0;
	error = vmm_pool_reserve_to(vmm_pool_reserve_min());
	/* A tmpfs with huge=always has made a large page, and needs no help. */
	if (error == 0 && vmm_pool.file.fs.makes_large &&
	    vmm_os_file_blocks(&vmm_pool.file, &bytes) == 0 && bytes >= VMM_CHUNK_SIZE)
		vmm_pool.wants_large = false;
	return error == 0 && vmm_pool.reserve == VMM_RESERVE_FULL
	    ? vmm_pool_reserve_to(vmm_pool.size) : error;
}

static void
log_opened(void)
{
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "pool opened in "),
	    vmm_text_quote(line, vmm_pool.dir),
	    vmm_text_str(line, ": file system "),
	    vmm_text_str(line, vmm_pool.file.fs.name),
	    vmm_text_str(line, vmm_pool.file.fs.is_dax ? ", DAX" : ", no DAX"),
	    vmm_text_str(line, ", page size "),
	    vmm_text_uint(line, vmm_pool.file.fs.page_size),
	    vmm_text_str(line, ", size "), vmm_text_uint(line, vmm_pool.size),
	    vmm_text_str(line, ", reserve "),
	    vmm_text_str(line, vmm_pool.reserve == VMM_RESERVE_FULL ? "full"
								    : "grow"),
	    vmm_text_str(line, ", at address "),
	    vmm_text_pointer(line, vmm_pool.base));
}

/* Creates the file, and sets the policy for memory nodes before there is a page. */
static bool
open_place(const struct vmm_settings *settings, struct vmm_text *error)
{
	const struct vmm_os_fs *fs = &vmm_pool.file.fs;
	int errnum = vmm_os_file_create(settings->pool_dir, &vmm_pool.file);

	vmm_text_clear(error);
	if (errnum != 0)
		return vmm_pool_open_error(settings, errnum, NULL, error);
	vmm_pool.wants_large = !settings->never_large_pages;
	if (settings->numa.mode == VMM_NUMA_NONE)
		return true;
	errnum = fs->obeys_policy ? vmm_os_numa_set(&settings->numa) : EOPNOTSUPP;
	if (errnum == 0)
		return true;
	vmm_os_file_close(&vmm_pool.file, NULL, 0);
	return vmm_pool_numa_error(settings, errnum, error);
}

bool
vmm_pool_open(const struct vmm_settings *settings, struct vmm_text *error)
{
	struct vmm_os_limits room;
	int errnum;

	if (!open_place(settings, error))
		return false;
	vmm_pool.page_size = vmm_larger(vmm_os_page_size(),
	    settings->page_size_bytes);
	vmm_pool.size = vmm_round_up(settings->pool_size_bytes,
	    vmm_pool.file.fs.page_size);
	errnum = size_file(&room);
	if (errnum != 0)
		goto failed;
	errnum = map_pool();
	if (errnum != 0)
		goto failed;
	errnum = set_up_ranges();
	if (errnum != 0)
		goto failed;
	errnum = set_up_fork(settings);
	if (errnum != 0)
		goto failed;
	errnum = reserve_first();
	if (errnum != 0)
		goto failed;
	/* With VMMALLOC_RESERVE=full nothing is released. */
	vmm_pool.releases_chunks = settings->reserve == VMM_RESERVE_GROW &&
	    (vmm_pool.file.fs.has_page_cache || vmm_pool.file.fs.is_fileless);
	vmm_pool_span.base = (uintptr_t)vmm_pool.base;
	vmm_pool_span.size = vmm_pool.size;
	VMM_PROBE(open, vmm_pool.size, vmm_pool.reserved);
	if (vmm_pool.file.fs.is_fileless)
		vmm_os_memory_mark(vmm_pool.base, vmm_pool.size);
	log_opened();
	return true;

failed:
	vmm_os_file_close(&vmm_pool.file, vmm_pool.base, vmm_pool.size);
	return vmm_pool_open_error(settings, errnum, &room, error);
}
