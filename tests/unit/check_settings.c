/* SPDX-License-Identifier: BSD-3-Clause */
/* check_settings.c: tests of the table of environment variables. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/settings.h"
#include "check_main.h"

/* The environment of a test: pairs of name and value. */
static const char *environment[16];

static const char *
get(const char *name)
{
	for (size_t i = 0; environment[i] != NULL; i += 2) {
		if (strcmp(environment[i], name) == 0)
			return environment[i + 1];
	}
	return NULL;
}

static struct vmm_settings settings;
static struct vmm_text error;

/* Reads the settings from `name`=`value` and the two required variables. */
static bool
read_with(const char *name, const char *value)
{
	size_t at = 0;

	memset(environment, 0, sizeof(environment));
	environment[at++] = name;
	environment[at++] = value;
	environment[at++] = "VMMALLOC_POOL_DIR";
	environment[at++] = "/somewhere";
	environment[at++] = "VMMALLOC_POOL_SIZE";
	environment[at] = "64M";
	return vmm_settings_read(&settings, get, &error);
}

/* The same, but the library must refuse the value with `first` as the first line. */
static void
check_refused(const char *name, const char *value, const char *first)
{
	const char *second;

	ck_assert_msg(!read_with(name, value), "%s=%s", name, value);
	second = strchr(error.data, '\n');
	ck_assert_ptr_nonnull(second);
	ck_assert_uint_eq((size_t)(second - error.data), strlen(first));
	ck_assert(memcmp(error.data, first, strlen(first)) == 0);
	ck_assert(strncmp(second + 1, "libvmmalloc: ", 13) == 0);
	/* There are two lines, and one of them shows the value. */
	ck_assert_ptr_eq(strchr(second + 1, '\n'),
	    error.data + error.length - 1);
	ck_assert_ptr_nonnull(strstr(error.data, value));
}

START_TEST(test_defaults)
{
	ck_assert(read_with("OTHER", "x"));
	ck_assert_str_eq(settings.pool_dir, "/somewhere");
	ck_assert_uint_eq(settings.pool_size_bytes, 64 << 20);
	ck_assert_int_eq(settings.fork, VMM_FORK_PRIVATE);
	ck_assert_int_eq(settings.reserve, VMM_RESERVE_GROW);
	ck_assert_str_eq(settings.conf, "");
}
END_TEST

START_TEST(test_missing)
{
	memset(environment, 0, sizeof(environment));
	ck_assert(!vmm_settings_read(&settings, get, &error));
	ck_assert_ptr_nonnull(strstr(error.data, "Error (libvmmalloc): "
	    "environment variable VMMALLOC_POOL_DIR not specified\n"));
	environment[0] = "VMMALLOC_POOL_DIR";
	environment[1] = "/";
	ck_assert(!vmm_settings_read(&settings, get, &error));
	ck_assert_ptr_nonnull(strstr(error.data, "Error (libvmmalloc): "
	    "environment variable VMMALLOC_POOL_SIZE not specified\n"));
}
END_TEST

static const struct {
	const char *text;
	uint64_t bytes;
} sizes[] = {
	{ "14680064", 14680064 },
	{ "14336K", 14680064 },
	{ "14M", 14680064 },
	{ "14m", 14680064 },
	{ "064M", 64 << 20 },
	{ "20000001", 20000001 },
	{ "2G", (uint64_t)2 << 30 },
	{ "3T", (uint64_t)3 << 40 },
	{ "9223372036854775807", INT64_MAX },
};

START_TEST(test_size_accepted)
{
	if (sizes[_i].bytes > PTRDIFF_MAX)
		return;
	ck_assert(read_with("VMMALLOC_POOL_SIZE", sizes[_i].text));
	ck_assert_uint_eq(settings.pool_size_bytes, sizes[_i].bytes);
}
END_TEST

static const char *const no_sizes[] = {
	"", "abc", "10X", "M", "64MB", "64MiB", "64 M", " 64M", "64M ", "6.4G",
	"0x4000000", "1e9", "+64M", "-", "-M", "-12X", "64@", "64-",
	"18446744073709551616", "99999999999999999999999", "18014398509481984K",
	"17592186044416M", "17179869184G", "16777216T", "9223372036854775808",
	"8388608T",
};

START_TEST(test_size_refused)
{
	struct vmm_text line;

	vmm_text_clear(&line);
	vmm_text_str(&line,
	    "Error (libvmmalloc): incorrect VMMALLOC_POOL_SIZE value (");
	vmm_text_str(&line, no_sizes[_i]);
	vmm_text_str(&line, ")");
	check_refused("VMMALLOC_POOL_SIZE", no_sizes[_i], line.data);
}
END_TEST

START_TEST(test_size_too_small)
{
	check_refused("VMMALLOC_POOL_SIZE", "1048576", "Error (libvmmalloc): "
	    "VMMALLOC_POOL_SIZE value is less than minimum "
	    "(1048576 < 14680064)");
	check_refused("VMMALLOC_POOL_SIZE", "1M", "Error (libvmmalloc): "
	    "VMMALLOC_POOL_SIZE value is less than minimum "
	    "(1048576 < 14680064)");
	check_refused("VMMALLOC_POOL_SIZE", "14680063", "Error (libvmmalloc): "
	    "VMMALLOC_POOL_SIZE value is less than minimum "
	    "(14680063 < 14680064)");
	check_refused("VMMALLOC_POOL_SIZE", "0", "Error (libvmmalloc): "
	    "VMMALLOC_POOL_SIZE value is less than minimum (0 < 14680064)");
}
END_TEST

START_TEST(test_size_negative)
{
	check_refused("VMMALLOC_POOL_SIZE", "-1",
	    "Error (libvmmalloc): negative VMMALLOC_POOL_SIZE");
	check_refused("VMMALLOC_POOL_SIZE", "-64M",
	    "Error (libvmmalloc): negative VMMALLOC_POOL_SIZE");
}
END_TEST

START_TEST(test_fork)
{
	ck_assert(read_with("VMMALLOC_FORK", "0"));
	ck_assert_int_eq(settings.fork, VMM_FORK_NONE);
	ck_assert(read_with("VMMALLOC_FORK", "1"));
	ck_assert_int_eq(settings.fork, VMM_FORK_PRIVATE);
	ck_assert(read_with("VMMALLOC_FORK", "2"));
	ck_assert_int_eq(settings.fork, VMM_FORK_COPY);
	ck_assert(read_with("VMMALLOC_FORK", "3"));
	ck_assert_int_eq(settings.fork, VMM_FORK_ANY);
	check_refused("VMMALLOC_FORK", "4",
	    "Error (libvmmalloc): incorrect VMMALLOC_FORK value (4)");
	check_refused("VMMALLOC_FORK", "",
	    "Error (libvmmalloc): incorrect VMMALLOC_FORK value ()");
	check_refused("VMMALLOC_FORK", "1x",
	    "Error (libvmmalloc): incorrect VMMALLOC_FORK value (1x)");
	check_refused("VMMALLOC_FORK", "-1",
	    "Error (libvmmalloc): incorrect VMMALLOC_FORK value (-1)");
	check_refused("VMMALLOC_FORK", "18446744073709551617", "Error (libvmmalloc): "
	    "incorrect VMMALLOC_FORK value (18446744073709551617)");
}
END_TEST

START_TEST(test_reserve)
{
	ck_assert(read_with("VMMALLOC_RESERVE", "grow"));
	ck_assert_int_eq(settings.reserve, VMM_RESERVE_GROW);
	ck_assert(read_with("VMMALLOC_RESERVE", "full"));
	ck_assert_int_eq(settings.reserve, VMM_RESERVE_FULL);
	check_refused("VMMALLOC_RESERVE", "Full",
	    "Error (libvmmalloc): incorrect VMMALLOC_RESERVE value (Full)");
	check_refused("VMMALLOC_RESERVE", "",
	    "Error (libvmmalloc): incorrect VMMALLOC_RESERVE value ()");
}
END_TEST

START_TEST(test_conf)
{
	ck_assert(read_with("VMMALLOC_CONF", "narenas:2"));
	ck_assert_str_eq(settings.conf, "narenas:2");
}
END_TEST

START_TEST(test_log)
{
	for (char level[] = "0"; level[0] <= '4'; level[0]++) {
		ck_assert(read_with("VMMALLOC_LOG_LEVEL", level));
		ck_assert_int_eq(settings.log_level, level[0] - '0');
	}
	check_refused("VMMALLOC_LOG_LEVEL", "5",
	    "Error (libvmmalloc): incorrect VMMALLOC_LOG_LEVEL value (5)");
	check_refused("VMMALLOC_LOG_LEVEL", "x",
	    "Error (libvmmalloc): incorrect VMMALLOC_LOG_LEVEL value (x)");
	ck_assert_str_eq(settings.log_file, "");
	ck_assert(read_with("VMMALLOC_LOG_FILE", "/a/b-"));
	ck_assert_str_eq(settings.log_file, "/a/b-");
	ck_assert(!settings.log_stats);
	ck_assert(read_with("VMMALLOC_LOG_STATS", "1"));
	ck_assert(settings.log_stats);
	check_refused("VMMALLOC_LOG_STATS", "2",
	    "Error (libvmmalloc): incorrect VMMALLOC_LOG_STATS value (2)");
}
END_TEST

/* A control character in a value must not begin a line or reach the terminal. */
START_TEST(test_control_characters)
{
	ck_assert(!read_with("VMMALLOC_FORK", "9\nError (libvmmalloc): \033[2J\177"));
	ck_assert_ptr_nonnull(strstr(error.data,
	    "VMMALLOC_FORK is 9?Error (libvmmalloc): ?[2J?, not supported"));
	ck_assert_ptr_eq(strchr(strchr(error.data, '\n') + 1, '\n'),
	    error.data + error.length - 1);
	ck_assert(!read_with("VMMALLOC_POOL_SIZE", "64\r"));
	ck_assert_ptr_nonnull(strstr(error.data, "VMMALLOC_POOL_SIZE value (64?)"));
}
END_TEST

/* A message must end properly, however long the value is that it quotes. */
START_TEST(test_long_value)
{
	static char value[8192];

	memset(value, 'x', sizeof(value) - 1);
	ck_assert(!read_with("VMMALLOC_FORK", value));
	ck_assert_uint_eq(strlen(error.data), error.length);
	ck_assert_ptr_nonnull(strstr(error.data, "xxx...)\nlibvmmalloc: "));
	ck_assert_ptr_nonnull(strstr(error.data, "accepted: 0, 1, 2, 3\n"));
}
END_TEST

START_TEST(test_auto_never)
{
	ck_assert(read_with("VMMALLOC_LARGE_PAGES", "never"));
	ck_assert(settings.never_large_pages && !settings.never_stop_threads);
	ck_assert(read_with("VMMALLOC_STOP_THREADS", "never"));
	ck_assert(!settings.never_large_pages && settings.never_stop_threads);
	check_refused("VMMALLOC_LARGE_PAGES", "always",
	    "Error (libvmmalloc): incorrect VMMALLOC_LARGE_PAGES value (always)");
}
END_TEST

static const struct {
	const char *text;
	enum vmm_numa_mode mode;
	const char *nodes; /* as vmm_numa_append writes them */
} policies[] = {
	{ "", VMM_NUMA_NONE, "" },
	{ "bind:0", VMM_NUMA_BIND, "0" },
	{ "preferred:7", VMM_NUMA_PREFERRED, "7" },
	{ "preferred-many:1-3", VMM_NUMA_PREFERRED_MANY, "1-3" },
	{ "interleave:0,2", VMM_NUMA_INTERLEAVE, "0,2" },
	{ "weighted:5,0-1,63-65,1023", VMM_NUMA_WEIGHTED, "0-1,5,63-65,1023" },
	{ "bind:3,2,2-4", VMM_NUMA_BIND, "2-4" },
};

START_TEST(test_numa)
{
	struct vmm_text nodes;

	ck_assert(read_with("VMMALLOC_NUMA", policies[_i].text));
	ck_assert_int_eq(settings.numa.mode, policies[_i].mode);
	vmm_text_clear(&nodes);
	vmm_numa_append(&nodes, &settings.numa.nodes);
	ck_assert_str_eq(nodes.data, policies[_i].nodes);
}
END_TEST

static const char *const no_policies[] = { "bind", "bind:", "bind:x", "bind:0,", "bind:,0",
	"bind:1-0", "bind:0-", "bind:1024", "bind:99999999999", "bind:0 ", "Bind:0", "local",
	"bind:0x1", "preferred:0,1", "preferred:", "bind:-1" };

START_TEST(test_numa_refused)
{
	char first[128];

	snprintf(first, sizeof(first), "Error (libvmmalloc): incorrect VMMALLOC_NUMA value (%s)",
	    no_policies[_i]);
	check_refused("VMMALLOC_NUMA", no_policies[_i], first);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("settings");
	TCase *tcase = tcase_create("settings");

	tcase_add_test(tcase, test_defaults);
	tcase_add_test(tcase, test_missing);
	tcase_add_loop_test(tcase, test_size_accepted, 0,
	    sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_loop_test(tcase, test_size_refused, 0,
	    sizeof(no_sizes) / sizeof(no_sizes[0]));
	tcase_add_test(tcase, test_size_too_small);
	tcase_add_test(tcase, test_size_negative);
	tcase_add_test(tcase, test_fork);
	tcase_add_test(tcase, test_reserve);
	tcase_add_test(tcase, test_conf);
	tcase_add_test(tcase, test_auto_never);
	tcase_add_loop_test(tcase, test_numa, 0, sizeof(policies) / sizeof(policies[0]));
	tcase_add_loop_test(tcase, test_numa_refused, 0,
	    sizeof(no_policies) / sizeof(no_policies[0]));
	tcase_add_test(tcase, test_control_characters);
	tcase_add_test(tcase, test_long_value);
	/* Only the debug variant's table has this setting. */
	for (size_t i = 0; i < vmm_settings_count; i++) {
		if (strcmp(vmm_settings_table[i].name, "VMMALLOC_LOG_LEVEL") == 0)
			tcase_add_test(tcase, test_log);
	}
	suite_add_tcase(suite, tcase);
	return suite;
}
