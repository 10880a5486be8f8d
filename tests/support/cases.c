/* SPDX-License-Identifier: BSD-3-Clause */
/* cases.c: for tests, cases with names. Each case runs in a process of its own. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blocks.h"
#include "cases.h"
#include "self.h"

#define INSIDE "inside" /* precedes the name if the process runs one case */
/* The time between two calls of waitpid(2). A child of the case can keep the pipe open, so
 * the end of the pipe may come long after the end of the case. */
#define LOOK_MS 50

extern char **environ;

/*
 * In a case standard output is a pipe to the runner. The first character of a line tells
 * its kind.
 */
static void
print(char kind, const char *format, va_list arguments)
{
	char line[512];
	int length;

	line[0] = kind;
	length = vsnprintf(line + 1, sizeof(line) - 2, format, arguments);
	if (length > (int)sizeof(line) - 3)
		length = (int)sizeof(line) - 3;
	line[length + 1] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)length + 2) < 0)
		_exit(98);
}

void
cases_result(int is_good, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(is_good ? '+' : '-', format, arguments);
	va_end(arguments);
}

void
cases_comment(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print('#', format, arguments);
	va_end(arguments);
}

void
cases_stage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print('@', format, arguments);
	va_end(arguments);
}

void
cases_skip(const char *what, const char *why)
{
	cases_result(1, "%s # SKIP %s", what, why);
}

void
cases_end(void)
{
	if (write(STDOUT_FILENO, ".\n", 2) != 2)
		_exit(98);
	_exit(0);
}

/* The state of the case that runs now, in the runner. */
struct run {
	const struct test_case *test;
	pid_t pid;
	int from;        /* the pipe from its standard output */
	int has_ended;   /* it has called cases_end() */
	int status;      /* from waitpid(2), after its end */
	int is_late;
	char stage[128]; /* the last stage that it noted */
	char line[600];
	size_t length;
};

static void
result(const struct run *run, int is_good, const char *what)
{
	char text[700];

	snprintf(text, sizeof(text), "%s: %s", run->test->name, what);
	tap_result(is_good, text);
}

static void
handle_line(struct run *run)
{
	const char *text = run->line + 1;

	switch (run->line[0]) {
	case '+':
	case '-':
		result(run, run->line[0] == '+', text);
		break;
	case '@':
		snprintf(run->stage, sizeof(run->stage), "%s", text);
		break;
	case '.':
		run->has_ended = 1;
		break;
	default:
		printf("# %s: %s\n", run->test->name, text);
		break;
	}
	fflush(stdout);
}

/* Reads from the pipe. Returns 0 at its end. */
static int
read_some(struct run *run)
{
	char data[1024];
	ssize_t got = read(run->from, data, sizeof(data));

	for (ssize_t i = 0; i < got; i++) {
		if (data[i] == '\n') {
			run->line[run->length] = '\0';
			if (run->length > 0)
				handle_line(run);
			run->length = 0;
		} else if (run->length < sizeof(run->line) - 1) {
			run->line[run->length++] = data[i];
		}
	}
	return got > 0 || (got < 0 && errno == EINTR);
}

/* In an emulator, TEST_PATIENCE is the factor by which everything may take longer. */
static int
limit_s(const struct test_case *test)
{
	const char *patience = getenv("TEST_PATIENCE");

	return test->limit_s * (patience != NULL ? atoi(patience) : 1);
}

/* Reads the output of the case until it has ended, or has taken too long. */
static void
watch(struct run *run)
{
	long long end_us = self_now_us() + limit_s(run->test) * 1000000LL;
	struct pollfd pipe = { .fd = run->from, .events = POLLIN };
	int is_gone = 0, is_open = 1;

	while (!run->has_ended && !is_gone && !run->is_late) {
		/* waitpid(2) comes before the read, so that the last lines are read, too. */
		is_gone = waitpid(run->pid, &run->status, WNOHANG) == run->pid;
		if (is_open && poll(&pipe, 1, is_gone ? 0 : LOOK_MS) > 0)
			is_open = read_some(run);
		else if (!is_open)
			poll(NULL, 0, LOOK_MS);
		run->is_late = self_now_us() > end_us;
	}
	while (is_gone && is_open && poll(&pipe, 1, 0) > 0)
		is_open = read_some(run);
	if (is_gone)
		return;
	if (run->is_late)
		kill(run->pid, SIGKILL);
	waitpid(run->pid, &run->status, 0);
}

/* Kills what the case has left behind: these processes are now children of the runner. */
static void
kill_children(void)
{
	char path[64], list[512];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)self_thread());
	for (;;) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t got = fd >= 0 ? read(fd, list, sizeof(list) - 1) : 0;

		if (fd >= 0)
			close(fd);
		if (got <= 0)
			return;
		list[got] = '\0';
		kill((pid_t)atol(list), SIGKILL);
		waitpid((pid_t)atol(list), NULL, 0);
	}
}

static void
start(struct run *run, char **argv, int first)
{
	posix_spawn_file_actions_t actions;
	char *arguments[16];
	int ends[2], count = 0;

	for (; count < first; count++)
		arguments[count] = argv[count];
	arguments[count++] = (char *)INSIDE;
	arguments[count++] = (char *)run->test->name;
	arguments[count] = NULL;
	if (pipe2(ends, O_CLOEXEC) != 0)
		exit(99);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	if (posix_spawn(&run->pid, "/proc/self/exe", &actions, NULL, arguments,
		environ) != 0)
		exit(99);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	run->from = ends[0];
}

static void
run_one(const struct test_case *test, char **argv, int first)
{
	struct run run = { .test = test };
	char text[300];

	start(&run, argv, first);
	watch(&run);
	close(run.from);
	kill_children();
	if (run.has_ended && run.status == 0)
		return;
	if (run.is_late)
		snprintf(text, sizeof(text), "killed after %d s, at: %s",
		    limit_s(test), run.stage);
	else if (WIFSIGNALED(run.status))
		snprintf(text, sizeof(text), "signal %d, at: %s",
		    WTERMSIG(run.status), run.stage);
	else
		snprintf(text, sizeof(text), "status %d, at: %s",
		    WEXITSTATUS(run.status), run.stage);
	result(&run, 0, text);
}

static const struct test_case *
find(const struct test_case *cases, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(cases[i].name, name) == 0)
			return &cases[i];
	}
	fprintf(stderr, "no case is named %s\n", name);
	exit(2);
}

static void
run_inside(const struct test_case *test)
{
	self_prepare();
	test->run(test);
	cases_end();
}

int
cases_main(int argc, char **argv, int first, const struct test_case *cases,
    size_t count)
{
	const char *name = argc > first ? argv[first] : NULL;

	if (name != NULL && strcmp(name, "list") == 0) {
		for (size_t i = 0; i < count; i++)
			puts(cases[i].name);
		return 0;
	}
	if (name != NULL && strcmp(name, INSIDE) == 0 && argc > first + 1)
		run_inside(find(cases, count, argv[first + 1]));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (size_t i = 0; name == NULL && i < count; i++)
		run_one(&cases[i], argv, first);
	for (int i = first; i < argc; i++)
		run_one(find(cases, count, argv[i]), argv, first);
	return tap_plan();
}
