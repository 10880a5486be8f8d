/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_set.c: part of page_settings: mlock(2), madvise(2), mprotect(2), and mappings
 * of the program's own over pages of its heap. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "page_settings.h"
#include "../support/heap_return.h"
#include "../support/self.h"

/* An area, what was set on it, and what was there at that moment. */
struct spot {
	const struct setting *setting;
	char *area;
	char mapping[SELF_TEXT];
	int fd;
	int has_child; /* there was a fork since */
};

/*
 * `set` returns 0, or -1 with errno. `in_parent` and `in_child` tell whether the
 * process sees what it should. Where `flag` is not NULL, the area has it in the parent.
 */
struct setting {
	const char *name;
	const char *flag;
	int (*set)(struct spot *spot);
	int (*in_parent)(struct spot *spot);
	int (*in_child)(struct spot *spot);
};

static int
is_filled(const char *area, char value)
{
	for (size_t i = 0; i < AREA_BYTES; i++) {
		if (area[i] != value)
			return 0;
	}
	return 1;
}

/* The area alone has the flag, not what lies beside it. */
static int
has_flag_alone(const struct spot *spot)
{
	const char *flag = spot->setting->flag, *area = spot->area;

	return self_has_flag(area, flag) == 1 &&
	    self_has_flag(area + AREA_BYTES - 1, flag) == 1 &&
	    self_has_flag(area - 1, flag) == 0 &&
	    self_has_flag(area + AREA_BYTES, flag) == 0;
}

static int
flag_and_content(struct spot *spot)
{
	return has_flag_alone(spot) && is_filled(spot->area, 'x');
}

static int
content_without_flag(struct spot *spot)
{
	return self_has_flag(spot->area, spot->setting->flag) == 0 &&
	    is_filled(spot->area, 'x');
}

static int
flag_and_zeros(struct spot *spot)
{
	return has_flag_alone(spot) && is_filled(spot->area, 0);
}

static int
nothing_there(struct spot *spot)
{
	return !can_read(spot->area) && !can_read(spot->area + AREA_BYTES - 1) &&
	    self_has_flag(spot->area, "rd") == -1;
}

static int
set_mlock(struct spot *spot)
{
	return mlock(spot->area, AREA_BYTES);
}

static int
locked(struct spot *spot)
{
	return flag_and_content(spot) &&
	    self_status_kb("VmLck") >= (long)AREA_BYTES / 1024;
}

static int
set_mlock_onfault(struct spot *spot)
{
	return mlock2(spot->area, AREA_BYTES, MLOCK_ONFAULT);
}

static int
not_locked(struct spot *spot)
{
	return content_without_flag(spot) && self_status_kb("VmLck") == 0;
}

static int
set_dontdump(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_DONTDUMP);
}

static int
set_dontfork(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_DONTFORK);
}

static int
set_wipeonfork(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_WIPEONFORK);
}

static int
set_hugepage(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_HUGEPAGE);
}

static int
set_nohugepage(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_NOHUGEPAGE);
}

/* A guard page. What is behind it in the area stays as it was. */
#define GUARD_BYTES ((size_t)sysconf(_SC_PAGESIZE))

static int
set_guard(struct spot *spot)
{
	return mprotect(spot->area, GUARD_BYTES, PROT_NONE);
}

static int
guarded(struct spot *spot)
{
	char *end = spot->area + GUARD_BYTES;

	return !can_read(spot->area) && !can_read(end - 1) &&
	    !can_write(spot->area) && can_read(end) && *end == 'x' &&
	    can_read(spot->area - 1);
}

static int
set_readonly(struct spot *spot)
{
	return mprotect(spot->area, AREA_BYTES, PROT_READ);
}

static int
readonly(struct spot *spot)
{
	return is_filled(spot->area, 'x') && !can_write(spot->area) &&
	    !can_write(spot->area + AREA_BYTES - 1);
}

/* The child's letter has to be in the file, and in the parent's memory, at once. */
#define PARENT_AT 1
#define CHILD_AT 2

static int
set_own_shared(struct spot *spot)
{
	spot->fd = memfd_create("own", MFD_CLOEXEC);
	if (spot->fd < 0 || ftruncate(spot->fd, AREA_BYTES) != 0 ||
	    mmap(spot->area, AREA_BYTES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED, spot->fd, 0) == MAP_FAILED)
		return -1;
	memset(spot->area, 'x', AREA_BYTES);
	return 0;
}

static int
set_own_private(struct spot *spot)
{
	if (mmap(spot->area, AREA_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -1;
	memset(spot->area, 'x', AREA_BYTES);
	return 0;
}

static int
has_its_mapping(const struct spot *spot)
{
	char now[SELF_TEXT];

	return self_mapping(spot->area, now) && strcmp(now, spot->mapping) == 0 &&
	    spot->area[0] == 'x' && spot->area[AREA_BYTES - 1] == 'x';
}

static int
own_shared(struct spot *spot)
{
	char in_file[CHILD_AT + 1];

	spot->area[PARENT_AT]++;
	return has_its_mapping(spot) &&
	    spot->area[CHILD_AT] == (spot->has_child ? 'c' : 'x') &&
	    pread(spot->fd, in_file, sizeof(in_file), 0) == sizeof(in_file) &&
	    memcmp(in_file, spot->area, sizeof(in_file)) == 0;
}

static int
own_shared_in_child(struct spot *spot)
{
	spot->area[CHILD_AT] = 'c';
	return has_its_mapping(spot);
}

/* Anonymous memory has no inode. That of the heap around it may be merged with it. */
static int
own_private(struct spot *spot)
{
	return has_its_mapping(spot) && spot->area[CHILD_AT] == 'x';
}

static int
own_private_in_child(struct spot *spot)
{
	spot->area[CHILD_AT] = 'c';
	return has_its_mapping(spot);
}

static const struct setting settings[] = {
	{ "mlock", "lo", set_mlock, locked, not_locked },
	{ "mlock_onfault", "lf", set_mlock_onfault, locked, not_locked },
	{ "dontdump", "dd", set_dontdump, flag_and_content, flag_and_content },
	{ "dontfork", "dc", set_dontfork, flag_and_content, nothing_there },
	{ "wipeonfork", "wf", set_wipeonfork, flag_and_content, flag_and_zeros },
	{ "hugepage", "hg", set_hugepage, flag_and_content, flag_and_content },
	{ "nohugepage", "nh", set_nohugepage, flag_and_content, flag_and_content },
	{ "guard", NULL, set_guard, guarded, guarded },
	{ "readonly", NULL, set_readonly, readonly, readonly },
	{ "own_shared", NULL, set_own_shared, own_shared, own_shared_in_child },
	{ "own_private", NULL, set_own_private, own_private, own_private_in_child },
};
#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

/* Returns 0, or the errno of the kernel's refusal. */
static int
spot_set(struct spot *spot, const struct setting *setting)
{
	*spot = (struct spot){ .setting = setting, .area = area_make(), .fd = -1 };
	memset(spot->area, 'x', AREA_BYTES);
	errno = 0;
	if (setting->set(spot) != 0)
		return errno;
	return self_mapping(spot->area, spot->mapping) ? 0 : EFAULT;
}

/* All spots of a case are looked at together; a spot without an area is not there. */
struct spots {
	struct spot *spot;
	size_t count;
};

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
			cases_comment("%s is not right %s", spot->setting->name,
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

/* `later` is set while a child lives, when the heap has left its file. */
static void
through_fork(struct spots *spots, const struct setting *later, const char *what)
{
	struct heap_child child;
	int is_good;

	filler_write(1);
	cases_result(are_right(spots, 0, "before the fork"), "%s: before", what);
	cases_stage("%s: forking", what);
	is_good = heap_child_start(&child, child_check, spots);
	for (size_t i = 0; i < spots->count; i++)
		spots->spot[i].has_child = 1;
	filler_write(2);
	if (later != NULL) {
		int error = spot_set(&spots->spot[spots->count++], later);

		if (error != 0) {
			spots->spot[--spots->count].area = NULL;
			cases_comment("refused while a child lives: %s",
			    strerror(error));
		}
	}
	cases_result(is_good && are_right(spots, 0, "while the child lives"),
	    "%s: in the parent", what);
	cases_result(heap_child_end(&child), "%s: in the child", what);
	cases_stage("%s: allocating until the heap returns", what);
	if (!heap_returns(RETURNED_KB, RETURN_LIMIT_MS))
		cases_comment("%s: the heap has not returned", what);
	cases_result(are_right(spots, 0, "at the end") && filler_is(2),
	    "%s: when the heap has had time to return", what);
}

void
run_setting(const struct test_case *self)
{
	struct spot spot[2];
	struct spots spots = { spot, 1 };
	size_t which = 0;
	int error;

	while (strcmp(settings[which].name, self->name) != 0)
		which++;
	error = spot_set(&spot[0], &settings[which]);
	if (error != 0) {
		cases_skip("the setting stays", strerror(error));
		return;
	}
	through_fork(&spots, &settings[which], "first fork");
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

/* Larger than one step of the return, so that a step sees nothing else. */
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
	    large_has_flag(large), "before");
	heap_child_start(&child, child_lives, NULL);
	memset(large, 'y', LARGE_BYTES);
	cases_result(large_has_flag(large), "while a child lives");
	heap_child_end(&child);
	cases_stage("allocating until the heap returns");
	cases_result(heap_returns(RETURNED_KB, 20000), "the heap returns");
	cases_result(large_has_flag(large), "then, too");
}

/* MADV_DOFORK: from then on children get the area, and it is theirs. */
static int
area_is_x(void *area)
{
	int is_x = is_filled(area, 'x');

	memset(area, 'c', AREA_BYTES);
	return is_x;
}

static int
write_alone(void *area)
{
	memset(area, 'c', AREA_BYTES);
	return is_filled(area, 'c');
}

void
run_dofork(const struct test_case *self)
{
	struct heap_child child, second;
	struct spot spot = { .area = area_make() };
	int is_good;

	(void)self;
	filler_write(1);
	memset(spot.area, 'x', AREA_BYTES);
	set_dontfork(&spot);
	heap_child_start(&child, child_lives, NULL);
	filler_write(2);
	madvise(spot.area, AREA_BYTES, MADV_DOFORK);
	is_good = area_has_neighbours(spot.area) && is_filled(spot.area, 'x');
	cases_result(is_good, "while a child lives that does not have it");
	heap_child_start(&second, write_alone, spot.area);
	cases_result(is_filled(spot.area, 'x'), "another child has its own");
	memset(spot.area, 'p', AREA_BYTES);
	cases_result(heap_child_end(&second), "and its parent, too");
	heap_child_end(&child);
	memset(spot.area, 'x', AREA_BYTES);
	cases_result(heap_child_start(&child, area_is_x, spot.area) &&
	    is_filled(spot.area, 'x'), "a child of later gets it");
	close(child.told);
	blocks_ends_good(child.pid);
}

/*
 * Without a free descriptor the library may look at its mappings only if it may raise the
 * limit. Otherwise fork(2) fails; what is mapped stays in any case.
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
	cases_result((pid < 0 && errno == EMFILE) || blocks_ends_good(pid),
	    "%s: fork works, or has EMFILE", what);
	if (setrlimit(RLIMIT_NOFILE, &before) != 0)
		_exit(99);
	cases_result(spot->setting->in_parent(spot), "%s: the setting stays", what);
}

void
run_at_limit(const struct test_case *self)
{
	struct rlimit now;
	struct spot guard = { .setting = NULL }, own = guard;

	(void)self;
	filler_write(1);
	for (size_t i = 0; i < NSETTINGS; i++) {
		if (strcmp(settings[i].name, "guard") == 0)
			spot_set(&guard, &settings[i]);
		if (strcmp(settings[i].name, "own_private") == 0)
			spot_set(&own, &settings[i]);
	}
	getrlimit(RLIMIT_NOFILE, &now);
	forks_at_limit(&guard, now.rlim_max, "a guard page");
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	forks_at_limit(&own, now.rlim_max, "a mapping of its own");
}

/* A daemon that has closed every descriptor, the pool's among them. */
void
run_closed(const struct test_case *self)
{
	struct spot spot;
	struct spots spots = { &spot, 1 };

	(void)self;
	filler_write(1);
	if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) {
		cases_skip("without descriptors", strerror(errno));
		return;
	}
	for (size_t i = 0; i < NSETTINGS; i++) {
		if (strcmp(settings[i].name, "guard") == 0)
			spot_set(&spot, &settings[i]);
	}
	through_fork(&spots, NULL, "first fork");
	through_fork(&spots, NULL, "second fork");
}
