/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_calls.h: part of waits: threads that make a call that waits. */
#ifndef FORK_WAITS_CALLS_H
#define FORK_WAITS_CALLS_H

#include <pthread.h>
#include <sys/types.h>
#include <time.h>

/* Blocked in all threads: calls that wait for signals are fed with it. */
#define FED_SIGNAL SIGUSR1

/* Where in a waiter's page of the heap the timeout lies; each call has places below. */
#define TIMEOUT_AT 1024

/* A waiter is a thread that makes one call again and again. */
struct waiter {
	const struct call *call;
	pthread_t thread;
	pid_t id;
	int number; /* from 0 on, in its process */
	int fd[2];
	unsigned long context;
	unsigned char *heap; /* a page: what the call reads and writes */
	unsigned char fed;   /* the value that it was fed last */
	unsigned char next;  /* the value that it waits for */
	int is_there, is_over;
	/* How its calls ended, and how often a handler has interrupted it. */
	int got, timed_out, early, interrupted, wrong, last_error;
	int handled;
};

enum outcome {
	WAIT_GOT,       /* what was fed */
	WAIT_TIMED_OUT,
	WAIT_WRONG,     /* something else than what was fed */
	WAIT_FAILED     /* errno says how */
};

struct call {
	const char *name;
	int timeout_ms; /* -1: none */
	/* Prepares fd, context and heap. Returns 0 and sets errno on refusal. */
	int (*open)(struct waiter *waiter);
	/* Makes the call once. */
	enum outcome (*wait)(struct waiter *waiter);
	/* Wakes it with the value waiter->fed. NULL: the call only times out. */
	void (*feed)(struct waiter *waiter);
	/* It waits long enough for a signal to find it. */
	int is_long;
};

/* A list ends with a call without a name. */
extern const struct call calls_plain[], calls_ipc[], calls_shared[], calls_aio[];

/* What a call's result means; some report a timeout as an error. */
enum outcome calls_outcome(long result, int error_of_timeout);

/* The call's timeout, in the heap; NULL if it has none. */
struct timespec *calls_timeout(struct waiter *waiter);

/* Whether the one byte that was read into the heap is the value that was fed. */
enum outcome calls_take_byte(struct waiter *waiter, ssize_t got,
    int error_of_timeout);

/* Removes the objects of System V that processes begun by this one have made. */
void calls_clean_up(void);

#endif
