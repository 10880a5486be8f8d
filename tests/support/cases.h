/* SPDX-License-Identifier: BSD-3-Clause */
/* cases.h: for tests, cases with names. Each case runs in a process of its own. */
#ifndef CASES_H
#define CASES_H

#include <stddef.h>

struct test_case {
	const char *name;
	void (*run)(const struct test_case *self);
	const void *with; /* data for `run` */
	int limit_s;      /* the runner kills a case that takes longer; it has failed */
};

/*
 * The main function of a test program. Runs the cases that argv[first] and the following
 * arguments name, or all cases if there are no names. Prints TAP. For each case the program
 * executes itself with argv[1] to argv[first - 1] and the name. The argument "list" prints
 * all names. Descriptors from 3 on are free in a case.
 */
int cases_main(int argc, char **argv, int first, const struct test_case *cases,
    size_t count);

/* A case calls the functions below. They do not allocate, and are thread-safe. */

/* Reports a result. */
void cases_result(int is_good, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Reports that a part of the case cannot run here, and why. */
void cases_skip(const char *what, const char *why);

/* Prints a comment. */
void cases_comment(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Notes what the case does now. The runner prints the note if the case fails to end. */
void cases_stage(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Ends the case, as if `run` had returned. */
_Noreturn void cases_end(void);

#endif
