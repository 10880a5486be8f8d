/* SPDX-License-Identifier: BSD-3-Clause */
/* make_private.c: the heap leaves its file at fork(2): it becomes private memory. */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>

#include "pool/state.h"
#include "trace/log.h"

/* How much is copied in one stop, where the kernel cannot copy on write. */
#define COPY_BYTES ((size_t)8 << 20)

/* Returns the end of the run of private, or of shared, chunks that begins at `at`. */
static size_t
end_of_run(size_t at, size_t limit)
{
	bool is_private = vmm_pool_chunk_is_private(at);

	while (at < limit && vmm_pool_chunk_is_private(at) == is_private)
		at = (at / VMM_CHUNK_SIZE + 1) * VMM_CHUNK_SIZE;
	return vmm_smaller(at, limit);
}

int
vmm_pool_parts_read(size_t begin, size_t end, const struct vmm_os_parts *earlier,
    struct vmm_os_parts *parts)
{
	int error = vmm_os_parts_read(vmm_pool.base, begin, end - begin, earlier, parts);

	/* Anonymous memory that the library did not map belongs to the program. */
	for (size_t i = 0; error == 0 && i < parts->count; i++) {
		struct vmm_os_part *part = &parts->list[i];

		if (!part->has_file && part->begin < vmm_pool.anonymous_from &&
		    (vmm_pool.chunks[part->begin /
			VMM_CHUNK_SIZE] & VMM_CHUNK_ANONYMOUS) == 0) {
			part->is_pool = false;
			parts->has_settings = true;
		}
	}
	if (error == 0)
		return 0;
	/* The list made below lacks the program's settings: make it only without /proc. */
	if (error != ENOENT)
		return error;
	*parts = (struct vmm_os_parts){ .list = NULL };
	for (error = 0; error == 0 && begin < end;) {
		struct vmm_os_part part = {
			.begin = begin, .end = end_of_run(begin, end),
			.protection = PROT_READ | PROT_WRITE,
			.is_shared = !vmm_pool_chunk_is_private(begin),
			.has_file = true, .is_pool = true,
		};

		/* Remove the program's protections, which are unknown: a copy could fault. */
		vmm_os_mprotect(vmm_pool.base + begin, part.end - begin, part.protection);
		error = vmm_os_parts_add(parts, &part);
		begin = part.end;
	}
	if (error != 0)
		vmm_os_parts_free(parts);
	return error;
}

/*
 * A core dump omits a private mapping of a file until a page of the mapping was written
 * (core(5)). Then the dump contains the whole mapping. So the kernel copies one page here,
 * without a store, which would fault if another thread has just made the page read-only.
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
	/* Before Linux 5.14 (EINVAL) a store must do, without other threads. */
	if (vmm_os_populate((void *)(uintptr_t)byte, vmm_os_page_size()) == EINVAL &&
	    !vmm_os_has_threads()) {
		value = *byte;
		*byte = value;
	}
}

/*
 * A thread waits on a shared futex under the key of the file's page. After the heap has
 * left, a wake uses the key of the private page and misses the thread. A stopped thread
 * repeats its wait under the new key. If stops are refused, waiters are woken instead:
 * futex(2) allows spurious wake-ups. Waiters that only a stop can wake (needs_stop) forbid
 * the leave if no stop succeeds. If not all waiters can be found, vmm_pool_fork_wake makes
 * all threads repeat their calls.
 */
static int
check_waits(void)
{
	struct vmm_os_waits waits;

	vmm_os_futex_waits(vmm_pool.base, vmm_pool.mapped, &waits);
	return waits.needs_stop == 0 ||
	    vmm_pool_call_stopped_at_fork(NULL, NULL) == 0 ? 0 : EAGAIN;
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
		__atomic_store_n(&vmm_pool.wake_pending, true, __ATOMIC_RELAXED);
}

void
vmm_pool_fork_wake(void)
{
	int error;

	if (!__atomic_exchange_n(&vmm_pool.wake_pending, false, __ATOMIC_RELAXED))
		return;
	error = vmm_os_futex_restart_all();
	if (error != 0)
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "threads not woken: "),
		    vmm_text_errno(line, error));
}

/*
 * Unmaps memory from `begin` on, which is unused. If it stayed shared, a child would share
 * it. If it became private, a store to it might find no file block (SIGBUS).
 */
static int
clear_from(size_t begin)
{
	size_t end = vmm_pool_chunks_end();
	int error;

	if (begin >= vmm_pool.mapped)
		return 0;
	error = vmm_os_place_clear(vmm_pool.base, begin, vmm_pool.mapped - begin);
	if (error != 0)
		return error;
	vmm_pool.mapped = begin;
	/* Otherwise the return would never end: these chunks have no memory to return. */
	vmm_pool_chunks_remove(vmm_round_up(begin, VMM_CHUNK_SIZE), end, VMM_CHUNK_PRIVATE);
	return 0;
}

struct leave {
	struct vmm_os_parts parts;
	int error;
};

/* Maps the shared parts of the list privately. */
static int
map_privately(const struct vmm_os_parts *parts)
{
	void *window;
	int error = 0;

	for (size_t i = 0; error == 0 && i < parts->count; i++) {
		const struct vmm_os_part *part = &parts->list[i];

		if (!part->is_pool || !part->is_shared)
			continue;
		if (part->is_dontfork) {
			vmm_pool.has_dontfork = true;
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

/* Called while other threads are stopped. */
static void
map_parts_privately(void *argument)
{
	struct leave *leave = argument;
	struct vmm_os_parts parts;

	leave->error = vmm_pool_parts_read(0, vmm_pool.mapped, &leave->parts, &parts);
	if (leave->error != 0)
		return;
	leave->error = map_privately(&parts);
	vmm_os_parts_free(&parts);
}

/*
 * Maps the shared parts privately. No store is lost even without a stop: until the mapping
 * changes, stores go to the file; then to a private copy of the file's page. But a setting
 * that another thread makes meanwhile (mlock(2), ...) would be lost. So once the program has
 * made any setting, all threads are stopped, if they can be. Parts with MADV_DONTFORK stay
 * shared: children do not get them, and devices may have buffers in them (RDMA). The next
 * leave checks whether the program has removed MADV_DONTFORK.
 */
static int
leave_by_mapping(void)
{
	/* Not on the stack, which may be a block of the heap (see move.c). */
	static struct leave leave;
	static bool had_settings;
	int error;

	error = clear_from(vmm_larger(vmm_pool.reserved, vmm_pool.high_water));
	if (error == 0)
		error = vmm_pool_parts_read(0, vmm_pool.mapped, NULL, &leave.parts);
	if (error != 0)
		return error;
	had_settings |= leave.parts.has_settings;
	error = had_settings && vmm_os_has_threads()
	    ? vmm_pool_call_stopped_at_fork(map_parts_privately, &leave) : EPERM;
	/* A killed helper may have made some parts private already: list the parts anew. */
	if (error == ECANCELED) {
		vmm_os_parts_free(&leave.parts);
		leave.error = vmm_pool_parts_read(0, vmm_pool.mapped, NULL, &leave.parts);
		if (leave.error != 0)
			return leave.error;
	}
	if (error != 0)
		leave.error = map_privately(&leave.parts);
	vmm_os_parts_free(&leave.parts);
	return leave.error;
}

/* Leaves by a copy, where the kernel cannot copy on write. The file is then unneeded. */
static int
leave_by_copying(bool may_fail)
{
	size_t unit = vmm_pool_move_unit();
	size_t limit = vmm_smaller(vmm_round_up(vmm_pool.high_water, unit),
	    vmm_pool.mapped);
	size_t step = vmm_round_up(COPY_BYTES, unit);
	int error = 0, tries = 0;

	for (size_t begin = 0, done; error == 0 && begin < limit; begin = done) {
		size_t end = vmm_smaller(begin + step, limit);

		error = vmm_pool_move(begin, end, VMM_POOL_TO_ANONYMOUS, may_fail,
		    vmm_pool_others_at_fork(), &done);
		/* A killed helper may have moved chunks behind `done`: the whole step counts. */
		if (error == ECANCELED)
			done = end;
		vmm_pool_chunks_add(begin, done, VMM_CHUNK_PRIVATE);
		vmm_pool_chunks_add(begin, done, VMM_CHUNK_ANONYMOUS);
		/* Each step has its own tries: on a busy machine each may need some. */
		if (error == 0)
			tries = 0;
		else if ((error == EAGAIN || error == ETIMEDOUT) && ++tries < VMM_POOL_STOP_TRIES)
			error = 0;
	}
	if (error == 0)
		error = clear_from(limit);
	vmm_pool.is_copied = vmm_pool.is_copied || error == 0;
	return error == EPERM || error == EBUSY || error == ETIMEDOUT || error == ECANCELED
	    ? EAGAIN : error;
}

int
vmm_pool_leave(bool may_fail)
{
	bool is_copied = vmm_pool.is_private ? vmm_pool.is_copied
	    : vmm_os_file_can_be_private(&vmm_pool.file) != 0;
	bool is_alone;
	int error;

	if (vmm_pool.is_private && !vmm_pool.has_dontfork)
		return 0;
	error = check_waits();
	if (error != 0)
		return error;
	vmm_pool.has_dontfork = false;
	/* Without the lock the heap cannot return, but nothing is lost. */
	if (!vmm_pool.is_private && !is_copied)
		vmm_os_lock_hold(&vmm_pool.users_lock, &is_alone);
	error = is_copied ? leave_by_copying(may_fail) : leave_by_mapping();
	/* After a failure parts may still be shared: the next leave has to look for them. */
	vmm_pool.has_dontfork |= error != 0;
	if (!vmm_pool.is_private) {
		if (!is_copied)
			vmm_pool_chunks_add(0, vmm_pool_chunks_end(), VMM_CHUNK_PRIVATE);
		vmm_pool.is_private = error == 0;
		vmm_pool.anonymous_from = vmm_smaller(vmm_pool.anonymous_from,
		    vmm_pool.mapped);
		if (error != 0)
			vmm_os_lock_release(&vmm_pool.users_lock);
		vmm_pool_return_schedule();
	}
	requeue_waits();
	return error;
}
