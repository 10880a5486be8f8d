/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_stop.c: the helper process that stops the other threads and does work, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/single_threaded.h>
#include <sys/wait.h>

#include "os/linux_proc.h"
#include "os/linux_stop.h"
#include "os/linux_sys.h"
#include "os/os.h"

/*
 * The helper shares the memory and the descriptors of this process but is none of its
 * threads: clone(2) with CLONE_VM. It sends no signal when it ends, so that only a wait with
 * __WALL or __WCLONE sees it. The helper seizes each thread by ptrace(2), which interrupts the
 * thread without a signal. It then calls `work`, and ends. If the helper is killed, the
 * kernel lets all threads continue. LeakSanitizer stops threads in the same way.
 */

/* With VMM_OS_AWAIT_OTHERS a stop may take up to this much longer if a thread gets no CPU. */
#define BUSY_WAIT_US 200000
/* Room for threads that start while others are already stopped. */
#define MORE_TASKS 256

struct helper {
	void (*work)(void *argument);
	void *argument;
	pid_t process;         /* whose threads are stopped */
	unsigned may_begin;    /* a futex: 1 once the helper may trace */
	unsigned lives;        /* a futex: the kernel sets it to 0 when the helper ends */
	int error;             /* 0 only after `work` has returned */
	struct vmm_os_stop stop; /* its list lies behind this structure */
};

/* Checks the futex every 10 ms, because a seccomp filter may refuse FUTEX_WAKE. */
static void
futex_wait(unsigned *futex, unsigned value)
{
	const struct timespec pause = { 0, 10000000 };

	while (__atomic_load_n(futex, __ATOMIC_ACQUIRE) == value)
		vmm_sys.futex(futex, FUTEX_WAIT, value, &pause);
}

/*
 * Makes the helper end with the thread that waits for it: a helper that lived on would keep
 * the memory and the descriptors. The thread may end at any moment, with its process (exit(3)
 * in another thread, SIGKILL) or without it (execve(2)). The helper also leaves the process
 * group: if it were stopped with the group, the threads would never continue.
 */
static bool
live_with_caller(const struct helper *helper)
{
	vmm_sys.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	vmm_sys.setpgid(0, 0);
	/* The thread may have ended before the prctl(2). */
	return vmm_sys.getppid() == helper->process &&
	    vmm_sys.tgkill(helper->process, helper->stop.caller, 0) == 0;
}

static int
helper_main(void *argument)
{
	struct helper *helper = argument;
	int error;

	if (!live_with_caller(helper))
		return 0;
	futex_wait(&helper->may_begin, 0);
	error = vmm_os_stop_threads(&helper->stop);
	if (error == 0 && helper->work != NULL)
		helper->work(helper->argument);
	helper->error = error;
	vmm_os_stop_finish(&helper->stop);
	return 0;
}

/*
 * With Yama's scope 1 a descendant may trace a process only if the process names it (prctl(2),
 * PR_SET_PTRACER). Without Yama the call would fail, so the scope is checked first.
 */
static void
allow_trace(pid_t helper)
{
	if (vmm_os_task_needs_permission())
		vmm_sys.prctl(PR_SET_PTRACER, (unsigned long)helper, 0, 0, 0);
}

/* Starts the helper, and waits until it ends. Its stack ends where the structure begins. */
static void
run_helper(struct helper *helper)
{
	/* CLONE_FS is not needed, but valgrind knows no clone(2) without it. */
	pid_t pid = vmm_sys.clone(helper_main, helper, CLONE_VM | CLONE_FS | CLONE_FILES |
	    CLONE_UNTRACED | CLONE_CHILD_CLEARTID, helper, NULL, NULL,
	    &helper->lives);

	if (pid < 0) {
		helper->error = errno;
		return;
	}
	allow_trace(pid);
	__atomic_store_n(&helper->may_begin, 1, __ATOMIC_RELEASE);
	vmm_sys.futex(&helper->may_begin, FUTEX_WAKE, 1, NULL);
	/* waitpid(2) is not enough: another thread may reap the helper (__WALL, any child). */
	futex_wait(&helper->lives, 1);
	while (vmm_sys.waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	if (vmm_os_task_needs_permission())
		vmm_sys.prctl(PR_SET_PTRACER, 0, 0, 0, 0);
}

/* Number of threads as the kernel counts them; 0 if it is not known. */
static size_t
task_count(int tasks)
{
	struct stat stat;

	/* A directory has two links, and this one has another for each thread. */
	return vmm_sys.fstat(tasks, &stat) == 0 && stat.st_nlink > 2
	    ? (size_t)stat.st_nlink - 2 : 0;
}

bool
vmm_os_has_threads(void)
{
	struct stat of_tasks;

	return vmm_sys.stat(VMM_OS_TASKS, &of_tasks) == 0 ? of_tasks.st_nlink != 3
							  : !__libc_single_threaded;
}

/*
 * Whether this is the only thread, without /proc. libc does not count threads of clone(2), but
 * unshare(2) with CLONE_VM fails if the memory is shared, and otherwise changes nothing. A
 * seccomp filter might kill the process for that call: with a filter only libc is asked.
 */
static bool
is_alone_without_proc(void)
{
	return !vmm_os_has_threads() &&
	    (vmm_sys.prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0 ||
		vmm_sys.unshare(CLONE_VM) == 0);
}

/* Returns 0 if the other threads may and can be stopped. `count`: all threads, 0: unknown. */
static int
may_stop(size_t count, enum vmm_os_others others)
{
	if (count == 0)
		return EPERM;
	if (count == 1)
		return 0;
	return others != VMM_OS_SPARE_OTHERS ? vmm_os_task_can_trace() : EPERM;
}

/* Calls `work` in a helper while all other threads are stopped. */
static int
call_in_helper(void (*work)(void *argument), void *argument, int tasks, size_t count,
    uint64_t busy_wait_us)
{
	size_t size = VMM_OS_STOP_STACK + sizeof(struct helper) +
	    (count + MORE_TASKS) * sizeof(struct vmm_os_task);
	struct helper *helper;
	void *map;
	int error = vmm_os_map_plain(size, &map);

	if (error != 0)
		return error;
	helper = (void *)((char *)map + VMM_OS_STOP_STACK);
	*helper = (struct helper){
		.work = work, .argument = argument,
		.process = vmm_os_process(), .lives = 1, .error = ECANCELED,
		.stop = { .tasks = tasks, .caller = vmm_os_thread(),
			.busy_wait_us = busy_wait_us, .max = count + MORE_TASKS,
			.list = (void *)(helper + 1) },
	};
	run_helper(helper);
	error = helper->error;
	vmm_os_unmap(map, size);
	return error;
}

/* What vmm_os_call_stopped was called with. */
struct call {
	void (*work)(void *argument);
	void *argument;
	enum vmm_os_others others;
	bool stack_stays;
};

/* Blocks signals: a handler in this thread would write to memory during the stop. */
static int
call_without_signals(const struct call *call, int tasks, size_t count)
{
	sigset_t signals;
	int error;

	vmm_os_signals_block(&signals);
	error = count > 1 ? call_in_helper(call->work, call->argument, tasks, count,
	    call->others == VMM_OS_AWAIT_OTHERS ? BUSY_WAIT_US : 0)
	    : vmm_os_call_alone(call->work, call->argument, call->stack_stays);
	vmm_os_signals_restore(&signals);
	return error;
}

int
vmm_os_may_stop(enum vmm_os_others others)
{
	return others == VMM_OS_NO_OTHERS ? 0 : may_stop(2, others);
}

int
vmm_os_call_stopped(void (*work)(void *argument), void *argument,
    enum vmm_os_others others, bool stack_stays)
{
	const struct call call = { work, argument, others, stack_stays };
	size_t count;
	int tasks, error;

	if (others == VMM_OS_NO_OTHERS)
		return call_without_signals(&call, -1, 1);
	tasks = vmm_os_proc_open(AT_FDCWD, VMM_OS_TASKS, O_RDONLY | O_DIRECTORY);
	error = errno;
	if (tasks < 0)
		return (error == ENOENT || error == ESRCH) && is_alone_without_proc()
		    ? call_without_signals(&call, -1, 1) : error;
	count = task_count(tasks);
	error = may_stop(count, others);
	if (error == 0)
		error = call_without_signals(&call, tasks, count);
	vmm_sys.close(tasks);
	return error;
}
