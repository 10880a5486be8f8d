/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings.h: parts of the test program page_settings. */
#ifndef FORK_PAGES_H
#define FORK_PAGES_H

#include <stddef.h>

#include "../support/cases.h"

/* What counts as returned: a few MiB near pages that the program has set up may stay. */
#define RETURNED_KB 4096UL
#define RETURN_LIMIT_MS 3000

#define FILLER_BYTES ((size_t)8 << 20)

/* The filler is a block that is written after each fork, so that there is a return. */
void filler_write(char value);
int filler_is(char value);

/* An area of the heap in the middle of a block, with neighbours on both sides. */
#define AREA_BYTES ((size_t)65536)
char *area_make(void);
int area_has_neighbours(const char *area);

/* For heap_child_start: nothing is to be looked at. */
int child_lives(void *argument);

/* What a system call says of one byte of memory: 1, or 0 for EFAULT. */
int can_read(const char *byte);
int can_write(char *byte);

/* Cases in page_settings_set.c; run_setting finds the setting by the case's name. */
void run_setting(const struct test_case *self);
void run_settings_together(const struct test_case *self);
void run_closed(const struct test_case *self);
void run_large(const struct test_case *self);
void run_dofork(const struct test_case *self);
void run_at_limit(const struct test_case *self);

/* Cases in page_settings_lock.c; `with` points to the flags of mlockall(2). */
void run_lock(const struct test_case *self);

/* Cases in page_settings_core.c; `with` is the name of the process that aborts. */
void run_core(const struct test_case *self);
_Noreturn void core_main(const char *who);

#endif
