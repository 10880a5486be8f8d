/* SPDX-License-Identifier: BSD-3-Clause */
/* in_pool.c: for tests, where the pool lies, as the kernel reports it in /proc. */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "in_pool.h"

/* Reads a file line by line. */
struct lines {
	int fd;
	size_t length, at;
	char data[4096];
	char line[512];
};

static bool
next_line(struct lines *lines)
{
	size_t length = 0;

	for (;;) {
		char byte;

		if (lines->at == lines->length) {
			ssize_t got = read(lines->fd, lines->data,
			    sizeof(lines->data));

			if (got <= 0)
				return false;
			lines->length = (size_t)got;
			lines->at = 0;
		}
		byte = lines->data[lines->at++];
		if (byte == '\n')
			break;
		if (length < sizeof(lines->line) - 1)
			lines->line[length++] = byte;
	}
	lines->line[length] = '\0';
	return true;
}

static uintptr_t
read_hex(const char **text)
{
	uintptr_t value = 0;

	for (;; ++*text) {
		char byte = **text;

		if (byte >= '0' && byte <= '9')
			value = value * 16 + (uintptr_t)(byte - '0');
		else if (byte >= 'a' && byte <= 'f')
			value = value * 16 + (uintptr_t)(byte - 'a') + 10;
		else
			return value;
	}
}

static unsigned long
read_number(const char *text)
{
	unsigned long value = 0;

	for (; *text != '\0'; text++) {
		if (*text >= '0' && *text <= '9')
			value = value * 10 + (unsigned long)(*text - '0');
	}
	return value;
}

/* True if the line begins a mapping: "from-to rw-s ...". Sets its bounds. */
static bool
is_mapping(const char *line, uintptr_t *from, uintptr_t *to)
{
	const char *at = line;

	*from = read_hex(&at);
	if (at == line || *at != '-')
		return false;
	at++;
	*to = read_hex(&at);
	return *at == ' ';
}

/* The dots matter: a directory's name may be vmmalloc.soABCD by chance. */
static bool
is_library_line(const char *line)
{
	return strstr(line, ".so ") != NULL || strstr(line, ".so.") != NULL;
}

static bool
is_pool_line(const char *line)
{
	return (strstr(line, " (deleted)") != NULL ||
		   strstr(line, " /dev/dax") != NULL) &&
	    strstr(line, " rw-") != NULL && !is_library_line(line);
}

/* Reads the mapping that marks a pool without a file: its name has the pool's range. */
static bool
is_mark_line(const char *line, uintptr_t *from, uintptr_t *to)
{
	static const char mark[] = "/memfd:vmmalloc.0x";
	const char *at = strstr(line, mark);

	if (at == NULL)
		return false;
	at += sizeof(mark) - 1;
	*from = read_hex(&at);
	*to = *from + read_number(at);
	return true;
}

bool
is_in_pool(const void *address)
{
	struct lines lines = { .fd = open("/proc/thread-self/maps", O_RDONLY) };
	uintptr_t from, to, previous_to = 0;
	bool is_pool = false, is_in = false;

	while (!is_in && next_line(&lines)) {
		if (!is_mapping(lines.line, &from, &to))
			continue;
		if (is_mark_line(lines.line, &from, &to)) {
			is_in = (uintptr_t)address >= from && (uintptr_t)address < to;
			continue;
		}
		/* Anonymous memory right behind a part of the file is in the pool, too. */
		is_pool = is_pool_line(lines.line) ||
		    (is_pool && from == previous_to &&
			strstr(lines.line, "/") == NULL);
		previous_to = to;
		is_in = is_pool && (uintptr_t)address >= from &&
		    (uintptr_t)address < to;
	}
	close(lines.fd);
	return is_in;
}

/* Whether the line is for addresses that the library keeps for the pool's growth. */
static bool
is_place_line(const char *line)
{
	return strstr(line, " ---p ") != NULL && strstr(line, "/") == NULL;
}

bool
in_pool_span(uintptr_t *first, uintptr_t *end)
{
	struct lines lines = { .fd = open("/proc/thread-self/maps", O_RDONLY) };
	uintptr_t from, to;

	*first = *end = 0;
	while (next_line(&lines)) {
		if (!is_mapping(lines.line, &from, &to))
			continue;
		if (is_mark_line(lines.line, first, end))
			break;
		if (*end == 0 && is_pool_line(lines.line))
			*first = *end = from;
		/* A mapping behind a gap is not the pool's. */
		if (*end != 0 && from == *end &&
		    (is_pool_line(lines.line) || is_place_line(lines.line)))
			*end = to;
	}
	close(lines.fd);
	return *end != 0;
}

/*
 * The pool's span before main. After a fork(2) on hugetlbfs or on a device all of the pool may
 * be anonymous memory, and only its addresses tell that it is the pool.
 */
static uintptr_t pool_start, pool_limit;

static void __attribute__((constructor))
find_pool(void)
{
	in_pool_span(&pool_start, &pool_limit);
}

/* Finds the range of a pool without a file. Sets both to 0 if there is none. */
static void
find_mark(uintptr_t *from, uintptr_t *to)
{
	struct lines lines = { .fd = open("/proc/thread-self/maps", O_RDONLY) };

	*from = *to = 0;
	while (next_line(&lines) && !is_mark_line(lines.line, from, to))
		;
	close(lines.fd);
}

enum kind { OTHER, POOL, BRK, ANONYMOUS };

static enum kind
kind_of(const char *line)
{
	const char *name = strrchr(line, ' ') + 1;

	if (is_pool_line(line))
		return POOL;
	if (strcmp(name, "[heap]") == 0)
		return BRK;
	/* Anonymous mappings have nothing behind the inode number, 0. */
	if (strstr(line, " 00:00 0") != NULL && strchr(name, '[') == NULL)
		return ANONYMOUS;
	return OTHER;
}

/* Whether a line of smaps counts large pages, which are part of Rss (but for hugetlbfs). */
static bool
is_large_line(const char *line)
{
	return strncmp(line, "ShmemPmdMapped:", 15) == 0 ||
	    strncmp(line, "FilePmdMapped:", 14) == 0 ||
	    strncmp(line, "AnonHugePages:", 14) == 0;
}

bool
in_pool_read(struct in_pool_figures *figures)
{
	struct lines lines = { .fd = open("/proc/thread-self/smaps", O_RDONLY) };
	uintptr_t from, to;
	uintptr_t pool_end = 0, mark_from = 0, mark_to = 0;
	enum kind kind = OTHER;
	bool is_in = false;

	find_mark(&mark_from, &mark_to);
	memset(figures, 0, sizeof(*figures));
	if (lines.fd < 0)
		return false;
	while (next_line(&lines)) {
		if (is_mapping(lines.line, &from, &to)) {
			kind = from >= mark_from && to <= mark_to ? POOL : kind_of(lines.line);
			/* The kernel may merge a mapping below the pool with the pool's. */
			is_in = from < pool_limit && to > pool_start && mark_to == 0;
			if (from == pool_end && is_place_line(lines.line))
				figures->place_kb += (to - from) / 1024;
			if (kind == POOL || (kind == ANONYMOUS && from == pool_end))
				pool_end = to;
			if (kind != POOL)
				continue;
			figures->pool_kb += (to - from) / 1024;
			if (strstr(lines.line, " rw-s ") != NULL)
				figures->shared_kb += (to - from) / 1024;
		} else if (strncmp(lines.line, "Rss:", 4) == 0) {
			unsigned long rss_kb = read_number(lines.line);

			figures->pool_rss_kb += kind == POOL ? rss_kb : 0;
			figures->brk_rss_kb += kind == BRK ? rss_kb : 0;
			figures->other_rss_kb += kind == ANONYMOUS ? rss_kb : 0;
		} else if (kind == POOL && is_large_line(lines.line)) {
			figures->large_kb += read_number(lines.line);
		} else if (strncmp(lines.line, "Anonymous:", 10) == 0) {
			figures->own_rss_kb += is_in ? read_number(lines.line) : 0;
		}
	}
	close(lines.fd);
	return true;
}
