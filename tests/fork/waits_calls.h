/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_calls.h: part of waits: system calls that wait, and threads that make them. */
#ifndef FORK_WAITS_CALLS_H
#define FORK_WAITS_CALLS_H

#include <pthread.h>
#include <sys/types.h>
#include <time.h>

/* The signal that feeds calls which wait for a signal. All threads block it. */
#define FED_SIGNAL SIGUSR1

/* Offset of the timeout in a waiter's page of the heap. Other data lies at lower offsets. */
#define TIMEOUT_AT 1024

/* A waiter is a thread that makes one call again and again. */
struct waiter {
	const struct call *call;
	pthread_t thread;
	pid_t id;
	int number; /* its index among the waiters of its process */
	int fd[2];
	unsigned long context;
	unsigned char *heap; /* a page in the heap that the call reads and writes */
	unsigned char fed;   /* the last value with which the waiter was fed */
	unsigned char next;  /* the value for which the waiter waits */
	int is_there, is_over;
	/* Numbers of calls that ended in each way, and the errno of the last wrong call. */
	int got, timed_out, early, interrupted, wrong, last_error;
	int handled; /* signals that the handler has seen */
};

enum outcome {
	WAIT_GOT,       /* the call returned the value that was fed */
	WAIT_TIMED_OUT,
	WAIT_WRONG,     /* the call returned another value */
	WAIT_FAILED     /* the call set errno */
};

struct call {
	const char *name;
	int timeout_ms; /* -1: none */
	/* Prepares fd, context and heap. Returns 0 and sets errno if the kernel refuses. */
	int (*open)(struct waiter *waiter);
	/* Makes the call once. */
	enum outcome (*wait)(struct waiter *waiter);
	/* Wakes the call with the value waiter->fed. NULL: the call only times out. */
	void (*feed)(struct waiter *waiter);
	/* The call waits long enough to be interrupted by a signal. */
	int is_long;
};

/* Lists of calls; the last has no name. */
extern const struct call calls_plain[], calls_ipc[], calls_shared[], calls_aio[],
    calls_futex[], calls_waitv[], calls_new_wait[];

/* The outcome of a call with this result. Some calls report a timeout as an error. */
enum outcome calls_outcome(long result, int error_of_timeout);

/* Writes the call's timeout to the heap. Returns NULL if the call has none. */
struct timespec *calls_timeout(struct waiter *waiter);

/* As calls_outcome, for a call that reads a byte to heap[0]. WAIT_WRONG: not waiter->next. */
enum outcome calls_take_byte(struct waiter *waiter, ssize_t got,
    int error_of_timeout);

/* Removes the System V objects that cases have left; called by the process that runs them. */
void calls_clean_up(void);

#endif
