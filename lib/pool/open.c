/* SPDX-License-Identifier: BSD-3-Clause */
/* open.c: makes the pool, or says why there cannot be one. */
#include "config.h"

#include <errno.h>

#include "base/probe.h"
#include "pool/state.h"
#include "trace/log.h"

/* 1 GiB and 2 MiB: what DAX and huge page file systems can map in one piece. */
#define ALIGNMENT_GIANT ((size_t)1 << 30)
#define ALIGNMENT_LARGE ((size_t)2 << 20)

static void
say_room(int errnum, const struct vmm_os_room *room, struct vmm_text *error)
{
	vmm_text_str(error, ": ");
	vmm_text_uint(error, vmm_pool.size);
	vmm_text_str(error, " bytes needed, ");
	if (errnum == EFBIG) {
		vmm_text_uint(error, room->limit_bytes);
		vmm_text_str(error, " allowed by the limit of file sizes (ulimit -f)");
	} else if (room->free_bytes != UINT64_MAX) {
		vmm_text_uint(error, room->free_bytes);
		vmm_text_str(error, " free there");
	} else {
		vmm_text_str(error, "no limit known");
	}
}

static bool
refuse(const struct vmm_settings *settings, int errnum,
    const struct vmm_os_room *room, struct vmm_text *error)
{
	vmm_text_str(error, "Error (libvmmalloc): vmem pool creation failed: ");
	vmm_text_errno(error, errnum);
	vmm_text_str(error, "\nlibvmmalloc: VMMALLOC_POOL_DIR is ");
	vmm_text_quote(error, settings->pool_dir);
	vmm_text_str(error, ", VMMALLOC_POOL_SIZE is ");
	vmm_text_uint(error, settings->pool_size_bytes);
	if (room != NULL)
		say_room(errnum, room, error);
	if (errnum == EOPNOTSUPP)
		vmm_text_str(error, "; the file system cannot reserve blocks"
		    " (fallocate), and a pool without them could end in SIGBUS");
	if (errnum == ENOMEM && vmm_pool.file.fs.maps_reserve)
		vmm_text_str(error, "; enough huge pages are needed"
		    " (vm.nr_hugepages), of bytes each: ");
	if (errnum == ENOMEM && vmm_pool.file.fs.maps_reserve)
		vmm_text_uint(error, vmm_pool.file.fs.page_size);
	if (room == NULL && errnum == EBUSY)
		vmm_text_str(error, "; another process has its pool on the device");
	else if (room == NULL && errnum == ENOSYS)
		vmm_text_str(error, "; a filter of system calls (seccomp) lets this"
		    " process make no file");
	else if (room == NULL && errnum != ENOMEM)
		vmm_text_str(error,
		    "; a writable directory, or a device such as /dev/dax0.0, is needed");
	vmm_text_str(error, "\n");
	return false;
}

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
	/* Under a limit of the address space (ulimit -v) there may be no room to align. */
	if (error == ENOMEM && alignment > vmm_larger(ALIGNMENT_LARGE, fs->page_size))
		error = vmm_os_place_map(vmm_pool.size,
		    vmm_larger(ALIGNMENT_LARGE, fs->page_size), &address);
	if (error != 0)
		return error;
	vmm_pool.base = address;
	/* Where mapping is what reserves, and where the file has a fixed size: all of it. */
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

/* Gives the new file its size, if there is room for it. */
static int
size_file(struct vmm_os_room *room)
{
	vmm_os_file_room(&vmm_pool.file, room);
	if (vmm_pool.size > room->limit_bytes)
		return EFBIG;
	if (vmm_pool.size > room->free_bytes)
		return ENOSPC;
	return vmm_os_file_resize(&vmm_pool.file, vmm_pool.size);
}

/* What fork(2) will need. */
static int
set_up_fork(const struct vmm_settings *settings)
{
	vmm_pool.reserve = settings->reserve;
	if (settings->never_stops)
		vmm_pool.others = VMM_OS_SPARE_OTHERS;
	vmm_pool.owner = vmm_os_process();
	/* A path too long for a child's file is an error when that is made. */
	if (vmm_os_path_absolute(settings->pool_dir, vmm_pool.dir,
		sizeof(vmm_pool.dir)) != 0)
		vmm_pool.dir[0] = '\0';
	return settings->fork == VMM_FORK_NONE ? 0 : vmm_os_own_make(&vmm_pool.own);
}

/* The trace's line, by which one sees whether it is the pool that was meant. */
static void
say_opened(void)
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

bool
vmm_pool_open(const struct vmm_settings *settings, struct vmm_text *error)
{
	struct vmm_os_room room;
	int errnum = vmm_os_file_create(settings->pool_dir, &vmm_pool.file);

	vmm_text_clear(error);
	if (errnum != 0)
		return refuse(settings, errnum, NULL, error);
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
	/* The first step now: a file system that cannot promise is refused at start. */
	errnum = vmm_pool_reserve_to(settings->reserve == VMM_RESERVE_FULL ?
	    vmm_pool.size : vmm_pool_reserve_floor());
	if (errnum != 0)
		goto failed;
	/* With RESERVE=full nothing is given back. */
	vmm_pool.releases_chunks = vmm_pool.file.fs.has_page_cache &&
	    settings->reserve == VMM_RESERVE_GROW;
	vmm_pool_span.base = (uintptr_t)vmm_pool.base;
	vmm_pool_span.size = vmm_pool.size;
	VMM_PROBE(open, vmm_pool.size, vmm_pool.reserved);
	say_opened();
	return true;

failed:
	vmm_os_file_close(&vmm_pool.file, vmm_pool.base, vmm_pool.size);
	return refuse(settings, errnum, &room, error);
}
