/* SPDX-License-Identifier: BSD-3-Clause */
/* limits_environment.c: part of the program limits: acts like programs that change their
 * environment, and like programs that close descriptors. */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limits.h"

extern char **environ;

int fork_setting = 1;
static const char *fork_text; /* the value of VMMALLOC_FORK at the start */

/* This runs before any constructor, and so before libc sets `environ`. In mode `preinit` the
 * library must open its pool now: it must find the settings without `environ`. */
static void
begin_early(int argc, char **argv, char **envp)
{
	void *volatile block;

	(void)argc;
	for (; *envp != NULL; envp++) {
		if (strncmp(*envp, "VMMALLOC_FORK=", 14) == 0)
			fork_text = *envp + 14;
	}
	if (argv[1] == NULL || strcmp(argv[1], "preinit") != 0)
		return;
	environ = NULL;
	block = malloc(100);
	free(block);
}

static void (*const before_constructors[])(int, char **, char **)
    __attribute__((used, section(".preinit_array"))) = { begin_early };

void
read_fork_setting(void)
{
	fork_setting = fork_text == NULL ? 1 : atoi(fork_text);
}

void
change_environment(const char *unused)
{
	static char *none[] = { NULL };
	char *first = environ[0];
	char *last = first;

	(void)unused;
	for (char **variable = environ; *variable != NULL; variable++)
		last = *variable + strlen(*variable);
	setenv("VMMALLOC_POOL_DIR", "/nonexistent", 1);
	setenv("VMMALLOC_FORK", "0", 1);
	setenv("VMMALLOC_POOL_SIZE", "1", 1);
	check_heap(0, "variables changed");
	/* Programs do this to show their state in ps(1). */
	if (first != NULL)
		memset(first, 'x', (size_t)(last - first));
	check_heap(0, "strings overwritten");
	environ = none;
	check_heap(0, "environ empty");
	environ = NULL;
	check_heap(0, "environ NULL");
	clearenv();
	setenv("A", "b", 1);
	check_heap(0, "environ replaced");
}

/* Whether those of the descriptors 0, 1 and 2 that `closed` names are closed. */
static int
are_closed(const char *closed)
{
	for (; *closed != '\0'; closed++) {
		if (fcntl(*closed - '0', F_GETFD) >= 0)
			return 0;
	}
	return 1;
}

/* Descriptors that were closed at the start stay closed, here and in children. */
int
keep_closed(const char *closed)
{
	int is_good = are_closed(closed) && blocks_write(1) && heap_grows();
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		pid = fork();
		if (pid == 0)
			_exit(!(are_closed(closed) && child_works() &&
			    are_closed(closed)));
		is_good &= child_succeeds(pid) && are_closed(closed) &&
		    heap_grows() && blocks_are(1);
	}
	return !is_good;
}

/* Daemons close all descriptors, and may get the pool file's number for another file. */
void
close_all(const char *unused)
{
	int last = 0;

	(void)unused;
	if (syscall(SYS_close_range, 3, ~0U, 0) != 0) {
		for (int fd = 3; fd < 4096; fd++)
			close(fd);
	}
	check_heap(0, "all descriptors closed");
	for (int fd = 3; fd >= 0 && fd < 1100; fd = dup(0))
		last = fd;
	check_heap(0, "all descriptors are the program's");
	for (int fd = 3; fd <= last; fd++) {
		if (fcntl(fd, F_GETFD) < 0) {
			tap_result(0, "the library has closed a descriptor");
			return;
		}
	}
	tap_result(1, "the library has closed no descriptor of the program");
	tap_result(daemon(0, 1) == 0, "daemon");
	check_heap(0, "a daemon");
}
