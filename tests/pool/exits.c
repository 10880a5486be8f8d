/* SPDX-License-Identifier: BSD-3-Clause */
/* exits.c: allocates 15 MiB, frees 10 MiB, fails twice to allocate, and ends in one of many
 * ways. Usage: exits [HOW] */
#include "config.h"

#include <err.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)5 << 20)

static void *
opaque(void *value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

static size_t
opaque_size(size_t value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

static void *
wait_and_end(void *argument)
{
	pthread_join(*(pthread_t *)argument, NULL);
	return NULL;
}

static void *
exit_here(void *argument)
{
	(void)argument;
	exit(0);
}

static void
in_thread(void *(*start)(void *))
{
	static pthread_t main_thread;
	pthread_t thread;

	main_thread = pthread_self();
	if (pthread_create(&thread, NULL, start, &main_thread) != 0)
		_exit(2);
	if (start == wait_and_end)
		pthread_exit(NULL);
	pause();
}

static void
two_children(void)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0)
			exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			_exit(2);
	}
}

int
main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	void *blocks[3];

	for (int i = 0; i < 3; i++)
		memset(blocks[i] = opaque(malloc(SIZE)), 1, SIZE);
	free(blocks[1]);
	free(blocks[2]);
	for (int i = 0; i < 2; i++) {
		if (malloc(opaque_size(SIZE_MAX / 4)) != NULL)
			return 2;
	}
	printf("process %ld\n", (long)getpid());
	fflush(stdout);
	if (strcmp(how, "exit") == 0)
		exit(0);
	if (strcmp(how, "err") == 0)
		errx(0, "the end");
	if (strcmp(how, "thread") == 0)
		in_thread(exit_here);
	if (strcmp(how, "last-thread") == 0)
		in_thread(wait_and_end);
	if (strcmp(how, "_exit") == 0)
		_exit(0);
	if (strcmp(how, "quick_exit") == 0)
		quick_exit(0);
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "forks") == 0)
		two_children();
	return 0;
}
