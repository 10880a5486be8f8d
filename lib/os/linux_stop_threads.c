/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_stop_threads.c: finds, seizes and stops the threads of this process, on Linux. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "base/text.h"
#include "os/linux_proc.h"
#include "os/linux_stop.h"
#include "os/linux_sys.h"
#include "os/os.h"

/*
 * A thread that does not stop within this time waits in the kernel, or gets no CPU. Then
 * the stop fails. The other threads continue at once, and the helper waits a little longer
 * for the late ones, to make them repeat their system calls as well.
 */
#define STOP_WAIT_US 20000
#define LATE_WAIT_US 20000
#define LATE_BUSY_US 200000 /* in addition, while a late thread waits for a CPU */

static bool
is_listed(const struct vmm_os_stop *stop, pid_t id)
{
	for (size_t i = 0; i < stop->ntasks; i++) {
		if (stop->list[i].id == id)
			return true;
	}
	return false;
}

static int
read_stat(const struct vmm_os_stop *stop, pid_t id, char *data, size_t size)
{
	struct vmm_text name;

	vmm_text_clear(&name);
	vmm_text_uint(&name, (uint64_t)id);
	return vmm_os_proc_read_task(stop->tasks, name.data, "stat", data, size);
}

/* Returns the letter of a thread's state (proc(5)), X if the thread has ended. */
static char
state_of(const struct vmm_os_stop *stop, pid_t id)
{
	char data[256];
	const char *state;

	if (read_stat(stop, id, data, sizeof(data)) != 0)
		return 'X';
	/* "ID (name) state ...": the name itself may contain brackets. */
	state = strrchr(data, ')');
	return state != NULL && state[1] == ' ' ? state[2] : '?';
}

/*
 * Whether a thread has ended. Such a thread cannot be traced (EPERM), but is still listed
 * for a moment; the main thread is listed until the last thread has ended.
 */
static bool
has_ended(const struct vmm_os_stop *stop, pid_t id)
{
	return strchr("ZXx", state_of(stop, id)) != NULL;
}

/* Seizes a thread, unless it has ended meanwhile. */
static int
seize(struct vmm_os_stop *stop, pid_t id)
{
	struct vmm_os_task *task = &stop->list[stop->ntasks];

	if (stop->ntasks == stop->max)
		return EAGAIN;
	*task = (struct vmm_os_task){ .id = id };
	if (vmm_sys.ptrace(PTRACE_SEIZE, id, NULL, NULL) != 0) {
		if (errno == ESRCH)
			return 0;
		if (!has_ended(stop, id))
			return EPERM;
		task->state = VMM_OS_TASK_ENDED;
		stop->ntasks++;
		return 0;
	}
	vmm_os_task_record_call(task, stop->tasks);
	stop->ntasks++;
	/* Fails if the thread has ended: wait_for_stop then sees its end. */
	vmm_sys.ptrace(PTRACE_INTERRUPT, id, NULL, NULL);
	return 0;
}

/* Seizes the thread `name`, if it is a new one. Returns true on failure, to end the search. */
static bool
seize_named(void *argument, const char *name)
{
	struct vmm_os_stop *stop = argument;
	pid_t id = (pid_t)strtol(name, NULL, 10);

	if (id <= 0 || id == stop->caller || is_listed(stop, id))
		return false;
	stop->found = true;
	stop->error = seize(stop, id);
	return stop->error != 0;
}

/* Seizes the threads that are not seized yet. */
static int
seize_new(struct vmm_os_stop *stop)
{
	stop->found = false;
	stop->error = 0;
	vmm_os_proc_each(stop->tasks, seize_named, stop);
	return stop->error;
}

/* False if /proc belongs to another PID namespace: it would list other processes. */
static bool
sees_caller(const struct vmm_os_stop *stop)
{
	char data[8];

	return read_stat(stop, stop->caller, data, sizeof(data)) == 0;
}

static void
pause_shortly(unsigned tries)
{
	if (tries < 50)
		vmm_os_yield();
	else
		vmm_os_pause();
}

/* Waits until a thread has stopped or ended. EAGAIN after the deadline. */
static int
wait_for_stop(struct vmm_os_task *task, uint64_t deadline_us)
{
	int status;

	if (task->state != VMM_OS_TASK_SEIZED)
		return 0;
	for (unsigned tries = 0;; tries++) {
		pid_t got = vmm_sys.waitpid(task->id, &status, __WALL | WNOHANG);

		if (got == task->id)
			break;
		if (got < 0)
			return errno;
		if (vmm_os_now_us() > deadline_us)
			return EAGAIN;
		pause_shortly(tries);
	}
	task->state = WIFSTOPPED(status) ? VMM_OS_TASK_STOPPED : VMM_OS_TASK_ENDED;
	/* A signal to the thread has stopped it first: keep the signal, to deliver it later. */
	if (WIFSTOPPED(status) && status >> 16 != PTRACE_EVENT_STOP)
		task->signal = WSTOPSIG(status);
	return 0;
}

/*
 * Returns why threads have not stopped. EAGAIN: one waits for a CPU, and may hold a lock of
 * the kernel that others wait for. Otherwise ETIMEDOUT if one waits in the kernel, maybe for
 * long, or EAGAIN if none waits any more.
 */
static int
why_late(const struct vmm_os_stop *stop)
{
	int error = EAGAIN;

	for (size_t i = 0; i < stop->ntasks; i++) {
		char state = stop->list[i].state == VMM_OS_TASK_SEIZED
		    ? state_of(stop, stop->list[i].id) : '?';

		if (state == 'R')
			return EAGAIN;
		if (state == 'D')
			error = ETIMEDOUT;
	}
	return error;
}

int
vmm_os_stop_threads(struct vmm_os_stop *stop)
{
	uint64_t deadline_us = vmm_os_now_us() + STOP_WAIT_US;
	uint64_t limit_us = deadline_us + stop->busy_wait_us;
	size_t waited = 0;
	int error;

	if (!sees_caller(stop))
		return EPERM;
	/* Threads that still run may start others: repeat until there are no new ones. */
	do {
		error = seize_new(stop);
		for (; error == 0 && waited < stop->ntasks; waited++) {
			error = wait_for_stop(&stop->list[waited], deadline_us);
			while (error == EAGAIN && (error = why_late(stop)) == EAGAIN &&
			    deadline_us < limit_us) {
				deadline_us += STOP_WAIT_US;
				error = wait_for_stop(&stop->list[waited], deadline_us);
			}
		}
		if (error == 0 && stop->found && vmm_os_now_us() > limit_us)
			error = EAGAIN;
	} while (error == 0 && stop->found);
	return error;
}

/* Makes a stopped thread repeat its system call, or delivers its signal. */
static void
prepare_thread(struct vmm_os_stop *stop, struct vmm_os_task *task)
{
	if (task->state != VMM_OS_TASK_STOPPED)
		return;
	if (task->signal == 0)
		vmm_os_task_repeat_call(task, stop->tasks);
	else
		vmm_sys.ptrace(PTRACE_DETACH, task->id, NULL,
		    (void *)(intptr_t)task->signal);
}

void
vmm_os_stop_finish(struct vmm_os_stop *stop)
{
	uint64_t deadline_us = vmm_os_now_us() + LATE_WAIT_US;
	uint64_t limit_us = deadline_us + LATE_BUSY_US;
	bool is_late = false;

	for (size_t i = 0; i < stop->ntasks; i++) {
		is_late |= stop->list[i].state == VMM_OS_TASK_SEIZED;
		prepare_thread(stop, &stop->list[i]);
	}
	if (!is_late)
		return;
	/* The stopped threads do not have to wait for the late ones. */
	for (size_t i = 0; i < stop->ntasks; i++) {
		if (stop->list[i].state == VMM_OS_TASK_STOPPED)
			vmm_sys.ptrace(PTRACE_DETACH, stop->list[i].id, NULL, NULL);
	}
	for (size_t i = 0; i < stop->ntasks; i++) {
		struct vmm_os_task *task = &stop->list[i];

		if (task->state != VMM_OS_TASK_SEIZED)
			continue;
		/* State R: it stops once it has a CPU. Let go earlier, its call may fail. */
		while (wait_for_stop(task, deadline_us) == EAGAIN &&
		    state_of(stop, task->id) == 'R' && deadline_us < limit_us)
			deadline_us += LATE_WAIT_US;
		prepare_thread(stop, task);
	}
}
