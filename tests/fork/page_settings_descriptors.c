/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_descriptors.c: part of the program page_settings: settings stay when the
 * process has no free descriptor, or has closed all its descriptors. */
#include "config.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "page_settings.h"
#include "page_settings_set.h"
#include "../support/heap_return.h"

/* The limit of descriptors, and descriptors that use all of it. */
#define LIMIT 16

static int used[LIMIT];
static int nused;

static void
use_all_descriptors(void)
{
	while (nused < LIMIT && (used[nused] = dup(0)) >= 0)
		nused++;
}

static void
close_used_descriptors(void)
{
	while (nused > 0)
		close(used[--nused]);
}

/*
 * Without a free descriptor the library can read the list of mappings only if it may raise
 * the limit. If it may not, fork(2) fails. It also fails if the child cannot have a file. The
 * setting must stay in each case.
 */
static void
forks_at_limit(const char *name, rlim_t hard, const char *what)
{
	int must_fail = hard == LIMIT && getenv("VMMALLOC_POOL_DIR") != NULL;
	struct rlimit limit = { LIMIT, hard };
	struct spot spot;
	pid_t pid;
	int error;

	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
		cases_skip(what, strerror(errno));
		return;
	}
	spot_set(&spot, setting_find(name));
	use_all_descriptors();
	pid = fork();
	error = errno;
	if (pid == 0) {
		close_used_descriptors();
		_exit(!spot.setting->in_child(&spot));
	}
	if (pid < 0)
		cases_comment("fork fails: %s", strerror(error));
	cases_result(pid < 0 ? error == EMFILE : child_succeeds(pid) && !must_fail,
	    "%s: fork %s with EMFILE", what, must_fail ? "fails" : "succeeds or fails");
	close_used_descriptors();
	cases_result(spot.setting->in_parent(&spot), "%s: the setting stays", what);
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
}

/* From now on this process may not raise hard limits. */
static int
drop_capability(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[2];
	unsigned bit = ~(1U << CAP_SYS_RESOURCE);

	if (syscall(SYS_capget, &header, sets) != 0)
		return 0;
	sets[0].effective &= bit;
	sets[0].permitted &= bit;
	return syscall(SYS_capset, &header, sets) == 0;
}

void
run_descriptor_limit(const struct test_case *self)
{
	struct rlimit now;

	(void)self;
	filler_write(1);
	getrlimit(RLIMIT_NOFILE, &now);
	forks_at_limit("guard", now.rlim_max, "a guard page");
	forks_at_limit("own_private", now.rlim_max, "the program's own mapping");
	if (!drop_capability()) {
		cases_skip("a limit that may not be raised", strerror(errno));
		return;
	}
	forks_at_limit("guard", LIMIT, "a guard page, a hard limit");
	forks_at_limit("own_private", LIMIT, "the program's own mapping, a hard limit");
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
