/* SPDX-License-Identifier: BSD-3-Clause */
/* callers_signals.c: fork(2) in signal handlers, and a signal that ends a process. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "callers.h"

#define ATTEMPTS 200
#define ATTEMPTS_WITH_THREADS 100 /* fewer: each fork waits for the threads */
#define NBLOCKS 40
#define NTHREADS 2
#define KILLS 5
#define PATIENCE_MS 10000

static volatile sig_atomic_t attempts, attempts_wanted, refused, is_wrong;

/* Each signal sets the timer for the next signal, so that the program runs in between. */
static void
set_timer(void)
{
	struct itimerval once = { .it_value = { 0, 300 + attempts * 37 % 700 } };

	setitimer(ITIMER_REAL, &once, NULL);
}

static void
fork_on_signal(int number)
{
	int saved_errno = errno;
	pid_t pid = fork();

	(void)number;
	if (pid == 0)
		_exit(0);
	if (pid < 0) {
		refused++;
		is_wrong |= errno != EAGAIN;
	} else {
		is_wrong |= !child_succeeds(pid);
	}
	attempts++;
	if (attempts < attempts_wanted)
		set_timer();
	errno = saved_errno;
}

/* The blocks are large, so that jemalloc takes locks and asks the pool for pages. */
static int
allocate_large(void)
{
	char *data[NBLOCKS];
	int is_good = 1;

	for (int i = 0; i < NBLOCKS; i++) {
		size_t bytes = 20000 + 5000 * (size_t)i;

		data[i] = malloc(bytes);
		if (data[i] == NULL)
			exit(99);
		data[i][0] = data[i][bytes - 1] = (char)i;
	}
	for (int i = 0; i < NBLOCKS; i++) {
		size_t bytes = 20000 + 5000 * (size_t)i;

		is_good &= data[i][0] == i && data[i][bytes - 1] == i;
		free(data[i]);
	}
	return is_good;
}

/* SIGALRM is blocked except during this wait. */
static int
wait_for_signal(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigsuspend(&none);
	return 1;
}

static void
signal_fork(int (*step)(void), int nthreads, const char *what)
{
	struct sigaction action = { .sa_handler = fork_on_signal,
		.sa_flags = SA_RESTART };
	int is_good = 1;

	attempts_wanted = nthreads == 0 ? ATTEMPTS : ATTEMPTS_WITH_THREADS;
	blocks_set(20, 50000);
	blocks_write(1);
	sigaction(SIGALRM, &action, NULL);
	callers_churn_start(nthreads);
	set_timer();
	while (attempts < attempts_wanted)
		is_good &= step();
	is_good &= callers_churn_stop();
	printf("# %d of %d forks in the handler failed with EAGAIN\n",
	    (int)refused, (int)attempts);
	tap_result(is_good && blocks_are(1), what);
	tap_result(!is_wrong && refused < attempts,
	    "fork in a signal handler succeeds or fails with EAGAIN");
}

void
case_signal_fork(void)
{
	signal_fork(allocate_large, 0,
	    "forks in a handler that interrupts malloc keep the heap intact");
}

void
case_signal_fork_beside(void)
{
	sigset_t timer;

	sigemptyset(&timer);
	sigaddset(&timer, SIGALRM);
	sigprocmask(SIG_BLOCK, &timer, NULL);
	signal_fork(wait_for_signal, NTHREADS,
	    "forks in a handler beside threads that allocate keep the heap intact");
	sigprocmask(SIG_UNBLOCK, &timer, NULL);
}

void
case_signal_fork_threads(void)
{
	if (getenv("VMMALLOC_POOL_DIR") == NULL)
		tap_result(1, "a signal handler forks # SKIP glibc's fork waits "
		    "for the lock of its heap, which the interrupted malloc holds");
	else
		signal_fork(allocate_large, NTHREADS, "forks in a handler that "
		    "interrupts malloc beside threads keep the heap intact");
}

/* Forks until a signal ends the process. Writes a byte to the pipe for each fork. */
static void
fork_until_ended(int forked)
{
	sigset_t term;

	signal(SIGTERM, SIG_DFL);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_UNBLOCK, &term, NULL);
	callers_churn_start(NTHREADS);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (!child_succeeds(pid) || !callers_tell(forked))
			_exit(1);
	}
}

/* Reads until all processes have closed the other end of the pipe. The time is limited,
 * since a process that goes on writes for ever. */
static int
all_gone(int fd)
{
	int64_t end_us = callers_now_us() + PATIENCE_MS * (int64_t)1000;
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char bytes[4096];

	while (callers_now_us() < end_us && poll(&wait, 1, PATIENCE_MS) == 1) {
		if (read(fd, bytes, sizeof(bytes)) <= 0)
			return 1;
	}
	return 0;
}

static int
ends_by_term(int nforks)
{
	int forked[2], status = 0;
	int is_good = 1;
	pid_t pid;

	callers_pipe(forked);
	pid = fork();
	if (pid == 0) {
		close(forked[0]);
		fork_until_ended(forked[1]);
	}
	close(forked[1]);
	for (int i = 0; i < nforks; i++)
		is_good &= callers_hear(forked[0]);
	if (pid > 0)
		kill(pid, SIGTERM);
	/* The child that the process had at that moment ends by itself. */
	is_good &= all_gone(forked[0]);
	close(forked[0]);
	if (!is_good)
		callers_kill_children();
	return pid > 0 && waitpid(pid, &status, 0) == pid && is_good &&
	    WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
}

void
case_term(void)
{
	int is_good = 1;

	blocks_set(50, 20000);
	blocks_write(1);
	for (int i = 0; i < KILLS; i++)
		is_good &= ends_by_term(3 + 2 * i);
	tap_result(is_good && blocks_are(1),
	    "SIGTERM ends a process that forks in a loop");
}
