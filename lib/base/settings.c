/* SPDX-License-Identifier: BSD-3-Clause */
/* settings.c: the table of environment variables, and how each is read. */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "base/settings.h"
#include "libvmmalloc.h"

/*
 * The first line of each message is looked for by scripts written for this
 * library's namesake: its wording is part of the interface.
 */
#define FIRST_LINE "Error (libvmmalloc): "
#define SECOND_LINE "\nlibvmmalloc: "

static bool
refuse(const struct vmm_setting *setting, const char *value,
    const char *problem, struct vmm_text *error)
{
	vmm_text_str(error, FIRST_LINE "incorrect ");
	vmm_text_str(error, setting->name);
	vmm_text_str(error, " value (");
	vmm_text_quote(error, value);
	vmm_text_str(error, ")" SECOND_LINE);
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
	return false;
}

/*
 * Reads digits; returns what follows them, or NULL if there are none or the
 * number is past 64 bits. Unlike strtoull(3) it takes no sign, no white space
 * and no locale.
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

/* Applies a suffix K, M, G or T; false if it is another or the size overflows. */
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
refuse_negative(const char *value, struct vmm_text *error)
{
	vmm_text_str(error, FIRST_LINE "negative VMMALLOC_POOL_SIZE" SECOND_LINE
	    "VMMALLOC_POOL_SIZE is ");
	vmm_text_quote(error, value);
	vmm_text_str(error, ", at least ");
	vmm_text_uint(error, VMMALLOC_MIN_POOL);
	vmm_text_str(error, " is needed\n");
	return false;
}

static bool
refuse_small(uint64_t bytes, const char *value, struct vmm_text *error)
{
	vmm_text_str(error, FIRST_LINE
	    "VMMALLOC_POOL_SIZE value is less than minimum (");
	vmm_text_uint(error, bytes);
	vmm_text_str(error, " < ");
	vmm_text_uint(error, VMMALLOC_MIN_POOL);
	vmm_text_str(error, ")" SECOND_LINE "VMMALLOC_POOL_SIZE is ");
	vmm_text_quote(error, value);
	vmm_text_str(error, ", at least 14M is needed\n");
	return false;
}

static bool
parse_pool_dir(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	if (value[0] == '\0')
		return refuse(setting, value, "", error);
	/* Whether it can hold a pool shows when the pool is made there. */
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
		return refuse_negative(value, error);
	if (bytes < VMMALLOC_MIN_POOL)
		return refuse_small(bytes, value, error);
	if (bytes > PTRDIFF_MAX)
		return refuse(setting, value,
		    "larger than the address space", error);
	settings->pool_size_bytes = (size_t)bytes;
	return true;
}

/* Reads a number that is at most `max`. */
static bool
parse_choice(const struct vmm_setting *setting, const char *value, uint64_t max,
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

	if (!parse_choice(setting, value, VMM_FORK_ANY, &number, error))
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

/*
 * What jemalloc could do, and must not: take memory from elsewhere, make threads, change
 * what the entry points promise. lib/jemalloc/conf.c sets these for good.
 */
static const struct {
	const char *name, *value;
} fixed[] = {
	{ "dss", "disabled" },
	{ "hpa", "false" },
	{ "background_thread", "false" },
	{ "zero_realloc", "free" },
};

/* Whether the pair that begins at `at` sets `name` to anything but `value`. */
static bool
is_other(const char *at, const char *name, const char *value)
{
	size_t length = strlen(name);

	if (strncmp(at, name, length) != 0 || at[length] != ':')
		return false;
	at += length + 1;
	length = strlen(value);
	return strncmp(at, value, length) != 0 ||
	    (at[length] != ',' && at[length] != '\0');
}

static bool
refuse_fixed(const struct vmm_setting *setting, const char *value, const char *name,
    struct vmm_text *error)
{
	struct vmm_text problem;

	vmm_text_clear(&problem);
	vmm_text_str(&problem, name);
	vmm_text_str(&problem, " cannot be changed");
	return refuse(setting, value, problem.data, error);
}

static bool
parse_conf(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	const char *at = value;

	while (at != NULL) {
		for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
			if (is_other(at, fixed[i].name, fixed[i].value))
				return refuse_fixed(setting, value, fixed[i].name, error);
		}
		at = strchr(at, ',');
		at = at == NULL ? NULL : at + 1;
	}
	/* The rest is for jemalloc to judge (lib/jemalloc/conf.c). */
	settings->conf = value;
	return true;
}

static bool
parse_stop_threads(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	if (strcmp(value, "auto") != 0 && strcmp(value, "never") != 0)
		return refuse(setting, value, "not supported", error);
	settings->never_stops = value[0] == 'n';
	return true;
}

#ifdef VMMALLOC_DEBUG
static bool
parse_log_level(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	uint64_t number;

	if (!parse_choice(setting, value, VMM_LOG_MAX, &number, error))
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
	/* Whether it can be written shows when it is opened. */
	settings->log_file = value;
	return true;
}

static bool
parse_log_stats(const struct vmm_setting *setting, const char *value,
    struct vmm_settings *settings, struct vmm_text *error)
{
	uint64_t number;

	if (!parse_choice(setting, value, 1, &number, error))
		return false;
	settings->log_stats = number != 0;
	return true;
}
#endif

const struct vmm_setting vmm_settings_table[] = {
	{ "VMMALLOC_POOL_DIR", NULL, "a writable directory, or a device such as /dev/dax0.0",
	    "where the pool's file is made", parse_pool_dir },
	{ "VMMALLOC_POOL_SIZE", NULL,
	    "bytes, or a number with one of K, M, G, T behind it; at least 14M",
	    "how large the pool is", parse_pool_size },
	{ "VMMALLOC_FORK", "1", "0, 1, 2, 3",
	    "what happens to the pool at fork(2)", parse_fork },
	{ "VMMALLOC_RESERVE", "grow", "grow, full",
	    "when the file system promises the pool's blocks", parse_reserve },
	{ "VMMALLOC_CONF", "",
	    "settings of jemalloc(3), TUNING, but dss, hpa, background_thread, zero_realloc",
	    "settings for jemalloc, as in MALLOC_CONF", parse_conf },
	{ "VMMALLOC_STOP_THREADS", "auto", "auto, never",
	    "whether threads may be stopped for an instant after a fork(2)",
	    parse_stop_threads },
#ifdef VMMALLOC_DEBUG
	{ "VMMALLOC_LOG_LEVEL", "0", "0, 1, 2, 3, 4",
	    "how much the debug variant says", parse_log_level },
	{ "VMMALLOC_LOG_FILE", "",
	    "the name of a file; one that ends in - gets the process ID",
	    "where the debug variant says it; stderr", parse_log_file },
	{ "VMMALLOC_LOG_STATS", "0", "0, 1",
	    "statistics from the debug variant at exit", parse_log_stats },
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
	vmm_text_str(error, " says ");
	vmm_text_str(error, setting->help);
	vmm_text_str(error, "; accepted: ");
	vmm_text_str(error, setting->accepted);
	vmm_text_str(error, " (a set-user-ID program ignores it)\n");
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
	/* What is missing is said before what is wrong. */
	for (size_t i = 0; i < vmm_settings_count; i++) {
		values[i] = get(vmm_settings_table[i].name);
		if (values[i] == NULL)
			values[i] = vmm_settings_table[i].fallback;
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
