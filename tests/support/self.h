/* SPDX-License-Identifier: BSD-3-Clause */
/* self.h: for tests, what the kernel reports about this process in /proc/self. */
#ifndef SELF_H
#define SELF_H

#include <sys/types.h>

#define SELF_TEXT 256

/*
 * None of these functions allocates memory, so that a look does not change what it
 * looks at. All are thread-safe.
 */

/* Number of mappings (lines of /proc/self/maps); -1 without that file. */
int self_mappings(void);

/*
 * Whether the mapping that contains `address` has this flag, two letters of the line
 * VmFlags in /proc/self/smaps. -1 if nothing is mapped there.
 */
int self_has_flag(const void *address, const char *flag);

/*
 * Copies permissions, offset, device, inode and path of the mapping that contains
 * `address`. Returns 0 if nothing is mapped there.
 */
int self_mapping(const void *address, char text[SELF_TEXT]);

/* A size of /proc/self/status in KiB, such as "VmLck"; -1 if it is not there. */
long self_status_kb(const char *field);

/* State of a thread of this process, as in proc(5): 'S' sleeps; 0 if it has ended. */
char self_thread_state(pid_t thread);

/* The calling thread's ID. */
pid_t self_thread(void);

/* Waits until the thread sleeps; 0 if it does not within 10 s. */
int self_sleeps(pid_t thread);

/* CLOCK_MONOTONIC in microseconds. */
long long self_now_us(void);

/*
 * With TEST_NOT_DUMPABLE in the environment, makes this process not dumpable; execve(2)
 * takes that back, so each test program has to do it.
 */
void self_prepare(void);

#endif
