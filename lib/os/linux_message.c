/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_message.c: writes to stderr, the log file, the program's descriptors, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/linux_file.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* Whether RLIMIT_FSIZE lets a file grow by `length`. A write beyond it raises SIGXFSZ. */
static bool
may_append(int fd, size_t length)
{
	struct rlimit limit;
	struct stat stat;

	if (vmm_sys.getrlimit(RLIMIT_FSIZE, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return true;
	return vmm_sys.fstat(fd, &stat) == 0 && (!S_ISREG(stat.st_mode) ||
	    (limit.rlim_cur >= length &&
		(rlim_t)stat.st_size <= limit.rlim_cur - length));
}

static void
write_all(int fd, const char *data, size_t length)
{
	while (length > 0 && may_append(fd, length)) {
		ssize_t written = vmm_sys.write(fd, data, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		data += written;
		length -= (size_t)written;
	}
}

void
vmm_os_write_error(const char *data, size_t length)
{
	write_all(STDERR_FILENO, data, length);
}

int
vmm_os_fd_duplicate(int fd, struct vmm_os_file *file)
{
	return vmm_os_file_adopt(vmm_sys.fcntl(fd, F_DUPFD_CLOEXEC,
	    (void *)(STDERR_FILENO + 1)), file);
}

void
vmm_os_fd_write(const struct vmm_os_file *file, int fd, const char *data, size_t length)
{
	struct vmm_os_file same = *file;

	if (!vmm_os_file_is_open(file))
		same.fd = fd;
	if (file->fd >= 0 && vmm_os_file_is_open(&same))
		write_all(same.fd, data, length);
}

int
vmm_os_path_to_fd(const char *path)
{
	static const char *const places[] = { "/dev/fd/", "/proc/self/fd/",
		"/proc/thread-self/fd/" };

	if (strcmp(path, "/dev/stdin") == 0)
		return STDIN_FILENO;
	if (strcmp(path, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	if (strcmp(path, "/dev/stderr") == 0)
		return STDERR_FILENO;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t length = strlen(places[i]);
		char *end;
		long number;

		if (strncmp(path, places[i], length) != 0 || path[length] < '0' ||
		    path[length] > '9' || (path[length] == '0' && path[length + 1] != '\0'))
			continue;
		number = strtol(path + length, &end, 10);
		if (*end == '\0' && number <= INT_MAX)
			return (int)number;
	}
	return -1;
}

/* Whether a symbolic link belongs to this user or to the superuser. */
static bool
is_own_link(const char *path)
{
	int link = vmm_sys.openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	struct stat stat;
	bool is_own = link >= 0 && vmm_sys.fstat(link, &stat) == 0 &&
	    (stat.st_uid == 0 || stat.st_uid == vmm_sys.geteuid());

	if (link >= 0)
		vmm_sys.close(link);
	return is_own;
}

/*
 * Opens the log file. If the last name is a symbolic link, follows it only if this user or
 * the superuser owns it. Links earlier in the path are followed unchecked. The link may
 * change after the check, but where other users may change names, no path is safe.
 */
static int
open_appending(const char *path)
{
	/* O_NONBLOCK: a fifo that nobody reads would block the start of the program. */
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
	int fd = vmm_sys.openat(AT_FDCWD, path, flags | O_NOFOLLOW, 0600);

	if (fd >= 0 || errno != ELOOP)
		return fd;
	if (is_own_link(path))
		return vmm_sys.openat(AT_FDCWD, path, flags, 0600);
	errno = ELOOP;
	return -1;
}

/*
 * EPERM: another user owns the file and could read the log. EMLINK: the path may be a hard
 * link, made by another user, to a file of this user that is no log.
 */
static int
check_owner(const struct stat *stat)
{
	if (!S_ISREG(stat->st_mode) && !S_ISFIFO(stat->st_mode))
		return 0;
	if (stat->st_uid != 0 && stat->st_uid != vmm_sys.geteuid())
		return EPERM;
	return S_ISREG(stat->st_mode) && stat->st_nlink > 1 ? EMLINK : 0;
}

int
vmm_os_log_open(const char *path, struct vmm_os_file *file)
{
	struct stat stat;
	int error = vmm_os_file_adopt(open_appending(path), file);

	if (error != 0)
		return error;
	error = vmm_sys.fstat(file->fd, &stat) != 0 ? errno : check_owner(&stat);
	if (error == 0 && vmm_sys.fcntl(file->fd, F_SETFL, (void *)O_APPEND) != 0)
		error = errno;
	if (error != 0) {
		vmm_sys.close(file->fd);
		file->fd = -1;
	}
	return error;
}

void
vmm_os_log_write(const struct vmm_os_file *file, const char *data, size_t length)
{
	if (!may_append(file->fd, length))
		return;
	while (vmm_sys.write(file->fd, data, length) < 0 && errno == EINTR)
		;
}
