/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_task.h: one thread that linux_stop.c has seized by ptrace(2). */
#ifndef VMM_OS_LINUX_TASK_H
#define VMM_OS_LINUX_TASK_H

#include <stdbool.h>
#include <sys/types.h>

struct vmm_os_task {
	pid_t id;
	enum {
		VMM_OS_TASK_SEIZED, /* asked to stop */
		VMM_OS_TASK_STOPPED,
		VMM_OS_TASK_ENDED,
	} state;
	int signal;          /* to be delivered when it goes on, or 0 */
	long call;           /* the system call that it waited in, or -1 */
	unsigned long first; /* and that call's first argument */
};

/*
 * Whether this process's threads may be traced by a helper: 0, or EPERM if the kernel
 * would refuse (PR_SET_DUMPABLE, Yama, another tracer: those show when it is tried) or a
 * seccomp filter would kill the one who tries. Finds out without being killed.
 */
int vmm_os_task_can_trace(void);

/* Whether Yama wants the tracer to be named (kernel documentation, LSM/Yama, scope 1). */
bool vmm_os_task_needs_permission(void);

/*
 * To be called before the task is interrupted. Where the registers of a stopped thread do
 * not have all of a system call any more, notes what the call was. `tasks` is a
 * descriptor of /proc/PID/task.
 */
void vmm_os_task_before(struct vmm_os_task *task, int tasks);

/*
 * Has a stopped thread make its system call again if that has returned EINTR for no
 * other reason than the stop (signal(7), "Interruption of system calls and library
 * functions by stop signals"). A call with a timeout of more than a second is not made
 * again: its timeout would start anew, and being late does more harm than EINTR.
 */
void vmm_os_task_call_again(struct vmm_os_task *task, int tasks);

#endif
