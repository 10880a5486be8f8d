/* SPDX-License-Identifier: BSD-3-Clause */
/* callers.h: the cases of the test program callers, and the functions that they share. */
#ifndef CALLERS_H
#define CALLERS_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

/* Each case prints its results as TAP. Only the process that called it returns. */
void case_coroutine_fork(void);
void case_coroutine_after(void);
void case_thread_stack(void);
void case_keys(void);
void case_file_lock(void);
void case_snapshot(void);
void case_nested_prepare(void);
void case_nested_parent(void);
void case_nested_child(void);
void case_signal_fork(void);
void case_signal_fork_beside(void);
void case_signal_fork_threads(void);
void case_term(void);
void case_threads_at_once(void);
void case_stdio(void);
void case_daemon(void);
void case_forkpty(void);
void case_parent_writes(void);
void case_stall(void);
void case_grandchildren(void);
void case_vfork_spawn(void);

/*
 * Allocates and frees 2000 blocks. Most have 1 to 20000 bytes. The others have more than
 * 70 KiB, and 30000 bytes more in each `round`, so that the allocator cannot reuse those of
 * the round before. Returns whether malloc returned all blocks and they kept their content.
 */
int callers_allocate(int round);

/* Starts `nthreads` threads, at most 8, that block every signal and allocate and free.
 * callers_churn_stop ends them, and returns whether their blocks kept their content. */
void callers_churn_start(int nthreads);
int callers_churn_stop(void);

/* Make a thread and a pipe. If that fails, the process exits with status 99. */
pthread_t callers_start(void *(*body)(void *), void *argument);
void callers_pipe(int ends[2]);

/* Writes a byte to a pipe. Returns 1, or 0 on failure. */
int callers_tell(int fd);

/* Reads a byte from a pipe. Returns 1, or 0 if none came within 20 seconds. */
int callers_hear(int fd);

/* Closes every descriptor from 3 up, as daemons do. */
void callers_close_all(void);

/* Waits for a child. Returns its exit status, or -1 if it did not exit by itself. */
int callers_wait(pid_t pid);

/* Sends SIGKILL to all children of this thread. */
void callers_kill_children(void);

/* CLOCK_MONOTONIC in microseconds. */
int64_t callers_now_us(void);

#endif
