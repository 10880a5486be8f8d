/* SPDX-License-Identifier: BSD-3-Clause */
/* callers.c: fork(2) on unusual stacks, in handlers, and beside threads that allocate
 * or use stdio. Run with the library preloaded, with each VMMALLOC_FORK. Every case also
 * passes, or is skipped, on an ordinary heap. Prints TAP.
 * callers list|CASE [closed]: `closed` first closes every descriptor from 3 up. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "callers.h"

#define PATIENCE_S 10

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "coroutine-fork", case_coroutine_fork },
	{ "coroutine-after", case_coroutine_after },
	{ "thread-stack", case_thread_stack },
	{ "keys", case_keys },
	{ "file-lock", case_file_lock },
	{ "snapshot", case_snapshot },
	{ "nested-prepare", case_nested_prepare },
	{ "nested-parent", case_nested_parent },
	{ "nested-child", case_nested_child },
	{ "signal-fork", case_signal_fork },
	{ "signal-fork-beside", case_signal_fork_beside },
	{ "signal-fork-threads", case_signal_fork_threads },
	{ "term", case_term },
	{ "threads-at-once", case_threads_at_once },
	{ "stdio", case_stdio },
	{ "daemon", case_daemon },
	{ "forkpty", case_forkpty },
	{ "parent-writes", case_parent_writes },
	{ "stall", case_stall },
	{ "grandchildren", case_grandchildren },
	{ "vfork-spawn", case_vfork_spawn },
};

#define NCASES (sizeof(cases) / sizeof(cases[0]))

static volatile sig_atomic_t had_to_kill;

static void
on_alarm(int number)
{
	(void)number;
	had_to_kill = 1;
	callers_kill_children();
	alarm(1);
}

/* Waits for all processes that the case has started, and kills those that do not end. */
static void
ends_alone(void)
{
	struct sigaction action = { .sa_handler = on_alarm,
		.sa_flags = SA_RESTART };

	sigaction(SIGALRM, &action, NULL);
	alarm(PATIENCE_S);
	while (waitpid(-1, NULL, 0) > 0)
		;
	alarm(0);
	tap_result(!had_to_kill, "no process is left behind");
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "list";
	int is_list = strcmp(name, "list") == 0;

	if (argc > 2 && strcmp(argv[2], "closed") == 0)
		callers_close_all();
	/* When a child ends, its own children become children of this process. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (size_t i = 0; i < NCASES; i++) {
		if (is_list) {
			puts(cases[i].name);
		} else if (strcmp(name, cases[i].name) == 0) {
			cases[i].run();
			ends_alone();
			return tap_plan();
		}
	}
	return is_list ? 0 : 99;
}
