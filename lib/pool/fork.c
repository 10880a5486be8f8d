/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: what becomes of the pool at fork(2). */
#include "config.h"

#include <errno.h>

#include "base/probe.h"
#include "pool/state.h"
#include "trace/fatal.h"
#include "trace/log.h"

/*
 * The heap leaves its file: it becomes private memory at the same addresses. Then the
 * kernel's own copy-on-write makes the child's, at the instant of clone(2). Each side
 * returns when it has a file to itself: a child that is to have one makes it in its own
 * time, before fork(2) returns in it; for the others see return.c.
 */

/* By which children tell their parents; a bit in `words_taken` for each that is in use. */
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

int
vmm_pool_fork_begin(struct vmm_pool_fork *fork, enum vmm_fork kind)
{
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
			fork->error = vmm_pool_child_try();
		if (fork->error == 0 && fork->wants_file)
			fork->error = take_word(&fork->word);
		if (fork->error != 0 && fork->may_do_without) {
			fork->wants_file = false;
			fork->error = 0;
		}
		if (fork->error == 0)
			fork->error = vmm_pool_leave();
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
		/* libc's own call, of daemon(3) say: no way to make it fail. */
		*fork = (struct vmm_pool_fork){
			.begin_us = vmm_os_now_us(), .process = vmm_os_process(),
			.wants_file = kind != VMM_FORK_PRIVATE,
			.may_do_without = true,
		};
		fork->error = vmm_pool_leave();
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
	if (vmm_pool.own != NULL)
		*vmm_pool.own = 1;
	vmm_pool.owner = vmm_os_process();
	vmm_pool.forks = 0;
	vmm_pool.forks_done = vmm_pool.forks_failed = 0;
	vmm_pool.forks_us = vmm_pool.longest_fork_us = 0;
	vmm_pool.release_pauses = 0;
	vmm_pool.rest_until_us = vmm_pool.return_us = 0;
	vmm_pool.return_error = 0;
	vmm_pool.wakes_all = false;
	/* Where the parent's file is not needed, it is the parent's alone. */
	if (vmm_pool.is_copied)
		vmm_os_file_close(&vmm_pool.file, NULL, 0);
	vmm_pool_return_wanted();
	/* The lock's owner is the thread that forked: the one that goes on here. */
	vmm_pool_unlock();
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
	int saved_errno = errno;
	bool is_cloned;
	int error;

	vmm_pool_lock();
	if (fork->wants_file) {
		error = vmm_pool_child_make(fork->may_do_without, &is_cloned);
		tell_parent(fork, error);
		if (error != 0 && !fork->may_do_without)
			vmm_os_exit(0);
		if (is_cloned && error == 0)
			vmm_pool_child_part();
		VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "forked: "),
		    vmm_text_str(line, error != 0 ? "no file for this child: "
			: is_cloned ? "a file that shares blocks: "
			: "a file of its own: "), vmm_text_errno(line, error));
	}
	drop_words();
	vmm_pool_unlock();
	errno = saved_errno;
}

int
vmm_pool_fork_await(struct vmm_pool_fork *fork, pid_t child)
{
	unsigned said;

	if (fork->word == NULL || fork->process != vmm_os_process())
		return 0;
	said = vmm_os_word_await(fork->word, child);
	/* One that died before it could say anything is the program's to wait for. */
	return said == 0 || fork->may_do_without ? 0 : (int)said - 1;
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

	/* In a child of a handler's own fork the call goes on that its parent began. */
	if (!fork->is_begun || fork->process != vmm_os_process())
		return;
	vmm_pool_lock();
	if (fork->word != NULL)
		words_taken &= ~((uint64_t)1 << (fork->word - words));
	vmm_pool.forks--;
	note_end(fork, is_done);
	/* Without a rest: the longer it waits, the more pages have to be copied. */
	if (fork->wants_file)
		vmm_pool.rest_until_us = 0;
	if (vmm_pool.forks == 0)
		vmm_pool_return_wanted();
	vmm_pool_unlock();
	errno = saved_errno;
}
