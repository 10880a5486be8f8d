/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_descriptors.c: part of the program page_settings: settings stay when the
 * process has no free descriptor, or has closed all its descriptors. */
#include "config.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "page_settings.h"
#include "page_settings_set.h"
#include "../support/heap_return.h"

/*
 * Without a free descriptor the library can read the list of mappings only if it may raise
 * the limit. If it may not, fork(2) fails. In both cases the setting must stay.
 */
static void
forks_at_limit(struct spot *spot, rlim_t hard, const char *what)
{
	struct rlimit before, limit;
	pid_t pid;

	getrlimit(RLIMIT_NOFILE, &before);
	limit = (struct rlimit){ 3, hard };
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
		cases_skip(what, strerror(errno));
		return;
	}
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_NOFILE, &before);
		_exit(!spot->setting->in_child(spot));
	}
	if (pid < 0 && errno != EMFILE)
		cases_comment("fork fails: %s", strerror(errno));
	cases_result((pid < 0 && errno == EMFILE) || child_succeeds(pid),
	    "%s: fork succeeds or fails with EMFILE", what);
	if (setrlimit(RLIMIT_NOFILE, &before) != 0)
		_exit(99);
	cases_result(spot->setting->in_parent(spot), "%s: the setting stays", what);
}

void
run_descriptor_limit(const struct test_case *self)
{
	struct rlimit now;
	struct spot guard = { .setting = NULL }, own = guard;

	(void)self;
	filler_write(1);
	spot_set(&guard, setting_find("guard"));
	spot_set(&own, setting_find("own_private"));
	getrlimit(RLIMIT_NOFILE, &now);
	forks_at_limit(&guard, now.rlim_max, "a guard page");
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	forks_at_limit(&own, now.rlim_max, "the program's own mapping");
}

/* As in a daemon that has closed every descriptor from 3 on, including the pool's. */
void
run_descriptors_closed(const struct test_case *self)
{
	struct spot spot;
	struct spots spots = { &spot, 1 };

	(void)self;
	filler_write(1);
	if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) {
		cases_skip("settings are right without descriptors", strerror(errno));
		return;
	}
	spot_set(&spot, setting_find("guard"));
	through_fork(&spots, NULL, "first fork");
	through_fork(&spots, NULL, "second fork");
}

/*
 * The library copies the heap at a fork, but not this area: no child gets it, and a device may
 * have a buffer in it.
 */
void
run_dontfork_closed(const struct test_case *self)
{
	char before[SELF_TEXT], after[SELF_TEXT];
	aio_context_t context = 0;
	char *area = area_make();
	int is_good;

	(void)self;
	filler_write(1);
	if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) {
		cases_skip("an area with MADV_DONTFORK is not copied", strerror(errno));
		return;
	}
	memset(area, 'x', AREA_BYTES);
	madvise(area, AREA_BYTES, MADV_DONTFORK);
	is_good = self_mapping(area, before) && heap_forks() &&
	    self_mapping(area, after);
	cases_result(is_good && strcmp(before, after) == 0 && is_filled(area, 'x'),
	    "an area with MADV_DONTFORK is not copied");
	if (syscall(SYS_io_setup, 1, &context) == 0) {
		cases_result(heap_forks(),
		    "fork succeeds beside asynchronous I/O if nothing has to be copied");
		syscall(SYS_io_destroy, context);
	}
	madvise(area, AREA_BYTES, MADV_DOFORK);
	cases_result(heap_forks() && is_filled(area, 'x') && area_has_neighbours(area),
	    "after MADV_DOFORK fork succeeds, and the area keeps its content");
}
