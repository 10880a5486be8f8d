/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_stop.h: functions of a stop: seize threads, repeat system calls, call `work`. */
#ifndef VMM_OS_LINUX_STOP_H
#define VMM_OS_LINUX_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Size of the stack on which the work of a stop is done. The work needs a few KiB. */
#define VMM_OS_STOP_STACK ((size_t)128 << 10)

/* A thread that was seized by ptrace(2). */
struct vmm_os_task {
	pid_t id;
	enum {
		VMM_OS_TASK_SEIZED, /* asked to stop */
		VMM_OS_TASK_STOPPED,
		VMM_OS_TASK_ENDED,
	} state;
	int signal;          /* to be delivered when the thread continues, or 0 */
	long call;           /* number of the system call that it waited in, or -1 */
	unsigned long first; /* first argument of that call */
};

/* All threads of one stop. */
struct vmm_os_stop {
	int tasks;             /* a descriptor of VMM_OS_TASKS */
	pid_t caller;          /* the thread that asked for the stop; it is not seized */
	uint64_t busy_wait_us; /* how much longer to wait for threads that get no CPU */
	int error;             /* of the stop, or 0 */
	bool found;            /* the last search found a thread that was not seized yet */
	size_t max, ntasks;    /* room in `list`, and how many it has */
	struct vmm_os_task *list;
};

/* Stops all threads but the caller. EPERM, ETIMEDOUT, EAGAIN as vmm_os_call_stopped. */
int vmm_os_stop_threads(struct vmm_os_stop *stop);

/*
 * Prepares all threads to continue when the helper ends: the kernel then lets all go. If they
 * were let go one by one, the first would take the helper's CPU, and the last wait for longer.
 * Threads with a signal to deliver continue at once; so do all if some have not stopped yet.
 */
void vmm_os_stop_finish(struct vmm_os_stop *stop);

/*
 * Calls work(argument), unless `work` is NULL, in this thread; on another stack unless
 * `stack_stays`. ENOMEM; EPERM and others if a seccomp filter forbids to set the signal mask.
 */
int vmm_os_call_alone(void (*work)(void *argument), void *argument, bool stack_stays);

/*
 * Returns 0 if a helper may trace the threads of this process. EPERM if the architecture has
 * no code for it, if there is another tracer, if the helper or /proc is of another PID
 * namespace, or if a seccomp filter refuses it or kills the helper: a child process tries
 * that. Yama and PR_SET_DUMPABLE show only when a thread is seized. Not thread-safe.
 */
int vmm_os_task_can_trace(void);

/* Whether Yama requires prctl(PR_SET_PTRACER) (kernel documentation, LSM/Yama, scope 1). */
bool vmm_os_task_needs_permission(void);

/*
 * Records the system call of a thread that is about to be interrupted, on architectures
 * where the registers of a stopped thread no longer hold all of it.
 */
void vmm_os_task_record_call(struct vmm_os_task *task, int tasks);

/*
 * Makes a stopped thread repeat its system call if the call has returned EINTR only because
 * of the stop (signal(7), "Interruption of system calls and library functions by stop
 * signals"). A call with a timeout of more than a second is not repeated: its timeout would
 * start again, and to be late does more harm than EINTR.
 */
void vmm_os_task_repeat_call(struct vmm_os_task *task, int tasks);

#endif
