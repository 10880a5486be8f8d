/* SPDX-License-Identifier: BSD-3-Clause */
/* callers_calls.c: functions of libc, other than fork(2), that make processes. */
#include "config.h"

#include <fcntl.h>
#include <pty.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "callers.h"

#define CHILD_PATIENCE_S 10 /* SIGALRM ends a child that takes longer */

static void
as_daemon(int report, int parent_gone)
{
	if (daemon(0, 0) != 0)
		_exit(1);
	alarm(CHILD_PATIENCE_S);
	if (!blocks_are(1) || !callers_allocate(1) || !callers_tell(report) ||
	    !callers_hear(parent_gone))
		_exit(2);
	if (!blocks_are(1) || !blocks_write(2) || !callers_allocate(2) ||
	    !blocks_are(2) || !callers_tell(report))
		_exit(3);
	_exit(0);
}

void
case_daemon(void)
{
	int report[2], parent_gone[2];
	pid_t pid;

	callers_pipe(report);
	callers_pipe(parent_gone);
	blocks_set(100, 20000);
	blocks_write(1);
	pid = fork();
	if (pid == 0)
		as_daemon(report[1], parent_gone[0]);
	tap_result(child_succeeds(pid) && callers_hear(report[0]),
	    "a daemon has its parent's heap and can allocate");
	tap_result(callers_tell(parent_gone[1]) && callers_hear(report[0]) &&
	    blocks_are(1), "a daemon can change its heap after its parent has ended");
	tap_result(callers_allocate(1) && blocks_write(3) && blocks_are(3),
	    "the process that started the daemon can change its own heap");
}

static void
on_terminal(void)
{
	alarm(CHILD_PATIENCE_S);
	if (!blocks_are(1) || !blocks_write(2) || !callers_allocate(1) ||
	    !blocks_are(2) || printf("heap is good\n") < 0 || fflush(stdout) != 0)
		_exit(1);
	_exit(0);
}

void
case_forkpty(void)
{
	static const char expected[] = "heap is good";
	char said[sizeof(expected)] = "";
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	pid_t pid;

	if (terminal < 0) {
		tap_result(1, "forkpty # SKIP this system has no pseudoterminals");
		return;
	}
	close(terminal);
	blocks_set(100, 20000);
	blocks_write(1);
	pid = forkpty(&terminal, NULL, NULL, NULL);
	if (pid == 0)
		on_terminal();
	for (size_t i = 0; pid > 0 && i < sizeof(expected) - 1; i++) {
		if (read(terminal, &said[i], 1) != 1)
			break;
	}
	tap_result(strcmp(said, expected) == 0 && child_succeeds(pid),
	    "a child of forkpty can change its heap and print");
	tap_result(blocks_are(1) && callers_allocate(1),
	    "the parent's heap is unchanged after forkpty");
	close(terminal);
}

static pid_t
vfork_true(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	return pid;
}

void
case_vfork_spawn(void)
{
	char *const arguments[] = { (char *)(uintptr_t)"true", NULL };
	int is_good = 1;

	blocks_set(100, 20000);
	blocks_write(1);
	callers_churn_start(3);
	for (int i = 0; i < 10; i++) {
		pid_t pid = -1;

		is_good &= posix_spawnp(&pid, "true", NULL, NULL, arguments,
		    environ) == 0 && child_succeeds(pid);
	}
	tap_result(is_good, "posix_spawn works beside threads that allocate");
	is_good = 1;
	for (int i = 0; i < 10; i++)
		is_good &= child_succeeds(vfork_true());
	tap_result(is_good, "vfork and exec work beside threads that allocate");
	tap_result(callers_churn_stop() && blocks_are(1),
	    "the blocks of these threads keep their content");
}
