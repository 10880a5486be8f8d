/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_fork.c: what becomes of the pool at fork(2). */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fatal.h"
#include "log.h"
#include "pool_state.h"
#include "probe.h"

/* Free pages up to this size between others are copied with them: fewer calls. */
#define COPY_OVER ((size_t)64 << 10)
/* How much to copy before the file is asked again where its next data is. */
#define COPY_STEP ((size_t)1 << 20)
/*
 * Blocks are shared only where there is so much more room than is shared: a store
 * into one that still is needs a block, and none is promised (see part_blocks).
 */
#define ROOM_TO_SHARE 8
/* And where no more than this share is still to be written out, which cloning does. */
#define UNWRITTEN_SHARE 4

/* The end of the longest row of chunks from `at` on that are of one kind. */
static size_t
end_of_kind(size_t at, size_t limit)
{
	unsigned char kind = vmm_pool.chunks[at / VMM_CHUNK_SIZE];
	size_t end = at;

	while (end < limit && vmm_pool.chunks[end / VMM_CHUNK_SIZE] == kind)
		end += VMM_CHUNK_SIZE;
	return vmm_smaller(end, limit);
}

/*
 * A hole becomes ordinary memory: a write to a private mapping of one would first
 * need a page of a file system that may be full, and end in SIGBUS.
 */
static int
make_private(size_t begin, size_t end)
{
	unsigned char kind = vmm_pool.chunks[begin / VMM_CHUNK_SIZE];
	int error = 0;

	if (kind == VMM_CHUNK_HOLE)
		error = vmm_os_map_fresh(vmm_pool.base + begin, end - begin);
	else if (kind == 0)
		error = vmm_os_file_map_private(&vmm_pool.file, vmm_pool.base,
		    begin, end - begin);
	if (error == 0)
		vmm_pool_chunks_add(begin, end, VMM_CHUNK_PRIVATE);
	return error;
}

int
vmm_pool_go_private(void)
{
	VMM_LOG_ENTER();
	size_t limit = vmm_pool.reserved;
	bool is_alone;
	int error;

	if (vmm_pool.is_away)
		return 0;
	error = vmm_os_file_can_be_private(&vmm_pool.file);
	/* Where others cannot be told about it, there is no coming home. */
	if (error == 0 && vmm_pool.holder == NULL)
		vmm_os_file_hold(&vmm_pool.file, &vmm_pool.holder, &is_alone);
	for (size_t at = 0, end; error == 0 && at < limit; at = end) {
		end = end_of_kind(at, limit);
		error = make_private(at, end);
	}
	/* Nothing of it was ever handed out. */
	if (error == 0 && limit < vmm_pool.size)
		error = vmm_os_map_fresh(vmm_pool.base + limit,
		    vmm_pool.size - limit);
	if (error != 0)
		return error;
	vmm_pool.private_from = vmm_pool_chunks_end();
	vmm_pool.is_away = true;
	vmm_pool_home_wanted();
	return 0;
}

/* Whether the file is all of the heap. */
static bool
is_all_in_file(void)
{
	return !vmm_pool.is_away && vmm_pool.private_count == 0 &&
	    vmm_os_file_is_own(&vmm_pool.file);
}

/*
 * The copy
 */

static int
put(struct vmm_pool_fork *fork, size_t begin, size_t end)
{
	if (fork->window == NULL)
		return vmm_os_file_write(&fork->file, begin,
		    vmm_pool.base + begin, end - begin);
	memcpy((char *)fork->window + begin, vmm_pool.base + begin,
	    end - begin);
	return 0;
}

/* Copies [begin, end), but for what never was written, where the file can tell. */
static int
copy_written(struct vmm_pool_fork *fork, size_t begin, size_t end)
{
	size_t stop;
	int error = 0;

	if (!is_all_in_file())
		return put(fork, begin, end);
	for (; error == 0 && begin < end && vmm_os_file_next_data(
		 &vmm_pool.file, begin, end, &begin); begin = stop) {
		stop = vmm_smaller(begin + COPY_STEP, end);
		error = put(fork, begin, stop);
	}
	return error;
}

/* Copies what is in use. */
static int
copy_used(struct vmm_pool_fork *fork)
{
	size_t over = COPY_OVER / vmm_pool.page_size;
	size_t first, npages, next, next_npages;
	int error = 0;

	for (size_t page = 0; error == 0 && vmm_ranges_next_used(
		 &vmm_pool.ranges, page, &first, &npages); page = first + npages) {
		while (vmm_ranges_next_used(&vmm_pool.ranges, first + npages,
			   &next, &next_npages) &&
		    next - (first + npages) <= over)
			npages = next + next_npages - first;
		error = copy_written(fork, first * vmm_pool.page_size,
		    (first + npages) * vmm_pool.page_size);
	}
	return error;
}

/* Does to the child's file what `step` does, by rows of chunks that are in use. */
static int
each_used(struct vmm_pool_fork *fork,
    int (*step)(struct vmm_pool_fork *fork, size_t begin, size_t end))
{
	size_t begin, end;
	int error = 0;

	for (size_t at = 0; error == 0 &&
	     vmm_pool_next_used_chunks(at, &begin, &end); at = end)
		error = step(fork, begin, end);
	return error;
}

static int
reserve_chunks(struct vmm_pool_fork *fork, size_t begin, size_t end)
{
	return vmm_os_file_reserve(&fork->file, NULL, begin, end - begin);
}

/* Has the child's blocks promised, by the rules of the first file. */
static int
reserve_used(struct vmm_pool_fork *fork)
{
	if (fork->takes == vmm_pool.takes)
		return 0;
	fork->takes = vmm_pool.takes;
	if (vmm_pool.reserve == VMM_RESERVE_FULL)
		return reserve_chunks(fork, 0, vmm_pool.size);
	return each_used(fork, reserve_chunks);
}

static int
clone_chunks(struct vmm_pool_fork *fork, size_t begin, size_t end)
{
	return vmm_os_file_clone(&fork->file, &vmm_pool.file, begin,
	    end - begin);
}

static int
populate_chunks(struct vmm_pool_fork *fork, size_t begin, size_t end)
{
	(void)fork;
	return vmm_os_populate(vmm_pool.base + begin, end - begin);
}

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

/*
 * Whether to share blocks: if all of the heap is in the file, and where it is
 * faster than to copy, for what is on disk already.
 */
static bool
wants_clone(const struct vmm_os_room *room)
{
	size_t used = used_bytes();

	return !vmm_pool.cannot_clone && is_all_in_file() &&
	    vmm_pool.reserve == VMM_RESERVE_GROW &&
	    vmm_pool.file.fs.has_page_cache &&
	    room->free_bytes / ROOM_TO_SHARE >= used &&
	    vmm_os_file_unwritten(&vmm_pool.file, vmm_pool.reserved) <=
		used / UNWRITTEN_SHARE;
}

static void
drop_window(struct vmm_pool_fork *fork)
{
	if (fork->window != NULL)
		vmm_os_unmap(fork->window, vmm_pool.size);
	fork->window = NULL;
}

void
vmm_pool_fork_end(struct vmm_pool_fork *fork)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;

	drop_window(fork);
	if (fork->file.fd >= 0)
		vmm_os_file_close(&fork->file, NULL, 0);
	if (fork->error != 0)
		__atomic_add_fetch(&vmm_pool.forks_failed, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&vmm_pool.forks, 1, __ATOMIC_RELAXED);
	errno = saved_errno;
}

/*
 * Before fork(2)
 */

/*
 * Of the pool's size, though only what is in use is written to: what the kernel will
 * not give is then refused here, to the parent, and not to a child that is there already.
 */
static int
begin_memory(struct vmm_pool_fork *fork)
{
	fork->child = VMM_POOL_CHILD_MEMORY;
	return fork->window != NULL ? 0
				    : vmm_os_map_plain(vmm_pool.size, &fork->window);
}

static int
begin_private(struct vmm_pool_fork *fork)
{
	fork->child = VMM_POOL_CHILD_PRIVATE;
	return vmm_pool_go_private() == 0 ? 0 : begin_memory(fork);
}

static int
begin_file(struct vmm_pool_fork *fork)
{
	struct vmm_os_room room;
	int error;

	fork->child = VMM_POOL_CHILD_FILE;
	/* A device is all one file. */
	if (vmm_pool.file.fs.device_bytes != 0)
		return EOPNOTSUPP;
	if (vmm_pool.dir[0] == '\0')
		return ENAMETOOLONG;
	error = vmm_os_file_create(vmm_pool.dir, &fork->file);
	if (error != 0)
		return error;
	vmm_os_file_room(&fork->file, &room);
	if (vmm_pool.size > room.limit_bytes)
		return EFBIG;
	/* The directory may be another by now. */
	if (fork->file.fs.page_size != vmm_pool.file.fs.page_size)
		return EXDEV;
	error = vmm_os_file_resize(&fork->file, vmm_pool.size);
	if (error != 0)
		return error;
	if (fork->file.fs.maps_reserve)
		return vmm_os_file_map(&fork->file, vmm_pool.size,
		    fork->file.fs.page_size, &fork->window);
	fork->is_cloned = wants_clone(&room);
	return fork->is_cloned ? 0 : reserve_used(fork);
}

/* As with VMMALLOC_FORK=1, after what should have been has failed. */
static int
fall_back(struct vmm_pool_fork *fork, int error)
{
	drop_window(fork);
	if (fork->file.fd >= 0)
		vmm_os_file_close(&fork->file, NULL, 0);
	return fork->may_go_private ? begin_private(fork) : error;
}

static int
begin(struct vmm_pool_fork *fork, enum vmm_fork kind)
{
	int error;

	if (!vmm_os_file_is_own(&vmm_pool.file)) {
		fork->child = VMM_POOL_CHILD_AS_IS;
		return vmm_pool.is_away ? 0 : begin_memory(fork);
	}
	if (kind == VMM_FORK_PRIVATE)
		return begin_private(fork);
	error = begin_file(fork);
	return error == 0 ? 0 : fall_back(fork, error);
}

int
vmm_pool_fork_begin(struct vmm_pool_fork *fork, enum vmm_fork kind)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;

	*fork = (struct vmm_pool_fork){
		.may_go_private = kind != VMM_FORK_COPY,
		.takes = SIZE_MAX, .file = { .fd = -1 },
		.begin_us = vmm_os_now_us(),
	};
	__atomic_add_fetch(&vmm_pool.forks, 1, __ATOMIC_RELAXED);
	vmm_pool_lock();
	fork->error = begin(fork, kind);
	vmm_pool_unlock();
	if (fork->error != 0)
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "no fork: "),
		    vmm_text_errno(line, fork->error));
	errno = saved_errno;
	return fork->error;
}

/* The child's file, sharing blocks; where that cannot be, it is empty again. */
static int
prepare_cloned(struct vmm_pool_fork *fork)
{
	int error = each_used(fork, clone_chunks);

	if (error == 0)
		return 0;
	fork->is_cloned = false;
	vmm_pool.cannot_clone = error != ENOSPC && error != EDQUOT;
	vmm_os_file_resize(&fork->file, 0);
	vmm_os_file_resize(&fork->file, vmm_pool.size);
	return error;
}

static int
prepare_file(struct vmm_pool_fork *fork)
{
	int error = 0;

	/* Meanwhile another thread's fork may have taken the heap out of its file. */
	fork->is_cloned &= is_all_in_file();
	if (fork->is_cloned && prepare_cloned(fork) == 0)
		return 0;
	if (fork->window == NULL)
		error = reserve_used(fork);
	return error == 0 ? copy_used(fork) : error;
}

static int
prepare_memory(struct vmm_pool_fork *fork)
{
	int error = begin_memory(fork);

	return error == 0 ? copy_used(fork) : error;
}

static int
prepare(struct vmm_pool_fork *fork)
{
	int error = 0;

	if (fork->child == VMM_POOL_CHILD_FILE) {
		error = prepare_file(fork);
		if (error != 0)
			error = fall_back(fork, error);
	}
	/* No more than a check, unless fork(2) does this by itself. */
	if (error == 0 && fork->child == VMM_POOL_CHILD_PRIVATE)
		error = begin_private(fork);
	if (error == 0 && fork->child == VMM_POOL_CHILD_MEMORY)
		error = prepare_memory(fork);
	return error;
}

void
vmm_pool_fork_prepare(struct vmm_pool_fork *fork)
{
	VMM_LOG_ENTER();
	static const char *const what[] = {
		[VMM_POOL_CHILD_AS_IS] = "forking: memory is private already",
		[VMM_POOL_CHILD_PRIVATE] = "forking: both sides go private",
		[VMM_POOL_CHILD_MEMORY] =
		    "forking: the child gets a copy in memory",
		[VMM_POOL_CHILD_FILE] = "forking: the child gets a file",
	};
	int saved_errno = errno;

	vmm_pool_lock();
	if (fork->error == 0)
		fork->error = prepare(fork);
	VMM_PROBE(fork, fork->child, fork->error);
	VMM_LOG(VMM_LOG_OPERATIONS,
	    vmm_text_str(line, fork->error != 0 ? "forking: no child"
						: what[fork->child]),
	    vmm_text_str(line, fork->is_cloned ? ", which shares blocks" : ""));
	(void)what;
	errno = saved_errno;
}

void
vmm_pool_fork_parent(struct vmm_pool_fork *fork)
{
	VMM_LOG_ENTER();
	uint64_t took_us = vmm_os_now_us() - fork->begin_us;

	if (fork->error == 0) {
		vmm_pool.forks_done++;
		vmm_pool.forks_us += took_us;
		if (took_us > vmm_pool.longest_fork_us)
			vmm_pool.longest_fork_us = took_us;
	}
	vmm_pool_unlock();
}

/*
 * In the child
 */

/* Nothing is the file's any more, nor can be. */
static int
adopt_memory(struct vmm_pool_fork *fork)
{
	int error = vmm_os_map_move(fork->window, vmm_pool.high_water,
	    vmm_pool.base, vmm_pool.size);

	if (error != 0)
		return error;
	fork->window = NULL;
	vmm_os_file_close(&vmm_pool.file, NULL, 0);
	vmm_os_file_release(&vmm_pool.holder);
	vmm_pool_chunks_remove(0, vmm_pool_chunks_end(), VMM_CHUNK_HOLE);
	vmm_pool_chunks_remove(0, vmm_pool_chunks_end(), VMM_CHUNK_PRIVATE);
	vmm_pool.private_from = 0;
	vmm_pool.is_away = true;
	vmm_pool_home_wanted();
	return 0;
}

static int
no_hole(struct vmm_pool_fork *fork, size_t begin, size_t end)
{
	(void)fork;
	vmm_pool_chunks_remove(begin, end, VMM_CHUNK_HOLE);
	return 0;
}

/* What the child's file has, and has been promised. */
static void
note_file(struct vmm_pool_fork *fork)
{
	bool is_full = vmm_pool.reserve == VMM_RESERVE_FULL;
	size_t end = vmm_pool_chunks_end();

	vmm_pool_chunks_remove(0, end, VMM_CHUNK_PRIVATE);
	vmm_pool_chunks_add(0, end, VMM_CHUNK_HOLE);
	if (is_full)
		no_hole(fork, 0, end);
	else
		each_used(fork, no_hole);
	vmm_pool.reserved = is_full ? vmm_pool.size : end;
	vmm_pool.private_from = vmm_pool.size;
	vmm_pool.is_away = false;
	vmm_pool_home_wanted();
	vmm_os_dump_set(vmm_pool.base + vmm_pool.reserved,
	    vmm_pool.size - vmm_pool.reserved, false);
}

/*
 * Shared blocks are promised to nobody: the child gets its own now, in its own time,
 * and when they are on disk its parent has the others to itself again. Until then
 * a store of the parent may need a block, which is why there has to be ROOM_TO_SHARE.
 * Where there is no room any more, the child leaves its file, and all shared blocks.
 */
static int
part_blocks(struct vmm_pool_fork *fork)
{
	int error = each_used(fork, populate_chunks);

	if (error == 0) {
		vmm_os_file_write_out(&vmm_pool.file);
		return 0;
	}
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "no blocks for the child: "),
	    vmm_text_errno(line, error));
	error = prepare_memory(fork);
	return error == 0 ? adopt_memory(fork) : error;
}

static int
adopt_file(struct vmm_pool_fork *fork)
{
	int error = vmm_os_file_map_at(&fork->file, vmm_pool.base, 0,
	    vmm_pool.size);

	if (error != 0)
		return error;
	drop_window(fork);
	vmm_os_file_replace(&vmm_pool.file, &fork->file);
	fork->file.fd = -1;
	vmm_os_file_release(&vmm_pool.holder);
	note_file(fork);
	return fork->is_cloned ? part_blocks(fork) : 0;
}

void
vmm_pool_fork_child(struct vmm_pool_fork *fork)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;
	int error = fork->error;

	if (error == 0 && fork->child == VMM_POOL_CHILD_MEMORY)
		error = adopt_memory(fork);
	else if (error == 0 && fork->child == VMM_POOL_CHILD_FILE)
		error = adopt_file(fork);
	if (error != 0)
		vmm_fatal_abort("no memory for the heap of a forked child, "
		    "which would have to write into its parent's");
	if (vmm_pool.own != NULL)
		*vmm_pool.own = 1;
	vmm_pool.owner = vmm_os_process();
	vmm_pool.forks = 0;
	vmm_pool.forks_done = vmm_pool.forks_failed = 0;
	vmm_pool.forks_us = vmm_pool.longest_fork_us = 0;
	vmm_pool.keepers = 0;
	if (vmm_pool.is_home_pending)
		vmm_pool_home_wanted();
	/* The lock's owner is the thread that forked: the one that goes on here. */
	vmm_pool_unlock();
	errno = saved_errno;
}
