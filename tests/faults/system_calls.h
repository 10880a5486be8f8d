/* SPDX-License-Identifier: BSD-3-Clause */
/* system_calls.h: the page in which the test, its program and the seam (the module of
 * system_calls_seam.c) exchange data. All their processes map this page. */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <sys/types.h>

#include "os/linux_sys.h"

#define INJECT_NUMBER(type, name, parameters, arguments) INJECT_##name,
enum inject_call {
	VMM_SYS_CALLS(INJECT_NUMBER, INJECT_NUMBER, INJECT_NUMBER)
	INJECT_COUNT
};
#undef INJECT_NUMBER

/* In place of an errno value: the call transfers half of the bytes and returns that number. */
#define INJECT_SHORT (-1)

struct inject {
	/* The test writes these. */
	enum inject_call call; /* the system call that fails */
	unsigned nth;          /* the call that fails, counted from 1; 0: none */
	int error;             /* an errno value, or INJECT_SHORT */
	bool is_lasting;       /* all later calls fail, too */
	bool has_no_tmpfile;   /* O_TMPFILE fails, as on some file systems */
	/* The seam writes these. */
	unsigned counts[INJECT_COUNT]; /* calls of each system call so far */
	unsigned injected;     /* calls that were made to fail */
	pid_t by;              /* the process whose call has failed last */
	bool was_started;      /* is_started at that moment */
	/* The program writes these. */
	bool is_started;       /* the program is in main */
	bool is_child_aborted; /* SIGABRT has ended a child */
};

#endif
