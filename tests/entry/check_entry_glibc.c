/* SPDX-License-Identifier: BSD-3-Clause */
/* check_entry_glibc.c: tests of glibc's functions that report on the heap or tune it. */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_entry.h"

/* The figures follow what the program allocates and frees. */
START_TEST(test_mallinfo)
{
	size_t size = 5 << 20;
	struct mallinfo2 before = mallinfo2();
	char *block = malloc(size);
	struct mallinfo2 during = mallinfo2();
	struct mallinfo small = mallinfo();

	ck_assert_ptr_nonnull(block);
	ck_assert_uint_ge(before.arena, before.uordblks);
	/* The thread's cache may free some of its blocks meanwhile. */
	ck_assert_uint_ge(during.uordblks + 65536, before.uordblks + size);
	ck_assert_uint_ge(during.arena, size);
	ck_assert_uint_eq(during.arena, during.uordblks + during.fordblks);
	ck_assert_uint_ge(during.ordblks, 1);
	ck_assert_uint_eq(during.hblks + during.hblkhd + during.usmblks, 0);
	ck_assert_int_ge(small.uordblks, (int)size);
	ck_assert_int_eq(small.arena, small.uordblks + small.fordblks);
	free(block);
	ck_assert_uint_lt(mallinfo2().uordblks, during.uordblks - size + 65536);
	/* malloc_trim could release keepcost bytes: the freed range, which its arena keeps. */
	ck_assert_uint_ge(mallinfo2().keepcost, size);
}
END_TEST

START_TEST(test_trim)
{
	size_t size = 5 << 20;
	char *block = malloc(size);
	size_t arena;

	memset(block, 1, size);
	free(block);
	arena = mallinfo2().arena;
	errno = 77;
	ck_assert_int_eq(malloc_trim(0), 1);
	ck_assert_int_eq(errno, 77);
	ck_assert_uint_le(mallinfo2().arena, arena - size);
	ck_assert_uint_eq(mallinfo2().keepcost, 0);
	/* mallinfo2 may itself have freed something. A first call trims that. */
	malloc_trim(0);
	ck_assert_int_eq(malloc_trim(SIZE_MAX), 0);
}
END_TEST

START_TEST(test_mallopt)
{
	size_t arena = mallinfo2().arena;

	ck_assert_int_eq(mallopt(M_MMAP_THRESHOLD, 1), 1);
	ck_assert_int_eq(mallopt(M_ARENA_MAX, 1), 1);
	ck_assert_int_eq(mallopt(12345, -1), 1);
	ck_assert_uint_eq(mallinfo2().arena, arena);
}
END_TEST

/* Returns the number that follows the last `name` in `text`. */
static size_t
number_after(const char *text, const char *name)
{
	const char *at, *found = NULL;

	for (at = text; (at = strstr(at, name)) != NULL; at++)
		found = at;
	ck_assert_msg(found != NULL, "%s in %s", name, text);
	return strtoul(found + strlen(name), NULL, 10);
}

START_TEST(test_malloc_info)
{
	static char text[4096];
	FILE *stream = fmemopen(text, sizeof(text), "w");
	size_t arena;

	ck_assert_int_eq(malloc_info(1, stream), EINVAL);
	setvbuf(stream, NULL, _IONBF, 0);
	arena = mallinfo2().arena;
	ck_assert_int_eq(malloc_info(0, stream), 0);
	fclose(stream);
	ck_assert(strncmp(text, "<malloc version=\"1\">\n", 21) == 0);
	ck_assert_ptr_nonnull(strstr(text, "</malloc>\n"));
	ck_assert_uint_eq(number_after(text,
	    "<system type=\"current\" size=\""), arena);
	ck_assert_uint_ge(number_after(text,
	    "<aspace type=\"total\" size=\""), arena);
}
END_TEST

START_TEST(test_malloc_stats)
{
	static char text[4096];
	struct mallinfo2 info;
	int ends[2];
	int saved = dup(STDERR_FILENO);
	ssize_t length;

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	info = mallinfo2();
	errno = 77;
	malloc_stats();
	ck_assert_int_eq(errno, 77);
	dup2(saved, STDERR_FILENO);
	length = read(ends[0], text, sizeof(text) - 1);
	ck_assert_int_gt(length, 0);
	text[length] = '\0';
	ck_assert_uint_eq(number_after(text, "system bytes     = "), info.arena);
	ck_assert_uint_eq(number_after(text, "in use bytes     = "),
	    info.uordblks);
	ck_assert_uint_ge(number_after(text, "pool bytes       = "), info.arena);
}
END_TEST

void
add_glibc_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_mallinfo);
	tcase_add_test(tcase, test_trim);
	tcase_add_test(tcase, test_mallopt);
	tcase_add_test(tcase, test_malloc_info);
	tcase_add_test(tcase, test_malloc_stats);
}
