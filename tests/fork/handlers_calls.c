/* SPDX-License-Identifier: BSD-3-Clause */
/* handlers_calls.c: part of the program handlers: tests of fork(2), vfork(2), clone(2),
 * _Fork(3) and of libc's functions that make a process, and of what the new process may
 * do. */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "handlers.h"

volatile int vfork_shares;

static _Noreturn void
execute_true(void)
{
	execlp("true", "true", (char *)NULL);
	_exit(127);
}

/*
 * fork(2)
 */

static void *
fork_in_thread(void *argument)
{
	return forks(1) ? argument : NULL;
}

static void
call_fork(void)
{
	pthread_t thread;
	void *answer = NULL;
	pid_t pid;

	pthread_create(&thread, NULL, fork_in_thread, &answer);
	pthread_join(thread, &answer);
	tap_result(answer == &answer, "a thread other than the main thread can fork");

	pid = fork();
	if (pid == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0)
			_exit(!forks(1));
		_exit(!(child_succeeds(grandchild) && blocks_are(1)));
	}
	tap_result(child_succeeds(pid) && blocks_are(1),
	    "a child of a child can fork");

	pid = fork();
	if (pid == 0)
		execute_true();
	tap_result(child_succeeds(pid) && blocks_are(1),
	    "a child of fork can execute a program");
}

/*
 * vfork(2)
 */

static void
call_vfork(void)
{
	int is_good;
	pid_t pid = vfork();

	if (pid == 0) {
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	tap_result(child_succeeds(pid) && blocks_are(1),
	    "a child of vfork can execute a program");

	/* vfork(2) does not allow this. But the heap is shared, and programs do it. */
	pid = vfork();
	if (pid == 0) {
		char *block = malloc(3000000);

		vfork_shares = 1;
		if (block != NULL)
			block[0] = 1;
		free(block);
		_exit(block == NULL);
	}
	is_good = child_succeeds(pid) && blocks_are(1);
	if (!vfork_shares)
		tap_result(1, "a child of vfork can allocate # SKIP the vfork of an "
		    "emulator shares no memory");
	else
		tap_result(is_good, "a child of vfork can allocate");
}

/*
 * Functions of libc
 */

static void
call_libc(void)
{
	char *const arguments[] = { "true", NULL };
	extern char **environ;
	int terminal, status;
	pid_t pid;

	tap_result(posix_spawnp(&pid, "true", NULL, NULL, arguments, environ) == 0 &&
	    child_succeeds(pid), "posix_spawn executes a program");
	tap_result(system("exit 3") == 3 << 8,
	    "system returns the status of a command");

	pid = forkpty(&terminal, NULL, NULL, NULL);
	if (pid == 0)
		_exit(child_status(1));
	tap_result(child_succeeds(pid) && blocks_are(1),
	    "a child of forkpty has a separate heap");
	close(terminal);

	pid = fork();
	if (pid == 0) {
		if (daemon(1, 1) != 0)
			_exit(1);
		_exit(child_status(1));
	}
	tap_result(waitpid(pid, &status, 0) == pid && status == 0 && blocks_are(1),
	    "a daemon has a separate heap");
}

void
other_calls(void)
{
	call_fork();
	call_vfork();
	call_libc();
}

/*
 * An unprepared child may execute a program, and read its heap, but not allocate
 */

static pid_t
make_unprepared(int is_clone)
{
	if (is_clone)
		return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL,
		    NULL);
	return _Fork();
}

void
unprepared_child(int is_clone)
{
	int status;
	pid_t pid = make_unprepared(is_clone);

	if (pid == 0)
		execute_true();
	tap_result(child_succeeds(pid), is_clone
	    ? "a child of clone can execute a program"
	    : "a child of _Fork can execute a program");
	pid = make_unprepared(is_clone);
	if (pid == 0) {
		int fd = open("/dev/null", O_WRONLY);

		dup2(fd, STDERR_FILENO);
		for (int i = 0; i < 1000; i++) {
			char *block = malloc(1000000);

			if (block != NULL)
				memset(block, 1, 1000000);
		}
		_exit(0);
	}
	tap_result(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGABRT && blocks_are(1) && forks(1), is_clone
	    ? "a child of clone that allocates ends with SIGABRT"
	    : "a child of _Fork that allocates ends with SIGABRT");
}

int
unprepared_allocates(int is_clone)
{
	static char *kept[1000];
	pid_t pid = make_unprepared(is_clone);

	if (pid == 0) {
		for (int i = 0; i < 1000; i++)
			kept[i] = malloc(100000);
		_exit(kept[999] == NULL);
	}
	return child_succeeds(pid) ? 0 : 1;
}
