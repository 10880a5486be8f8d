/* SPDX-License-Identifier: BSD-3-Clause */
/* self.c: for tests, what the kernel reports about this process in /proc/self. */
#include "config.h"

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "self.h"

#define SLEEP_LIMIT_US 10000000

/* Reads a file line by line. The caller has the buffers on its stack. */
struct reader {
	int fd;
	size_t length, at;
	char data[8192];
	char line[SELF_TEXT];
};

static int
fill(struct reader *reader)
{
	ssize_t got = read(reader->fd, reader->data, sizeof(reader->data));

	reader->at = 0;
	reader->length = got > 0 ? (size_t)got : 0;
	return got > 0;
}

/* Cuts off long lines. Returns 0 at the end of the file. */
static int
next_line(struct reader *reader)
{
	size_t length = 0;

	for (;;) {
		char byte;

		if (reader->at == reader->length && !fill(reader))
			return 0;
		byte = reader->data[reader->at++];
		if (byte == '\n')
			break;
		if (length < sizeof(reader->line) - 1)
			reader->line[length++] = byte;
	}
	reader->line[length] = '\0';
	return 1;
}

static void
open_reader(struct reader *reader, const char *path)
{
	reader->fd = open(path, O_RDONLY | O_CLOEXEC);
	reader->length = reader->at = 0;
	reader->line[0] = '\0';
}

/* True if the line begins a mapping. *contains is then set: 1 if the address lies in it. */
static int
is_mapping(const char *line, const void *address, int *contains)
{
	char *end;
	uintptr_t from = strtoul(line, &end, 16), to;

	if (end == line || *end != '-')
		return 0;
	to = strtoul(end + 1, &end, 16);
	if (*end != ' ')
		return 0;
	*contains = (uintptr_t)address >= from && (uintptr_t)address < to;
	return 1;
}

int
self_mappings(void)
{
	struct reader reader;
	int count = 0;

	open_reader(&reader, "/proc/thread-self/maps");
	if (reader.fd < 0)
		return -1;
	while (next_line(&reader))
		count++;
	close(reader.fd);
	return count;
}

int
self_has_flag(const void *address, const char *flag)
{
	struct reader reader;
	char word[8];
	int contains = 0, has = -1;

	snprintf(word, sizeof(word), " %s ", flag);
	open_reader(&reader, "/proc/thread-self/smaps");
	while (reader.fd >= 0 && has < 0 && next_line(&reader)) {
		if (is_mapping(reader.line, address, &contains))
			continue;
		/* The kernel ends the line with a space. */
		if (contains && strncmp(reader.line, "VmFlags:", 8) == 0)
			has = strstr(reader.line, word) != NULL;
	}
	close(reader.fd);
	return has;
}

int
self_mapping(const void *address, char text[SELF_TEXT])
{
	struct reader reader;
	int contains = 0;

	open_reader(&reader, "/proc/thread-self/maps");
	while (reader.fd >= 0 && !contains && next_line(&reader))
		is_mapping(reader.line, address, &contains);
	close(reader.fd);
	if (!contains)
		return 0;
	strcpy(text, strchr(reader.line, ' ') + 1);
	return 1;
}

long
self_status_kb(const char *field)
{
	struct reader reader;
	size_t length = strlen(field);
	long kb = -1;

	open_reader(&reader, "/proc/thread-self/status");
	while (reader.fd >= 0 && kb < 0 && next_line(&reader)) {
		if (strncmp(reader.line, field, length) == 0 &&
		    reader.line[length] == ':')
			kb = atol(reader.line + length + 1);
	}
	close(reader.fd);
	return kb;
}

char
self_thread_state(pid_t thread)
{
	struct reader reader;
	char path[64];
	const char *name_end = NULL;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	open_reader(&reader, path);
	if (reader.fd >= 0 && next_line(&reader))
		name_end = strrchr(reader.line, ')');
	close(reader.fd);
	return name_end != NULL && name_end[1] == ' ' ? name_end[2] : 0;
}

pid_t
self_thread(void)
{
	return (pid_t)syscall(SYS_gettid);
}

int
self_sleeps(pid_t thread)
{
	long long limit_us = self_now_us() + SLEEP_LIMIT_US;
	char state;

	while ((state = self_thread_state(thread)) != 'S') {
		if (state == 0 || self_now_us() > limit_us)
			return 0;
		sched_yield();
	}
	return 1;
}

long long
self_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
self_prepare(void)
{
	if (getenv("TEST_NOT_DUMPABLE") != NULL)
		prctl(PR_SET_DUMPABLE, 0);
}
