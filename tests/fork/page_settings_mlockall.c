/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_mlockall.c: part of the program page_settings: mlockall(2), which locks
 * the pages that the heap uses, and not the rest of the pool. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/disk.h"
#include "page_settings.h"
#include "../support/heap_return.h"
#include "../support/self.h"

#define USED_BYTES ((size_t)20 << 20)
/* What may be locked less than before: blocks that are allocated and freed meanwhile. */
#define LESS_KB 8192L
/* What may be locked or used more: these blocks, and the steps in which the pool grows. */
#define MORE_KB 32768L

struct sizes {
	long locked_kb; /* VmLck */
	long shared_kb; /* RssShmem: the pages of a pool in tmpfs */
	long file_kb;   /* blocks of the pool's file */
};

static struct sizes
measure(const char *when)
{
	int fd = disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR"));
	struct stat file = { .st_blocks = 0 };
	struct sizes sizes = {
		.locked_kb = self_status_kb("VmLck"),
		.shared_kb = self_status_kb("RssShmem"),
	};

	if (fd >= 0)
		fstat(fd, &file);
	sizes.file_kb = (long)file.st_blocks / 2;
	cases_comment("%s: locked %ld KiB, shared %ld KiB, file %ld KiB", when,
	    sizes.locked_kb, sizes.shared_kb, sizes.file_kb);
	return sizes;
}

/* As much is locked as before, but for some MiB: the process allocates and frees meanwhile. */
static int
is_as_locked(struct sizes now, struct sizes then)
{
	return now.locked_kb >= then.locked_kb - LESS_KB &&
	    now.locked_kb <= then.locked_kb + MORE_KB;
}

static int
is_no_larger(struct sizes now, struct sizes then)
{
	return now.shared_kb <= then.shared_kb + MORE_KB &&
	    now.file_kb <= then.file_kb + MORE_KB;
}

static char *used;

/* A child does not inherit memory locks: mlock(2). */
static int
child_is_unlocked(void *argument)
{
	(void)argument;
	return self_status_kb("VmLck") == 0 && used[USED_BYTES - 1] == 1;
}

void
run_lock(const struct test_case *self)
{
	struct heap_child child;
	struct sizes before, called, now;
	int is_good;

	used = malloc(USED_BYTES);
	memset(used, 1, USED_BYTES);
	filler_write(1);
	before = measure("before");
	if (mlockall(*(const int *)self->with) != 0) {
		cases_skip("mlockall does not fill the unused part of the pool",
		    strerror(errno));
		return;
	}
	called = measure("after mlockall");
	cases_result(is_no_larger(called, before),
	    "mlockall does not fill the unused part of the pool");
	cases_stage("forking");
	is_good = heap_child_start(&child, child_is_unlocked, NULL);
	filler_write(2);
	now = measure("after fork");
	cases_result(is_good && is_as_locked(now, called),
	    "locked pages are still locked after fork");
	cases_result(is_no_larger(now, called),
	    "fork does not fill the unused part of the pool");
	cases_result(heap_child_end(&child), "the child's heap is not locked");
	cases_stage("allocating until the heap returns");
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	now = measure("at the end");
	cases_result(is_as_locked(now, called) && filler_is(2),
	    "locked pages are still locked after the return");
	cases_result(is_no_larger(now, called),
	    "the return does not fill the unused part of the pool");
}
