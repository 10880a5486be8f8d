/* SPDX-License-Identifier: BSD-3-Clause */
/* callers_tools.c: functions that the cases of callers share. */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "callers.h"

#define COUNT 2000
#define NKEPT 400
#define CHURN_MAX 8
#define CHURN_KEPT 64
#define FD_MAX 4096
#define PATIENCE_MS 20000

/* A block with a mark in its first and last byte. */
struct marked {
	unsigned char *data;
	size_t last; /* index of the last byte */
};

static int
mark(struct marked *block, size_t bytes, unsigned char value)
{
	block->data = malloc(bytes);
	if (block->data == NULL)
		return 0;
	block->last = bytes - 1;
	block->data[0] = block->data[block->last] = value;
	return 1;
}

/* Frees the block, if there is one. Returns whether its marks are equal. */
static int
release(struct marked *block)
{
	unsigned char *data = block->data;
	int is_good = data == NULL || data[0] == data[block->last];

	free(data);
	block->data = NULL;
	return is_good;
}

int
callers_allocate(int round)
{
	struct marked kept[NKEPT] = { { NULL, 0 } };
	int is_good = 1;

	for (size_t i = 0; i < COUNT; i++) {
		size_t bytes = 1 + i * 2654435761U % 20000;

		if (i % 25 == 0)
			bytes += ((size_t)70 << 10) + (size_t)round * 30000;
		is_good &= release(&kept[i % NKEPT]);
		is_good &= mark(&kept[i % NKEPT], bytes, (unsigned char)i);
	}
	for (size_t i = 0; i < NKEPT; i++)
		is_good &= release(&kept[i]);
	return is_good;
}

pthread_t
callers_start(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, argument) != 0)
		exit(99);
	return thread;
}

static pthread_t churners[CHURN_MAX];
static int nchurners;
static int churn_is_over;

static void *
churn(void *argument)
{
	struct marked kept[CHURN_KEPT] = { { NULL, 0 } };
	unsigned random = (unsigned)(uintptr_t)argument;
	int is_good = 1;

	while (!__atomic_load_n(&churn_is_over, __ATOMIC_RELAXED)) {
		size_t bytes;

		random = random * 1103515245 + 12345;
		bytes = 1 + (random >> 8) % 20000;
		if (random >> 28 == 0)
			bytes *= 10;
		is_good &= release(&kept[(random >> 8) % CHURN_KEPT]);
		is_good &= mark(&kept[(random >> 8) % CHURN_KEPT], bytes,
		    (unsigned char)(random >> 16));
	}
	for (size_t i = 0; i < CHURN_KEPT; i++)
		is_good &= release(&kept[i]);
	return is_good ? NULL : argument;
}

void
callers_churn_start(int nthreads)
{
	sigset_t all, saved;

	/* The churners block signals, so this thread gets the signals of the process. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &saved);
	nchurners = nthreads < CHURN_MAX ? nthreads : CHURN_MAX;
	churn_is_over = 0;
	for (int i = 0; i < nchurners; i++)
		churners[i] = callers_start(churn, (void *)(uintptr_t)(i + 1));
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

int
callers_churn_stop(void)
{
	int is_good = 1;

	__atomic_store_n(&churn_is_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < nchurners; i++) {
		void *wrong = churners;

		pthread_join(churners[i], &wrong);
		is_good &= wrong == NULL;
	}
	return is_good;
}

void
callers_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		exit(99);
}

int
callers_tell(int fd)
{
	return write(fd, "", 1) == 1;
}

int
callers_hear(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&wait, 1, PATIENCE_MS) == 1 && read(fd, &byte, 1) == 1;
}

void
callers_close_all(void)
{
	for (int fd = 3; fd < FD_MAX; fd++)
		close(fd);
}

int
callers_wait(pid_t pid)
{
	int status;

	if (pid <= 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Makes system calls only, since a signal handler may have interrupted malloc. */
void
callers_kill_children(void)
{
	int fd = open("/proc/thread-self/children", O_RDONLY);
	pid_t pid = 0;
	char byte;

	/* The file has numbers, each followed by a space. */
	while (fd >= 0 && read(fd, &byte, 1) == 1) {
		if (byte >= '0' && byte <= '9') {
			pid = pid * 10 + (byte - '0');
		} else {
			if (pid > 0)
				kill(pid, SIGKILL);
			pid = 0;
		}
	}
	if (fd >= 0)
		close(fd);
}

int64_t
callers_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
