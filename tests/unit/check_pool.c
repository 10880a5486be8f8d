/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool.c: the suite of the tests of the pool, and functions that these tests share. */
#include "config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "check_pool.h"

const size_t page_sizes[NPAGE_SIZES] = { 0, 16384, 65536 };
size_t page_size;
struct vmm_pool_figures figures;

const char *
pool_dir(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".";
}

void
open_pool(const char *dir, enum vmm_reserve reserve, int number)
{
	struct vmm_settings settings = {
		.pool_dir = dir, .pool_size_bytes = POOL_SIZE,
		.fork = VMM_FORK_PRIVATE, .reserve = reserve, .conf = "",
		.page_size_bytes = page_sizes[number],
	};
	struct vmm_text error;

	page_size = page_sizes[number] != 0 ? page_sizes[number]
					    : (size_t)sysconf(_SC_PAGESIZE);

	ck_assert_msg(vmm_pool_open(&settings, &error), "%s", error.data);
}

bool
is_emulated(void)
{
	struct stat tasks;

	return stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink > 3;
}

/* Check runs each test in a process of its own, so each test opens its own pool. */
Suite *
make_suite(void)
{
	Suite *suite = suite_create("pool");
	TCase *tcase = tcase_create("pool");

	add_open_tests(tcase);
	add_reserve_tests(tcase);
	add_space_tests(tcase);
	add_fork_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite;
}
