/* SPDX-License-Identifier: BSD-3-Clause */
/* child.c: a forked child's heap is put into a file of its own. */
#include "config.h"

#include <errno.h>

#include "pool/state.h"
#include "trace/fatal.h"
#include "trace/log.h"

/*
 * Blocks are shared only where there is so much more room than is shared: a store
 * into one that still is needs a block, and none is promised (see own_blocks).
 */
#define ROOM_TO_SHARE 8
/* And where no more than this share is still to be written out, which cloning does. */
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
make_file(struct vmm_os_file *file, struct vmm_os_room *room)
{
	int error;

	file->fd = -1;
	/* A device is all one file. */
	if (vmm_pool.file.fs.device_bytes != 0)
		return EOPNOTSUPP;
	if (vmm_pool.dir[0] == '\0')
		return ENAMETOOLONG;
	error = vmm_os_file_create(vmm_pool.dir, file);
	if (error != 0)
		return error;
	vmm_os_file_room(file, room);
	if (vmm_pool.size > room->limit_bytes)
		error = EFBIG;
	/* The directory may be another by now. */
	else if (file->fs.page_size != vmm_pool.file.fs.page_size)
		error = EXDEV;
	else
		error = vmm_os_file_resize(file, vmm_pool.size);
	if (error != 0)
		vmm_os_file_close(file, NULL, 0);
	return error;
}

int
vmm_pool_child_try(void)
{
	struct vmm_os_file file;
	struct vmm_os_room room;
	int error = make_file(&file, &room);

	if (error != 0)
		return error;
	/* What was freed a moment ago, some file systems do not count yet: try. */
	if (needed_bytes() > room.free_bytes)
		error = file.fs.maps_reserve
		    ? ENOMEM
		    : vmm_os_file_reserve(&file, NULL, 0, needed_bytes());
	vmm_os_file_close(&file, NULL, 0);
	return error;
}

/*
 * Whether to share blocks: if the heap is in the parent's file, and where it is faster
 * than to copy, for what is on disk already.
 */
static bool
wants_clone(const struct vmm_os_room *room)
{
	size_t used = used_bytes();

	return !vmm_pool.cannot_clone && vmm_os_file_is_own(&vmm_pool.parent_file) &&
	    !needs_all_blocks() && vmm_pool.file.fs.has_page_cache &&
	    room->free_bytes / ROOM_TO_SHARE >= used &&
	    vmm_os_file_unwritten(&vmm_pool.parent_file, vmm_pool.reserved) <=
		used / UNWRITTEN_SHARE;
}

/* Does what `step` does to each run of chunks in which something is in use. */
static int
each_used(int (*step)(size_t begin, size_t end))
{
	size_t begin, end;
	int error = 0;

	for (size_t at = 0; error == 0 &&
	     vmm_pool_next_used_chunks(at, &begin, &end); at = end)
		error = step(begin, end);
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

static int
own_blocks(size_t begin, size_t end)
{
	return vmm_os_populate(vmm_pool.base + begin, end - begin);
}

static int
no_hole(size_t begin, size_t end)
{
	vmm_pool_chunks_remove(begin, end, VMM_CHUNK_HOLE);
	return 0;
}

static int
reserve(void)
{
	return needs_all_blocks() ? reserve_chunks(0, vmm_pool.size)
				  : each_used(reserve_chunks);
}

/* Shares blocks, where that is wanted and can be; otherwise the file stays empty. */
static bool
share_blocks(const struct vmm_os_room *room)
{
	int error;

	if (!wants_clone(room))
		return false;
	error = each_used(clone_chunks);
	if (error == 0)
		return true;
	vmm_pool.cannot_clone = error != ENOSPC && error != EDQUOT;
	vmm_os_file_resize(&vmm_pool.file, 0);
	vmm_os_file_resize(&vmm_pool.file, vmm_pool.size);
	return false;
}

/*
 * Fills the new file, and maps it. Where to reserve is to allocate and to clear, what is in
 * use is reserved as it is written.
 */
static int
fill(bool is_cloned, size_t *done)
{
	int error = 0;

	if (needs_all_blocks() || (!is_cloned &&
		!vmm_pool.file.fs.reserve_allocates))
		error = reserve();
	if (error == 0)
		error = vmm_pool_move(0, vmm_pool.mapped,
		    is_cloned ? VMM_POOL_TO_CLONE : VMM_POOL_TO_NEW_FILE,
		    VMM_OS_NO_OTHERS, done);
	return error;
}

/* What the file has, and has been promised. */
static void
note_own(void)
{
	size_t end;

	vmm_pool.is_private = vmm_pool.is_copied = false;
	vmm_pool.memory_from = SIZE_MAX;
	if (needs_all_blocks())
		vmm_pool_map_to(vmm_pool.size);
	vmm_pool.reserved = vmm_pool.mapped;
	end = vmm_pool_chunks_end();
	vmm_pool_chunks_remove(0, end, VMM_CHUNK_PRIVATE);
	if (needs_all_blocks()) {
		no_hole(0, end);
	} else {
		vmm_pool_chunks_add(0, end, VMM_CHUNK_HOLE);
		each_used(no_hole);
	}
	vmm_os_file_replace(&vmm_pool.parent_file, &vmm_pool.file);
	vmm_pool.file = vmm_pool.parent_file;
	vmm_pool.parent_file.fd = -1;
	vmm_os_lock_release(&vmm_pool.users);
	vmm_pool_return_wanted();
}

/*
 * The parent's file stays this process's. What was moved already becomes ordinary memory:
 * the parent's file may have older content there.
 */
static void
give_up(size_t done)
{
	size_t again = 0;

	if (done > 0 && vmm_pool_move(0, done, VMM_POOL_TO_MEMORY, VMM_OS_NO_OTHERS,
		&again) != 0)
		vmm_fatal_abort("no memory for the heap of a forked child, which is"
		    " in two files");
	vmm_pool_chunks_add(0, done, VMM_CHUNK_MEMORY);
	vmm_os_file_close(&vmm_pool.file, NULL, 0);
	vmm_pool.file = vmm_pool.parent_file;
	vmm_pool.parent_file.fd = -1;
}

int
vmm_pool_child_make(bool goes_on, bool *is_cloned)
{
	struct vmm_os_file file;
	struct vmm_os_room room;
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
		note_own();
	else if (goes_on)
		give_up(done);
	return error;
}

/*
 * Shared blocks are promised to nobody: the child gets its own now, in its own time,
 * and when they are on disk its parent has the others to itself again. Until then
 * a store of the parent may need a block, which is why there has to be ROOM_TO_SHARE.
 * Where there is no room any more, the child leaves its file for good.
 */
void
vmm_pool_child_part(void)
{
	int error = each_used(own_blocks);

	if (error == 0) {
		vmm_os_file_write_out(&vmm_pool.file);
		return;
	}
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "no blocks for the child: "),
	    vmm_text_errno(line, error));
	error = vmm_pool_leave();
	vmm_os_lock_release(&vmm_pool.users);
	vmm_pool_return_wanted();
	if (error != 0)
		vmm_fatal_abort("no memory for the heap of a forked child, "
		    "whose file has no blocks of its own");
}
