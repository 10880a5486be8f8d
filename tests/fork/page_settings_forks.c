/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_forks.c: part of the program page_settings: settings stay through
 * fork(2) and the return: one setting, all of them, a large area, and MADV_DOFORK. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "page_settings.h"
#include "page_settings_set.h"
#include "../support/heap_return.h"
#include "../support/self.h"

static int
are_right(const struct spots *spots, int is_child, const char *when)
{
	int are_good = 1;

	for (size_t i = 0; i < spots->count; i++) {
		struct spot *spot = &spots->spot[i];
		int is_good;

		if (spot->area == NULL)
			continue;
		is_good = (is_child ? spot->setting->in_child
				    : spot->setting->in_parent)(spot) &&
		    area_has_neighbours(spot->area);
		if (!is_good)
			cases_comment("%s is wrong %s", spot->setting->name,
			    when);
		are_good &= is_good;
	}
	return are_good;
}

static int
child_check(void *spots)
{
	return are_right(spots, 1, "in the child");
}

void
through_fork(struct spots *spots, const struct setting *later, const char *what)
{
	struct heap_child child;
	int is_good;

	filler_write(1);
	cases_result(are_right(spots, 0, "before the fork"),
	    "%s: settings are right before it", what);
	cases_stage("%s: forking", what);
	is_good = heap_child_start(&child, child_check, spots);
	for (size_t i = 0; i < spots->count; i++)
		spots->spot[i].has_child = 1;
	filler_write(2);
	if (later != NULL) {
		int error = spot_set(&spots->spot[spots->count++], later);

		if (error != 0) {
			spots->spot[--spots->count].area = NULL;
			cases_comment("refused while the child lives: %s",
			    strerror(error));
		}
	}
	cases_result(is_good && are_right(spots, 0, "while the child lives"),
	    "%s: settings are right in the parent", what);
	cases_result(heap_child_end(&child), "%s: settings are right in the child", what);
	cases_stage("%s: allocating until the heap returns", what);
	if (!heap_returns(RETURNED_KB, RETURN_LIMIT_MS))
		cases_comment("%s: the heap has not returned", what);
	cases_result(are_right(spots, 0, "at the end") && filler_is(2),
	    "%s: settings are right when the heap has had time to return", what);
}

void
run_setting(const struct test_case *self)
{
	struct spot spot[2];
	struct spots spots = { spot, 1 };
	const struct setting *setting = setting_find(self->name);
	int error = spot_set(&spot[0], setting);

	if (error != 0) {
		cases_skip("settings are right after a fork", strerror(error));
		return;
	}
	through_fork(&spots, setting, "first fork");
	through_fork(&spots, NULL, "second fork");
}

void
run_settings_together(const struct test_case *self)
{
	struct spot spot[NSETTINGS];
	struct spots spots = { spot, NSETTINGS };

	(void)self;
	for (size_t i = 0; i < NSETTINGS; i++) {
		int error = spot_set(&spot[i], &settings[i]);

		if (error == 0)
			continue;
		cases_comment("%s is refused: %s", settings[i].name,
		    strerror(error));
		spot[i].area = NULL;
	}
	through_fork(&spots, NULL, "first fork");
	through_fork(&spots, NULL, "second fork");
}

/* Larger than a step of the return, so that all memory of a step has the setting. */
#define LARGE_BYTES ((size_t)64 << 20)
#define LARGE_STEP ((size_t)1 << 20)

static int
large_has_flag(const char *large)
{
	for (size_t at = 0; at < LARGE_BYTES; at += LARGE_STEP) {
		if (self_has_flag(large + at, "dd") != 1)
			return 0;
	}
	return self_has_flag(large + LARGE_BYTES - 1, "dd") == 1;
}

void
run_large(const struct test_case *self)
{
	struct heap_child child;
	void *large;

	(void)self;
	filler_write(1);
	if (posix_memalign(&large, (size_t)sysconf(_SC_PAGESIZE), LARGE_BYTES) != 0)
		_exit(99);
	memset(large, 'x', LARGE_BYTES);
	cases_result(madvise(large, LARGE_BYTES, MADV_DONTDUMP) == 0 &&
	    large_has_flag(large), "a large area has the setting before the fork");
	heap_child_start(&child, child_lives, NULL);
	memset(large, 'y', LARGE_BYTES);
	cases_result(large_has_flag(large),
	    "a large area has the setting while a child lives");
	heap_child_end(&child);
	cases_stage("allocating until the heap returns");
	cases_result(heap_returns(RETURNED_KB, 20000), "the heap returns");
	cases_result(large_has_flag(large),
	    "a large area has the setting when the heap has returned");
}

/* After MADV_DOFORK each child gets the area, as memory of its own. */
static int
area_is_x(void *area)
{
	int is_x = is_filled(area, 'x');

	memset(area, 'c', AREA_BYTES);
	return is_x;
}

static int
write_area(void *area)
{
	memset(area, 'c', AREA_BYTES);
	return is_filled(area, 'c');
}

void
run_dofork(const struct test_case *self)
{
	struct heap_child child, second;
	char *area = area_make();
	int is_good;

	(void)self;
	filler_write(1);
	memset(area, 'x', AREA_BYTES);
	madvise(area, AREA_BYTES, MADV_DONTFORK);
	heap_child_start(&child, child_lives, NULL);
	filler_write(2);
	madvise(area, AREA_BYTES, MADV_DOFORK);
	is_good = area_has_neighbours(area) && is_filled(area, 'x');
	cases_result(is_good,
	    "the area keeps its content when MADV_DOFORK comes while a child lives");
	heap_child_start(&second, write_area, area);
	cases_result(is_filled(area, 'x'),
	    "the parent does not see the writes of a second child");
	memset(area, 'p', AREA_BYTES);
	cases_result(heap_child_end(&second), "the second child can write to the area");
	heap_child_end(&child);
	memset(area, 'x', AREA_BYTES);
	cases_result(heap_child_start(&child, area_is_x, area) &&
	    is_filled(area, 'x'), "a third child gets the area with its content");
	close(child.told);
	child_succeeds(child.pid);
}

/* A fork fails while the area has MADV_DONTFORK. After MADV_DOFORK, the next fork must make
 * the area private. */
void
run_dontfork_refused(const struct test_case *self)
{
	struct heap_child child, second;
	struct rlimit before, none;
	char *area = area_make();
	pid_t pid;

	(void)self;
	filler_write(1);
	memset(area, 'x', AREA_BYTES);
	madvise(area, AREA_BYTES, MADV_DONTFORK);
	heap_child_start(&child, child_lives, NULL);
	getrlimit(RLIMIT_AS, &before);
	none = before;
	none.rlim_cur = 1 << 20;
	setrlimit(RLIMIT_AS, &none);
	pid = fork();
	if (pid == 0)
		_exit(0);
	setrlimit(RLIMIT_AS, &before);
	cases_comment("a fork without memory %s", pid < 0 ? "fails" : "succeeds");
	if (pid > 0)
		child_succeeds(pid);
	madvise(area, AREA_BYTES, MADV_DOFORK);
	heap_child_start(&second, write_area, area);
	cases_result(heap_child_end(&second), "a later child can write to the area");
	cases_result(is_filled(area, 'x') && area_has_neighbours(area),
	    "the parent does not see the writes of that child");
	heap_child_end(&child);
}
