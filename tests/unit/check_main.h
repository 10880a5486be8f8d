/* SPDX-License-Identifier: BSD-3-Clause */
/* check_main.h: the interface between check_main.c and each Check program. */
#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

#include <check.h>

/* Each program defines this function. It returns the program's only suite. */
Suite *make_suite(void);

#endif
