/* SPDX-License-Identifier: BSD-3-Clause */
/* system_calls.h: what the test of failing system calls and the seam that it puts into the
 * library tell each other, in a page that all of their processes share. */
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

/* In place of an errno: half of what was asked for is done, and said. */
#define INJECT_SHORT (-1)

struct inject {
	/* By the test. */
	enum inject_call call; /* which is to fail */
	unsigned nth;          /* which call fails, counted from 1; 0: none */
	int error;             /* with what errno */
	bool is_lasting;       /* and all after it */
	bool has_no_tmpfile;   /* as on a file system without O_TMPFILE */
	/* By the seam. */
	unsigned counts[INJECT_COUNT];
	unsigned injected;
	pid_t by;              /* the process of the last that has failed */
	bool was_started;      /* the program was in main by then */
	/* By the program. */
	bool is_started;
	bool is_child_aborted; /* a child was ended by SIGABRT */
};

#endif
