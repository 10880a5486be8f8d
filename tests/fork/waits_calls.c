/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_calls.c: part of the program waits: calls that wait for data, time, or signals. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/poll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "waits_calls.h"

/* On 32-bit systems epoll_pwait2(2) takes another timespec than libc's. */
#if defined(SYS_epoll_pwait2) && defined(__LP64__)
#define HAS_EPOLL_PWAIT2
#endif

enum outcome
calls_outcome(long result, int error_of_timeout)
{
	if (result > 0)
		return WAIT_GOT;
	if (result == 0)
		return WAIT_TIMED_OUT;
	return errno == error_of_timeout ? WAIT_TIMED_OUT : WAIT_FAILED;
}

struct timespec *
calls_timeout(struct waiter *waiter)
{
	struct timespec *time = (struct timespec *)(waiter->heap + TIMEOUT_AT);
	int ms = waiter->call->timeout_ms;

	if (ms < 0)
		return NULL;
	time->tv_sec = ms / 1000;
	time->tv_nsec = ms % 1000 * 1000000L;
	return time;
}

static int
open_nothing(struct waiter *waiter)
{
	(void)waiter;
	return 1;
}

enum outcome
calls_take_byte(struct waiter *waiter, ssize_t got, int error_of_timeout)
{
	if (got == 1 && waiter->heap[0] != waiter->next)
		return WAIT_WRONG;
	return calls_outcome(got, error_of_timeout);
}

/*
 * A pipe
 */

static int
open_pipe(struct waiter *waiter)
{
	return pipe(waiter->fd) == 0;
}

static void
feed_pipe(struct waiter *waiter)
{
	if (write(waiter->fd[1], &waiter->fed, 1) != 1)
		_exit(99);
}

static enum outcome
wait_read(struct waiter *waiter)
{
	return calls_take_byte(waiter, read(waiter->fd[0], waiter->heap, 1), 0);
}

static enum outcome
wait_poll(struct waiter *waiter)
{
	struct pollfd *poll_fd = (struct pollfd *)(waiter->heap + 64);
	int got;

	*poll_fd = (struct pollfd){ .fd = waiter->fd[0], .events = POLLIN };
	got = poll(poll_fd, 1, waiter->call->timeout_ms);
	return got == 1 ? wait_read(waiter) : calls_outcome(got, 0);
}

static enum outcome
wait_ppoll(struct waiter *waiter)
{
	struct pollfd *poll_fd = (struct pollfd *)(waiter->heap + 64);
	int got;

	*poll_fd = (struct pollfd){ .fd = waiter->fd[0], .events = POLLIN };
	got = ppoll(poll_fd, 1, calls_timeout(waiter), NULL);
	return got == 1 ? wait_read(waiter) : calls_outcome(got, 0);
}

static enum outcome
wait_select(struct waiter *waiter)
{
	fd_set *set = (fd_set *)(waiter->heap + 512);
	struct timeval *time = (struct timeval *)(waiter->heap + TIMEOUT_AT);
	int ms = waiter->call->timeout_ms, got;

	FD_ZERO(set);
	FD_SET(waiter->fd[0], set);
	time->tv_sec = ms / 1000;
	time->tv_usec = ms % 1000 * 1000L;
	got = select(waiter->fd[0] + 1, set, NULL, NULL, ms < 0 ? NULL : time);
	return got == 1 ? wait_read(waiter) : calls_outcome(got, 0);
}

/*
 * epoll with an eventfd
 */

static int
open_epoll(struct waiter *waiter)
{
	struct epoll_event event = { .events = EPOLLIN };

	waiter->fd[0] = epoll_create1(0);
	waiter->fd[1] = eventfd(0, EFD_NONBLOCK);
	event.data.fd = waiter->fd[1];
	return waiter->fd[0] >= 0 && waiter->fd[1] >= 0 &&
	    epoll_ctl(waiter->fd[0], EPOLL_CTL_ADD, waiter->fd[1], &event) == 0;
}

static void
feed_event(struct waiter *waiter)
{
	eventfd_write(waiter->fd[1], waiter->fed);
}

static enum outcome
take_event(struct waiter *waiter, int got)
{
	struct epoll_event *event = (struct epoll_event *)(waiter->heap + 64);
	eventfd_t value;

	if (got != 1)
		return calls_outcome(got, 0);
	if (event->data.fd != waiter->fd[1] ||
	    eventfd_read(waiter->fd[1], &value) != 0 || value != waiter->next)
		return WAIT_WRONG;
	return WAIT_GOT;
}

static enum outcome
wait_epoll(struct waiter *waiter)
{
	return take_event(waiter, epoll_wait(waiter->fd[0],
	    (struct epoll_event *)(waiter->heap + 64), 1,
	    waiter->call->timeout_ms));
}

#ifdef HAS_EPOLL_PWAIT2
static int
open_epoll2(struct waiter *waiter)
{
	/* Linux before 5.11 returns ENOSYS. */
	return open_epoll(waiter) && (syscall(SYS_epoll_pwait2, -1, NULL, 0, NULL,
	    NULL, 0) == 0 || errno != ENOSYS);
}

static enum outcome
wait_epoll2(struct waiter *waiter)
{
	return take_event(waiter, (int)syscall(SYS_epoll_pwait2, waiter->fd[0],
	    waiter->heap + 64, 1, calls_timeout(waiter), NULL, 0));
}
#endif

/*
 * Time and signals
 */

static enum outcome
wait_nanosleep(struct waiter *waiter)
{
	return calls_outcome(nanosleep(calls_timeout(waiter), NULL), 0);
}

static enum outcome
wait_clock_nanosleep(struct waiter *waiter)
{
	struct timespec *time = calls_timeout(waiter);
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	time->tv_sec += now.tv_sec;
	time->tv_nsec += now.tv_nsec;
	if (time->tv_nsec >= 1000000000L) {
		time->tv_sec++;
		time->tv_nsec -= 1000000000L;
	}
	errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, time, NULL);
	return errno == 0 ? WAIT_TIMED_OUT : WAIT_FAILED;
}

static void
feed_signal(struct waiter *waiter)
{
	pthread_kill(waiter->thread, FED_SIGNAL);
}

static enum outcome
wait_signal(struct waiter *waiter)
{
	siginfo_t *info = (siginfo_t *)(waiter->heap + 64);
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, FED_SIGNAL);
	got = waiter->call->timeout_ms < 0
	    ? sigwaitinfo(&set, info)
	    : sigtimedwait(&set, info, calls_timeout(waiter));
	if (got > 0 && (got != FED_SIGNAL || info->si_signo != FED_SIGNAL))
		return WAIT_WRONG;
	return calls_outcome(got, EAGAIN);
}

#define NO_FEED NULL
const struct call calls_plain[] = {
	{ "read of a pipe", -1, open_pipe, wait_read, feed_pipe, 1 },
	{ "poll", -1, open_pipe, wait_poll, feed_pipe, 1 },
	{ "poll, 20 ms", 20, open_pipe, wait_poll, NO_FEED, 0 },
	{ "poll, 5000 ms", 5000, open_pipe, wait_poll, feed_pipe, 1 },
	{ "ppoll", -1, open_pipe, wait_ppoll, feed_pipe, 1 },
	{ "ppoll, 20 ms", 20, open_pipe, wait_ppoll, NO_FEED, 0 },
	{ "select", -1, open_pipe, wait_select, feed_pipe, 1 },
	{ "select, 20 ms", 20, open_pipe, wait_select, NO_FEED, 0 },
	{ "epoll_wait", -1, open_epoll, wait_epoll, feed_event, 1 },
	{ "epoll_wait, 20 ms", 20, open_epoll, wait_epoll, NO_FEED, 0 },
	{ "epoll_wait, 5000 ms", 5000, open_epoll, wait_epoll, feed_event, 1 },
#ifdef HAS_EPOLL_PWAIT2
	{ "epoll_pwait2", -1, open_epoll2, wait_epoll2, feed_event, 1 },
	{ "epoll_pwait2, 20 ms", 20, open_epoll2, wait_epoll2, NO_FEED, 0 },
#endif
	{ "nanosleep, 20 ms", 20, open_nothing, wait_nanosleep, NO_FEED, 0 },
	{ "nanosleep, 5000 ms", 5000, open_nothing, wait_nanosleep, NO_FEED,
	    1 },
	{ "clock_nanosleep, 20 ms", 20, open_nothing, wait_clock_nanosleep,
	    NO_FEED, 0 },
	{ "sigwaitinfo", -1, open_nothing, wait_signal, feed_signal, 1 },
	{ "sigtimedwait, 20 ms", 20, open_nothing, wait_signal, NO_FEED, 0 },
	{ "sigtimedwait, 5000 ms", 5000, open_nothing, wait_signal,
	    feed_signal, 1 },
	{ NULL, 0, NULL, NULL, NULL, 0 },
};
