/* SPDX-License-Identifier: BSD-3-Clause */
/* os_linux_log.c: os.h's log file, which no other user can put elsewhere. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os.h"
#include "os_linux_sys.h"

#define LINKS_MAX 40 /* as many as the kernel follows (path_resolution(7)) */

/*
 * Where a symbolic link leads, if it is the superuser's or this user's. It is opened
 * first, so that what is looked at is what is read.
 */
static int
read_link(int dir, const char *name, char *leads_to, size_t size)
{
	int link = vmm_sys.openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	struct stat stat;
	int error = 0;
	ssize_t length;

	if (link < 0)
		return errno;
	if (vmm_sys.fstat(link, &stat) != 0 || !S_ISLNK(stat.st_mode))
		error = ENOTDIR;
	else if (stat.st_uid != 0 && stat.st_uid != vmm_sys.geteuid())
		error = ELOOP;
	else if ((length = vmm_sys.readlinkat(link, "", leads_to, size)) < 0)
		error = errno;
	else if ((size_t)length == size)
		error = ENAMETOOLONG;
	else
		leads_to[length] = '\0';
	vmm_sys.close(link);
	return error;
}

/* The directories of a path that remain to be gone through, and the one reached. */
struct walk {
	int dir;
	int links;
	char rest[PATH_MAX];
};

/*
 * Puts what the link `name` leads to in its own place in the path; `behind` is what
 * follows it and a slash, NULL if nothing does. A slash alone stays: what is before it
 * has to be a directory.
 */
static int
follow(struct walk *walk, const char *name, const char *behind)
{
	char leads_to[PATH_MAX];
	int error = ++walk->links > LINKS_MAX ? ELOOP
	    : read_link(walk->dir, name, leads_to, sizeof(leads_to));

	if (error != 0)
		return error;
	if (behind != NULL &&
	    strlen(leads_to) + 1 + strlen(behind) >= sizeof(walk->rest))
		return ENAMETOOLONG;
	if (behind != NULL)
		strcat(strcat(leads_to, "/"), behind);
	strcpy(walk->rest, leads_to);
	/* The analyzer takes it that an errno may be 0. */
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	if (leads_to[0] == '/') {
		vmm_sys.close(walk->dir);
		walk->dir = vmm_sys.openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	}
	return walk->dir < 0 ? errno : 0;
}

/* Goes on by one name: to a directory, or, with the last one, to the file. */
static int
step(struct walk *walk, bool *is_file)
{
	char *name = walk->rest + strspn(walk->rest, "/");
	char *behind = name + strcspn(name, "/");
	bool is_last = *behind == '\0';
	int next;

	if (!is_last)
		*behind++ = '\0';
	next = vmm_sys.openat(walk->dir, name, O_NOFOLLOW | O_CLOEXEC | (is_last
		? O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY
		: O_PATH | O_DIRECTORY), 0600);
	if (next < 0 && (errno == ELOOP || errno == ENOTDIR))
		return follow(walk, name, is_last ? NULL : behind);
	if (next < 0)
		return errno;
	vmm_sys.close(walk->dir);
	walk->dir = next;
	memmove(walk->rest, behind, strlen(behind) + 1);
	*is_file = is_last;
	return 0;
}

/* A file that somebody else has put there, who would read it, or have it written. */
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
	/* Static for threads with small stacks; the caller has a lock. */
	static struct walk walk;
	struct stat stat;
	bool is_file = false;
	int error = 0;

	if (strlen(path) >= sizeof(walk.rest))
		return ENAMETOOLONG;
	strcpy(walk.rest, path);
	walk.links = 0;
	walk.dir = vmm_sys.openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (walk.dir < 0)
		return errno;
	while (error == 0 && !is_file)
		error = step(&walk, &is_file);
	if (error == 0 && vmm_sys.fstat(walk.dir, &stat) != 0)
		error = errno;
	if (error == 0)
		error = check_owner(&stat);
	if (error == 0)
		error = vmm_os_fd_move_high(&walk.dir);
	if (error != 0) {
		vmm_sys.close(walk.dir);
		return error;
	}
	*file = (struct vmm_os_file){
		.fd = walk.dir, .device = stat.st_dev, .inode = stat.st_ino
	};
	return 0;
}

void
vmm_os_log_write(const struct vmm_os_file *file, const char *data, size_t length)
{
	struct rlimit limit;
	struct stat stat;

	/* Past the limit of file sizes there is a signal (write(2), SIGXFSZ). */
	if (vmm_sys.getrlimit(RLIMIT_FSIZE, &limit) != 0 || (limit.rlim_cur !=
		RLIM_INFINITY && (vmm_sys.fstat(file->fd, &stat) != 0 ||
		limit.rlim_cur < length ||
		(rlim_t)stat.st_size > limit.rlim_cur - length)))
		return;
	while (vmm_sys.write(file->fd, data, length) < 0 && errno == EINTR)
		;
}
