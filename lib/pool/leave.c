/* SPDX-License-Identifier: BSD-3-Clause */
/* leave.c: the heap leaves its file, and becomes private memory. */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>

#include "pool/state.h"
#include "trace/log.h"

/* How much to copy at a time, where the kernel cannot copy on write. */
#define COPY_BYTES ((size_t)8 << 20)

/* End of the run of chunks that are all private, or all shared, and starts at `at`. */
static size_t
end_of_run(size_t at, size_t limit)
{
	bool is_private = vmm_pool_is_private(at);

	while (at < limit && vmm_pool_is_private(at) == is_private)
		at = (at / VMM_CHUNK_SIZE + 1) * VMM_CHUNK_SIZE;
	return vmm_smaller(at, limit);
}

int
vmm_pool_parts(size_t begin, size_t end, const struct vmm_os_parts *known,
    struct vmm_os_parts *parts)
{
	int error = vmm_os_parts_read(vmm_pool.base, begin, end - begin, known, parts);

	/* Memory without a file is the program's own where the library put none. */
	for (size_t i = 0; error == 0 && i < parts->count; i++) {
		struct vmm_os_part *part = &parts->list[i];

		if (!part->has_file && part->begin < vmm_pool.memory_from &&
		    (vmm_pool.chunks[part->begin /
			VMM_CHUNK_SIZE] & VMM_CHUNK_MEMORY) == 0) {
			part->is_own = false;
			parts->has_settings = true;
		}
	}
	if (error == 0)
		return 0;
	/* What the program has set is not known: not a reason to overwrite it. */
	if (error != ENOENT)
		return error;
	/* Without /proc. */
	*parts = (struct vmm_os_parts){ .list = NULL };
	for (error = 0; error == 0 && begin < end;) {
		struct vmm_os_part part = {
			.begin = begin, .end = end_of_run(begin, end),
			.protection = PROT_READ | PROT_WRITE,
			.is_shared = !vmm_pool_is_private(begin),
			.has_file = true, .is_own = true,
		};

		error = vmm_os_parts_add(parts, &part);
		begin = part.end;
	}
	if (error != 0)
		vmm_os_parts_free(parts);
	return error;
}

/*
 * A core dump leaves out a private mapping of a file in which nothing was ever written
 * (core(5)); if one page was, it has all of it. The kernel makes that page, since another
 * thread may just have taken the right to write away.
 */
static void
keep_in_core(const struct vmm_os_part *part)
{
	size_t first, npages, at;
	volatile char *byte;
	char value;

	if ((part->protection & PROT_WRITE) == 0 ||
	    !vmm_ranges_next_used(&vmm_pool.ranges,
		part->begin / vmm_pool.page_size, &first, &npages))
		return;
	at = vmm_larger(first * vmm_pool.page_size, part->begin);
	if (at >= part->end)
		return;
	byte = vmm_pool.base + at;
	/* EINVAL before Linux 5.14. */
	if (vmm_os_populate((void *)(uintptr_t)byte, vmm_os_page_size()) == EINVAL &&
	    !vmm_os_has_threads()) {
		value = *byte;
		*byte = value;
	}
}

/*
 * A thread that waits on a futex which is not private to the process waits for the file's
 * page; whoever wakes it after the heap has left, by the address, looks for the private
 * page. To be stopped makes a thread ask again. Where that is refused it is woken, as any
 * waiter must expect (futex(2)); but with priority inheritance the kernel does not: then
 * the heap has to stay. Where nobody can say who waits, all are made to ask again, once
 * no locks are held.
 */
static int
check_waits(void)
{
	struct vmm_os_waits waits;

	vmm_os_futex_waits(vmm_pool.base, vmm_pool.mapped, &waits);
	return waits.npi == 0 || vmm_pool_call_stopped_at_fork(NULL, NULL) == 0 ? 0 : EAGAIN;
}

static void
requeue_waits(void)
{
	struct vmm_os_waits waits;

	vmm_os_futex_waits(vmm_pool.base, vmm_pool.mapped, &waits);
	if ((waits.count == 0 && waits.is_complete) ||
	    vmm_pool_call_stopped_at_fork(NULL, NULL) == 0)
		return;
	for (size_t i = 0; i < waits.count; i++)
		vmm_os_futex_wake_file(&vmm_pool.file,
		    waits.addresses[i] - (uintptr_t)vmm_pool.base);
	if (!waits.is_complete)
		__atomic_store_n(&vmm_pool.wakes_all, true, __ATOMIC_RELAXED);
}

void
vmm_pool_fork_wake(void)
{
	int error;

	if (!__atomic_exchange_n(&vmm_pool.wakes_all, false, __ATOMIC_RELAXED))
		return;
	error = vmm_os_futex_all_again();
	if (error != 0)
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "threads not woken: "),
		    vmm_text_errno(line, error));
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

/* What is mapped, and how leaving went. */
struct leave {
	struct vmm_os_parts parts;
	int error;
};

/* As vmm_pool_leave_by_mapping, of what these list. */
static int
map_privately(const struct vmm_os_parts *parts)
{
	void *window;
	int error = 0;

	for (size_t i = 0; error == 0 && i < parts->count; i++) {
		const struct vmm_os_part *part = &parts->list[i];

		if (!part->is_own || !part->is_shared)
			continue;
		if (part->is_dontfork) {
			vmm_pool.keeps_shared = true;
			continue;
		}
		error = vmm_os_window_map(&vmm_pool.file, vmm_pool.base, part->begin,
		    part->end - part->begin, VMM_OS_PRIVATE, &window);
		if (error == 0)
			error = vmm_os_part_replace(part, vmm_pool.base, window);
		if (error == 0)
			keep_in_core(part);
	}
	return error;
}

/* With everybody standing still. */
static void
map_parts(void *argument)
{
	struct leave *leave = argument;
	struct vmm_os_parts parts;

	leave->error = vmm_pool_parts(0, vmm_pool.mapped, &leave->parts, &parts);
	if (leave->error != 0)
		return;
	leave->error = map_privately(&parts);
	vmm_os_parts_free(&parts);
}

/*
 * By private mappings of the file. No store is lost if no thread stops: it goes to the file
 * before, to a copy of its page after, which has what the file had. But what another thread
 * sets meanwhile would be: where a program has ever set anything, all stop, if they can.
 *
 * Children do not get what has MADV_DONTFORK, so that may stay, for devices have buffers
 * there (RDMA); until the program takes that back.
 */
int
vmm_pool_leave_by_mapping(void)
{
	/* Not on the stack, which may be the program's (see move.c). */
	static struct leave leave;
	static bool had_settings;
	bool is_done = false;
	int error;

	vmm_pool.keeps_shared = false;
	error = clear_from(vmm_larger(vmm_pool.reserved, vmm_pool.high_water));
	if (error == 0)
		error = vmm_pool_parts(0, vmm_pool.mapped, NULL, &leave.parts);
	if (error != 0)
		return error;
	had_settings |= leave.parts.has_settings;
	if (had_settings && vmm_os_has_threads())
		is_done = vmm_pool_call_stopped_at_fork(map_parts, &leave) == 0;
	if (!is_done)
		leave.error = map_privately(&leave.parts);
	vmm_os_parts_free(&leave.parts);
	return leave.error;
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
		    VMM_POOL_TO_MEMORY, vmm_pool_others_at_fork(), &done);
		/* If the helper was killed, nobody knows how far it has come. */
		vmm_pool_chunks_add(begin, error == ECANCELED ? limit : done,
		    VMM_CHUNK_PRIVATE);
		vmm_pool_chunks_add(begin, error == ECANCELED ? limit : done,
		    VMM_CHUNK_MEMORY);
		/* In a row: on a busy machine each step may need some. */
		if (error == 0)
			tries = 0;
		else if ((error == EAGAIN || error == ETIMEDOUT) && ++tries < VMM_POOL_STOP_TRIES)
			error = 0;
	}
	if (error == 0)
		error = clear_from(limit);
	vmm_pool.is_copied = error == 0;
	return error == EPERM || error == ETIMEDOUT ? EAGAIN : error;
}

int
vmm_pool_leave(void)
{
	bool is_alone;
	int error;

	if (vmm_pool.is_private && !vmm_pool.keeps_shared)
		return 0;
	error = check_waits();
	if (error != 0)
		return error;
	if (vmm_pool.is_private) {
		error = vmm_pool_leave_by_mapping();
		requeue_waits();
		return error;
	}
	if (vmm_os_file_can_be_private(&vmm_pool.file) != 0) {
		error = leave_by_copying();
	} else {
		/* Without this lock there will be no return, but nothing is lost. */
		vmm_os_lock_hold(&vmm_pool.users, &is_alone);
		error = vmm_pool_leave_by_mapping();
		vmm_pool_chunks_add(0, vmm_pool_chunks_end(), VMM_CHUNK_PRIVATE);
	}
	vmm_pool.is_private = error == 0;
	vmm_pool.memory_from = vmm_smaller(vmm_pool.memory_from, vmm_pool.mapped);
	if (error != 0)
		vmm_os_lock_release(&vmm_pool.users);
	vmm_pool_return_wanted();
	requeue_waits();
	return error;
}
