/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: the steps of fork(2): the heap leaves, the child gets its file. */
#include "config.h"

#include <errno.h>

#include "base/probe.h"
#include "pool/state.h"
#include "trace/fatal.h"
#include "trace/log.h"

/*
 * The heap leaves: it becomes private memory at the same addresses. Then the kernel's
 * copy-on-write makes the child's heap at the instant of clone(2). A heap returns when its
 * process has a file to itself. A child that is to get a file makes the file before fork(2)
 * returns in the child, while the parent waits. For all other processes see return_to_file.c.
 */

/* Shared memory for the children's replies; replies_in_use has a bit for each reply. */
static unsigned *replies;
static uint64_t replies_in_use;

static int
allocate_reply(unsigned **reply)
{
	size_t size = vmm_os_page_size();
	void *shared;
	int error = replies == NULL ? vmm_os_map_shared(size, &shared) : 0;
	int i;

	if (error != 0)
		return error;
	if (replies == NULL)
		replies = shared;
	if (replies_in_use == UINT64_MAX)
		return EAGAIN;
	i = __builtin_ctzll(~replies_in_use);
	replies_in_use |= (uint64_t)1 << i;
	replies[i] = 0;
	*reply = &replies[i];
	return 0;
}

/* Unmaps the parent's replies in a child that has replied, or has no need to reply. */
static void
unmap_replies(void)
{
	if (replies != NULL)
		vmm_os_unmap(replies, vmm_os_page_size());
	replies = NULL;
	replies_in_use = 0;
}

int
vmm_pool_fork_begin(struct vmm_pool_fork *fork, enum vmm_fork kind)
{
	int saved_errno = errno;

	*fork = (struct vmm_pool_fork){
		.begin_us = vmm_os_now_us(), .process = vmm_os_process(),
		.may_stay_private = kind != VMM_FORK_COPY,
		.wants_file = kind != VMM_FORK_PRIVATE,
	};
	fork->error = vmm_pool_try_lock() == 0 ? 0 : EAGAIN;
	if (fork->error == 0) {
		fork->is_begun = true;
		vmm_pool.forks_active++;
		if (fork->wants_file)
			fork->error = vmm_pool_child_file_check();
		if (fork->error == 0 && fork->wants_file)
			fork->error = allocate_reply(&fork->reply);
		if (fork->error != 0 && fork->may_stay_private) {
			fork->wants_file = false;
			fork->error = 0;
		}
		if (fork->error == 0)
			fork->error = vmm_pool_leave(true);
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
	int saved_errno = errno;
	int child;

	if (!fork->is_begun) {
		/* libc itself forks, as in daemon(3): this call cannot make it fail. */
		*fork = (struct vmm_pool_fork){
			.begin_us = vmm_os_now_us(), .process = vmm_os_process(),
			.wants_file = kind != VMM_FORK_PRIVATE,
			.may_stay_private = true,
		};
		fork->error = vmm_pool_leave(false);
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
	int saved_errno = errno;

	if (fork->error != 0)
		vmm_fatal_abort("no memory for the heap of a forked child, "
		    "which would have to write into its parent's");
	if (vmm_pool.fork_mark != NULL)
		*vmm_pool.fork_mark = 1;
	vmm_pool.owner = vmm_os_process();
	vmm_pool.forks_active = 0;
	vmm_pool.forks_done = vmm_pool.forks_failed = 0;
	vmm_pool.forks_us = vmm_pool.longest_fork_us = 0;
	vmm_pool.release_pauses = 0;
	vmm_pool.rest_until_us = vmm_pool.return_us = 0;
	vmm_pool.return_error = 0;
	vmm_pool.wake_pending = false;
	vmm_pool.has_dontfork = false; /* the kernel gave this process no such part */
	/* A heap that left by copying needs nothing of the parent's file. */
	if (vmm_pool.is_copied)
		vmm_os_file_close(&vmm_pool.file, NULL, 0);
	vmm_pool_return_schedule();
	/* The thread that took the lock in the parent is this one. */
	vmm_pool_unlock();
	errno = saved_errno;
}

static void
tell_parent(const struct vmm_pool_fork *fork, int error)
{
	if (fork->reply != NULL)
		vmm_os_child_report(fork->reply, (unsigned)error + 1);
}

void
vmm_pool_fork_settle(struct vmm_pool_fork *fork)
{
	int saved_errno = errno;
	bool is_cloned;
	int error;

	vmm_pool_lock();
	if (fork->wants_file) {
		error = vmm_pool_child_file_make(fork->may_stay_private, &is_cloned);
		tell_parent(fork, error);
		if (error != 0 && !fork->may_stay_private)
			vmm_os_exit(0);
		if (is_cloned && error == 0)
			vmm_pool_child_file_unshare();
		VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "forked: "),
		    vmm_text_str(line, error != 0 ? "no file for this child: "
			: is_cloned ? "a file that shares blocks: "
			: "a file of its own: "), vmm_text_errno(line, error));
	}
	unmap_replies();
	vmm_pool_unlock();
	errno = saved_errno;
}

int
vmm_pool_fork_await(struct vmm_pool_fork *fork, pid_t child)
{
	unsigned reply;

	if (fork->reply == NULL || fork->process != vmm_os_process())
		return 0;
	reply = vmm_os_child_await(fork->reply, child);
	/* If the child died without a reply, fork(2) succeeds, and wait(2) reports the end. */
	return reply == 0 || fork->may_stay_private ? 0 : (int)reply - 1;
}

static void
note_end(const struct vmm_pool_fork *fork, bool is_done)
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
	int saved_errno = errno;

	/* If a fork handler forks, its child gets here in a call that the parent began. */
	if (!fork->is_begun || fork->process != vmm_os_process())
		return;
	vmm_pool_lock();
	if (fork->reply != NULL)
		replies_in_use &= ~((uint64_t)1 << (fork->reply - replies));
	vmm_pool.forks_active--;
	note_end(fork, is_done);
	/* The parent's heap returns without a rest: each delay means more pages to copy. */
	if (fork->wants_file)
		vmm_pool.rest_until_us = 0;
	if (vmm_pool.forks_active == 0)
		vmm_pool_return_schedule();
	vmm_pool_unlock();
	errno = saved_errno;
}
