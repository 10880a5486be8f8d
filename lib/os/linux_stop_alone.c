/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_stop_alone.c: calls `work` on another stack if there is one thread only, on Linux. */
#include "config.h"

#include <signal.h>
#include <ucontext.h>

#include "os/linux_stop.h"
#include "os/os.h"

/* Lies behind the new stack, because the caller's stack may be a block of the heap. */
struct alone {
	ucontext_t caller, callee;
	void (*work)(void *argument);
	void *argument;
};

static __thread struct alone *alone __attribute__((tls_model("initial-exec")));

static void
work_alone(void)
{
	if (alone->work != NULL)
		alone->work(alone->argument);
}

static int
call_on_another_stack(void (*work)(void *argument), void *argument)
{
	size_t size = VMM_OS_STOP_STACK + sizeof(struct alone);
	void *map;
	int error = vmm_os_map_plain(size, &map);

	if (error != 0)
		return error;
	alone = (void *)((char *)map + VMM_OS_STOP_STACK);
	alone->work = work;
	alone->argument = argument;
	getcontext(&alone->callee);
	alone->callee.uc_stack.ss_sp = map;
	alone->callee.uc_stack.ss_size = VMM_OS_STOP_STACK;
	alone->callee.uc_link = &alone->caller;
	makecontext(&alone->callee, work_alone, 0);
	swapcontext(&alone->caller, &alone->callee);
	vmm_os_unmap(map, size);
	return 0;
}

int
vmm_os_call_alone(void (*work)(void *argument), void *argument, bool stack_stays)
{
	sigset_t mask;
	int error;

	if (!stack_stays) {
		/* swapcontext(3) sets the mask. If it cannot, glibc 2.43 destroys a register. */
		error = pthread_sigmask(SIG_SETMASK, NULL, &mask);
		return error != 0 ? error : call_on_another_stack(work, argument);
	}
	if (work != NULL)
		work(argument);
	return 0;
}
