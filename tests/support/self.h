/* SPDX-License-Identifier: BSD-3-Clause */
/* self.h: for tests, what the kernel reports about this process in /proc/self. */
#ifndef SELF_H
#define SELF_H

#include <sys/types.h>

#define SELF_TEXT 256

/*
 * None of these functions allocates, so they do not change what they report. All are
 * thread-safe.
 */

/* Returns the number of lines in /proc/self/maps; -1 without that file. */
int self_mappings(void);

/*
 * Whether the mapping that contains `address` has this flag: two letters of the line
 * VmFlags in /proc/self/smaps. Returns -1 if nothing is mapped there.
 */
int self_has_flag(const void *address, const char *flag);

/*
 * Copies permissions, offset, device, inode and path of the mapping that contains
 * `address`. Returns 0 if nothing is mapped there.
 */
int self_mapping(const void *address, char text[SELF_TEXT]);

/* Returns a size of /proc/self/status in KiB, such as "VmLck"; -1 without that line. */
long self_status_kb(const char *field);

/* Returns a thread's state as in proc(5), such as 'S' for sleeping; 0 after its end. */
char self_thread_state(pid_t thread);

/* Returns the calling thread's ID. */
pid_t self_thread(void);

/* Waits until the thread sleeps. Returns 0 if it has ended, or does not sleep within 10 s. */
int self_sleeps(pid_t thread);

/* Returns the time of CLOCK_MONOTONIC in microseconds. */
long long self_now_us(void);

/*
 * Makes this process not dumpable if TEST_NOT_DUMPABLE is in the environment. execve(2)
 * undoes that, so each test program must call this function.
 */
void self_prepare(void);

#endif
