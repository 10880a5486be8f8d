/* SPDX-License-Identifier: BSD-3-Clause */
/* system_calls_test.h: declarations for the files of the program system_calls. */
#ifndef SYSTEM_CALLS_TEST_H
#define SYSTEM_CALLS_TEST_H

#include "system_calls.h"

#define ERRORS_MAX 18
#define SECONDS_MAX 30 /* for the program, and for each child */

/* The page that the test, the program and the seam share. open_page maps it from a file. */
extern struct inject *inject;
void open_page(const char *path);

/* For each system call its errno values. The first 0 ends a row. */
extern const int system_call_errors[INJECT_COUNT][ERRORS_MAX];

/* The program. Returns its status; ends with status 2 and a message if it finds a fault. */
int program(void);

#endif
