/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_fork.c: what becomes of the pool at fork(2). */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "fatal.h"
#include "log.h"
#include "pool_state.h"
#include "probe.h"

/*
 * The heap leaves its file: it becomes private memory at the same addresses. Then the
 * kernel's own copy-on-write makes the child's, at the instant of clone(2). Each side
 * returns when it has a file to itself: a child that is to have one makes it in its own
 * time, before fork(2) returns in it; for the others see pool_return.c.
 */

/* How much to copy at a time where the heap leaves by copying. */
#define COPY_BYTES ((size_t)8 << 20)
/* Where the kernel cannot copy on write, copying is repeated for threads in the kernel. */
#define COPY_TRIES 100
/*
 * Blocks are shared only where there is so much more room than is shared: a store
 * into one that still is needs a block, and none is promised (see own_blocks).
 */
#define ROOM_TO_SHARE 8
/* And where no more than this share is still to be written out, which cloning does. */
#define UNWRITTEN_SHARE 4
/* Threads found waiting whose futexes change; the rest is found by stopping them. */
#define WAITS_MAX 64

/*
 * Leaving
 */

/*
 * A core dump leaves out a private mapping of a file in which nothing was ever written
 * (core(5)). A store that changes nothing makes the kernel keep all of it.
 */
static void
keep_in_core(const struct vmm_os_part *part)
{
	size_t first, npages, at;
	unsigned char value;
	unsigned char *byte;

	if ((part->protection & PROT_WRITE) == 0 ||
	    !vmm_ranges_next_used(&vmm_pool.ranges,
		part->begin / vmm_pool.page_size, &first, &npages))
		return;
	at = vmm_larger(first * vmm_pool.page_size, part->begin);
	if (at >= part->end)
		return;
	byte = (unsigned char *)vmm_pool.base + at;
	value = __atomic_load_n(byte, __ATOMIC_RELAXED);
	__atomic_compare_exchange_n(byte, &value, value, false, __ATOMIC_RELAXED,
	    __ATOMIC_RELAXED);
}

/*
 * A thread that waits on a futex which is not private to the process waits for the file's
 * page; whoever wakes it now, by the address, looks for that of the private page. To be
 * stopped makes a thread ask again; where that is refused it is woken, as any waiter must
 * expect (futex(2)).
 */
static void
nothing(void *argument)
{
	(void)argument;
}

static void
requeue_waits(void)
{
	uintptr_t addresses[WAITS_MAX];
	size_t count = vmm_os_futex_waits(vmm_pool.base, vmm_pool.mapped, addresses,
	    WAITS_MAX);

	if (count == 0 || vmm_os_aside(nothing, NULL, vmm_pool.may_stop) == 0)
		return;
	for (size_t i = 0; i < count && i < WAITS_MAX; i++)
		vmm_os_futex_wake_file(&vmm_pool.file,
		    addresses[i] - (uintptr_t)vmm_pool.base);
}

/* Takes away what nobody has used yet: the file must not be, nor be shared. */
static int
clear_from(size_t begin)
{
	int error = 0;

	if (begin < vmm_pool.mapped)
		error = vmm_os_place_clear(vmm_pool.base, begin,
		    vmm_pool.mapped - begin);
	if (error == 0)
		vmm_pool.mapped = vmm_smaller(vmm_pool.mapped, begin);
	return error;
}

/*
 * By private mappings of the file. No thread has to stop: a store goes to the file before,
 * to a copy of its page after, which has what the file had. Children do not get what has
 * MADV_DONTFORK, so that may stay.
 */
static int
leave_by_mapping(void)
{
	struct vmm_os_parts parts;
	void *window;
	int error = clear_from(vmm_pool.reserved);

	if (error == 0)
		error = vmm_os_parts_read(vmm_pool.base, 0, vmm_pool.mapped, &parts);
	if (error != 0)
		return error;
	for (size_t i = 0; error == 0 && i < parts.count; i++) {
		const struct vmm_os_part *part = &parts.list[i];

		if (!part->is_own || !part->is_shared || part->is_unforked)
			continue;
		error = vmm_os_window_map(&vmm_pool.file, vmm_pool.base, part->begin,
		    part->end - part->begin, VMM_OS_PRIVATE, &window);
		if (error == 0)
			error = vmm_os_part_replace(part, vmm_pool.base, window);
		if (error == 0)
			keep_in_core(part);
	}
	vmm_os_parts_free(&parts);
	return error;
}

/*
 * Where the kernel cannot copy on write from the file: into ordinary memory. Then the
 * file is not needed by anybody.
 */
static int
leave_by_copying(void)
{
	size_t unit = vmm_pool_move_unit();
	size_t limit = vmm_smaller(vmm_round_up(vmm_pool.high_water, unit),
	    vmm_pool.mapped);
	size_t step = vmm_round_up(COPY_BYTES, unit);
	int error = 0;
	int tries = 0;

	for (size_t begin = 0, done; error == 0 && begin < limit; begin = done) {
		error = vmm_pool_move(begin, vmm_smaller(begin + step, limit),
		    VMM_OS_ANONYMOUS, &done);
		/* If the helper was killed, nobody knows how far it has come. */
		vmm_pool_chunks_add(begin, error == ECANCELED ? limit : done,
		    VMM_CHUNK_PRIVATE);
		if (error == EAGAIN && ++tries < COPY_TRIES)
			error = 0;
	}
	if (error == 0)
		error = clear_from(limit);
	vmm_pool.is_copied = error == 0;
	return error == EPERM ? EAGAIN : error;
}

/*
 * 0, or an errno value: then some of it may be private already, which does no harm, since
 * a private page has what the file's had, and returns.
 */
static int
leave(void)
{
	bool is_alone;
	int error;

	if (vmm_pool.is_private)
		return 0;
	if (vmm_os_file_can_be_private(&vmm_pool.file) != 0) {
		error = leave_by_copying();
	} else {
		/* Without this lock there will be no return, but nothing is lost. */
		vmm_os_lock_hold(&vmm_pool.users, &is_alone);
		error = leave_by_mapping();
		vmm_pool_chunks_add(0, vmm_pool_chunks_end(), VMM_CHUNK_PRIVATE);
	}
	vmm_pool.is_private = error == 0;
	if (error != 0)
		vmm_os_lock_release(&vmm_pool.users);
	vmm_pool_return_wanted();
	if (error == 0)
		requeue_waits();
	return error;
}

/*
 * A file for the child
 */

/* By which children tell their parents; a bit in `taken` for each that is in use. */
#define NWORDS 64
static unsigned *words;
static uint64_t words_taken;

static int
take_word(unsigned **word)
{
	size_t size = vmm_os_page_size();
	void *common;
	int error = words == NULL ? vmm_os_common_map(size, &common) : 0;
	int i;

	if (error != 0)
		return error;
	if (words == NULL)
		words = common;
	if (words_taken == UINT64_MAX)
		return EAGAIN;
	i = __builtin_ctzll(~words_taken);
	words_taken |= (uint64_t)1 << i;
	words[i] = 0;
	*word = &words[i];
	return 0;
}

/* A child has its parent's no longer than it needs one of them. */
static void
drop_words(void)
{
	if (words != NULL)
		vmm_os_unmap(words, vmm_os_page_size());
	words = NULL;
	words_taken = 0;
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

static bool
needs_all_blocks(void)
{
	return vmm_pool.reserve == VMM_RESERVE_FULL || vmm_pool.file.fs.maps_reserve;
}

/* Makes an empty file of the pool's size, if there is room for what is in use. */
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
		return EFBIG;
	/* The directory may be another by now. */
	if (file->fs.page_size != vmm_pool.file.fs.page_size)
		return EXDEV;
	if ((needs_all_blocks() ? vmm_pool.size : used_bytes()) > room->free_bytes)
		return file->fs.maps_reserve ? ENOMEM : ENOSPC;
	return vmm_os_file_resize(file, vmm_pool.size);
}

/* Whether the child could make its file at this moment. */
static int
try_file(void)
{
	struct vmm_os_file file;
	struct vmm_os_room room;
	int error = make_file(&file, &room);

	if (file.fd >= 0)
		vmm_os_file_close(&file, NULL, 0);
	return error;
}

/* The child's file while it is made; out of the heap, which moves meanwhile. */
static struct {
	struct vmm_os_file file;
	char *window;
	size_t end;     /* of what is mapped from it */
	bool is_cloned; /* it shares blocks with the parent's */
	size_t data_begin, data_end; /* the parent's file has data from here to there */
	int error;
} own;

/*
 * Whether to share blocks: if the heap is in the parent's file, and where it is faster
 * than to copy, for what is on disk already.
 */
static bool
wants_clone(const struct vmm_os_room *room)
{
	size_t used = used_bytes();

	return !vmm_pool.cannot_clone && !vmm_pool.is_copied &&
	    vmm_os_file_is_own(&vmm_pool.file) && !needs_all_blocks() &&
	    vmm_pool.file.fs.has_page_cache &&
	    room->free_bytes / ROOM_TO_SHARE >= used &&
	    vmm_os_file_unwritten(&vmm_pool.file, vmm_pool.reserved) <=
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
	return vmm_os_file_reserve(&own.file, NULL, begin, end - begin);
}

static int
clone_chunks(size_t begin, size_t end)
{
	return vmm_os_file_clone(&own.file, &vmm_pool.file, begin, end - begin);
}

static int
own_blocks(size_t begin, size_t end)
{
	return vmm_os_populate(vmm_pool.base + begin, end - begin);
}

static int
put(size_t begin, size_t end)
{
	if (own.file.fs.has_page_cache)
		return vmm_os_file_write(&own.file, begin, vmm_pool.base + begin,
		    end - begin);
	memcpy(own.window + begin, vmm_pool.base + begin, end - begin);
	return 0;
}

/* Whether the parent's file has data for a page; asked with ever larger offsets. */
static bool
has_data(size_t at)
{
	if (own.is_cloned || vmm_pool.is_copied)
		return false;
	if (at >= own.data_end)
		vmm_os_file_next_data(&vmm_pool.file, at, vmm_pool.mapped,
		    &own.data_begin, &own.data_end);
	return at >= own.data_begin && at < own.data_end;
}

/* Copies what was written of a chunk; of a cloned one, what the file does not have. */
static int
copy_chunk(size_t begin, size_t end)
{
	unsigned char is_private[VMM_CHUNK_SIZE / 4096];
	size_t page_size = vmm_os_page_size();
	size_t npages = (end - begin) / page_size;
	size_t from = begin;
	int error = 0;

	vmm_os_private_pages(vmm_pool.base + begin, npages, is_private);
	for (size_t at = begin; error == 0 && at < end; at += page_size) {
		if (is_private[(at - begin) / page_size] || has_data(at))
			continue;
		if (from < at)
			error = put(from, at);
		from = at + page_size;
	}
	return error == 0 && from < end ? put(from, end) : error;
}

/* Copies what is in use of a part: the child does not have what has MADV_DONTFORK. */
static int
copy_part(const struct vmm_os_part *part)
{
	size_t begin, end;
	int error = 0;

	for (size_t at = part->begin / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE;
	     error == 0 && at < part->end; at = end) {
		if (!vmm_pool_next_used_chunks(at, &begin, &end) || begin >= part->end)
			break;
		begin = vmm_larger(begin, part->begin);
		end = vmm_smaller(vmm_smaller(end, part->end),
		    (begin / VMM_CHUNK_SIZE + 1) * VMM_CHUNK_SIZE);
		error = copy_chunk(begin, end);
	}
	return error;
}

static int
reserve(void)
{
	return needs_all_blocks() ? reserve_chunks(0, vmm_pool.size)
				  : each_used(reserve_chunks);
}

/* Shares blocks, or has them promised. */
static int
get_blocks(const struct vmm_os_room *room)
{
	int error;

	own.is_cloned = wants_clone(room);
	if (own.is_cloned) {
		error = each_used(clone_chunks);
		if (error == 0)
			return 0;
		own.is_cloned = false;
		vmm_pool.cannot_clone = error != ENOSPC && error != EDQUOT;
		vmm_os_file_resize(&own.file, 0);
		vmm_os_file_resize(&own.file, vmm_pool.size);
	}
	/* Where to reserve is to allocate and clear, what is written first is not cleared. */
	return vmm_pool.file.fs.reserve_allocates ? 0 : reserve();
}

/* Maps the file in place of what is private; what is protected is read all the same. */
static int
install(void)
{
	struct vmm_os_parts parts;
	size_t mapped = vmm_pool.mapped;
	int error = vmm_os_parts_read(vmm_pool.base, 0, mapped, &parts);

	for (size_t i = 0; error == 0 && i < parts.count; i++) {
		if ((parts.list[i].protection & PROT_READ) == 0)
			error = vmm_pool_make_readable(&parts.list[i]);
		if (error == 0 && parts.list[i].is_own)
			error = copy_part(&parts.list[i]);
	}
	if (error == 0 && own.file.fs.reserve_allocates)
		error = reserve();
	for (size_t i = 0; error == 0 && i < parts.count; i++) {
		const struct vmm_os_part *part = &parts.list[i];

		if (part->is_own)
			error = vmm_os_part_replace(part, vmm_pool.base,
			    own.window + part->begin);
	}
	if (error == 0 && own.end > mapped)
		error = vmm_os_window_move(own.window + mapped, vmm_pool.base,
		    mapped, own.end - mapped);
	for (size_t i = 0; error != 0 && i < parts.count; i++)
		vmm_pool_undo_readable(&parts.list[i]);
	vmm_os_parts_free(&parts);
	return error;
}

/* In the helper, since this thread's stack may be a block of the heap. */
static void
make_own(void *argument)
{
	struct vmm_os_room room;
	void *window = NULL;
	int error = make_file(&own.file, &room);

	(void)argument;
	own.data_begin = own.data_end = 0;
	own.end = needs_all_blocks() ? vmm_pool.size : vmm_pool.mapped;
	if (error == 0)
		error = get_blocks(&room);
	if (error == 0)
		error = vmm_os_window_map(&own.file, vmm_pool.base, 0, own.end,
		    VMM_OS_SHARED, &window);
	own.window = window;
	if (error == 0)
		error = install();
	if (error != 0 && window != NULL)
		vmm_os_unmap(window, own.end);
	if (error != 0 && own.file.fd >= 0)
		vmm_os_file_close(&own.file, NULL, 0);
	own.error = error;
}

static int
no_hole(size_t begin, size_t end)
{
	vmm_pool_chunks_remove(begin, end, VMM_CHUNK_HOLE);
	return 0;
}

/* What the child's file has, and has been promised. */
static void
note_own(void)
{
	size_t end;

	vmm_os_file_replace(&vmm_pool.file, &own.file);
	vmm_os_lock_release(&vmm_pool.users);
	vmm_pool.mapped = vmm_pool.reserved = own.end;
	end = vmm_pool_chunks_end();
	vmm_pool_chunks_remove(0, end, VMM_CHUNK_PRIVATE);
	if (needs_all_blocks()) {
		no_hole(0, end);
	} else {
		vmm_pool_chunks_add(0, end, VMM_CHUNK_HOLE);
		each_used(no_hole);
	}
	vmm_pool.is_private = vmm_pool.is_copied = false;
	vmm_pool.return_pending = false;
}

/*
 * Shared blocks are promised to nobody: the child gets its own now, in its own time,
 * and when they are on disk its parent has the others to itself again. Until then
 * a store of the parent may need a block, which is why there has to be ROOM_TO_SHARE.
 * Where there is no room any more, the child leaves its file for good.
 */
static void
part_blocks(void)
{
	int error = each_used(own_blocks);

	if (error == 0) {
		vmm_os_file_write_out(&vmm_pool.file);
		return;
	}
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "no blocks for the child: "),
	    vmm_text_errno(line, error));
	error = leave();
	vmm_os_lock_release(&vmm_pool.users);
	vmm_pool_return_wanted();
	if (error != 0)
		vmm_fatal_abort("no memory for the heap of a forked child, "
		    "whose file has no blocks of its own");
}

/*
 * One call of fork(2)
 */

int
vmm_pool_fork_begin(struct vmm_pool_fork *fork, enum vmm_fork kind)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;

	*fork = (struct vmm_pool_fork){
		.begin_us = vmm_os_now_us(), .process = vmm_os_process(),
		.may_do_without = kind != VMM_FORK_COPY,
		.wants_file = kind != VMM_FORK_PRIVATE,
	};
	fork->error = vmm_pool_try_lock() == 0 ? 0 : EAGAIN;
	if (fork->error == 0) {
		fork->is_begun = true;
		vmm_pool.forks++;
		if (fork->wants_file)
			fork->error = try_file();
		if (fork->error == 0 && fork->wants_file)
			fork->error = take_word(&fork->word);
		if (fork->error != 0 && fork->may_do_without) {
			fork->wants_file = false;
			fork->error = 0;
		}
		if (fork->error == 0)
			fork->error = leave();
		vmm_pool_unlock();
	}
	if (fork->error != 0)
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "no fork: "),
		    vmm_text_errno(line, fork->error));
	errno = saved_errno;
	return fork->error;
}

void
vmm_pool_fork_prepare(struct vmm_pool_fork *fork, enum vmm_fork kind)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;
	int child;

	if (!fork->is_begun) {
		/* libc's own call, of daemon(3) say: no way to make it fail. */
		*fork = (struct vmm_pool_fork){
			.begin_us = vmm_os_now_us(), .process = vmm_os_process(),
			.wants_file = kind != VMM_FORK_PRIVATE,
			.may_do_without = true,
		};
		fork->error = leave();
	}
	child = fork->wants_file ? VMM_FORK_COPY : VMM_FORK_PRIVATE;
	VMM_PROBE(fork, child, fork->error);
	VMM_LOG(VMM_LOG_OPERATIONS,
	    vmm_text_str(line, fork->wants_file ? "forking: the child gets a file"
						: "forking: both sides are private"));
	errno = saved_errno;
}

void
vmm_pool_fork_child(struct vmm_pool_fork *fork)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;

	if (fork->error != 0)
		vmm_fatal_abort("no memory for the heap of a forked child, "
		    "which would have to write into its parent's");
	if (vmm_pool.own != NULL)
		*vmm_pool.own = 1;
	vmm_pool.owner = vmm_os_process();
	vmm_pool.forks = 0;
	vmm_pool.forks_done = vmm_pool.forks_failed = 0;
	vmm_pool.forks_us = vmm_pool.longest_fork_us = 0;
	vmm_pool.keepers = 0;
	vmm_pool.rest_until_us = vmm_pool.return_us = 0;
	vmm_pool.return_error = 0;
	/* Where the parent's file is not needed, it is the parent's alone. */
	if (vmm_pool.is_copied)
		vmm_os_file_close(&vmm_pool.file, NULL, 0);
	vmm_pool_return_wanted();
	vmm_pool_unlock_in_child();
	errno = saved_errno;
}

/* What a child says: one more than an errno value, or than 0. */
static void
tell_parent(const struct vmm_pool_fork *fork, int error)
{
	if (fork->word != NULL)
		vmm_os_word_set(fork->word, (unsigned)error + 1);
}

void
vmm_pool_fork_settle(struct vmm_pool_fork *fork)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;
	int error = 0;

	vmm_pool_lock();
	if (fork->wants_file) {
		error = vmm_os_aside(make_own, NULL, false);
		if (error == 0)
			error = own.error;
		if (error == 0)
			note_own();
		tell_parent(fork, error);
		if (error != 0 && !fork->may_do_without)
			vmm_os_exit(0);
		/* The helper was killed: nobody knows how far it has come. */
		if (error == ECANCELED)
			vmm_fatal_abort("the helper was killed that puts the heap of"
			    " a forked child into its file");
		if (error == 0 && own.is_cloned)
			part_blocks();
		VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "forked: "),
		    vmm_text_str(line, error != 0 ? "no file for this child: "
			: own.is_cloned ? "a file that shares blocks: "
			: "a file of its own: "), vmm_text_errno(line, error));
	}
	drop_words();
	vmm_pool_unlock();
	errno = saved_errno;
}

int
vmm_pool_fork_await(struct vmm_pool_fork *fork, pid_t child)
{
	VMM_LOG_ENTER();
	unsigned said;

	if (fork->word == NULL || fork->process != vmm_os_process())
		return 0;
	said = vmm_os_word_await(fork->word, child);
	/* One that died before it could say anything is the program's to wait for. */
	return said == 0 || fork->may_do_without ? 0 : (int)said - 1;
}

static void
count(const struct vmm_pool_fork *fork, bool is_done)
{
	uint64_t took_us = vmm_os_now_us() - fork->begin_us;

	if (!is_done) {
		vmm_pool.forks_failed++;
		return;
	}
	vmm_pool.forks_done++;
	vmm_pool.forks_us += took_us;
	if (took_us > vmm_pool.longest_fork_us)
		vmm_pool.longest_fork_us = took_us;
}

void
vmm_pool_fork_end(struct vmm_pool_fork *fork, bool is_done)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;

	/* In a child of a handler's own fork the call goes on that its parent began. */
	if (!fork->is_begun || fork->process != vmm_os_process())
		return;
	vmm_pool_lock();
	if (fork->word != NULL)
		words_taken &= ~((uint64_t)1 << (fork->word - words));
	vmm_pool.forks--;
	count(fork, is_done);
	/* Little has been written since, and more will be if the return has to wait. */
	if (fork->wants_file)
		vmm_pool.rest_until_us = 0;
	if (vmm_pool.forks == 0)
		vmm_pool_return_wanted();
	vmm_pool_unlock();
	errno = saved_errno;
}
