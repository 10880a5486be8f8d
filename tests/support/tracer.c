/* SPDX-License-Identifier: BSD-3-Clause */
/* tracer.c: runs a command under ptrace(2), as strace and debuggers do, with all its
 * threads and children. No other process can stop a thread that is traced already. Usage:
 * tracer COMMAND [ARGUMENT...] */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS (PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
	PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

static pid_t command;

/* Lets a stopped thread run again. */
static void
resume(pid_t thread, int status)
{
	int signal_number = WSTOPSIG(status);
	int event = status >> 16;

	/* A signal such as SIGSTOP has stopped the process. It stays stopped until SIGCONT. */
	if (event == PTRACE_EVENT_STOP && signal_number != SIGTRAP) {
		ptrace(PTRACE_LISTEN, thread, NULL, NULL);
		return;
	}
	/* An event is only for the tracer. Any other stop delivers a signal. */
	if (event != 0)
		signal_number = 0;
	ptrace(PTRACE_CONT, thread, NULL, (void *)(long)signal_number);
}

static int
status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Traces until no thread is left, since children may end after the command. */
static int
follow(void)
{
	int result = 1, status;
	pid_t thread;

	while ((thread = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (thread > 0 && WIFSTOPPED(status))
			resume(thread, status);
		else if (thread == command)
			result = status_of(status);
	}
	return result;
}

int
main(int argc, char **argv)
{
	int ends[2];
	char byte;

	if (argc < 2 || pipe(ends) != 0)
		return 99;
	command = fork();
	if (command == 0) {
		close(ends[1]);
		if (read(ends[0], &byte, 1) != 1)
			_exit(99);
		close(ends[0]);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	close(ends[0]);
	if (ptrace(PTRACE_SEIZE, command, NULL, (void *)(long)OPTIONS) != 0) {
		perror("tracer: PTRACE_SEIZE");
		kill(command, SIGKILL);
		return 99;
	}
	if (write(ends[1], "", 1) != 1)
		return 99;
	close(ends[1]);
	return follow();
}
