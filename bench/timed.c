/* SPDX-License-Identifier: BSD-3-Clause */
/* timed.c: measures a program from its start to its end, and the peak of memory of it
 * or its largest child:
 *
 *	timed ROUNDS [NAME=VALUE...] PROGRAM [ARGUMENT...]
 *
 * runs it with these variables and its output thrown away. Prints 1, the median in
 * seconds, and the peak of memory in KiB. timed itself must be small: memory of a
 * process before execve(2) counts as memory of the program (getrusage(2)). */
#include "config.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Runs the program once, and returns its seconds. If it fails, exits with its status. */
static double
run(char **arguments, const posix_spawn_file_actions_t *actions)
{
	double begin = now();
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, arguments[0], actions, NULL, arguments,
		environ) != 0 ||
	    waitpid(pid, &status, 0) != pid)
		exit(127);
	if (status != 0)
		exit(WIFEXITED(status) ? WEXITSTATUS(status)
				       : 128 + WTERMSIG(status));
	return now() - begin;
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
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	double *times = calloc(rounds + 1, sizeof(*times));
	char **arguments = argv + 2;
	posix_spawn_file_actions_t actions;
	struct rusage usage;

	if (rounds == 0 || times == NULL)
		return 2;
	while (*arguments != NULL && strchr(*arguments, '=') != NULL)
		putenv(*arguments++);
	if (*arguments == NULL)
		return 2;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
	    O_WRONLY, 0);
	for (size_t i = 0; i < rounds; i++)
		times[i] = run(arguments, &actions);
	qsort(times, rounds, sizeof(*times), compare);
	getrusage(RUSAGE_CHILDREN, &usage);
	printf("1 %.6f %ld\n", times[rounds / 2], usage.ru_maxrss);
	return 0;
}
