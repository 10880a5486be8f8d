/* SPDX-License-Identifier: BSD-3-Clause */
/* process.h: functions for the process, its threads, a stop, fork(2); os.h has the rules. */
#ifndef VMM_OS_PROCESS_H
#define VMM_OS_PROCESS_H

#include <signal.h>
#include <sys/types.h>
#include <time.h>

#include "os/file.h"

/* Returns the size of a page of memory (sysconf(3)). */
size_t vmm_os_page_size(void);

/* Returns how many CPUs this process may run on, at least 1 (sched_getaffinity(2)). */
unsigned vmm_os_cpu_count(void);

/*
 * Returns the value of an environment variable, or NULL if it is not set. A process that
 * gained privileges in execve(2) must not trust its environment, so it gets NULL
 * (secure_getenv(3)). Works before libc has set `environ`.
 */
const char *vmm_os_getenv(const char *name);

/* Ends the process without handlers and without a core dump (_exit(2)). */
_Noreturn void vmm_os_exit(int status);

/* Aborts the process (abort(3)). */
_Noreturn void vmm_os_abort(void);

/* Blocks all signals for this thread, and restores the saved mask (pthread_sigmask(3)). */
void vmm_os_signals_block(sigset_t *saved);
void vmm_os_signals_restore(const sigset_t *saved);

/* Returns microseconds on a clock that nobody sets (clock_gettime(2), CLOCK_MONOTONIC). */
uint64_t vmm_os_now_us(void);

/* clock_gettime(2), for jemalloc: returns -1 and sets errno on failure. */
int vmm_os_clock_gettime(clockid_t clock, struct timespec *time);

/* Return the IDs of the process and of the thread (getpid(2), gettid(2)). */
pid_t vmm_os_process(void);
pid_t vmm_os_thread(void);

/* Lets other threads run (sched_yield(2)). */
void vmm_os_yield(void);

/* Sleeps for 20 microseconds or more (nanosleep(2)). */
void vmm_os_pause(void);

/* Whether there are other threads: as /proc counts them, or without /proc as libc says. */
bool vmm_os_has_threads(void);

/* How a stop treats the other threads. */
enum vmm_os_others {
	VMM_OS_NO_OTHERS,    /* there are none, as in a child of fork(2) */
	VMM_OS_STOP_OTHERS,  /* stop them, if there are any */
	VMM_OS_AWAIT_OTHERS, /* the same, and wait longer for threads that get no CPU */
	VMM_OS_SPARE_OTHERS, /* do not stop them: fail if there are any */
};

/*
 * Stops all other threads, calls work(argument), and lets the threads continue. If `work` is
 * NULL, nothing is called. `work` must not take locks and must not rely on this thread's
 * errno. Only one thread at a time may call this function.
 *
 * A helper process stops the threads by ptrace(2), without a signal, and calls `work`. It
 * shares the memory of this process. A system call that returns EINTR only because of the
 * stop is made again, unless it has a long timeout. If this thread is the only one, it
 * calls `work` itself: on its own stack if `stack_stays`, that is, if `work` does not replace
 * the memory of the stack, and otherwise on another stack.
 *
 * Returns 0 if `work` was called and returned. After these errors `work` was not called:
 * EPERM      the threads must not be stopped, or cannot be (another tracer,
 *            PR_SET_DUMPABLE, Yama, seccomp(2), an architecture that lacks the code)
 * ETIMEDOUT  a thread waits in the kernel, for example in vfork(2)
 * EAGAIN     a thread got no CPU in time
 * ENOENT     there is no /proc, and there are threads
 * EMFILE, ENOMEM, ...
 * After ECANCELED the helper was killed, and `work` may have been interrupted.
 */
int vmm_os_call_stopped(void (*work)(void *argument), void *argument,
    enum vmm_os_others others, bool stack_stays);

/* Returns 0 if other threads may be stopped, or one of these errors: EPERM, EMFILE, ... */
int vmm_os_may_stop(enum vmm_os_others others);

/*
 * EBUSY if the kernel may write to this process's memory while no thread is in a system
 * call: asynchronous I/O, io_uring, AF_XDP, devices (/proc/self/maps, /proc/self/fd).
 * Another errno value if that cannot be found out.
 */
int vmm_os_kernel_writes(void);

/* Threads of this process that wait in futex(2) without FUTEX_PRIVATE_FLAG. */
#define VMM_OS_WAITS_MAX 64
struct vmm_os_waits {
	uintptr_t addresses[VMM_OS_WAITS_MAX];
	size_t count;     /* of `addresses` */
	size_t needs_stop; /* threads that only a stop wakes: waiting for a mutex with priority
			      inheritance, or in futex_waitv(2) with a seccomp filter */
	bool is_complete; /* false: there may be more threads */
};

/* Finds the threads that wait on an address in [base, base + size) (/proc). */
void vmm_os_futex_waits(const void *base, size_t size, struct vmm_os_waits *waits);

/*
 * Wakes the threads that wait at `offset` of the file, and began to wait while it was
 * mapped shared (futex(2)). The threads that `needs_stop` counts are not woken. Does nothing
 * if the program has closed the descriptor.
 */
void vmm_os_futex_wake_file(const struct vmm_os_file *file, size_t offset);

/*
 * Makes every thread that waits in a system call make the call again. For that it calls
 * setresuid(2) without a change: libc interrupts all threads with a signal whose handler
 * has SA_RESTART (nptl(7)). Calls that signal(7) lists as never restarted return EINTR. libc
 * takes locks, so no lock of the allocator may be held. Does nothing, and returns 0, if a
 * thread has a seccomp filter or there is no /proc. Keeps errno.
 */
int vmm_os_futex_restart_all(void);

/*
 * A word in memory that parent and child share, 0 at first. The child sets it, and wakes
 * the parent. The parent waits until the word is not 0 or the child has ended, and returns
 * the word. The child's exit status is left for the program's wait(2).
 */
void vmm_os_child_report(unsigned *word, unsigned value);
unsigned vmm_os_child_await(const unsigned *word, pid_t child);

/*
 * Maps a byte that is 1 in this process. The byte is 0 in every copy of the process,
 * however the copy was made, until the copy sets it (madvise(2), MADV_WIPEONFORK, Linux
 * 4.14). A child of vfork(2) shares memory and sees 1. On older kernels the byte is
 * always 1. ENOMEM.
 */
int vmm_os_process_mark_make(volatile unsigned char **own);

/*
 * The "next" function below is that of libc, or of another library that comes after this
 * one. The first call looks it up with dlsym(3), which may take libc's locks.
 */

/*
 * Registers handlers as pthread_atfork(3) does, by the next __register_atfork. `library` is
 * the handle of the object that the handlers belong to (__dso_handle, Linux Standard Base);
 * dlclose(3) of that object removes them. ENOSYS if there is no such function, ENOMEM.
 */
int vmm_os_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void), void *library);

/* Returns the next dlopen(3), never NULL. */
void *(*vmm_os_dlopen(void))(const char *file, int mode);

/* Calls the next fork(2). Returns as fork(2) does, with errno. ENOSYS if there is none. */
pid_t vmm_os_fork(void);

/*
 * libc's lock of its list of open FILEs (_IO_list_lock), which libc's fork(2) takes after
 * all handlers have run. A thread may take it more than once. A child inherits the lock
 * taken, so it resets the lock.
 */
void vmm_os_stdio_lock(void);
void vmm_os_stdio_unlock(void);
void vmm_os_stdio_reset(void);

/* Waits until the child has ended, and discards its exit status (waitpid(2)). */
void vmm_os_reap(pid_t child);

#endif
