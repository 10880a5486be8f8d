/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_task.c: checks whether the helper may trace this process, and makes a seized thread
 * repeat the system call that the stop interrupted. */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#ifdef __riscv
#include <asm/ptrace.h> /* struct user_regs_struct, elsewhere in sys/user.h */
#endif

#include "base/text.h"
#include "os/linux_proc.h"
#include "os/linux_stop.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* The longest timeout of a call that is repeated. Its timeout starts again. */
#define TIMEOUT_MAX_MS 1000
#define NCALL_ARGUMENTS 6
#define IORING_ENTER_EXT_ARG 8 /* io_uring_enter(2): the call has a timeout */
#define PROBE_STACK_BYTES 16384

/*
 * For each architecture: the registers that hold the number, the result and the arguments
 * of a system call, and how to repeat the call. On an architecture without these macros no
 * thread is ever stopped.
 *
 * On x86 the kernel decides after the stop what the call returns
 * (arch_do_signal_or_restart): with ERESTARTNOHAND as its result the call is repeated, or
 * returns EINTR if a signal handler is to run. Other architectures decide before the stop.
 * There the library sets the registers back to before the call, if no signal is pending.
 */
#define ERESTARTNOHAND 514 /* internal to the kernel: no program sees it */
#if defined(__x86_64__)
#define HAS_REGISTERS 1
#define CALL_NUMBER(r) ((long)(r)->orig_rax)
#define CALL_RESULT(r) ((long)(r)->rax)
#define CALL_ARGUMENTS(r) { (r)->rdi, (r)->rsi, (r)->rdx, (r)->r10, (r)->r8, (r)->r9 }
#define CALL_AGAIN(r, first) ((void)(first), (r)->rax = (unsigned long)-ERESTARTNOHAND)
#define DECIDES_AFTER_STOP 1
#elif defined(__i386__)
#define HAS_REGISTERS 1
#define CALL_NUMBER(r) ((long)(r)->orig_eax)
#define CALL_RESULT(r) ((long)(r)->eax)
#define CALL_ARGUMENTS(r) { (unsigned long)(r)->ebx, (unsigned long)(r)->ecx, \
	(unsigned long)(r)->edx, (unsigned long)(r)->esi, (unsigned long)(r)->edi, \
	(unsigned long)(r)->ebp }
#define CALL_AGAIN(r, first) ((void)(first), (r)->eax = -ERESTARTNOHAND)
#define DECIDES_AFTER_STOP 1
#elif defined(__aarch64__)
#define HAS_REGISTERS 1
#define CALL_NUMBER(r) ((long)(r)->regs[8])
#define CALL_RESULT(r) ((long)(r)->regs[0])
#define CALL_ARGUMENTS(r) { 0, (r)->regs[1], (r)->regs[2], (r)->regs[3], (r)->regs[4], \
	(r)->regs[5] }
#define CALL_AGAIN(r, first) ((r)->regs[0] = (first), (r)->pc -= 4)
#define DECIDES_AFTER_STOP 0
#elif defined(__riscv) && __riscv_xlen == 64
#define HAS_REGISTERS 1
#define CALL_NUMBER(r) ((long)(r)->a7)
#define CALL_RESULT(r) ((long)(r)->a0)
#define CALL_ARGUMENTS(r) { 0, (r)->a1, (r)->a2, (r)->a3, (r)->a4, (r)->a5 }
#define CALL_AGAIN(r, first) ((r)->a0 = (first), (r)->pc -= 4)
#define DECIDES_AFTER_STOP 0
#else
#define HAS_REGISTERS 0
#endif

bool
vmm_os_task_needs_permission(void)
{
	char scope[8];

	vmm_os_proc_read(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", scope,
	    sizeof(scope));
	return scope[0] == '1';
}

#if HAS_REGISTERS

/*
 * Makes the helper's system calls: its ptrace(2) requests, for a thread that does not exist,
 * and others, such as that of vmm_os_copy_readable. Returns 1 if ptrace(2) is refused.
 */
static int
try_to_trace(void *argument)
{
	struct iovec none = { NULL, 0 };
	const int requests[] = { PTRACE_SEIZE, PTRACE_INTERRUPT,
		PTRACE_GETREGSET, PTRACE_SETREGSET, PTRACE_DETACH };

	(void)argument;
	/* No core dump, if the filter kills this process. */
	vmm_sys.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	vmm_sys.setpgid(0, 0);
	vmm_sys.tgkill(vmm_sys.getpid(), vmm_sys.getpid(), 0);
	vmm_sys.process_vm_readv(vmm_sys.getpid(), &none, 1, &none, 1, 0);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (vmm_sys.ptrace(requests[i], 0, NULL, &none) == -1 && errno != ESRCH)
			return 1;
	}
	return 0;
}

/*
 * Calls try_to_trace in a child process, which a filter may kill. The child has a copy of the
 * memory, so that this process is not killed with it. Its stack lies outside the pool.
 */
static int
probe_filters(void)
{
	int status = 0;
	void *stack;
	pid_t pid, got;
	int error = vmm_os_map_plain(PROBE_STACK_BYTES, &stack);

	if (error != 0)
		return error;
	pid = vmm_sys.clone(try_to_trace, (char *)stack + PROBE_STACK_BYTES,
	    CLONE_UNTRACED, NULL, NULL, NULL, NULL);
	error = pid < 0 ? errno : 0;
	while (error == 0 && (got = vmm_sys.waitpid(pid, &status, __WALL)) != pid) {
		if (got < 0 && errno != EINTR)
			error = errno;
	}
	vmm_os_unmap(stack, PROBE_STACK_BYTES);
	if (error == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		error = EPERM;
	return error;
}

/*
 * Whether children of this thread are in the thread's own PID namespace. After unshare(2)
 * with CLONE_NEWPID the helper would be the first process of a new one, and end it.
 */
static bool
has_own_namespace(void)
{
	struct stat own, of_children;

	return vmm_sys.stat(VMM_OS_SELF "ns/pid", &own) != 0 ||
	    (vmm_sys.stat(VMM_OS_SELF "ns/pid_for_children", &of_children) == 0 &&
		own.st_ino == of_children.st_ino);
}

int
vmm_os_task_can_trace(void)
{
	/* Results for this thread: each thread has filters of its own. */
	static __thread uint64_t probed_filters __attribute__((tls_model("initial-exec")));
	static __thread int probed_error __attribute__((tls_model("initial-exec")));
	enum { TRACER, SECCOMP, FILTERS, IDS, NFIELDS };
	struct vmm_os_field status[NFIELDS] = { { "TracerPid:", 10, 0 },
		{ "Seccomp:", 10, 0 }, { "Seccomp_filters:", 10, 0 },
		{ "NSpid:", VMM_OS_FIELD_COUNT, 0 } };
	sigset_t signals;
	int error = vmm_os_proc_fields(AT_FDCWD, VMM_OS_SELF "status", status, NFIELDS);

	/* Several IDs: /proc is of an outer PID namespace, whose IDs name other threads. */
	if (error != 0 || status[TRACER].value != 0 || status[IDS].value > 1 ||
	    !has_own_namespace())
		return error != 0 ? error : EPERM;
	if (status[SECCOMP].value == 0)
		return 0;
	/*
	 * Filters are never removed: a result holds while their number is the same. Before
	 * Linux 5.9 the number is missing, which counts as 0, and no result is kept.
	 */
	if (probed_filters != 0 && probed_filters == status[FILTERS].value)
		return probed_error;
	vmm_os_signals_block(&signals);
	error = probe_filters();
	vmm_os_signals_restore(&signals);
	/* Other errors may be temporary. */
	if (error == 0 || error == EPERM) {
		probed_error = error;
		probed_filters = status[FILTERS].value;
	}
	return error;
}

void
vmm_os_task_record_call(struct vmm_os_task *task, int tasks)
{
	char call[256];
	char *end;
	struct vmm_text id;

	task->call = -1;
	if (DECIDES_AFTER_STOP)
		return;
	vmm_text_clear(&id);
	vmm_text_uint(&id, (uint64_t)task->id);
	vmm_os_proc_read_task(tasks, id.data, "syscall", call, sizeof(call));
	task->call = strtol(call, &end, 10);
	if (end == call)
		task->call = -1; /* the file says "running" */
	else
		task->first = strtoul(end, NULL, 16);
}

static bool
is_short(const struct timespec *timeout)
{
	return timeout == NULL || timeout->tv_sec < TIMEOUT_MAX_MS / 1000 ||
	    (timeout->tv_sec == TIMEOUT_MAX_MS / 1000 && timeout->tv_nsec == 0);
}

static bool
is_short_timeval(const struct timeval *timeout)
{
	return timeout->tv_sec < TIMEOUT_MAX_MS / 1000 ||
	    (timeout->tv_sec == TIMEOUT_MAX_MS / 1000 && timeout->tv_usec == 0);
}

/* Checks the timeouts of a socket in both directions. Other files have none. */
static bool
has_short_timeouts(int fd)
{
	struct timeval in = { 0, 0 }, out = { 0, 0 };
	socklen_t size = sizeof(in);

	if (vmm_sys.getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &in, &size) != 0)
		return true;
	size = sizeof(out);
	vmm_sys.getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &out, &size);
	return is_short_timeval(&in) && is_short_timeval(&out);
}

/*
 * Whether a system call that the kernel does not repeat (signal(7)) may be repeated: it has no
 * timeout, or a short one. All calls listed here have done nothing when they return EINTR,
 * except connect(2): repeated, it continues to wait, as the kernel's own repetition does.
 */
static bool
may_call_again(long number, const unsigned long arguments[NCALL_ARGUMENTS])
{
	switch (number) {
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait:
		return (int)arguments[3] <= TIMEOUT_MAX_MS;
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
#ifdef SYS_semtimedop
	case SYS_semtimedop:
#endif
#ifdef SYS_semtimedop_time64 /* little-endian: begins like a struct timespec */
	case SYS_semtimedop_time64:
#endif
		return is_short((const struct timespec *)arguments[3]);
	case SYS_rt_sigtimedwait:
#ifdef SYS_rt_sigtimedwait_time64
	case SYS_rt_sigtimedwait_time64:
#endif
		return is_short((const struct timespec *)arguments[2]);
	case SYS_io_getevents:
		return is_short((const struct timespec *)arguments[4]);
#ifdef SYS_semop
	case SYS_semop:
#endif
	case SYS_fallocate:
		return true;
#ifdef SYS_io_uring_enter
	case SYS_io_uring_enter:
		return (arguments[3] & IORING_ENTER_EXT_ARG) == 0;
#endif
#ifdef SYS_accept
	case SYS_accept:
#endif
#ifdef SYS_socketcall
	case SYS_socketcall:
		return has_short_timeouts((int)((const long *)arguments[1])[0]);
#endif
#ifdef SYS_ipc
	case SYS_ipc:
		return (arguments[0] & 0xffff) == 1; /* SEMOP */
#endif
	case SYS_read:
	case SYS_readv:
	case SYS_write:
	case SYS_writev:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_accept4:
	case SYS_connect:
		return has_short_timeouts((int)arguments[0]);
	case SYS_recvmmsg:
#ifdef SYS_recvmmsg_time64
	case SYS_recvmmsg_time64:
#endif
		return has_short_timeouts((int)arguments[0]) &&
		    is_short((const struct timespec *)arguments[4]);
	default:
		return false;
	}
}

/* Whether a signal is pending that the thread will handle: then EINTR is right. */
static bool
has_signal(pid_t id, int tasks)
{
	enum { OWN, SHARED, BLOCKED, IGNORED, NFIELDS };
	struct vmm_os_field status[NFIELDS] = { { "SigPnd:", 16, 0 },
		{ "ShdPnd:", 16, 0 }, { "SigBlk:", 16, 0 }, { "SigIgn:", 16, 0 } };
	struct vmm_text path;

	vmm_text_clear(&path);
	vmm_text_uint(&path, (uint64_t)id);
	vmm_text_str(&path, "/status");
	vmm_os_proc_fields(tasks, path.data, status, NFIELDS);
	return ((status[OWN].value | status[SHARED].value) & ~status[BLOCKED].value &
		   ~status[IGNORED].value) != 0;
}

void
vmm_os_task_repeat_call(struct vmm_os_task *task, int tasks)
{
	struct user_regs_struct registers;
	struct iovec all = { &registers, sizeof(registers) };

	if (vmm_sys.ptrace(PTRACE_GETREGSET, task->id, (void *)NT_PRSTATUS, &all) != 0 ||
	    CALL_NUMBER(&registers) < 0 || CALL_RESULT(&registers) != -EINTR)
		return;
	if (!DECIDES_AFTER_STOP && task->call != CALL_NUMBER(&registers))
		return;
	unsigned long arguments[NCALL_ARGUMENTS] = CALL_ARGUMENTS(&registers);

	if (!DECIDES_AFTER_STOP)
		arguments[0] = task->first;
	if (!may_call_again(CALL_NUMBER(&registers), arguments) ||
	    (!DECIDES_AFTER_STOP && has_signal(task->id, tasks)))
		return;
	CALL_AGAIN(&registers, task->first);
	vmm_sys.ptrace(PTRACE_SETREGSET, task->id, (void *)NT_PRSTATUS, &all);
}

#else

int
vmm_os_task_can_trace(void)
{
	return EPERM;
}

void
vmm_os_task_record_call(struct vmm_os_task *task, int tasks)
{
	(void)task;
	(void)tasks;
}

void
vmm_os_task_repeat_call(struct vmm_os_task *task, int tasks)
{
	(void)task;
	(void)tasks;
}

#endif
