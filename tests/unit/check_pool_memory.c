/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool_memory.c: a pool without a file, ":memory:". */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check_pool.h"
#include "os/linux_sys.h"
#include "pool/state.h"

/* Returns how many pages of [from, from + bytes) are in memory (mincore(2)). */
static size_t
resident(char *from, size_t bytes)
{
	static unsigned char vector[POOL_SIZE / 4096];
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	size_t count = 0;

	ck_assert_int_eq(mincore(from, bytes, vector), 0);
	for (size_t i = 0; i < bytes / size; i++)
		count += vector[i] & 1;
	return count;
}

START_TEST(test_memory_open)
{
	open_pool(":memory:", VMM_RESERVE_GROW, _i);
	vmm_pool_read_figures(&figures);
	ck_assert(vmm_pool_is_fileless());
	ck_assert(!figures.has_file);
	ck_assert(!figures.has_blocks);
	ck_assert_str_eq(figures.dir, ":memory:");
	ck_assert_uint_eq(figures.size, POOL_SIZE);
	ck_assert_int_eq(vmm_pool.file.fd, -1);
	ck_assert(!vmm_pool.return_pending);
}
END_TEST

/* All of the pool can be allocated. What is freed gives its memory back, and is zero again. */
START_TEST(test_memory_ranges)
{
	bool is_zero = false;
	char *range;

	open_pool(":memory:", VMM_RESERVE_GROW, _i);
	range = vmm_pool_allocate(NULL, POOL_SIZE, page_size, &is_zero);
	ck_assert_ptr_nonnull(range);
	ck_assert(is_zero);
	ck_assert_ptr_null(vmm_pool_allocate(NULL, page_size, page_size, &is_zero));
	ck_assert_uint_eq(resident(range, POOL_SIZE), 0);
	memset(range, 1, POOL_SIZE);
	vmm_pool_free(range, POOL_SIZE);
	ck_assert_uint_eq(resident(range, POOL_SIZE), 0);
	is_zero = true;
	ck_assert_ptr_eq(vmm_pool_allocate(NULL, POOL_SIZE, page_size, &is_zero), range);
	for (size_t i = 0; i < POOL_SIZE; i += 512)
		ck_assert_int_eq(range[i], 0);
}
END_TEST

START_TEST(test_memory_full)
{
	/* The emulator ignores MADV_POPULATE_WRITE. */
	if (is_emulated())
		return;
	open_pool(":memory:", VMM_RESERVE_FULL, _i);
	vmm_pool_read_figures(&figures);
	ck_assert_uint_eq(figures.reserved, POOL_SIZE);
	ck_assert_uint_eq(resident(vmm_pool.base, POOL_SIZE),
	    POOL_SIZE / (size_t)sysconf(_SC_PAGESIZE));
}
END_TEST

/* fork(2) changes nothing in such a pool, and nothing returns to a file. */
START_TEST(test_memory_fork)
{
	struct vmm_pool_fork fork;
	bool is_zero = false;
	char *range;

	open_pool(":memory:", VMM_RESERVE_GROW, _i);
	range = vmm_pool_allocate(NULL, MIB, page_size, &is_zero);
	memset(range, 1, MIB);
	ck_assert_int_eq(vmm_pool_fork_begin(&fork, VMM_FORK_PRIVATE), 0);
	vmm_pool_fork_end(&fork, true);
	ck_assert(!vmm_pool.return_pending);
	ck_assert(!vmm_pool_return());
	ck_assert_int_eq(range[MIB - 1], 1);
	ck_assert_ptr_nonnull(vmm_pool_allocate(NULL, 8 * MIB, page_size, &is_zero));
}
END_TEST

/* Control groups as this process could see them, and the limit that follows from them. */
struct groups {
	const char *own; /* /proc/thread-self/cgroup */
	struct { const char *path, *text; } limits[3];
	uint64_t limit;
};
static const struct groups groups[] = {
	/* version 2: the lowest of the group and those above it */
	{ "0::/a/b\n", { { "/sys/fs/cgroup/a/b/memory.max", "max\n" },
	    { "/sys/fs/cgroup/a/memory.max", "4096\n" },
	    { "/sys/fs/cgroup/memory.max", "8192\n" } }, 4096 },
	{ "0::/a\n", { { "/sys/fs/cgroup/a/memory.max", "max\n" } }, UINT64_MAX },
	/* a container that sees the host's path: only its own group exists, at the top */
	{ "0::/docker/12345\n", { { "/sys/fs/cgroup/memory.max", "4096\n" } }, 4096 },
	/* outside the namespace: the top is another's group */
	{ "0::/../other\n", { { "/sys/fs/cgroup/memory.max", "4096\n" } }, UINT64_MAX },
	/* version 1 beside version 2 */
	{ "5:cpu,memory:/a\n4:pids:/b\n0::/\n",
	    { { "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "4096\n" },
	    { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n" } }, 4096 },
	{ "5:memory:/\n", { { "/sys/fs/cgroup/memory/memory.limit_in_bytes",
	    "9223372036854771712\n" } }, UINT64_MAX },
	{ "", { { NULL, NULL } }, UINT64_MAX },
};
static const struct groups *seen;

static int
open_text(const char *text)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int
groups_openat(int directory, const char *path, int flags, mode_t mode)
{
	(void)directory;
	(void)flags;
	(void)mode;
	if (strstr(path, "/cgroup") != NULL && strncmp(path, "/proc/", 6) == 0)
		return open_text(seen->own);
	for (size_t i = 0; i < 3 && seen->limits[i].path != NULL; i++) {
		if (strcmp(path, seen->limits[i].path) == 0)
			return open_text(seen->limits[i].text);
	}
	errno = ENOENT;
	return -1;
}

START_TEST(test_memory_limit)
{
	seen = &groups[_i];
	writable_calls()->openat = groups_openat;
	ck_assert_uint_eq(vmm_os_memory_limit(), seen->limit);
}
END_TEST

void
add_memory_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, test_memory_limit, 0, sizeof(groups) / sizeof(groups[0]));
	tcase_add_loop_test(tcase, test_memory_open, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_memory_ranges, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_memory_full, 0, NPAGE_SIZES);
	tcase_add_loop_test(tcase, test_memory_fork, 0, NPAGE_SIZES);
}
