/* SPDX-License-Identifier: BSD-3-Clause */
/* child_file.c: a forked child's file, into which the heap moves. */
#include "config.h"

#include <errno.h>

#include "pool/state.h"
#include "trace/fatal.h"
#include "trace/log.h"

/*
 * Child and parent share blocks only if this many times the shared bytes are free: a store
 * into a shared block needs a new block, which is not reserved.
 */
#define ROOM_TO_SHARE 8
/* No sharing if more than 1/4 of the used bytes is not on disk: cloning writes it first. */
#define UNWRITTEN_SHARE 4

static size_t
used_bytes(void)
{
	size_t begin, end;
	size_t bytes = 0;

	for (size_t at = 0; vmm_pool_next_used_chunks(at, &begin, &end);
	     at = end)
		bytes += end - begin;
	return bytes;
}

static bool
needs_all_blocks(void)
{
	return vmm_pool.reserve == VMM_RESERVE_FULL || vmm_pool.file.fs.maps_reserve;
}

static size_t
needed_bytes(void)
{
	return needs_all_blocks() ? vmm_pool.size : used_bytes();
}

/* Makes an empty file of the pool's size. */
static int
make_file(struct vmm_os_file *file, struct vmm_os_limits *room)
{
	int error;

	file->fd = -1;
	/* A device is one file, which the parent has. */
	if (vmm_pool.file.fs.device_bytes != 0)
		return EOPNOTSUPP;
	if (vmm_pool.dir[0] == '\0')
		return ENAMETOOLONG;
	error = vmm_os_file_create(vmm_pool.dir, file);
	if (error != 0)
		return error;
	vmm_os_file_limits(file, room);
	if (vmm_pool.size > room->limit_bytes)
		error = EFBIG;
	/* The path may lead elsewhere by now: to pages of another size, or to a device. */
	else if (file->fs.page_size != vmm_pool.file.fs.page_size ||
	    file->fs.device_bytes != 0)
		error = EXDEV;
	else
		error = vmm_os_file_resize(file, vmm_pool.size);
	if (error != 0)
		vmm_os_file_close(file, NULL, 0);
	return error;
}

int
vmm_pool_child_file_check(void)
{
	struct vmm_os_file file;
	struct vmm_os_limits room;
	int error = make_file(&file, &room);

	if (error != 0)
		return error;
	/* Some file systems count freed space as free only after a moment: try to reserve. */
	if (needed_bytes() > room.free_bytes)
		error = file.fs.maps_reserve
		    ? ENOMEM
		    : vmm_os_file_reserve(&file, NULL, 0, needed_bytes());
	vmm_os_file_close(&file, NULL, 0);
	return error;
}

/* Returns whether sharing blocks with the parent's file is possible and fast. */
static bool
wants_clone(const struct vmm_os_limits *room)
{
	size_t used = used_bytes();

	return !vmm_pool.cannot_clone && vmm_os_file_is_open(&vmm_pool.parent_file) &&
	    !needs_all_blocks() && vmm_pool.file.fs.has_page_cache &&
	    room->free_bytes / ROOM_TO_SHARE >= used &&
	    vmm_os_file_unwritten(&vmm_pool.parent_file, vmm_pool.reserved) <=
		used / UNWRITTEN_SHARE;
}

/* Calls `call` for each run of chunks with allocated pages, until it fails. */
static int
each_used_run(int (*call)(size_t begin, size_t end))
{
	size_t begin, end;
	int error = 0;

	for (size_t at = 0; error == 0 &&
	     vmm_pool_next_used_chunks(at, &begin, &end); at = end)
		error = call(begin, end);
	return error;
}

static int
reserve_chunks(size_t begin, size_t end)
{
	return vmm_os_file_reserve(&vmm_pool.file, NULL, begin, end - begin);
}

static int
clone_chunks(size_t begin, size_t end)
{
	return vmm_os_file_clone(&vmm_pool.file, &vmm_pool.parent_file, begin, end - begin);
}

/* Large pages must exist before the heap is copied. Without them small pages do: returns 0. */
static int
make_chunks_large(size_t begin, size_t end)
{
	void *window;

	if (!vmm_pool_large_range(&begin, &end) || vmm_os_window_map(&vmm_pool.file,
		vmm_pool.base, begin, end - begin, VMM_OS_SHARED, &window) != 0)
		return 0;
	vmm_pool_make_large(begin, window, end - begin);
	vmm_os_unmap(window, end - begin);
	return 0;
}

static int
populate_chunks(size_t begin, size_t end)
{
	return vmm_os_populate(vmm_pool.base + begin, end - begin);
}

static int
unmark_hole(size_t begin, size_t end)
{
	vmm_pool_chunks_remove(begin, end, VMM_CHUNK_HOLE);
	return 0;
}

static int
reserve_blocks(void)
{
	return needs_all_blocks() ? reserve_chunks(0, vmm_pool.size)
				  : each_used_run(reserve_chunks);
}

/* Shares blocks with the parent's file, or returns false and leaves the new file empty. */
static bool
share_blocks(const struct vmm_os_limits *room)
{
	int error;

	if (!wants_clone(room))
		return false;
	error = each_used_run(clone_chunks);
	if (error == 0)
		return true;
	vmm_pool.cannot_clone = error != ENOSPC && error != EDQUOT;
	vmm_os_file_resize(&vmm_pool.file, 0);
	vmm_os_file_resize(&vmm_pool.file, vmm_pool.size);
	return false;
}

/*
 * Moves the heap into the new file. Where reserving allocates and clears (tmpfs),
 * vmm_pool_move reserves blocks itself, only for pages that it does not write.
 */
static int
fill(bool is_cloned, size_t *done)
{
	int error = 0;

	each_used_run(make_chunks_large);
	if (needs_all_blocks() || (!is_cloned &&
		!vmm_pool.file.fs.reserve_allocates))
		error = reserve_blocks();
	if (error == 0)
		error = vmm_pool_move(0, vmm_pool.mapped,
		    is_cloned ? VMM_POOL_TO_CLONE : VMM_POOL_TO_NEW_FILE,
		    false, VMM_OS_NO_OTHERS, done);
	return error;
}

/* The heap is in the new file: sets the pool's state, and closes the parent's file. */
static void
adopt_file(void)
{
	size_t end;

	vmm_pool.is_private = vmm_pool.is_copied = false;
	vmm_pool.anonymous_from = SIZE_MAX;
	if (needs_all_blocks())
		vmm_pool_map_to(vmm_pool.size);
	vmm_pool.reserved = vmm_pool.mapped;
	end = vmm_pool_chunks_end();
	vmm_pool_chunks_remove(0, end, VMM_CHUNK_PRIVATE);
	if (needs_all_blocks()) {
		unmark_hole(0, end);
	} else {
		vmm_pool_chunks_add(0, end, VMM_CHUNK_HOLE);
		each_used_run(unmark_hole);
	}
	vmm_os_file_replace(&vmm_pool.parent_file, &vmm_pool.file);
	vmm_pool.file = vmm_pool.parent_file;
	vmm_pool.parent_file.fd = -1;
	vmm_os_lock_release(&vmm_pool.users_lock);
	vmm_pool_return_schedule();
}

/*
 * The heap stays private over the parent's file. Memory below `done` is in the new file
 * already. It becomes anonymous: the parent's file may have older content there.
 */
static void
keep_parent_file(size_t done)
{
	size_t moved = 0;

	if (done > 0 && vmm_pool_move(0, done, VMM_POOL_TO_ANONYMOUS, false,
		VMM_OS_NO_OTHERS, &moved) != 0)
		vmm_fatal_abort("no memory for the heap of a forked child, which is"
		    " in two files");
	vmm_pool_chunks_add(0, done, VMM_CHUNK_ANONYMOUS);
	vmm_os_file_close(&vmm_pool.file, NULL, 0);
	vmm_pool.file = vmm_pool.parent_file;
	vmm_pool.parent_file.fd = -1;
}

int
vmm_pool_child_file_make(bool may_stay_private, bool *is_cloned)
{
	struct vmm_os_file file;
	struct vmm_os_limits room;
	size_t done = 0;
	int error = make_file(&file, &room);

	*is_cloned = false;
	if (error != 0)
		return error;
	vmm_pool.parent_file = vmm_pool.file;
	vmm_pool.file = file;
	*is_cloned = share_blocks(&room);
	error = fill(*is_cloned, &done);
	if (error == 0)
		adopt_file();
	else if (may_stay_private)
		keep_parent_file(done);
	return error;
}

/*
 * Ends the sharing: the child's file gets blocks of its own, while the parent runs. Once
 * they are on disk, only the parent's file has the blocks that were shared. Until then a
 * store of the parent may need a new block, which is not reserved (ROOM_TO_SHARE). Without
 * space for its own blocks, the child's heap leaves the file and never returns.
 */
void
vmm_pool_child_file_unshare(void)
{
	int error = each_used_run(populate_chunks);

	if (error == 0) {
		vmm_os_file_write_out(&vmm_pool.file);
		return;
	}
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "no blocks for the child: "),
	    vmm_text_errno(line, error));
	error = vmm_pool_leave(false);
	vmm_os_lock_release(&vmm_pool.users_lock);
	vmm_pool_return_schedule();
	if (error != 0)
		vmm_fatal_abort("no memory for the heap of a forked child, "
		    "whose file has no blocks of its own");
}
