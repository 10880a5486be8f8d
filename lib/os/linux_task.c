/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_task.c: one seized thread: its registers, and the system call that it was in. */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __riscv
#include <asm/ptrace.h> /* struct user_regs_struct, which sys/user.h has elsewhere */
#endif

#include "base/text.h"
#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/linux_task.h"
#include "os/os.h"

/* The longest timeout of a call that is made again, whose timeout starts anew then. */
#define TIMEOUT_MAX_MS 1000
#define NCALL_ARGUMENTS 6
#define IORING_ENTER_EXT_ARG 8 /* the call has a timeout */
#define PROBE_STACK_BYTES 16384

/*
 * What an architecture has to say: which registers hold a system call's number, result
 * and arguments, and what makes it be made again. Without that no thread is ever stopped.
 *
 * x86 decides behind the stop what to do with the result (the kernel's
 * arch_do_signal_or_restart): by ERESTARTNOHAND the call is made again, unless a signal's
 * handler is to run; then it returns EINTR. Others decide before the stop: there the
 * library sets the registers to before the call, if no signal waits.
 */
#define ERESTARTNOHAND 514 /* the kernel's own; no program ever sees it */
#if defined(__x86_64__)
#define HAS_REGISTERS 1
#define CALL_NUMBER(r) ((long)(r)->orig_rax)
#define CALL_RESULT(r) ((long)(r)->rax)
#define CALL_ARGUMENTS(r) { (r)->rdi, (r)->rsi, (r)->rdx, (r)->r10, (r)->r8, (r)->r9 }
#define CALL_AGAIN(r, first) ((void)(first), (r)->rax = (unsigned long)-ERESTARTNOHAND)
#define DECIDES_LATER 1
#elif defined(__i386__)
#define HAS_REGISTERS 1
#define CALL_NUMBER(r) ((long)(r)->orig_eax)
#define CALL_RESULT(r) ((long)(r)->eax)
#define CALL_ARGUMENTS(r) { (unsigned long)(r)->ebx, (unsigned long)(r)->ecx, \
	(unsigned long)(r)->edx, (unsigned long)(r)->esi, (unsigned long)(r)->edi, \
	(unsigned long)(r)->ebp }
#define CALL_AGAIN(r, first) ((void)(first), (r)->eax = -ERESTARTNOHAND)
#define DECIDES_LATER 1
#elif defined(__aarch64__)
#define HAS_REGISTERS 1
#define CALL_NUMBER(r) ((long)(r)->regs[8])
#define CALL_RESULT(r) ((long)(r)->regs[0])
#define CALL_ARGUMENTS(r) { 0, (r)->regs[1], (r)->regs[2], (r)->regs[3], (r)->regs[4], \
	(r)->regs[5] }
#define CALL_AGAIN(r, first) ((r)->regs[0] = (first), (r)->pc -= 4)
#define DECIDES_LATER 0
#elif defined(__riscv) && __riscv_xlen == 64
#define HAS_REGISTERS 1
#define CALL_NUMBER(r) ((long)(r)->a7)
#define CALL_RESULT(r) ((long)(r)->a0)
#define CALL_ARGUMENTS(r) { 0, (r)->a1, (r)->a2, (r)->a3, (r)->a4, (r)->a5 }
#define CALL_AGAIN(r, first) ((r)->a0 = (first), (r)->pc -= 4)
#define DECIDES_LATER 0
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

/* What the helper will ask of ptrace(2), of a thread that there is not. */
static int
try_to_trace(void *argument)
{
	struct iovec none = { NULL, 0 };
	const int requests[] = { PTRACE_SEIZE, PTRACE_INTERRUPT,
		PTRACE_GETREGSET, PTRACE_SETREGSET, PTRACE_DETACH };

	(void)argument;
	/* If the filter kills, no core is wanted. */
	vmm_sys.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	vmm_sys.setpgid(0, 0);
	vmm_sys.tgkill(vmm_sys.getpid(), vmm_sys.getpid(), 0);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (vmm_sys.ptrace(requests[i], 0, NULL, &none) == -1 &&
		    errno != ESRCH)
			return 1;
	}
	return 0;
}

/* A process of its own tries; it has a stack outside the pool, and a copy of this one's
 * memory, so that a filter which kills it kills nobody else. */
static int
probe(void)
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

int
vmm_os_task_can_trace(void)
{
	static uint64_t known_filters;
	static int known_error;
	enum { TRACER, SECCOMP, FILTERS, NFIELDS };
	struct vmm_os_field status[NFIELDS] = { { "TracerPid:", 10, 0 },
		{ "Seccomp:", 10, 0 }, { "Seccomp_filters:", 10, 0 } };
	sigset_t signals;
	int error = vmm_os_proc_fields(AT_FDCWD, VMM_OS_SELF "status", status, NFIELDS);

	if (error != 0 || status[TRACER].value != 0)
		return error != 0 ? error : EPERM;
	if (status[SECCOMP].value == 0)
		return 0;
	/* Filters are never taken away; a new one is a reason to ask again. */
	if (known_filters == status[FILTERS].value + 1)
		return known_error;
	vmm_os_signals_block(&signals);
	error = probe();
	vmm_os_signals_restore(&signals);
	/* Anything else may be another the next time. */
	if (error == 0 || error == EPERM) {
		known_error = error;
		known_filters = status[FILTERS].value + 1;
	}
	return error;
}

void
vmm_os_task_before(struct vmm_os_task *task, int tasks)
{
	char call[256];
	char *end;
	struct vmm_text id;

	task->call = -1;
	if (DECIDES_LATER)
		return;
	vmm_text_clear(&id);
	vmm_text_uint(&id, (uint64_t)task->id);
	vmm_os_proc_read_task(tasks, id.data, "syscall", call, sizeof(call));
	task->call = strtol(call, &end, 10);
	if (end == call)
		task->call = -1; /* "running" */
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
is_short_time(const struct timeval *timeout)
{
	return timeout->tv_sec < TIMEOUT_MAX_MS / 1000 ||
	    (timeout->tv_sec == TIMEOUT_MAX_MS / 1000 && timeout->tv_usec == 0);
}

/* The timeout of a socket, for both directions; anything else has none. */
static bool
is_short_of_socket(int fd)
{
	struct timeval in = { 0, 0 }, out = { 0, 0 };
	socklen_t size = sizeof(in);

	if (vmm_sys.getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &in, &size) != 0)
		return true;
	size = sizeof(out);
	vmm_sys.getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &out, &size);
	return is_short_time(&in) && is_short_time(&out);
}

/*
 * Whether a call that signal(7) names may be made again: it has no timeout, or a short
 * one. All that is named here has done nothing when it returns EINTR, but for connect(2),
 * which then goes on to wait, as the kernel has it do where there is no timeout.
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
#ifdef SYS_semtimedop_time64 /* little-endian: it begins as a timespec does */
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
		return is_short_of_socket((int)((const long *)arguments[1])[0]);
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
		return is_short_of_socket((int)arguments[0]);
	case SYS_recvmmsg:
#ifdef SYS_recvmmsg_time64
	case SYS_recvmmsg_time64:
#endif
		return is_short_of_socket((int)arguments[0]) &&
		    is_short((const struct timespec *)arguments[4]);
	default:
		return false;
	}
}

/* Whether a signal waits that the thread will see: then EINTR is right. */
static bool
has_signal(pid_t id, int tasks)
{
	enum { OWN, COMMON, BLOCKED, IGNORED, NFIELDS };
	struct vmm_os_field status[NFIELDS] = { { "SigPnd:", 16, 0 },
		{ "ShdPnd:", 16, 0 }, { "SigBlk:", 16, 0 }, { "SigIgn:", 16, 0 } };
	struct vmm_text path;

	vmm_text_clear(&path);
	vmm_text_uint(&path, (uint64_t)id);
	vmm_text_str(&path, "/status");
	vmm_os_proc_fields(tasks, path.data, status, NFIELDS);
	return ((status[OWN].value | status[COMMON].value) & ~status[BLOCKED].value &
		   ~status[IGNORED].value) != 0;
}

void
vmm_os_task_call_again(struct vmm_os_task *task, int tasks)
{
	struct user_regs_struct registers;
	struct iovec all = { &registers, sizeof(registers) };

	if (vmm_sys.ptrace(PTRACE_GETREGSET, task->id, (void *)NT_PRSTATUS, &all) != 0 ||
	    CALL_NUMBER(&registers) < 0 || CALL_RESULT(&registers) != -EINTR)
		return;
	if (!DECIDES_LATER && task->call != CALL_NUMBER(&registers))
		return;
	unsigned long arguments[NCALL_ARGUMENTS] = CALL_ARGUMENTS(&registers);

	if (!DECIDES_LATER)
		arguments[0] = task->first;
	if (!may_call_again(CALL_NUMBER(&registers), arguments) ||
	    (!DECIDES_LATER && has_signal(task->id, tasks)))
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
vmm_os_task_before(struct vmm_os_task *task, int tasks)
{
	(void)task;
	(void)tasks;
}

void
vmm_os_task_call_again(struct vmm_os_task *task, int tasks)
{
	(void)task;
	(void)tasks;
}

#endif
