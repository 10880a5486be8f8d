/* SPDX-License-Identifier: BSD-3-Clause */
/* settings.c: the table of environment variables, and the parser of each. */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "base/settings.h"
#include "libvmmalloc.h"

/*
 * The first line of each message is an interface: scripts written for the discontinued
 * library of the same name search for it.
 */
#define FIRST_LINE "Error (libvmmalloc): "
#define SECOND_LINE "\nlibvmmalloc: "

/* Appends the second line: the variable, its value, the problem and what is accepted. */
static void
add_reason(const struct vmm_setting *setting, const char *value,
    const char *problem, struct vmm_text *error)
{
	vmm_text_str(error, SECOND_LINE);
	vmm_text_str(error, setting->name);
	vmm_text_str(error, " is ");
	if (value[0] != '\0') {
		vmm_text_quote(error, value);
		vmm_text_str(error, ", ");
		vmm_text_str(error, problem);
	} else {
		vmm_text_str(error, "empty");
	}
	vmm_text_str(error, "; accepted: ");
	vmm_text_str(error, setting->accepted);
	vmm_text_str(error, "\n");
}

static bool
refuse(const struct vmm_setting *setting, const char *value,
    const char *problem, struct vmm_text *error)
{
	vmm_text_str(error, FIRST_LINE "incorrect ");
	vmm_text_str(error, setting->name);
	vmm_text_str(error, " value (");
	vmm_text_quote(error, value);
	vmm_text_str(error, ")");
	add_reason(setting, value, problem, error);
	return false;
}

/*
 * Reads decimal digits. Returns the text behind them, or NULL if there is no digit or the
 * number exceeds 64 bits. Unlike strtoull(3) it accepts no sign and no white space and
 * does not depend on the locale.
 */
static const char *
read_number(const char *str, uint64_t *number)
{
	const char *at = str;

	*number = 0;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, *at - '0', number))
			return NULL;
	}
	return at == str ? NULL : at;
}

/*
 * Multiplies by the suffix: K, M, G or T (powers of 1024, also in lower case), or none.
 * Returns false for another suffix, or if the size overflows.
 */
static bool
apply_suffix(const char *suffix, uint64_t *bytes)
{
	static const char letters[] = "KMGT";
	unsigned upper = *suffix & ~0x20U;
	uint64_t unit = 1;

	if (*suffix == '\0')
		return true;
	if (suffix[1] != '\0')
		return false;
	for (const char *letter = letters; *letter != '\0'; letter++) {
		unit *= 1024;
		if ((unsigned)*letter == upper)
			return !__builtin_mul_overflow(*bytes, unit, bytes);
	}
	return false;
}

static bool
refuse_negative(const struct vmm_setting *setting, const char *value,
    struct vmm_text *error)
{
	vmm_text_str(error, FIRST_LINE "negative VMMALLOC_POOL_SIZE");
	add_reason(setting, value, "a negative size", error);
	return false;
}

static bool
refuse_small(const struct vmm_setting *setting, uint64_t bytes, const char *value,
    struct vmm_text *error)
{
	vmm_text_str(error, FIRST_LINE
	    "VMMALLOC_POOL_SIZE value is less than minimum (");
	vmm_text_uint(error, bytes);
	vmm_text_str(error, " < ");
	vmm_text_uint(error, VMMALLOC_MIN_POOL);
	vmm_text_str(error, ")");
	add_reason(setting, value, "too small", error);
	return false;
}

static bool
parse_pool_dir(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	if (value[0] == '\0')
		return refuse(setting, value, "", error);
	/* vmm_pool_open reports a directory that cannot hold the pool file. */
	settings->pool_dir = value;
	return true;
}

static bool
parse_pool_size(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	uint64_t bytes;
	bool is_negative = value[0] == '-';
	const char *suffix = read_number(value + is_negative, &bytes);

	if (suffix == NULL || !apply_suffix(suffix, &bytes))
		return refuse(setting, value, "not a size", error);
	if (is_negative)
		return refuse_negative(setting, value, error);
	if (bytes < VMMALLOC_MIN_POOL)
		return refuse_small(setting, bytes, value, error);
	if (bytes > PTRDIFF_MAX)
		return refuse(setting, value,
		    "larger than the address space", error);
	settings->pool_size_bytes = (size_t)bytes;
	return true;
}

/* Reads a number from 0 to `max`. */
static bool
parse_number(const struct vmm_setting *setting, const char *value, uint64_t max,
    uint64_t *number, struct vmm_text *error)
{
	const char *rest = read_number(value, number);

	if (rest == NULL || *rest != '\0' || *number > max)
		return refuse(setting, value, "not supported", error);
	return true;
}

static bool
parse_fork(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	uint64_t number;

	if (!parse_number(setting, value, VMM_FORK_ANY, &number, error))
		return false;
	settings->fork = (enum vmm_fork)number;
	return true;
}

static bool
parse_reserve(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	if (strcmp(value, "grow") == 0)
		settings->reserve = VMM_RESERVE_GROW;
	else if (strcmp(value, "full") == 0)
		settings->reserve = VMM_RESERVE_FULL;
	else
		return refuse(setting, value, "not supported", error);
	return true;
}

/* The pair `name:value` behind the next comma; NULL behind the last pair. */
static const char *
next_pair(const char *pair)
{
	pair = strchr(pair, ',');
	return pair == NULL ? NULL : pair + 1;
}

/* Whether a pair has the same name as a pinned pair, but another value. */
static bool
contradicts(const char *pair, const char *pinned)
{
	size_t length = strcspn(pinned, ",");

	return strncmp(pair, pinned, strcspn(pinned, ":") + 1) == 0 &&
	    (strcspn(pair, ",") != length || strncmp(pair, pinned, length) != 0);
}

static bool
refuse_pair(const struct vmm_setting *setting, const char *value, const char *pinned,
    struct vmm_text *error)
{
	struct vmm_text problem;

	vmm_text_clear(&problem);
	vmm_text_str(&problem, pinned);
	problem.length = strcspn(pinned, ",");
	vmm_text_str(&problem, " cannot be changed");
	return refuse(setting, value, problem.data, error);
}

static bool
parse_conf(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	const char *pair, *pinned;

	for (pair = value; pair != NULL; pair = next_pair(pair)) {
		for (pinned = VMM_CONF_PINNED; pinned != NULL; pinned = next_pair(pinned)) {
			if (contradicts(pair, pinned))
				return refuse_pair(setting, value, pinned, error);
		}
	}
	/* jemalloc checks all other options; lib/jemalloc/conf.c reports a rejected one. */
	settings->conf = value;
	return true;
}

/* Reads "auto" or "never". */
static bool
parse_auto_never(const struct vmm_setting *setting, const char *value, bool *never,
    struct vmm_text *error)
{
	if (strcmp(value, "auto") != 0 && strcmp(value, "never") != 0)
		return refuse(setting, value, "not supported", error);
	*never = value[0] == 'n';
	return true;
}

static bool
parse_stop_threads(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	return parse_auto_never(setting, value, &settings->never_stop_threads, error);
}

static bool
parse_large_pages(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	return parse_auto_never(setting, value, &settings->never_large_pages, error);
}

static bool
parse_numa(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	const char *problem = vmm_numa_parse(value, &settings->numa);

	settings->numa_text = value;
	return problem == NULL || refuse(setting, value, problem, error);
}

#ifdef VMMALLOC_DEBUG
static bool
parse_log_level(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	uint64_t number;

	if (!parse_number(setting, value, VMM_LOG_MAX, &number, error))
		return false;
	settings->log_level = (int)number;
	return true;
}

static bool
parse_log_file(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	(void)setting;
	(void)error;
	/* lib/heap/start.c reports a file that cannot be opened. */
	settings->log_file = value;
	return true;
}

static bool
parse_log_stats(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	uint64_t number;

	if (!parse_number(setting, value, 1, &number, error))
		return false;
	settings->log_stats = number != 0;
	return true;
}
#endif

const struct vmm_setting vmm_settings_table[] = {
	{ "VMMALLOC_POOL_DIR", NULL, "a writable directory, a device such as /dev/dax0.0,"
	    " :memory:, :memory:2M or :memory:1G", "the place of the pool", parse_pool_dir },
	{ "VMMALLOC_POOL_SIZE", NULL,
	    "a number of bytes, or a number and one of K, M, G, T; at least 14M",
	    "the size of the pool", parse_pool_size },
	{ "VMMALLOC_FORK", "1", "0, 1, 2, 3",
	    "the heaps of parent and child after fork(2)", parse_fork },
	{ "VMMALLOC_RESERVE", "grow", "grow, full",
	    "when the file system reserves blocks for the pool", parse_reserve },
	{ "VMMALLOC_CONF", "",
	    "options of jemalloc(3), TUNING, except dss, hpa, background_thread, zero_realloc",
	    "options for the private jemalloc, as in MALLOC_CONF", parse_conf },
	{ "VMMALLOC_STOP_THREADS", "auto", "auto, never",
	    "whether the library may stop threads at and after a fork(2)",
	    parse_stop_threads },
	{ "VMMALLOC_NUMA", "",
	    "bind, preferred, preferred-many, interleave or weighted, a colon, and nodes"
	    " such as 0,2-3", "the memory nodes of the pool", parse_numa },
	{ "VMMALLOC_LARGE_PAGES", "auto", "auto, never",
	    "whether the library makes large pages", parse_large_pages },
#ifdef VMMALLOC_DEBUG
	{ "VMMALLOC_LOG_LEVEL", "0", "0, 1, 2, 3, 4",
	    "the level of the trace", parse_log_level },
	{ "VMMALLOC_LOG_FILE", "",
	    "a file name; the process ID is appended to one that ends in -",
	    "the file of the trace and of messages; stderr if empty", parse_log_file },
	{ "VMMALLOC_LOG_STATS", "0", "0, 1",
	    "whether each process prints statistics at exit", parse_log_stats },
#endif
};

const size_t vmm_settings_count =
    sizeof(vmm_settings_table) / sizeof(vmm_settings_table[0]);

static bool
refuse_missing(const struct vmm_setting *setting, struct vmm_text *error)
{
	vmm_text_str(error, FIRST_LINE "environment variable ");
	vmm_text_str(error, setting->name);
	vmm_text_str(error, " not specified" SECOND_LINE);
	vmm_text_str(error, setting->name);
	vmm_text_str(error, ", ");
	vmm_text_str(error, setting->help);
	vmm_text_str(error, ", is not set (a set-user-ID program ignores it); accepted: ");
	vmm_text_str(error, setting->accepted);
	vmm_text_str(error, "\n");
	return false;
}

void
vmm_settings_refuse(const char *name, const char *value, const char *problem,
    struct vmm_text *error)
{
	vmm_text_clear(error);
	for (size_t i = 0; i < vmm_settings_count; i++) {
		if (strcmp(vmm_settings_table[i].name, name) == 0)
			refuse(&vmm_settings_table[i], value, problem, error);
	}
}

bool
vmm_settings_read(struct vmm_settings *settings,
    const char *(*get)(const char *name), struct vmm_text *error)
{
	const char *values[sizeof(vmm_settings_table) /
	    sizeof(vmm_settings_table[0])];

	vmm_text_clear(error);
	/* Missing variables are reported before wrong values. */
	for (size_t i = 0; i < vmm_settings_count; i++) {
		values[i] = get(vmm_settings_table[i].name);
		if (values[i] == NULL)
			values[i] = vmm_settings_table[i].default_value;
		if (values[i] == NULL)
			return refuse_missing(&vmm_settings_table[i], error);
	}
	for (size_t i = 0; i < vmm_settings_count; i++) {
		const struct vmm_setting *setting = &vmm_settings_table[i];

		if (!setting->parse(setting, values[i], settings, error))
			return false;
	}
	return true;
}
