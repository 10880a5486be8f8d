/* SPDX-License-Identifier: BSD-3-Clause */
/* stop.c: stops all other threads for the pool, and tries again at a fork(2). */
#include "config.h"

#include <errno.h>

#include "pool/state.h"
#include "trace/log.h"

/* A try that meets a thread that waits in the kernel, maybe for long, counts as this many. */
#define LATE_TRIES 10

enum vmm_os_others
vmm_pool_others_at_fork(void)
{
	return vmm_pool.others == VMM_OS_STOP_OTHERS ? VMM_OS_AWAIT_OTHERS
						     : vmm_pool.others;
}

int
vmm_pool_call_stopped(void (*work)(void *argument), void *argument,
    enum vmm_os_others others)
{
	int error;

	/* By its process ID, log_file.c would take the helper for a child: write no lines. */
	VMM_LOG_QUIET(true);
	/* The stack may be a block of the heap, as a coroutine's is: then it is replaced, too. */
	error = vmm_os_call_stopped(work, argument, others, !vmm_pool_has(&error));
	VMM_LOG_QUIET(false);
	return error;
}

int
vmm_pool_call_stopped_at_fork(void (*work)(void *argument), void *argument)
{
	int error = EAGAIN;

	for (int tries = 0; tries < VMM_POOL_STOP_TRIES;) {
		error = vmm_pool_call_stopped(work, argument, vmm_pool_others_at_fork());
		if (error != EAGAIN && error != ETIMEDOUT)
			break;
		tries += error == EAGAIN ? 1 : LATE_TRIES;
	}
	return error;
}
