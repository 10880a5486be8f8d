/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_proc.c: reads files of /proc without libc's buffers. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* How far the hard limit of descriptors is raised for a moment, if it may be. */
#define MORE_DESCRIPTORS 16
/* Longer lines are split. Only a path in /proc/PID/maps is so long, and is not needed. */
#define LINE_BYTES ((size_t)8192)

bool
vmm_os_nofile_raise(struct rlimit *before)
{
	struct rlimit more;

	if (vmm_sys.getrlimit(RLIMIT_NOFILE, before) != 0)
		return false;
	more = *before;
	if (more.rlim_max > more.rlim_cur)
		more.rlim_cur = more.rlim_max;
	else
		more.rlim_cur = more.rlim_max = more.rlim_max + MORE_DESCRIPTORS;
	return vmm_sys.setrlimit(RLIMIT_NOFILE, &more) == 0;
}

void
vmm_os_nofile_restore(const struct rlimit *before)
{
	int saved_errno = errno;

	vmm_sys.setrlimit(RLIMIT_NOFILE, before);
	errno = saved_errno;
}

int
vmm_os_proc_open(int directory, const char *path, int flags)
{
	struct rlimit limit;
	int fd = vmm_sys.openat(directory, path, flags | O_CLOEXEC, 0);

	if (fd >= 0 || errno != EMFILE)
		return fd;
	if (vmm_os_nofile_raise(&limit)) {
		fd = vmm_sys.openat(directory, path, flags | O_CLOEXEC, 0);
		vmm_os_nofile_restore(&limit);
	} else {
		errno = EMFILE;
	}
	return fd;
}

bool
vmm_os_proc_each(int directory, bool (*visit)(void *argument, const char *name),
    void *argument)
{
	/* struct linux_dirent64 of getdents64(2). readdir(3) would allocate. */
	struct {
		uint64_t inode;
		int64_t offset;
		unsigned short length;
		unsigned char type;
		char name[];
	} *entry;
	/* Small, because the stack may be that of a signal handler. */
	_Alignas(8) char buffer[1024];
	long got;

	vmm_sys.lseek(directory, 0, SEEK_SET);
	while ((got = vmm_sys.getdents64(directory, buffer,
		sizeof(buffer))) > 0) {
		for (long at = 0; at < got; at += entry->length) {
			entry = (void *)(buffer + at);
			if (visit(argument, entry->name))
				return true;
		}
	}
	return false;
}

int
vmm_os_proc_read(int directory, const char *path, char *data, size_t size)
{
	int fd = vmm_os_proc_open(directory, path, O_RDONLY);
	ssize_t got = fd < 0 ? -1 : vmm_sys.read(fd, data, size - 1);
	int error = got < 0 ? errno : 0;

	data[got < 0 ? 0 : got] = '\0';
	if (fd >= 0)
		vmm_sys.close(fd);
	return error;
}

int
vmm_os_proc_read_task(int tasks, const char *id, const char *name, char *data, size_t size)
{
	char path[64];

	if (strlen(id) + strlen(name) + 2 > sizeof(path))
		return ENAMETOOLONG;
	stpcpy(stpcpy(stpcpy(path, id), "/"), name);
	return vmm_os_proc_read(tasks, path, data, size);
}

int
vmm_os_lines_open(struct vmm_os_lines *lines, int directory, const char *path)
{
	void *data;
	int error = vmm_os_map_plain(LINE_BYTES, &data);

	if (error != 0)
		return error;
	lines->data = data;
	lines->begin = lines->end = 0;
	lines->error = 0;
	lines->fd = vmm_os_proc_open(directory, path, O_RDONLY);
	if (lines->fd >= 0)
		return 0;
	error = errno;
	vmm_os_unmap(data, LINE_BYTES);
	return error;
}

char *
vmm_os_lines_next(struct vmm_os_lines *lines)
{
	for (;;) {
		char *line = lines->data + lines->begin;
		size_t length = lines->end - lines->begin;
		char *newline = memchr(line, '\n', length);
		ssize_t got;

		if (newline == NULL && length == LINE_BYTES - 1)
			newline = line + length;
		if (newline != NULL) {
			*newline = '\0';
			lines->begin = (size_t)(newline - lines->data) + 1;
			if (lines->begin > lines->end)
				lines->begin = lines->end;
			return line;
		}
		memmove(lines->data, line, length);
		lines->begin = 0;
		lines->end = length;
		got = vmm_sys.read(lines->fd, lines->data + length, LINE_BYTES - 1 - length);
		if (got <= 0) {
			lines->error = got < 0 ? errno : 0;
			return NULL;
		}
		lines->end += (size_t)got;
	}
}

void
vmm_os_lines_close(struct vmm_os_lines *lines)
{
	vmm_sys.close(lines->fd);
	vmm_os_unmap(lines->data, LINE_BYTES);
}

static uint64_t
count_words(const char *text)
{
	uint64_t count = 0;

	while (*(text += strspn(text, "\t ")) != '\0') {
		text += strcspn(text, "\t ");
		count++;
	}
	return count;
}

int
vmm_os_proc_fields(int directory, const char *path, struct vmm_os_field *fields,
    size_t count)
{
	struct vmm_os_lines lines;
	char *line;
	int error = vmm_os_lines_open(&lines, directory, path);

	for (size_t i = 0; i < count; i++)
		fields[i].value = 0;
	if (error != 0)
		return error;
	while ((line = vmm_os_lines_next(&lines)) != NULL) {
		for (size_t i = 0; i < count; i++) {
			size_t length = strlen(fields[i].name);

			if (strncmp(line, fields[i].name, length) == 0)
				fields[i].value = fields[i].base == VMM_OS_FIELD_COUNT
				    ? count_words(line + length)
				    : strtoull(line + length, NULL, fields[i].base);
		}
	}
	vmm_os_lines_close(&lines);
	return lines.error;
}
