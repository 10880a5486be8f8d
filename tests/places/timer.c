/* SPDX-License-Identifier: BSD-3-Clause */
/* timer.c: malloc of a large block while a timer, like a profiler's, interrupts system
 * calls. Run with the library preloaded: timer MIB. Prints TAP. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "../support/blocks.h"

static volatile sig_atomic_t signals;

static void
count(int number)
{
	(void)number;
	signals++;
}

int
main(int argc, char **argv)
{
	size_t size = (size_t)atoi(argc > 1 ? argv[1] : "256") << 20;
	struct sigaction action = { .sa_handler = count, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } }; /* 100 Hz */
	char *block;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	block = malloc(size);
	tap_result(block != NULL, "malloc of a large block under a timer of 100 Hz");
	printf("# %d signals\n", (int)signals);
	if (block != NULL)
		memset(block, 1, size);
	tap_result(block != NULL && block[size - 1] == 1, "the block can be written");
	free(block);
	return tap_plan();
}
