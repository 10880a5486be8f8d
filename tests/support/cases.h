/* SPDX-License-Identifier: BSD-3-Clause */
/* cases.h: for tests, cases with a name, each run in a process of its own. */
#ifndef CASES_H
#define CASES_H

#include <stddef.h>

struct test_case {
	const char *name;
	void (*run)(const struct test_case *self);
	const void *with; /* for `run` */
	int limit_s;      /* a case that takes longer is ended, and has failed */
};

/*
 * The main function of a test program. Runs the cases whose names are argv[first] and
 * those behind it, or all cases if there are none, and prints TAP. For each case the
 * program executes itself with argv[1] to argv[first - 1] and the name. The argument
 * "list" prints all names. Descriptors from 3 on are free in a case.
 */
int cases_main(int argc, char **argv, int first, const struct test_case *cases,
    size_t count);

/* Inside a case: one result of it. */
void cases_result(int is_good, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Inside a case: a result that cannot be had here, and why. */
void cases_skip(const char *what, const char *why);

/* Inside a case: a line that is shown as a comment. */
void cases_comment(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Inside a case: what it does now. It is reported if the case does not end by itself. */
void cases_stage(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Inside a case: ends it, as if `run` had returned. */
_Noreturn void cases_end(void);

#endif
