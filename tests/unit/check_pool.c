/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool.c: the suite of the tests of the pool, and functions that these tests share. */
#include "config.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_pool.h"
#include "os/linux_sys.h"

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

struct vmm_sys *
writable_calls(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *page = (char *)((uintptr_t)&vmm_sys & -size);

	ck_assert_int_eq(mprotect(page, (size_t)((char *)(&vmm_sys + 1) - page),
	    PROT_READ | PROT_WRITE), 0);
	return &vmm_sys;
}

/* Check runs each test in a process of its own, so each test opens its own pool. */
Suite *
make_suite(void)
{
	Suite *suite = suite_create("pool");
	TCase *tcase = tcase_create("pool");

	add_open_tests(tcase);
	add_reserve_tests(tcase);
	add_large_pages_tests(tcase);
	add_memory_tests(tcase);
	add_space_tests(tcase);
	add_fork_tests(tcase);
	add_os_tests(tcase);
	add_private_pages_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite;
}
