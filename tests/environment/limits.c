/* SPDX-License-Identifier: BSD-3-Clause */
/* limits.c: tests the heap in unusual environments. The program runs with the library
 * preloaded, except for `forbid`. Usage:
 * limits [MODE [ARGUMENT]]: prints TAP. MODE `stdio` prints nothing: status 0 is success.
 * limits forbid CALL ERRNO PROGRAM...: runs a program whose system call CALL fails. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limits.h"

#define NBLOCKS 100
#define BLOCK_BYTES ((size_t)60000)
#define MORE 300 /* blocks that make the pool grow */

int
heap_grows(void)
{
	char *more[MORE];
	int got = 0;

	errno = 0;
	while (got < MORE && (more[got] = malloc(BLOCK_BYTES)) != NULL)
		memset(more[got++], 9, BLOCK_BYTES);
	for (int i = 0; i < got; i++) {
		if (more[i][0] != 9 || more[i][BLOCK_BYTES - 1] != 9)
			return 0;
		free(more[i]);
	}
	return got == MORE;
}

int
child_works(void)
{
	pid_t pid;

	if (!(blocks_are(1) && blocks_write(3) && heap_grows() && blocks_are(3)))
		return 0;
	pid = fork();
	if (pid == 0)
		_exit(!(blocks_are(3) && blocks_write(4) && blocks_are(4)));
	return child_succeeds(pid) && blocks_are(3);
}

void
check_heap(int fork_error, const char *when)
{
	char text[200];
	pid_t pid;

	snprintf(text, sizeof(text), "%s: the heap grows and keeps its content", when);
	tap_result(blocks_write(1) && heap_grows() && blocks_are(1), text);
	errno = 0;
	pid = fork_setting == 0 ? 0 : fork();
	if (pid == 0 && fork_setting != 0)
		_exit(!child_works());
	if (fork_error != 0 && fork_setting == 2) {
		snprintf(text, sizeof(text), "%s: fork fails: %s", when,
		    strerror(fork_error));
		tap_result(pid == -1 && errno == fork_error, text);
	} else if (fork_setting != 0) {
		snprintf(text, sizeof(text), "%s: a child has the heap", when);
		tap_result(child_succeeds(pid), text);
	}
	snprintf(text, sizeof(text), "%s: the heap works afterwards", when);
	tap_result(blocks_are(1) && blocks_write(2) && heap_grows() &&
	    blocks_are(2) && blocks_write(1), text);
}

static void
check_as_is(const char *pool_dir, const char *when)
{
	tap_result(disk_pool_descriptor(pool_dir) >= 0, "the process has a pool");
	check_heap(0, when);
}

static void
plain(const char *pool_dir)
{
	check_as_is(pool_dir, "plain");
}

static void
preinit(const char *pool_dir)
{
	check_as_is(pool_dir, "pool opened early");
}

static const struct mode {
	const char *name;
	void (*run)(const char *argument);
} modes[] = {
	{ "plain", plain },
	{ "preinit", preinit },
	{ "environ", change_environment },
	{ "closes", close_all },
	{ "chroot", change_root },
	{ "chroot_closed", change_root_closed },
	{ "gone", lose_root },
	{ "chroot_raw", change_root_raw },
	{ "unshare", leave_namespaces },
	{ "unshare_beside", leave_namespace_beside },
	{ "outer_proc", count_in_outer_proc },
	{ "noproc", lose_proc },
	{ "rmdir", lose_directory },
	{ "fallocate", without_fallocate },
	{ "clone", without_clone },
	{ "mappings", without_mappings },
	{ "as", limit_address_space },
	{ "data", limit_data },
};

static int
run_mode(const char *name, const char *argument)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, name) == 0) {
			modes[i].run(argument);
			return tap_plan();
		}
	}
	return 99;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "plain";
	const char *argument = argc > 2 ? argv[2] : "";

	if (strcmp(mode, "forbid") == 0 && argc > 4) {
		if (!forbid(argument, error_number(argv[3])))
			return 77;
		execvp(argv[4], argv + 4);
		return 99;
	}
	read_fork_setting();
	blocks_set(NBLOCKS, BLOCK_BYTES);
	if (strcmp(mode, "stdio") == 0)
		return keep_closed(argument);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return run_mode(mode, argument);
}
