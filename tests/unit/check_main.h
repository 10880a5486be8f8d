/* SPDX-License-Identifier: BSD-3-Clause */
/* check_main.h: what each Check program has in common. */
#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

#include <check.h>

/* The program's one suite; check_main.c runs it and prints TAP. */
Suite *make_suite(void);

#endif
