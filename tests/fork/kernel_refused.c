/* SPDX-License-Identifier: BSD-3-Clause */
/* kernel_refused.c: part of the program kernel: a fork for which the kernel refuses
 * memory or mappings fails with ENOMEM and leaves the process as it was. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "kernel.h"
#include "../support/heap_return.h"
#include "../support/self.h"

#define NBLOCKS 16
#define BLOCK_BYTES ((size_t)1 << 20)
#define NHOLES 32
#define HOLE_BYTES ((size_t)2 << 20)
#define HEAP_BYTES (NBLOCKS * BLOCK_BYTES + NHOLES * HOLE_BYTES)
#define RETURN_LIMIT_MS 1000
/* A refused fork leaves no mappings. Meanwhile libc may have made a mapping of its own. */
#define REFUSED_MAPPINGS 1
/* After successful forks the pool may consist of a few more parts. */
#define MORE_MAPPINGS 10

/* Makes blocks with holes between them. */
static int
make_heap(void)
{
	static void *kept[NHOLES], *hole[NHOLES];
	int is_good = 1;

	for (int i = 0; i < NHOLES; i++) {
		is_good &= posix_memalign(&kept[i], HOLE_BYTES, HOLE_BYTES) == 0;
		is_good &= posix_memalign(&hole[i], HOLE_BYTES, HOLE_BYTES) == 0;
	}
	for (int i = 0; is_good && i < NHOLES; i++) {
		memset(kept[i], i, HOLE_BYTES);
		free(hole[i]);
	}
	malloc_trim(0);
	blocks_set(NBLOCKS, BLOCK_BYTES);
	is_good &= blocks_write(1);
	cases_result(is_good, "a heap with holes is made");
	return is_good;
}

/*
 * Returns 1 if fork succeeds, 0 if it is refused. *is_wrong becomes true if its child is
 * wrong, if errno is not ENOMEM, or if a refused fork leaves mappings behind.
 */
static int
fork_or_not(int *is_wrong)
{
	int mappings = self_mappings(), now;
	pid_t pid;

	errno = 0;
	pid = fork();
	if (pid == 0)
		_exit(!blocks_are(1));
	if (pid > 0) {
		*is_wrong |= !child_succeeds(pid);
		return 1;
	}
	*is_wrong |= errno != ENOMEM;
	now = self_mappings();
	if (now > mappings + REFUSED_MAPPINGS) {
		cases_comment("%d mappings before the refused fork, %d after it",
		    mappings, now);
		*is_wrong = 1;
	}
	return 0;
}

/* Whether the heap can be read, written and grown, with few more mappings than before. */
static int
is_heap_usable(int mappings)
{
	static unsigned seed = 1;
	char *more = malloc(BLOCK_BYTES);
	int now, is_good = more != NULL && heap_allocate(&seed);

	if (more != NULL)
		memset(more, 1, BLOCK_BYTES);
	free(more);
	is_good &= blocks_are(1) && blocks_write(1) && heap_allocate(&seed);
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	now = self_mappings();
	if (now > mappings + MORE_MAPPINGS)
		cases_comment("%d mappings before all forks, %d after them", mappings,
		    now);
	return is_good && blocks_are(1) && now <= mappings + MORE_MAPPINGS;
}

static int
is_refused_cleanly(int is_wrong, int mappings)
{
	if (is_wrong)
		cases_comment("a fork had a wrong child, an errno other than ENOMEM, or"
		    " left mappings");
	return !is_wrong && is_heap_usable(mappings);
}

/*
 * vm.overcommit_memory=2
 */

#define COMMIT_STEP ((size_t)4 << 20)
#define COMMIT_TRIES 8

/* The number behind `word` in a file of /proc, or the first number if `word` is NULL. -1 if
 * there is none. */
static long
number_in(const char *path, const char *word)
{
	static char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	const char *at = text;

	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return -1;
	text[got] = '\0';
	if (word != NULL)
		at = strstr(text, word);
	return at != NULL ? atol(at + (word != NULL ? strlen(word) : 0)) : -1;
}

static size_t
uncommitted_bytes(void)
{
	long left_kb = number_in("/proc/meminfo", "CommitLimit:") -
	    number_in("/proc/meminfo", "Committed_AS:");

	return left_kb > 0 ? (size_t)left_kb * 1024 : 0;
}

/*
 * Commits most of the memory that the kernel still grants, so that fork(2) fails. If the
 * memory is shared, the rest is too small for the heap to leave its file. If it is private,
 * the heap can leave; but clone(2) fails, since the memory counts again for the child.
 */
static void *
commit_memory(int is_private, size_t *bytes)
{
	int flags = MAP_ANONYMOUS | (is_private ? MAP_PRIVATE : MAP_SHARED);
	size_t left = uncommitted_bytes();
	/* The kernel keeps a reserve for the user, which depends on the process's size. */
	long kept_kb = number_in("/proc/sys/vm/user_reserve_kbytes", NULL);
	size_t rest = is_private ? 2 * HEAP_BYTES + (size_t)kept_kb * 1024
				 : HEAP_BYTES / 2;
	void *committed = MAP_FAILED;

	if (left < 2 * rest + HEAP_BYTES)
		return MAP_FAILED;
	/* The kernel's own sum is less exact than the sum that it prints. */
	*bytes = left - rest;
	for (int i = 0; committed == MAP_FAILED && i < COMMIT_TRIES; i++) {
		*bytes -= COMMIT_STEP;
		committed = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	}
	return committed;
}

void
run_overcommit(const struct test_case *self)
{
	size_t bytes;
	int mappings, is_done, is_wrong = 0;
	void *committed;

	if (number_in("/proc/sys/vm/overcommit_memory", NULL) != 2) {
		cases_skip("the kernel refuses the fork",
		    "vm.overcommit_memory is not 2");
		return;
	}
	if (!make_heap())
		return;
	committed = commit_memory(*(const int *)self->with, &bytes);
	if (committed == MAP_FAILED) {
		cases_skip("the kernel refuses the fork", "there is too little memory");
		return;
	}
	mappings = self_mappings();
	is_done = fork_or_not(&is_wrong);
	munmap(committed, bytes);
	cases_comment("fork %s", is_done ? "succeeded" : "was refused");
	cases_result(!is_done, "the kernel refuses the fork");
	cases_result(is_refused_cleanly(is_wrong, mappings - 1),
	    "a refused fork leaves the process as it was");
}

/*
 * vm.max_map_count
 */

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))
#define MAPPINGS_MAX 2000000

/* Makes pages 1, 3, 5... of the region readable until ENOMEM. Returns how many are. */
static size_t
use_up_mappings(char *region, size_t npages)
{
	size_t page = 1;

	while (page < npages &&
	    mprotect(region + page * PAGE, PAGE, PROT_READ) == 0)
		page += 2;
	return page / 2;
}

/* Before each fork so many pages become inaccessible again; each frees two mappings. */
static const size_t pages_freed[] = { 0, 1, 1, 1, 2, 4, 8, 16, 64 };

void
run_mappings(const struct test_case *self)
{
	long limit = number_in("/proc/sys/vm/max_map_count", NULL);
	size_t bytes = (size_t)limit * 2 * PAGE, readable;
	int before, refused = 0, is_wrong = 0;
	char *region;

	(void)self;
	if (limit < 0 || limit > MAPPINGS_MAX) {
		cases_skip("the kernel refuses some forks near vm.max_map_count",
		    "vm.max_map_count is too large");
		return;
	}
	if (!make_heap())
		return;
	before = self_mappings();
	region = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readable = use_up_mappings(region, bytes / PAGE);
	cases_comment("%d mappings of %ld", self_mappings(), limit);
	for (size_t i = 0; i < sizeof(pages_freed) / sizeof(pages_freed[0]); i++) {
		cases_stage("fork number %d", (int)i);
		for (size_t n = 0; n < pages_freed[i]; n++) {
			size_t page = 2 * --readable + 1;

			mprotect(region + page * PAGE, PAGE, PROT_NONE);
		}
		refused += !fork_or_not(&is_wrong);
		is_wrong |= !blocks_are(1);
	}
	munmap(region, bytes);
	cases_comment("%d forks were refused", refused);
	/* The ordinary heap needs no mappings for a fork. */
	cases_result(getenv("VMMALLOC_POOL_DIR") == NULL || refused > 0,
	    "the kernel refuses some forks near vm.max_map_count");
	cases_result(is_refused_cleanly(is_wrong, before),
	    "each fork succeeds, or leaves the process as it was");
}

/*
 * Limits of setrlimit(2)
 */

static const rlim_t room_mb[] = { 0, 1, 16, 48, 80 };

void
run_limit(const struct test_case *self)
{
	int resource = *(const int *)self->with;
	int before, refused = 0, is_wrong = 0;
	struct rlimit limit, saved;

	if (!make_heap())
		return;
	before = self_mappings();
	getrlimit((__rlimit_resource_t)resource, &saved);
	for (size_t i = 0; i < sizeof(room_mb) / sizeof(room_mb[0]); i++) {
		long used_kb = self_status_kb(resource == RLIMIT_AS ? "VmSize"
								    : "VmData");

		cases_stage("fork with room for %d MiB", (int)room_mb[i]);
		limit = saved;
		limit.rlim_cur = (rlim_t)used_kb * 1024 + (room_mb[i] << 20);
		setrlimit((__rlimit_resource_t)resource, &limit);
		refused += !fork_or_not(&is_wrong);
		is_wrong |= !blocks_are(1);
		setrlimit((__rlimit_resource_t)resource, &saved);
	}
	cases_comment("%d forks were refused", refused);
	cases_result(is_refused_cleanly(is_wrong, before),
	    "each fork succeeds, or leaves the process as it was");
}
