/* SPDX-License-Identifier: BSD-3-Clause */
/* limits.h: declarations for the files of limits. */
#ifndef LIMITS_H
#define LIMITS_H

#include "../support/blocks.h"
#include "../support/disk.h"

/* VMMALLOC_FORK as it was at the start. Some modes change the variable. */
extern int fork_setting;
void read_fork_setting(void);

/*
 * Allocates 18 MB in blocks, writes to them, and frees them. Returns whether malloc worked
 * and each block kept its content. If malloc has failed, errno has its error.
 */
int heap_grows(void);

/* In a child: whether the heap works, and a child of this child works, too. */
int child_works(void);

/*
 * Reports whether the heap grows and keeps its content, and whether a child has the heap.
 * With VMMALLOC_FORK=2, if fork_error is not 0, reports whether fork fails with that errno
 * value. `when` begins each line of TAP.
 */
void check_heap(int fork_error, const char *when);

/*
 * Adds a filter (seccomp(2)): from now on this system call fails with `error`. Returns 0 if
 * that is impossible. error_number converts EPERM, EAGAIN and ENOSYS from their names.
 */
int forbid(const char *call, int error);
int error_number(const char *name);

/* One function for each mode of the program, except `plain` and `preinit`. */
void change_environment(const char *unused);
int keep_closed(const char *closed);
void close_all(const char *unused);
void change_root(const char *dir);
void change_root_closed(const char *dir);
void lose_root(const char *unused);
void change_root_raw(const char *dir);
void leave_namespaces(const char *unused);
void leave_namespace_beside(const char *unused);
void count_in_outer_proc(const char *unused);
void lose_proc(const char *unused);
void lose_directory(const char *dir);
void without_fallocate(const char *error_name);
void without_clone(const char *unused);
void without_mappings(const char *how);
void limit_address_space(const char *how);
void limit_data(const char *how);

#endif
