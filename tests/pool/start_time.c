/* SPDX-License-Identifier: BSD-3-Clause */
/* start_time.c: measures how long /bin/true runs on pools of two sizes. Prints both medians
 * in microseconds, and their ratio. Usage: start_time LIBRARY DIR ROUNDS */
#include "config.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static double
now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static double
run_us(char **environment)
{
	char *arguments[] = { "true", NULL };
	double start = now_us();
	pid_t pid;
	int status;

	if (posix_spawn(&pid, "/bin/true", NULL, NULL, arguments,
		environment) != 0 ||
	    waitpid(pid, &status, 0) != pid || status != 0) {
		fputs("start_time: /bin/true failed\n", stderr);
		exit(1);
	}
	return now_us() - start;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	static char preload[4096], dir[4096];
	static char small[] = "VMMALLOC_POOL_SIZE=64M";
	static char large[] = "VMMALLOC_POOL_SIZE=4G";
	char *with_small[] = { preload, dir, small, NULL };
	char *with_large[] = { preload, dir, large, NULL };
	double *times[2];
	size_t rounds;

	if (argc != 4)
		return 2;
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", argv[1]);
	snprintf(dir, sizeof(dir), "VMMALLOC_POOL_DIR=%s", argv[2]);
	rounds = strtoul(argv[3], NULL, 10);
	times[0] = calloc(rounds, sizeof(double));
	times[1] = calloc(rounds, sizeof(double));
	if (rounds == 0 || times[0] == NULL || times[1] == NULL)
		return 2;
	/* Runs alternate, so that a busy machine disturbs both alike. */
	for (size_t i = 0; i < rounds; i++) {
		times[0][i] = run_us(with_small);
		times[1][i] = run_us(with_large);
	}
	for (int i = 0; i < 2; i++)
		qsort(times[i], rounds, sizeof(double), compare);
	printf("64M %.0f us, 4G %.0f us, ratio %.3f\n", times[0][rounds / 2],
	    times[1][rounds / 2], times[1][rounds / 2] / times[0][rounds / 2]);
	return 0;
}
