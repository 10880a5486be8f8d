/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool_private_pages.c: which pages of a private mapping were written (pagemap). */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check_pool.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* More than one read of pagemap returns. */
#define NPAGES 200

static unsigned char is_private[NPAGES];

/* Maps a file of NPAGES pages privately, and writes to every third page. */
static char *
map_and_write(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	FILE *file = tmpfile();
	char *map;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ftruncate(fileno(file), (off_t)(NPAGES * size)), 0);
	map = mmap(NULL, NPAGES * size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(file), 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	for (size_t i = 0; i < NPAGES; i++) {
		if (i % 3 == 0)
			map[i * size] = 1;
		else if (i % 3 == 1)
			ck_assert_int_eq(map[i * size], 0);
	}
	return map;
}

START_TEST(test_private_pages)
{
	char *map = map_and_write();

	vmm_os_private_pages(map, NPAGES, is_private);
	/* The emulator of one process reports nothing about pages. */
	if (is_emulated())
		return;
	for (size_t i = 0; i < NPAGES; i++)
		ck_assert_msg(is_private[i] == (i % 3 == 0), "page %zu", i);
}
END_TEST

static ssize_t
failing_pread(int fd, void *data, size_t size, off_t offset)
{
	(void)fd;
	(void)data;
	(void)size;
	(void)offset;
	errno = EPERM;
	return -1;
}

/* Pages about which nothing is known count as written: they are copied. */
START_TEST(test_private_pages_unknown)
{
	char *map = map_and_write();

	writable_calls()->pread = failing_pread;
	vmm_os_private_pages(map, NPAGES, is_private);
	for (size_t i = 0; i < NPAGES; i++)
		ck_assert_int_eq(is_private[i], 1);
}
END_TEST

void
add_private_pages_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_private_pages);
	tcase_add_test(tcase, test_private_pages_unknown);
}
