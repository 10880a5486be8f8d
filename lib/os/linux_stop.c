/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_stop.c: work that is done while the other threads stand still, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/text.h"
#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/linux_task.h"
#include "os/os.h"

/*
 * A helper process shares the memory and the descriptors of this one, but is not one of
 * its threads: clone(2) with CLONE_VM. It has no signal for its end, so that no wait(2)
 * of the program's sees it. It seizes each thread by ptrace(2), which interrupts the
 * thread without a signal, works, and lets go. If the helper dies, the kernel lets all
 * of them go. LeakSanitizer stops the world in the same way.
 */

/*
 * Threads that do not stand still by then are in the kernel for longer, or get no
 * processor: the stop is given up. Nobody stands still any more while those are waited
 * for a little longer, so that their calls are made again, too. With VMM_OS_AWAIT_OTHERS
 * the stop goes on for so much more while one of them waits for a processor.
 */
#define STOP_WAIT_US 20000
#define BUSY_WAIT_US 200000
#define LATE_WAIT_US 20000
/* The helper's stack; what it does needs a few KiB. */
#define STACK_BYTES ((size_t)128 << 10)
/* Threads that may come into being while others are stopped already. */
#define MORE_TASKS 256

struct helper {
	void (*work)(void *argument);
	void *argument;
	int tasks;             /* VMM_OS_TASKS */
	pid_t process, caller; /* this thread waits in the kernel, and is left alone */
	unsigned may_begin;    /* a futex */
	unsigned lives;        /* another; the kernel clears it when the helper has ended */
	int error;             /* of the stop; 0 if the work was done */
	bool found;            /* a thread that was not seized yet */
	uint64_t busy_wait_us; /* for threads that wait for a processor */
	size_t max, ntasks;
	struct vmm_os_task *list; /* behind the stack, of `max` */
};

static bool
is_known(const struct helper *helper, pid_t id)
{
	for (size_t i = 0; i < helper->ntasks; i++) {
		if (helper->list[i].id == id)
			return true;
	}
	return false;
}

/* A thread's state by proc(5): a letter, X if it has ended. */
static char
state_of(const struct helper *helper, pid_t id)
{
	char data[256];
	struct vmm_text name;
	const char *state;

	vmm_text_clear(&name);
	vmm_text_uint(&name, (uint64_t)id);
	if (vmm_os_proc_read_task(helper->tasks, name.data, "stat", data,
		sizeof(data)) != 0)
		return 'X';
	/* "ID (name) state ...": the name may have brackets, too. */
	state = strrchr(data, ')');
	return state != NULL && state[1] == ' ' ? state[2] : '?';
}

/*
 * Whether a thread has ended. The main one stays until the last has, and others for a
 * moment; they cannot be traced (EPERM).
 */
static bool
has_ended(const struct helper *helper, pid_t id)
{
	return strchr("ZXx", state_of(helper, id)) != NULL;
}

/* Seizes a thread. One that has ended meanwhile is none. */
static int
seize(struct helper *helper, pid_t id)
{
	struct vmm_os_task *task = &helper->list[helper->ntasks];

	if (helper->ntasks == helper->max)
		return EAGAIN;
	*task = (struct vmm_os_task){ .id = id };
	if (vmm_sys.ptrace(PTRACE_SEIZE, id, NULL, NULL) != 0) {
		if (errno == ESRCH)
			return 0;
		if (!has_ended(helper, id))
			return EPERM;
		task->state = VMM_OS_TASK_ENDED;
		helper->ntasks++;
		return 0;
	}
	vmm_os_task_before(task, helper->tasks);
	helper->ntasks++;
	/* It may have ended: then there is nothing to wait for but that. */
	vmm_sys.ptrace(PTRACE_INTERRUPT, id, NULL, NULL);
	return 0;
}

/* Seizes the thread of that name, if it is not seized yet; true ends the search. */
static bool
seize_named(void *argument, const char *name)
{
	struct helper *helper = argument;
	pid_t id = (pid_t)strtol(name, NULL, 10);

	if (id <= 0 || id == helper->caller || is_known(helper, id))
		return false;
	helper->found = true;
	helper->error = seize(helper, id);
	return helper->error != 0;
}

/* Seizes the threads that are not seized yet. */
static int
seize_new(struct helper *helper)
{
	helper->found = false;
	helper->error = 0;
	vmm_os_proc_each(helper->tasks, seize_named, helper);
	return helper->error;
}

/* A /proc of another PID namespace would name other processes. */
static bool
sees_caller(const struct helper *helper)
{
	char data[8];
	struct vmm_text name;

	vmm_text_clear(&name);
	vmm_text_uint(&name, (uint64_t)helper->caller);
	return vmm_os_proc_read_task(helper->tasks, name.data, "stat", data,
		   sizeof(data)) == 0;
}

static void
pause_shortly(unsigned tries)
{
	struct timespec pause = { 0, 20000 };

	if (tries < 50)
		vmm_sys.sched_yield();
	else
		vmm_sys.nanosleep(&pause, NULL);
}

/* Waits until a thread stands still or has ended; EAGAIN after the deadline. */
static int
wait_for(struct vmm_os_task *task, uint64_t deadline_us)
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
	task->state = WIFSTOPPED(status) ? VMM_OS_TASK_STOPPED
					 : VMM_OS_TASK_ENDED;
	/* A real signal came first: it is delivered when the thread goes on. */
	if (WIFSTOPPED(status) && status >> 16 != PTRACE_EVENT_STOP)
		task->signal = WSTOPSIG(status);
	return 0;
}

/*
 * Why threads do not stand still: they wait in the kernel, which may take long (ETIMEDOUT);
 * or one waits for a processor (EAGAIN), and may have a lock of the kernel's that the
 * others wait for.
 */
static int
why_late(const struct helper *helper)
{
	int error = EAGAIN;

	for (size_t i = 0; i < helper->ntasks; i++) {
		char state = helper->list[i].state == VMM_OS_TASK_SEIZED
		    ? state_of(helper, helper->list[i].id) : '?';

		if (state == 'R')
			return EAGAIN;
		if (state == 'D')
			error = ETIMEDOUT;
	}
	return error;
}

static int
stop_all(struct helper *helper)
{
	uint64_t deadline_us = vmm_os_now_us() + STOP_WAIT_US;
	uint64_t limit_us = deadline_us + helper->busy_wait_us;
	size_t waited = 0;
	int error;

	if (!sees_caller(helper))
		return EPERM;
	/* Threads that run still may start others: until there are no new ones. */
	do {
		error = seize_new(helper);
		for (; error == 0 && waited < helper->ntasks; waited++) {
			error = wait_for(&helper->list[waited], deadline_us);
			while (error == EAGAIN &&
			    (error = why_late(helper)) == EAGAIN &&
			    deadline_us < limit_us) {
				deadline_us += STOP_WAIT_US;
				error = wait_for(&helper->list[waited], deadline_us);
			}
		}
		if (error == 0 && helper->found && vmm_os_now_us() > limit_us)
			error = EAGAIN;
	} while (error == 0 && helper->found);
	return error;
}

/* What has to be done for a thread that stands still, before it goes on. */
static void
prepare(struct helper *helper, struct vmm_os_task *task)
{
	if (task->state != VMM_OS_TASK_STOPPED)
		return;
	if (task->signal == 0)
		vmm_os_task_call_again(task, helper->tasks);
	else
		vmm_sys.ptrace(PTRACE_DETACH, task->id, NULL,
		    (void *)(intptr_t)task->signal);
}

/*
 * The kernel lets all threads go at once when the helper ends; one by one, the first would
 * take the processor from the helper, and the last stand still for much longer.
 */
static void
prepare_all(struct helper *helper)
{
	uint64_t deadline_us = vmm_os_now_us() + LATE_WAIT_US;
	bool is_late = false;

	for (size_t i = 0; i < helper->ntasks; i++) {
		is_late |= helper->list[i].state == VMM_OS_TASK_SEIZED;
		prepare(helper, &helper->list[i]);
	}
	if (!is_late)
		return;
	/* Nobody else has to wait for those. */
	for (size_t i = 0; i < helper->ntasks; i++) {
		if (helper->list[i].state == VMM_OS_TASK_STOPPED)
			vmm_sys.ptrace(PTRACE_DETACH, helper->list[i].id, NULL, NULL);
	}
	for (size_t i = 0; i < helper->ntasks; i++) {
		if (helper->list[i].state != VMM_OS_TASK_SEIZED)
			continue;
		wait_for(&helper->list[i], deadline_us);
		prepare(helper, &helper->list[i]);
	}
}

/* Looks again now and then, for a wake may be refused (seccomp). */
static void
futex_wait(unsigned *futex, unsigned value)
{
	const struct timespec pause = { 0, 10000000 };

	while (__atomic_load_n(futex, __ATOMIC_ACQUIRE) == value)
		vmm_sys.futex(futex, FUTEX_WAIT, value, &pause);
}

/*
 * The helper must not outlive the thread that waits for it, for it has all of the memory
 * and the descriptors. That thread may end at any moment, with its process (exit(3) in
 * another thread, SIGKILL) or without (execve(2)). Nor may it be stopped with its process
 * group, for then nobody would let the threads go.
 */
static bool
live_with_caller(const struct helper *helper)
{
	vmm_sys.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	vmm_sys.setpgid(0, 0);
	/* It may have ended before that. */
	return vmm_sys.getppid() == helper->process &&
	    vmm_sys.tgkill(helper->process, helper->caller, 0) == 0;
}

static int
help(void *argument)
{
	struct helper *helper = argument;

	if (!live_with_caller(helper))
		return 0;
	futex_wait(&helper->may_begin, 0);
	helper->error = stop_all(helper);
	if (helper->error == 0 && helper->work != NULL)
		helper->work(helper->argument);
	prepare_all(helper);
	return 0;
}

/*
 * With Yama's first restriction a process is traced by its descendants only if it names
 * them (prctl(2), PR_SET_PTRACER). The call fails where there is no Yama.
 */
static void
let_trace(pid_t helper)
{
	if (vmm_os_task_needs_permission())
		vmm_sys.prctl(PR_SET_PTRACER, (unsigned long)helper, 0, 0, 0);
}

static void
run(struct helper *helper, char *stack_end)
{
	/* CLONE_FS is not needed, but valgrind knows no clone(2) without it. */
	pid_t pid = vmm_sys.clone(help, stack_end, CLONE_VM | CLONE_FS | CLONE_FILES |
	    CLONE_UNTRACED | CLONE_CHILD_CLEARTID, helper, NULL, NULL,
	    &helper->lives);

	if (pid < 0) {
		helper->error = errno;
		return;
	}
	let_trace(pid);
	__atomic_store_n(&helper->may_begin, 1, __ATOMIC_RELEASE);
	vmm_sys.futex(&helper->may_begin, FUTEX_WAKE, 1, NULL);
	/* Not by waitpid(2) alone: a thread that waits for any child may have been faster. */
	futex_wait(&helper->lives, 1);
	while (vmm_sys.waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	if (vmm_os_task_needs_permission())
		vmm_sys.prctl(PR_SET_PTRACER, 0, 0, 0, 0);
}

/* How many threads there are, by the kernel's count; 0 if that is not known. */
static size_t
task_count(int tasks)
{
	struct stat stat;

	/* One link for each thread, besides the two of every directory. */
	return vmm_sys.fstat(tasks, &stat) == 0 && stat.st_nlink > 2
	    ? (size_t)stat.st_nlink - 2 : 0;
}

bool
vmm_os_has_threads(void)
{
	struct stat of_tasks;

	return vmm_sys.stat(VMM_OS_TASKS, &of_tasks) != 0 || of_tasks.st_nlink != 3;
}

/* 0 if the others, of `count` threads in all, may and can be stopped. */
static int
may_stop(size_t count, enum vmm_os_others others)
{
	if (count == 0)
		return EPERM;
	if (count == 1)
		return 0;
	return others != VMM_OS_SPARE_OTHERS ? vmm_os_task_can_trace() : EPERM;
}

/* Calls it in a helper, with everybody else stopped. */
static int
call_stopped(void (*work)(void *argument), void *argument, int tasks, size_t count,
    uint64_t busy_wait_us)
{
	size_t size = STACK_BYTES + sizeof(struct helper) +
	    (count + MORE_TASKS) * sizeof(struct vmm_os_task);
	struct helper *helper;
	void *map;
	int error = vmm_os_map_plain(size, &map);

	if (error != 0)
		return error;
	helper = (void *)((char *)map + STACK_BYTES);
	*helper = (struct helper){
		.work = work, .argument = argument,
		.tasks = tasks, .process = vmm_os_process(),
		.caller = vmm_os_thread(),
		.lives = 1, .error = ECANCELED, .max = count + MORE_TASKS,
		.busy_wait_us = busy_wait_us,
		.list = (void *)(helper + 1),
	};
	run(helper, (char *)map + STACK_BYTES);
	error = helper->error;
	vmm_os_unmap(map, size);
	return error;
}

/* Where there is nobody to stop, another stack will do; what is saved lies there, too. */
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
call_alone(void (*work)(void *argument), void *argument)
{
	size_t size = STACK_BYTES + sizeof(struct alone);
	void *map;
	int error = vmm_os_map_plain(size, &map);

	if (error != 0)
		return error;
	alone = (void *)((char *)map + STACK_BYTES);
	alone->work = work;
	alone->argument = argument;
	getcontext(&alone->callee);
	alone->callee.uc_stack.ss_sp = map;
	alone->callee.uc_stack.ss_size = STACK_BYTES;
	alone->callee.uc_link = &alone->caller;
	makecontext(&alone->callee, work_alone, 0);
	swapcontext(&alone->caller, &alone->callee);
	vmm_os_unmap(map, size);
	return 0;
}

/* A signal's handler would run, and write, while this thread seems to stand still. */
static int
call(void (*work)(void *argument), void *argument, int tasks, size_t count,
    uint64_t busy_wait_us)
{
	sigset_t signals;
	int error;

	vmm_os_signals_block(&signals);
	error = count > 1 ? call_stopped(work, argument, tasks, count, busy_wait_us)
			  : call_alone(work, argument);
	vmm_os_signals_restore(&signals);
	return error;
}

int
vmm_os_call_stopped(void (*work)(void *argument), void *argument,
    enum vmm_os_others others)
{
	size_t count;
	int tasks, error;

	if (others == VMM_OS_NO_OTHERS)
		return call(work, argument, -1, 1, 0);
	tasks = vmm_os_proc_open(AT_FDCWD, VMM_OS_TASKS, O_RDONLY | O_DIRECTORY);
	if (tasks < 0)
		return errno;
	count = task_count(tasks);
	error = may_stop(count, others);
	if (error == 0)
		error = call(work, argument, tasks, count,
		    others == VMM_OS_AWAIT_OTHERS ? BUSY_WAIT_US : 0);
	vmm_sys.close(tasks);
	return error;
}
