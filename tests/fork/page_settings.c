/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings.c: what a program has set must stay through fork(2) and the return to the file:
 * settings of pages of its heap; also its signals, threads and descriptors. Prints TAP.
 * page_settings [CASE...]; page_settings list */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "page_settings.h"

static char *filler;

void
filler_write(char value)
{
	if (filler == NULL)
		filler = malloc(FILLER_BYTES);
	if (filler == NULL)
		_exit(99);
	memset(filler, value, FILLER_BYTES);
}

int
filler_is(char value)
{
	for (size_t i = 0; i < FILLER_BYTES; i++) {
		if (filler[i] != value)
			return 0;
	}
	return 1;
}

char *
area_make(void)
{
	void *block;

	if (posix_memalign(&block, AREA_BYTES, 3 * AREA_BYTES) != 0)
		_exit(99);
	memset(block, 'n', 3 * AREA_BYTES);
	return (char *)block + AREA_BYTES;
}

int
area_has_neighbours(const char *area)
{
	for (size_t i = 0; i < AREA_BYTES; i++) {
		if (area[-1 - (ssize_t)i] != 'n' || area[AREA_BYTES + i] != 'n')
			return 0;
	}
	return 1;
}

int
can_read(const char *byte)
{
	int ends[2];
	ssize_t done;

	if (pipe(ends) != 0)
		_exit(99);
	done = write(ends[1], byte, 1);
	close(ends[0]);
	close(ends[1]);
	return done == 1;
}

int
can_write(char *byte)
{
	int ends[2];
	ssize_t done;

	if (pipe(ends) != 0 || write(ends[1], "w", 1) != 1)
		_exit(99);
	done = read(ends[0], byte, 1);
	close(ends[0]);
	close(ends[1]);
	return done == 1;
}

int
child_lives(void *argument)
{
	(void)argument;
	return 1;
}

static const int no = 0, yes = 1;
static const int current = MCL_CURRENT, future = MCL_CURRENT | MCL_FUTURE;
static const struct test_case cases[] = {
	{ "returns", run_returns, NULL, 60 },
	{ "main_ended", run_main_ended, NULL, 60 },
	{ "threads_end", run_threads_end, NULL, 60 },
	{ "file_limit", run_file_limit, NULL, 60 },
	{ "guards_beside", run_guards_beside, NULL, 60 },
	{ "cancel_type", run_cancel_type, NULL, 60 },
	{ "signal_counts", run_signal_counts, NULL, 60 },
	{ "signal_stack", run_signal_stack, NULL, 60 },
	{ "mlock", run_setting, NULL, 30 },
	{ "mlock_onfault", run_setting, NULL, 30 },
	{ "dontdump", run_setting, NULL, 30 },
	{ "dontfork", run_setting, NULL, 30 },
	{ "wipeonfork", run_setting, NULL, 30 },
	{ "hugepage", run_setting, NULL, 30 },
	{ "nohugepage", run_setting, NULL, 30 },
	{ "guard", run_setting, NULL, 30 },
	{ "readonly", run_setting, NULL, 30 },
	{ "own_shared", run_setting, NULL, 30 },
	{ "own_private", run_setting, NULL, 30 },
	{ "together", run_settings_together, NULL, 60 },
	{ "large", run_large, NULL, 30 },
	{ "dofork", run_dofork, NULL, 30 },
	{ "dontfork_refused", run_dontfork_refused, NULL, 30 },
	{ "dontfork_closed", run_dontfork_closed, NULL, 30 },
	{ "unreadable", run_unreadable, &no, 30 },
	{ "unreadable_closed", run_unreadable, &yes, 30 },
	{ "toggled_closed", run_toggled, &yes, 30 },
	{ "guard_installed", run_guard_installed, &no, 30 },
	{ "guard_installed_closed", run_guard_installed, &yes, 30 },
	{ "own_descriptors", run_own_descriptors, NULL, 30 },
	{ "descriptor_limit", run_descriptor_limit, NULL, 30 },
	{ "descriptors_closed", run_descriptors_closed, NULL, 30 },
	{ "mlockall", run_lock, &current, 30 },
	{ "mlockall_future", run_lock, &future, 30 },
	{ "holes", run_holes, NULL, 30 },
	{ "core_parent", run_core, "parent", 60 },
	{ "core_child", run_core, "child", 60 },
	{ "core_returned", run_core, "returned", 60 },
};

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "abort") == 0)
		core_main(argv[2]);
	return cases_main(argc, argv, 1, cases, sizeof(cases) / sizeof(cases[0]));
}
