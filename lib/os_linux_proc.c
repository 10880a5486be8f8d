/* SPDX-License-Identifier: BSD-3-Clause */
/* os_linux_proc.c: what other files for Linux read in /proc, without libc's buffers. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "os_linux_proc.h"

bool
vmm_os_proc_each(int directory, bool (*visit)(void *argument, const char *name),
    void *argument)
{
	VMM_LOG_ENTER();
	/* readdir(3) allocates; getdents64(2). */
	struct {
		uint64_t inode;
		int64_t offset;
		unsigned short length;
		unsigned char type;
		char name[];
	} *entry;
	_Alignas(8) char buffer[4096];
	long got;

	lseek(directory, 0, SEEK_SET);
	while ((got = syscall(SYS_getdents64, directory, buffer,
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
	VMM_LOG_ENTER();
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, data, size - 1);
	int error = got < 0 ? errno : 0;

	data[got < 0 ? 0 : got] = '\0';
	if (fd >= 0)
		close(fd);
	return error;
}

uint64_t
vmm_os_proc_number(const char *data, const char *name, int base)
{
	VMM_LOG_ENTER();
	const char *at = strstr(data, name);

	return at == NULL ? 0 : strtoull(at + strlen(name), NULL, base);
}
