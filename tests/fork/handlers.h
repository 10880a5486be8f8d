/* SPDX-License-Identifier: BSD-3-Clause */
/* handlers.h: parts of the test program handlers. */
#ifndef FORK_HANDLERS_H
#define FORK_HANDLERS_H

/*
 * For a child of a process whose heap is blocks_are(value): replaces all blocks by others.
 * Returns the exit status of the child, 0 if its heap was and is right.
 */
int child_status(char value);

/*
 * Forks a child. Both processes replace all their blocks, with different content, and the
 * parent then does so again. Returns whether the heaps are separate; the heap of the
 * parent is blocks_are(value) again.
 */
int forks(char value);

/*
 * handlers_calls.c: fork(2) in a thread and in a child, and other functions that make a
 * process. A child of clone(2) or _Fork(3) is unprepared: the library cannot give it a heap
 * of its own.
 */
void other_calls(void);
void unprepared_child(int is_clone);

/* Makes a child by clone(2) or _Fork(3) that allocates. Returns 0 if it exits with 0. */
int unprepared_allocates(int is_clone);

/* Whether a child of vfork(2) has its parent's memory: not so in emulators. Before
 * other_calls has run, 0. */
extern volatile int vfork_shares;

/* handlers_signals.c: fork(2) in signal handlers. */
void fork_in_signal_handler(void);
void fork_interrupts_fork(void);

#endif
