/* SPDX-License-Identifier: BSD-3-Clause */
/* handlers_signals.c: part of the program handlers: fork(2) in signal handlers, also in
 * handlers that interrupt fork(2). */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "handlers.h"

static volatile int is_good_in_handler;

static void
on_signal(int number)
{
	(void)number;
	is_good_in_handler = forks(1);
}

void
fork_in_signal_handler(void)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	tap_result(is_good_in_handler, "a signal handler can fork");
}

/*
 * A thread forks again and again. Another thread sends it signals, whose handler forks.
 */

#define FORKS 100
#define STEPS 20
#define HANGS_AFTER_S 20

static int forks_begun;
static pid_t forking_thread;
static int is_bad_in_handler;

/* Whether a thread waits on a futex that lies in libc. */
static int
waits_in_libc(pid_t thread)
{
	char path[64], call[256] = "";
	unsigned long number, address;
	Dl_info info;
	int fd, is_read;

	/* Locks of the heap may be held: nothing here allocates. */
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	is_read = fd >= 0 && read(fd, call, sizeof(call) - 1) > 0;
	close(fd);
	return is_read && sscanf(call, "%lu %lx", &number, &address) == 2 &&
	    number == SYS_futex && dladdr((void *)address, &info) != 0 &&
	    strstr(info.dli_fname, "libc.so") != NULL;
}

/*
 * libc's fork holds the lock of its list of fork handlers for an instant before and after it
 * calls the library's handlers. A signal handler that forks in such an instant waits for
 * ever, also without the library. The library cannot block signals there, since
 * other fork handlers may need them. On a busy machine a signal may come in this instant.
 */
static void
end_if_libc_hangs(void)
{
	if (!waits_in_libc(forking_thread))
		return;
	tap_result(1, "a signal handler that interrupts fork can fork, and later "
	    "cases # SKIP libc's fork waits for a lock that it holds itself");
	tap_plan();
	fflush(stdout);
	_exit(0);
}

static void *
send_signals(void *argument)
{
	pthread_t *target = argument;

	/* forks_begun reaches FORKS + 1 after the last fork. */
	for (int number = 1;; number++) {
		time_t limit = time(NULL) + HANGS_AFTER_S;

		while (__atomic_load_n(&forks_begun, __ATOMIC_ACQUIRE) < number) {
			sched_yield();
			if (time(NULL) > limit)
				end_if_libc_hangs();
		}
		if (number > FORKS)
			return NULL;
		/* The delays differ: signals come at different moments of a fork. */
		for (int i = 0; i < 4; i++) {
			for (volatile int wait = number * 2000; wait > 0; wait--)
				;
			pthread_kill(*target, SIGUSR2);
		}
	}
}

/* Allocates, so that the heap begins to return and the next fork has to make it leave again.
 * SIGUSR2 is blocked meanwhile. */
static void
begin_return(void)
{
	sigset_t signals, saved;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &signals, &saved);
	/* Each block is an extent of its own: each time the heap may return by a step. */
	for (int i = 0; i < STEPS; i++) {
		void *volatile block = malloc(100000);

		free(block);
	}
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

static void
on_signal_during_fork(int number)
{
	int saved_errno = errno;
	pid_t pid = fork();

	(void)number;
	if (pid == 0)
		_exit(0);
	if (pid < 0 ? errno != EAGAIN : !child_succeeds(pid))
		is_bad_in_handler = 1;
	errno = saved_errno;
}

void
fork_interrupts_fork(void)
{
	pthread_t thread, self = pthread_self();
	struct sigaction action = { .sa_handler = on_signal_during_fork,
		.sa_flags = SA_RESTART };
	int is_good = 1;

	/* In an emulator, a signal easily comes in the instant of end_if_libc_hangs. */
	if (!vfork_shares) {
		tap_result(1, "a signal handler that interrupts fork can fork # SKIP"
		    " in an emulator libc's fork waits for a lock that it holds itself");
		return;
	}
	/* Runs before order_of_handlers: signals would interrupt its handlers in malloc. */
	sigaction(SIGUSR2, &action, NULL);
	forking_thread = gettid();
	pthread_create(&thread, NULL, send_signals, &self);
	for (int i = 0; i < FORKS; i++) {
		pid_t pid;

		begin_return();
		__atomic_add_fetch(&forks_begun, 1, __ATOMIC_RELEASE);
		pid = fork();
		if (pid == 0)
			_exit(0);
		is_good &= child_succeeds(pid);
	}
	__atomic_add_fetch(&forks_begun, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	signal(SIGUSR2, SIG_DFL);
	tap_result(is_good && !is_bad_in_handler && blocks_are(1),
	    "a signal handler that interrupts fork can fork");
}
