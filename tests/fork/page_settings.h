/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings.h: parts of the test program page_settings. */
#ifndef FORK_PAGE_SETTINGS_H
#define FORK_PAGE_SETTINGS_H

#include <stddef.h>

#include "../support/cases.h"

/* The heap counts as returned when less than this is private: a few MiB near pages with
 * settings may stay private. */
#define RETURNED_KB 4096UL
#define RETURN_LIMIT_MS 3000

#define FILLER_BYTES ((size_t)8 << 20)

/* The filler is a block that is written after each fork, so that the heap has a reason to
 * return. */
void filler_write(char value);
int filler_is(char value);

/* An area of the heap in the middle of a block, with neighbours on both sides.
 * area_has_neighbours returns whether the neighbours have kept their content. */
#define AREA_BYTES ((size_t)65536)
char *area_make(void);
int area_has_neighbours(const char *area);

/* For heap_child_start: a child that checks nothing. */
int child_lives(void *argument);

/* Let a system call read or write a byte. Return 1, or 0 for EFAULT. can_write writes 'w'. */
int can_read(const char *byte);
int can_write(char *byte);

/* Cases in page_settings_return.c: the return of a heap without settings. */
void run_returns(const struct test_case *self);
void run_file_limit(const struct test_case *self);
void run_holes(const struct test_case *self);

/* Cases in page_settings_threads.c. */
void run_main_ended(const struct test_case *self);
void run_threads_end(const struct test_case *self);
void run_guards_beside(const struct test_case *self);
void run_cancel_type(const struct test_case *self);

/* Cases in page_settings_signals.c. */
void run_signal_counts(const struct test_case *self);
void run_signal_stack(const struct test_case *self);

/* Cases in page_settings_forks.c. The name of a case of run_setting is that of a setting. */
void run_setting(const struct test_case *self);
void run_settings_together(const struct test_case *self);
void run_large(const struct test_case *self);
void run_dofork(const struct test_case *self);
void run_dontfork_refused(const struct test_case *self);

/* Cases in page_settings_descriptors.c. */
void run_descriptor_limit(const struct test_case *self);
void run_descriptors_closed(const struct test_case *self);
void run_dontfork_closed(const struct test_case *self);

/* Cases in page_settings_unreadable.c; `with` points to 1 if all descriptors are closed first,
 * and to 0 if not. run_own_descriptors does not use it. */
void run_unreadable(const struct test_case *self);
void run_toggled(const struct test_case *self);
void run_guard_installed(const struct test_case *self);
void run_own_descriptors(const struct test_case *self);

/* Cases in page_settings_mlockall.c; `with` points to the flags of mlockall(2). */
void run_lock(const struct test_case *self);

/* Cases in page_settings_core.c; `with` is the name of the process that aborts. */
void run_core(const struct test_case *self);

/* The main function of that process: `process` is parent, child or returned. */
_Noreturn void core_main(const char *process);

#endif
