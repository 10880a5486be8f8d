/* SPDX-License-Identifier: BSD-3-Clause */
/* limits_memory.c: part of the program limits: allocates and forks when the limits of
 * mappings, address space or data are almost reached. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "limits.h"

/* Without the pool file's descriptor, fork(2) copies the heap into anonymous memory. */
static void
close_pool_if(const char *how)
{
	if (strcmp(how, "closed") == 0)
		close(disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR")));
}

/* The results so far. is_good: each malloc and fork worked or failed with ENOMEM, and the
 * content was right. */
static struct {
	int forks, failed_forks;
	int is_good;
} outcome;

static void
note_fork(pid_t pid, const char *limit)
{
	int error = errno;
	int is_child_good = pid > 0 && child_succeeds(pid);

	outcome.forks++;
	outcome.failed_forks += pid < 0;
	if (pid > 0 ? is_child_good : error == ENOMEM)
		return;
	printf("# %s: %s\n", limit, pid > 0 ? "the child failed" : strerror(error));
	outcome.is_good = 0;
}

/* Splits a mapping until the kernel refuses more mappings. Returns the number of splits. */
static size_t
split_mappings(char *place, size_t page, size_t most)
{
	size_t count = 0;

	/* Every second page gets another protection: that adds two mappings each time. */
	while (count < most && mprotect(place + 2 * count * page, page,
		PROT_READ) == 0)
		count++;
	printf("# %zu of %zu mappings\n", 2 * count, most);
	return count;
}

static size_t
mappings_max(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	size_t most = 0;

	if (file == NULL || fscanf(file, "%zu", &most) != 1 || most > 1000000)
		exit(77);
	fclose(file);
	return most;
}

static void
fork_with_few_mappings(int left)
{
	char limit[40];
	pid_t pid;

	snprintf(limit, sizeof(limit), "%d mappings left", left);
	errno = 0;
	outcome.is_good &= blocks_are(1) && (heap_grows() || errno == ENOMEM);
	errno = 0;
	pid = fork_setting == 0 ? -1 : fork();
	if (pid == 0)
		_exit(!(blocks_are(1) && blocks_write(3) && blocks_are(3)));
	if (fork_setting != 0)
		note_fork(pid, limit);
	outcome.is_good &= blocks_are(1) && blocks_write(2) && blocks_are(2) &&
	    blocks_write(1);
}

/* The kernel limits the number of mappings of a process (vm.max_map_count). */
void
without_mappings(const char *how)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t most = mappings_max(), count;
	char *place = mmap(NULL, 2 * most * page, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (place == MAP_FAILED)
		exit(77);
	tap_result(blocks_write(1), "the blocks are allocated");
	close_pool_if(how);
	count = split_mappings(place, page, most);
	outcome.is_good = 1;
	for (int left = 0; left < 24; left++) {
		fork_with_few_mappings(left);
		/* This makes room for one or two mappings. */
		if (count > 0 && mprotect(place + 2 * --count * page, page,
			PROT_NONE) != 0)
			break;
	}
	printf("# %d of %d forks failed\n", outcome.failed_forks, outcome.forks);
	tap_result(outcome.is_good, "few mappings: malloc and fork work or fail "
	    "with ENOMEM");
	munmap(place, 2 * most * page);
	check_heap(0, "many mappings again");
}

/* Returns the bytes that count for the limit: address space, or data and stack (proc(5)). */
static size_t
now_bytes(int resource)
{
	unsigned long pages[7] = { 0 };
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%lu %lu %lu %lu %lu %lu", &pages[0],
		&pages[1], &pages[2], &pages[3], &pages[4], &pages[5]) != 6)
		exit(77);
	fclose(file);
	return pages[resource == RLIMIT_AS ? 0 : 5] *
	    (size_t)sysconf(_SC_PAGESIZE);
}

/*
 * Allocates many blocks of small sizes, so that jemalloc's own memory grows as well.
 * Returns 0 if malloc failed with another error than ENOMEM, otherwise 1.
 */
static int
use_small_blocks(void)
{
	char *chain = NULL, *block;
	size_t size = 16;
	int count = 0;
	int is_good;

	errno = 0;
	while ((block = malloc(size)) != NULL && count++ < 8000) {
		memset(block, 0, size);
		*(char **)block = chain;
		chain = block;
		size = size % 3000 + 16;
	}
	is_good = block != NULL || errno == ENOMEM;
	free(block);
	while (chain != NULL) {
		block = chain;
		chain = *(char **)chain;
		free(block);
	}
	return is_good;
}

static void
fork_with_limit(unsigned more_mib)
{
	char limit[40];
	pid_t pid;

	snprintf(limit, sizeof(limit), "%u MiB more", more_mib);
	errno = 0;
	pid = fork_setting == 0 ? -1 : fork();
	if (pid == 0)
		_exit(!(blocks_are(1) && blocks_write(3) && use_small_blocks() &&
		    blocks_are(3)));
	if (fork_setting != 0)
		note_fork(pid, limit);
	outcome.is_good &= use_small_blocks() && blocks_are(1) && blocks_write(2) &&
	    blocks_are(2) && blocks_write(1);
}

/* Forks with limits of memory that are 0 to 400 MiB above what the process has. */
static void
limit_memory(int resource, const char *name, const char *how)
{
	static const unsigned more_mib[] = { 0, 2, 8, 16, 24, 40, 64, 80, 100,
		130, 200, 400 };
	struct rlimit before, limit;

	tap_result(blocks_write(1), "the blocks are allocated");
	close_pool_if(how);
	outcome.is_good = 1;
	getrlimit(resource, &before);
	for (size_t i = 0; i < sizeof(more_mib) / sizeof(more_mib[0]); i++) {
		limit = before;
		limit.rlim_cur = now_bytes(resource) +
		    ((size_t)more_mib[i] << 20);
		setrlimit(resource, &limit);
		fork_with_limit(more_mib[i]);
		setrlimit(resource, &before);
	}
	printf("# %s: %d of %d forks failed\n", name, outcome.failed_forks, outcome.forks);
	tap_result(outcome.is_good, "little memory: malloc and fork work or fail "
	    "with ENOMEM");
	check_heap(0, "without a limit");
}

void
limit_address_space(const char *how)
{
	limit_memory(RLIMIT_AS, "RLIMIT_AS", how);
}

void
limit_data(const char *how)
{
	limit_memory(RLIMIT_DATA, "RLIMIT_DATA", how);
}
