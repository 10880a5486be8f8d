/* SPDX-License-Identifier: BSD-3-Clause */
/* callers.h: the cases of callers, and the tools that they share. */
#ifndef SHAPES_H
#define SHAPES_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

/* Each case prints its results as TAP. Only the process that called it returns. */
void shape_coroutine_fork(void);
void shape_coroutine_after(void);
void shape_thread_stack(void);
void shape_keys(void);
void shape_file_lock(void);
void shape_snapshot(void);
void shape_nested_prepare(void);
void shape_nested_parent(void);
void shape_nested_child(void);
void shape_signal_fork(void);
void shape_signal_fork_beside(void);
void shape_signal_fork_threads(void);
void shape_term(void);
void shape_threads_at_once(void);
void shape_stdio(void);
void shape_daemon(void);
void shape_forkpty(void);
void shape_parent_writes(void);
void shape_stall(void);
void shape_grandchildren(void);
void shape_vfork_spawn(void);

/*
 * Allocates and frees 2000 blocks, from 1 byte to some 100 KiB. The largest are larger
 * in each `round`, so that the allocator cannot reuse those of the round before. Returns
 * whether all of them could be had and kept their content.
 */
int shapes_allocate(int round);

/* Has so many threads allocate and free, with every signal blocked, until they are
 * stopped. shapes_churn_stop returns whether their blocks kept their content. */
void shapes_churn_start(int nthreads);
int shapes_churn_stop(void);

/* A new thread; a new pipe. Where there is none, the process exits with status 99. */
pthread_t shapes_start(void *(*body)(void *), void *argument);
void shapes_pipe(int ends[2]);

/* Writes a byte to a pipe; waits for a byte, 20 seconds at most. Return success. */
int shapes_tell(int fd);
int shapes_hear(int fd);

/* Closes every descriptor from 3 up, as daemons do. */
void shapes_close_all(void);

/* Waits for a child; returns its exit status, or -1 if there is none. */
int shapes_wait(pid_t pid);

/* Sends SIGKILL to all children of this thread. */
void shapes_kill_children(void);

/* The monotonic clock, in microseconds. */
int64_t shapes_now_us(void);

#endif
