/* SPDX-License-Identifier: BSD-3-Clause */
/* settings.c: fuzzes the parser of the environment. Each line of the input is a value,
 * in the order of the table. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "expect.h"
#include "libvmmalloc.h"
#include "trace/log.h"

#define NVALUES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *values[NVALUES];

/* The value of a variable, or NULL if it is not set. */
static const char *
get(const char *name)
{
	for (size_t i = 0; i < vmm_settings_count; i++) {
		if (strcmp(name, vmm_settings_table[i].name) == 0)
			return values[i];
	}
	abort();
}

/* Makes a copy of each value, so that the sanitizer sees a read past its end. A line
 * that begins with a byte 0 stands for a variable that is not set. */
static void
split(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < vmm_settings_count; i++) {
		const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
		size_t length = end == NULL ? size : (size_t)(end - data);

		values[i] = NULL;
		if (length > 0 && data[0] == '\0') {
			/* Not set. */
		} else if ((values[i] = malloc(length + 1)) != NULL) {
			if (length > 0)
				memcpy(values[i], data, length);
			values[i][length] = '\0';
		}
		data += end == NULL ? length : length + 1;
		size -= end == NULL ? length : length + 1;
	}
}

/* The message has two lines without control characters, whatever the values are. */
static void
check_error(const struct vmm_text *error)
{
	size_t lines = 0;

	expect(error->length == strlen(error->data), "the text is a string");
	for (size_t i = 0; i < error->length; i++) {
		unsigned char byte = (unsigned char)error->data[i];

		lines += byte == '\n';
		expect(byte == '\n' || (byte >= ' ' && byte != 0x7f),
		    "no control characters");
	}
	expect(lines == 2, "two lines");
	expect(error->data[error->length - 1] == '\n', "the second line is whole");
	expect(strncmp(error->data, "Error (libvmmalloc): ", 21) == 0,
	    "the beginning that scripts look for");
}

/* The number by strtoull(3), which accepts more than the library does. */
static unsigned long long
number(const char *value)
{
	char *end;
	unsigned long long bytes = strtoull(value, &end, 10);
	const char *letters = "kKmMgGtT", *letter;

	if (*end == '\0')
		return bytes;
	letter = strchr(letters, *end);
	expect(letter != NULL && end[1] == '\0', "a suffix");
	return bytes << (10 * (1 + (letter - letters) / 2));
}

static size_t
place_of(const char *name)
{
	size_t i = 0;

	while (strcmp(vmm_settings_table[i].name, name) != 0)
		i++;
	return i;
}

static const char *
value_of(const char *name)
{
	size_t i = place_of(name);

	return values[i] != NULL ? values[i] : vmm_settings_table[i].default_value;
}

static void
check_settings(const struct vmm_settings *settings)
{
	expect(settings->pool_dir == value_of("VMMALLOC_POOL_DIR"), "directory");
	expect(settings->pool_size_bytes == number(value_of("VMMALLOC_POOL_SIZE")),
	    "size");
	expect(settings->pool_size_bytes >= VMMALLOC_MIN_POOL &&
	    settings->pool_size_bytes <= PTRDIFF_MAX, "a possible size");
	expect((unsigned)settings->fork == number(value_of("VMMALLOC_FORK")) &&
	    settings->fork <= VMM_FORK_ANY, "fork");
	expect(strcmp(value_of("VMMALLOC_RESERVE"), settings->reserve ==
	    VMM_RESERVE_FULL ? "full" : "grow") == 0, "reserve");
	expect(settings->conf == value_of("VMMALLOC_CONF"), "conf");
	expect((unsigned)settings->log_level ==
	    number(value_of("VMMALLOC_LOG_LEVEL")) &&
	    settings->log_level <= VMM_LOG_MAX, "level");
	expect(settings->log_file == value_of("VMMALLOC_LOG_FILE"), "file");
	expect(settings->log_stats == number(value_of("VMMALLOC_LOG_STATS")),
	    "statistics");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_settings settings;
	struct vmm_text *error = malloc(sizeof(*error));

	if (error == NULL)
		return 0;
	memset(&settings, 0xff, sizeof(settings));
	split(data, size);
	if (vmm_settings_read(&settings, get, error))
		check_settings(&settings);
	else
		check_error(error);
	for (size_t i = 0; i < vmm_settings_count; i++)
		free(values[i]);
	free(error);
	return 0;
}
