/* SPDX-License-Identifier: BSD-3-Clause */
/* paths.c: fuzzes the path of the log file. The library resolves it link by link, and
 * must come to the same file as the kernel, or to none. Needs root for chroot(2):
 * nothing outside of its own root directory can be reached. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	pthread_mutex_t lock;
	pthread_cond_t is_new;
	const uint8_t *data;
	size_t size;
} input = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.is_new = PTHREAD_COND_INITIALIZER };

static void
expect(int is_true, const char *what, const char *path)
{
	if (is_true)
		return;
	fprintf(stderr, "expected: %s: %s: errno %d\n", what, path, errno);
	abort();
}

/* Parts of paths: names that exist, and names that do not. */
static const char *const names[] = { "dir", "dir/sub", "file", "other", "to-dir",
	"to-file", "to-nothing", "to-root", "up", "loop", "loop2", "chain", "through",
	"..", ".", "", "/", "//", "of-another", "hard", "new", "dir/new2", "to-new",
	"long" };

/* Only a link of another user leads to this file: no part of a path names it. */
#define HIDDEN ".0"

#define NNAMES (sizeof(names) / sizeof(names[0]))

static void
make_file(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0600);

	expect(fd >= 0, "a file", name);
	close(fd);
}

static void
make_tree(void)
{
	static const char *const links[][2] = { { "dir", "to-dir" },
		{ "file", "to-file" }, { "nothing/at/all", "to-nothing" },
		{ "/", "to-root" }, { "../dir/../..", "dir/up" }, { "..", "up" },
		{ "loop2", "loop" }, { "loop", "loop2" }, { "to-dir/sub", "chain" },
		{ "/to-root/./to-dir//sub/../../file", "through" },
		{ "dir/new", "to-new" }, { HIDDEN, "of-another" },
		{ "/file", "dir/file" }, { "../to-dir", "dir/to-dir" },
		{ "sub/new/", "dir/to-new" } };
	char name[NAME_MAX + 1];

	expect(mkdir("dir", 0700) == 0 && mkdir("dir/sub", 0700) == 0, "mkdir",
	    "dir");
	make_file("file");
	make_file("other");
	make_file(HIDDEN);
	expect(link("other", "hard") == 0, "link", "hard");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	expect(mkdir(name, 0700) == 0 && symlink(name, "long") == 0, "long", name);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		expect(symlink(links[i][0], links[i][1]) == 0, "symlink",
		    links[i][1]);
	/* This link belongs to another user. */
	expect(lchown("of-another", 65534, 65534) == 0, "lchown", "of-another");
}

/* Makes a path: a name for each byte, or a letter for a byte with the highest bit. */
static void
make_path(char *path, const uint8_t *data, size_t size)
{
	size_t length = 1;

	path[0] = '/';
	for (size_t i = 0; i < size; i++) {
		const char *name = names[data[i] % NNAMES];
		char byte[2] = { (char)('a' + data[i] % 26), '\0' };

		if (data[i] & 128)
			name = byte;
		if (length + strlen(name) + 2 > PATH_MAX)
			break;
		strcpy(path + length, name);
		length += strlen(name);
		if (!(data[i] & 128))
			path[length++] = '/';
		path[length] = '\0';
	}
	/* Most paths end in a name, without slashes. */
	if (size > 0 && data[size - 1] / NNAMES != 3) {
		while (length > 1 && path[length - 1] == '/')
			length--;
	}
	path[length] = '\0';
}

static bool
is_named(const struct stat *stat, const char *name)
{
	struct stat known;

	return lstat(name, &known) == 0 && known.st_ino == stat->st_ino;
}

/* The kernel has opened the file, and the library has refused it with `error`. Returns true
 * if the library may refuse this file. */
static bool
may_refuse(const struct stat *stat, int error)
{
	/* The library puts the target of each link into the path, which may get too long. */
	if (error == ENAMETOOLONG)
		return true;
	if (is_named(stat, "/" HIDDEN))
		return error == ELOOP;
	return error == EMLINK && stat->st_nlink > 1;
}

/* Removes the file if this input has made it, so that each input starts with the same
 * tree. */
static void
remove_new(const struct stat *stat, const char *path)
{
	char name[PATH_MAX];

	if (!S_ISREG(stat->st_mode) || is_named(stat, "/file") ||
	    is_named(stat, "/other") || is_named(stat, "/" HIDDEN))
		return;
	expect(realpath(path, name) != NULL && unlink(name) == 0, "unlink", path);
}

static void
check_path(const char *path)
{
	struct vmm_os_file file = { .fd = -1 };
	int error = vmm_os_log_open(path, &file);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0600);
	struct stat stat;

	expect(fd < 0 || fstat(fd, &stat) == 0, "fstat", path);
	if (error == 0) {
		expect(fd >= 0, "the kernel opens it, too", path);
		expect(stat.st_ino == file.inode && stat.st_dev == file.device,
		    "the same file", path);
		expect(stat.st_nlink == 1 && !is_named(&stat, "/" HIDDEN),
		    "a file of this user only", path);
		vmm_os_file_close(&file, NULL, 0);
	} else if (fd >= 0) {
		errno = error;
		expect(may_refuse(&stat, error), "the library has a reason to refuse", path);
	}
	if (fd >= 0) {
		remove_new(&stat, path);
		close(fd);
	}
}

static void
run(const uint8_t *data, size_t size)
{
	char path[PATH_MAX];

	make_path(path, data, size);
	check_path(path);
}

/* The thread that runs inputs, with a root directory of its own. */
static void *
work(void *argument)
{
	char root[] = "paths.XXXXXX";

	(void)argument;
	pthread_mutex_lock(&input.lock);
	expect(unshare(CLONE_FS) == 0 && mkdtemp(root) != NULL &&
	    chroot(root) == 0 && chdir("/") == 0, "a root", root);
	make_tree();
	for (;;) {
		input.data = NULL;
		pthread_cond_broadcast(&input.is_new);
		while (input.data == NULL)
			pthread_cond_wait(&input.is_new, &input.lock);
		run(input.data, input.size);
	}
	return NULL;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const uint8_t none;
	pthread_t thread;

	(void)argc;
	(void)argv;
	input.data = &none;
	if (pthread_create(&thread, NULL, work, NULL) != 0)
		abort();
	pthread_mutex_lock(&input.lock);
	while (input.data != NULL)
		pthread_cond_wait(&input.is_new, &input.lock);
	pthread_mutex_unlock(&input.lock);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pthread_mutex_lock(&input.lock);
	input.data = data;
	input.size = size;
	pthread_cond_broadcast(&input.is_new);
	while (input.data != NULL)
		pthread_cond_wait(&input.is_new, &input.lock);
	pthread_mutex_unlock(&input.lock);
	return 0;
}
