/* SPDX-License-Identifier: BSD-3-Clause */
/* limits.c: a heap in strange environments; run with the library preloaded.
 * strange MODE [ARGUMENT...]: prints TAP, but for the mode stdio, whose status says
 * all. `strange forbid CALL ERRNO PROGRAM...`, without the library, runs a program for
 * which that system call fails. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/disk.h"

#define NBLOCKS 100
#define BLOCK_BYTES ((size_t)60000)
#define MORE 300 /* blocks, which make the pool grow */

static const char *kind_text; /* VMMALLOC_FORK, as it was at the start */
static int kind = 1;

/* Takes much more, writes to all of it, and gives it back. */
static int
grows(void)
{
	char *more[MORE];
	int got = 0;

	errno = 0;
	while (got < MORE && (more[got] = malloc(BLOCK_BYTES)) != NULL)
		memset(more[got++], 9, BLOCK_BYTES);
	for (int i = 0; i < got; i++) {
		if (more[i][0] != 9 || more[i][BLOCK_BYTES - 1] != 9)
			return 0;
		free(more[i]);
	}
	return got == MORE;
}

static int
lives_in_child(void)
{
	pid_t pid;

	if (!(blocks_are(1) && blocks_write(3) && grows() && blocks_are(3)))
		return 0;
	/* And a child of its own, whatever it has become. */
	pid = fork();
	if (pid == 0)
		_exit(!(blocks_are(3) && blocks_write(4) && blocks_are(4)));
	return blocks_ends_good(pid) && blocks_are(3);
}

/*
 * The heap has what it had, grows, and has children, which have it too; or, where
 * `fork_error` says so, and under 2, cannot have any.
 */
static void
lives(int fork_error, const char *what)
{
	char text[200];
	pid_t pid;

	snprintf(text, sizeof(text), "%s: the heap grows and is whole", what);
	blocks_result(blocks_write(1) && grows() && blocks_are(1), text);
	errno = 0;
	pid = kind == 0 ? 0 : fork();
	if (pid == 0 && kind != 0)
		_exit(!lives_in_child());
	if (fork_error != 0 && kind == 2) {
		snprintf(text, sizeof(text), "%s: fork fails, %s", what,
		    strerror(fork_error));
		blocks_result(pid == -1 && errno == fork_error, text);
	} else if (kind != 0) {
		snprintf(text, sizeof(text), "%s: children have it, too", what);
		blocks_result(blocks_ends_good(pid), text);
	}
	snprintf(text, sizeof(text), "%s: and afterwards", what);
	blocks_result(blocks_are(1) && blocks_write(2) && grows() &&
	    blocks_are(2) && blocks_write(1), text);
}

/*
 * The environment
 */

extern char **environ;

/* Before any constructor, the library's among them: what libc does not know yet. */
static void
forget_environment(int argc, char **argv, char **envp)
{
	(void)argc;
	for (; *envp != NULL; envp++) {
		if (strncmp(*envp, "VMMALLOC_FORK=", 14) == 0)
			kind_text = *envp + 14;
	}
	if (argv[1] != NULL && strcmp(argv[1], "preinit") == 0)
		environ = NULL;
}

static void (*const before_constructors[])(int, char **, char **)
    __attribute__((used, section(".preinit_array"))) = { forget_environment };

static void
change_environment(void)
{
	static char *none[] = { NULL };
	char *first = environ[0];
	char *last = first;

	for (char **variable = environ; *variable != NULL; variable++)
		last = *variable + strlen(*variable);
	setenv("VMMALLOC_POOL_DIR", "/nonexistent", 1);
	setenv("VMMALLOC_FORK", "0", 1);
	setenv("VMMALLOC_POOL_SIZE", "1", 1);
	lives(0, "variables changed");
	/* As programs do that show their state in ps(1). */
	if (first != NULL)
		memset(first, 'x', (size_t)(last - first));
	lives(0, "strings written over");
	environ = none;
	lives(0, "empty environ");
	environ = NULL;
	lives(0, "environ NULL");
	clearenv();
	setenv("A", "b", 1);
	lives(0, "a new environ");
}

/*
 * Descriptors
 */

/* Those of 0, 1 and 2 that were closed still are; and nobody has them in a child. */
static int
are_closed(const char *closed)
{
	for (; *closed != '\0'; closed++) {
		if (fcntl(*closed - '0', F_GETFD) >= 0)
			return 0;
	}
	return 1;
}

static int
stay_closed(const char *closed)
{
	int is_good = are_closed(closed) && blocks_write(1) && grows();
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		pid = fork();
		if (pid == 0)
			_exit(!(are_closed(closed) && lives_in_child() &&
			    are_closed(closed)));
		is_good &= blocks_ends_good(pid) && are_closed(closed) &&
		    grows() && blocks_are(1);
	}
	return !is_good;
}

/* As daemons do. */
static void
close_all(void)
{
	int last = 0;

	if (syscall(SYS_close_range, 3, ~0U, 0) != 0) {
		for (int fd = 3; fd < 4096; fd++)
			close(fd);
	}
	lives(0, "all descriptors closed");
	/* Under the pool's numbers, and many more, there is something else. */
	for (int fd = 3; fd >= 0 && fd < 1100; fd = dup(0))
		last = fd;
	lives(0, "all descriptors are the program's");
	for (int fd = 3; fd <= last; fd++) {
		if (fcntl(fd, F_GETFD) < 0) {
			blocks_result(0, "the library has closed one");
			return;
		}
	}
	blocks_result(1, "the library has closed none of them");
	blocks_result(daemon(0, 1) == 0, "daemon");
	lives(0, "a daemon");
}

/*
 * Other roots and namespaces
 */

static void
change_root(const char *dir)
{
	lives(0, "before chroot");
	if (chroot(dir) != 0 || chdir("/") != 0)
		exit(99);
	lives(ENOENT, "in another root");
}

static int
enter_own_directory(void *argument)
{
	(void)argument;
	return chroot("/proc/self/fdinfo") != 0 || chdir("/") != 0;
}

/*
 * As sandboxes do that want an empty directory: that of a process which has ended. The
 * first fork comes after that.
 */
static void
lose_root(void)
{
	_Alignas(16) static char stack[65536];
	int status = -1;
	pid_t child = clone(enter_own_directory, stack + sizeof(stack),
	    CLONE_FS | CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);

	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		exit(99);
	lives(ESRCH, "in a root that is gone");
}

static void
leave_namespaces(void)
{
	lives(0, "before unshare");
	/* Children are in the new namespace of processes, the first as its init. */
	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC) != 0)
		exit(99);
	lives(0, "in new namespaces");
}

static void
lose_proc(void)
{
	lives(0, "with /proc");
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    umount2("/proc", MNT_DETACH) != 0)
		exit(99);
	lives(0, "without /proc");
}

static void
lose_directory(const char *dir)
{
	blocks_result(rmdir(dir) == 0, "the directory is removed");
	lives(ENOENT, "no directory");
}

/*
 * System calls that are forbidden
 */

static int
call_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} calls[] = {
		{ "fallocate", SYS_fallocate }, { "madvise", SYS_madvise },
		{ "statx", SYS_statx }, { "fcntl", SYS_fcntl },
		{ "getrandom", SYS_getrandom }, { "prlimit64", SYS_prlimit64 },
		{ "fstatfs", SYS_fstatfs }, { "ioctl", SYS_ioctl },
		{ "sched_getaffinity", SYS_sched_getaffinity },
		{ "clone", SYS_clone },
		{ "mremap", SYS_mremap }, { "lseek", SYS_lseek },
		{ "pwrite64", SYS_pwrite64 }, { "pread64", SYS_pread64 },
		{ "rt_sigprocmask", SYS_rt_sigprocmask },
		{ "sync_file_range", SYS_sync_file_range },
		{ "ftruncate", SYS_ftruncate },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	}
	exit(99);
}

/* For good, and for all children (seccomp(2)). */
static int
forbid(const char *name, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
		    (unsigned)call_number(name), 0, 1),
		BPF_STMT(BPF_RET | BPF_K,
		    SECCOMP_RET_ERRNO | ((unsigned)error & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		sizeof(filter) / sizeof(filter[0]), filter
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int
error_number(const char *name)
{
	return strcmp(name, "EPERM") == 0 ? EPERM
	    : strcmp(name, "EAGAIN") == 0 ? EAGAIN : ENOSYS;
}

/* What was promised is there, and then there is no more. */
static void
no_fallocate(const char *name)
{
	int error = error_number(name);
	int is_full;
	pid_t pid;

	blocks_result(blocks_write(1), "blocks before");
	if (!forbid("fallocate", error))
		exit(99);
	is_full = !grows() && errno == ENOMEM;
	blocks_result(is_full && blocks_are(1) && blocks_write(2) &&
	    blocks_are(2) && blocks_write(1), "fallocate forbidden: NULL, ENOMEM");
	errno = 0;
	pid = kind == 0 ? -1 : fork();
	if (pid == 0)
		_exit(!(blocks_are(1) && blocks_write(3) && blocks_are(3)));
	if (kind == 2)
		blocks_result(pid == -1 && errno == error,
		    "fallocate forbidden: fork fails");
	else if (kind != 0)
		blocks_result(blocks_ends_good(pid),
		    "fallocate forbidden: private children");
	blocks_result(blocks_are(1), "fallocate forbidden: nothing is lost");
}

/* fork(2) itself fails, after all that was prepared for it. */
static void
no_clone(void)
{
	int descriptors[2] = { 0, 0 };
	int is_good = 1;

	blocks_result(blocks_write(1), "blocks before");
	for (int round = 0; round < 2; round++) {
		if (round == 1 && !forbid("clone", EAGAIN))
			exit(99);
		for (int i = 0; i < 10 && round == 1; i++) {
			pid_t pid;

			errno = 0;
			pid = fork();
			if (pid == 0)
				_exit(0);
			is_good &= pid == -1 && errno == EAGAIN &&
			    blocks_are(1) && blocks_write(2) && grows() &&
			    blocks_are(2) && blocks_write(1);
		}
		for (int fd = 0; fd < 2000; fd++)
			descriptors[round] += fcntl(fd, F_GETFD) >= 0;
	}
	blocks_result(is_good, "no process more: fork fails, EAGAIN");
	blocks_result(descriptors[0] == descriptors[1],
	    "no process more: no descriptor is left");
}

/*
 * Mappings: as many as the kernel allows, but for a few (vm.max_map_count).
 */

static void
no_mappings(const char *how)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t count = 0, most = 0;
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	int failed = 0, is_good = 1;
	char *place;

	if (file == NULL || fscanf(file, "%zu", &most) != 1 || most > 1000000)
		exit(77);
	fclose(file);
	place = mmap(NULL, 2 * most * page, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (place == MAP_FAILED)
		exit(77);
	blocks_result(blocks_write(1), "blocks before");
	if (strcmp(how, "closed") == 0)
		close(disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR")));
	/* Every second page another way: two mappings more each time. */
	while (count < most && mprotect(place + 2 * count * page, page,
		PROT_READ) == 0)
		count++;
	printf("# %zu of %zu mappings\n", 2 * count, most);
	for (int left = 0; left < 24; left++) {
		pid_t pid;

		errno = 0;
		is_good &= blocks_are(1) && (grows() || errno == ENOMEM);
		errno = 0;
		pid = kind == 0 ? -1 : fork();
		if (pid == 0)
			_exit(!(blocks_are(1) && blocks_write(3) &&
			    blocks_are(3)));
		failed += pid < 0;
		if (pid > 0 ? !blocks_ends_good(pid) : kind != 0 &&
		    errno != ENOMEM) {
			printf("# %d left: %s\n", left, strerror(errno));
			is_good = 0;
		}
		is_good &= blocks_are(1) && blocks_write(2) && blocks_are(2) &&
		    blocks_write(1);
		/* One more, or two. */
		if (count > 0 && mprotect(place + 2 * --count * page, page,
			PROT_NONE) != 0)
			break;
	}
	printf("# %d of 24 forks failed\n", failed);
	blocks_result(is_good, "no mapping more: ENOMEM at the most");
	munmap(place, 2 * most * page);
	lives(0, "mappings again");
}

/*
 * Limits of memory, each of so many MiB more than there is now.
 */

static size_t
now_bytes(int resource)
{
	unsigned long pages[7] = { 0 };
	FILE *file = fopen("/proc/self/statm", "r");

	/* Size of the address space, and of data and stack (proc(5)). */
	if (file == NULL || fscanf(file, "%lu %lu %lu %lu %lu %lu", &pages[0],
		&pages[1], &pages[2], &pages[3], &pages[4], &pages[5]) != 6)
		exit(77);
	fclose(file);
	return pages[resource == RLIMIT_AS ? 0 : 5] *
	    (size_t)sysconf(_SC_PAGESIZE);
}

/* Blocks of all sizes, many of them: what the allocator notes of them grows as well. */
static int
takes_small(void)
{
	char *chain = NULL, *block;
	size_t size = 16;
	int count = 0;
	int is_good;

	errno = 0;
	while ((block = malloc(size)) != NULL && count++ < 8000) {
		memset(block, 0, size);
		*(char **)block = chain;
		chain = block;
		size = size % 3000 + 16;
	}
	is_good = block != NULL || errno == ENOMEM;
	free(block);
	while (chain != NULL) {
		block = chain;
		chain = *(char **)chain;
		free(block);
	}
	return is_good;
}

static void
limited(int resource, const char *name, const char *how)
{
	static const unsigned more_mib[] = { 0, 2, 8, 16, 24, 40, 64, 80, 100,
		130, 200, 400 };
	struct rlimit before, limit;
	int failed = 0, is_good = 1;

	blocks_result(blocks_write(1), "blocks before");
	/* Without it the child gets a copy of what is in use, in memory. */
	if (strcmp(how, "closed") == 0)
		close(disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR")));
	getrlimit(resource, &before);
	for (size_t i = 0; i < sizeof(more_mib) / sizeof(more_mib[0]); i++) {
		pid_t pid;

		limit = before;
		limit.rlim_cur = now_bytes(resource) +
		    ((size_t)more_mib[i] << 20);
		setrlimit(resource, &limit);
		errno = 0;
		pid = kind == 0 ? -1 : fork();
		if (pid == 0)
			_exit(!(blocks_are(1) && blocks_write(3) &&
			    takes_small() && blocks_are(3)));
		failed += pid < 0;
		if (pid > 0 ? !blocks_ends_good(pid) : kind != 0 &&
		    errno != ENOMEM) {
			printf("# %u MiB more: %s\n", more_mib[i],
			    pid > 0 ? "the child" : strerror(errno));
			is_good = 0;
		}
		is_good &= takes_small() && blocks_are(1) && blocks_write(2) &&
		    blocks_are(2) && blocks_write(1);
		setrlimit(resource, &before);
	}
	printf("# %s: %d forks failed\n", name, failed);
	blocks_result(is_good, "limit of memory: ENOMEM at the most");
	lives(0, "without a limit");
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "plain";
	const char *argument = argc > 2 ? argv[2] : "";

	if (strcmp(mode, "forbid") == 0 && argc > 4) {
		if (!forbid(argument, error_number(argv[3])))
			return 77;
		execvp(argv[4], argv + 4);
		return 99;
	}
	kind = kind_text == NULL ? 1 : atoi(kind_text);
	blocks_set(NBLOCKS, BLOCK_BYTES);
	if (strcmp(mode, "stdio") == 0)
		return stay_closed(argument);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(mode, "plain") == 0 || strcmp(mode, "preinit") == 0) {
		/* Read before environ was lost. */
		blocks_result(disk_pool_descriptor(argument) >= 0, "has a pool");
		lives(0, mode);
	} else if (strcmp(mode, "environ") == 0)
		change_environment();
	else if (strcmp(mode, "closes") == 0)
		close_all();
	else if (strcmp(mode, "chroot") == 0)
		change_root(argument);
	else if (strcmp(mode, "gone") == 0)
		lose_root();
	else if (strcmp(mode, "unshare") == 0)
		leave_namespaces();
	else if (strcmp(mode, "noproc") == 0)
		lose_proc();
	else if (strcmp(mode, "rmdir") == 0)
		lose_directory(argument);
	else if (strcmp(mode, "fallocate") == 0)
		no_fallocate(argument);
	else if (strcmp(mode, "clone") == 0)
		no_clone();
	else if (strcmp(mode, "mappings") == 0)
		no_mappings(argument);
	else if (strcmp(mode, "as") == 0)
		limited(RLIMIT_AS, "RLIMIT_AS", argument);
	else if (strcmp(mode, "data") == 0)
		limited(RLIMIT_DATA, "RLIMIT_DATA", argument);
	else
		return 99;
	return blocks_plan();
}
