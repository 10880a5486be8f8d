/* SPDX-License-Identifier: BSD-3-Clause */
/* kill.c: checks that SIGKILL at random moments leaves nothing behind. Usage:
 * kill MOMENTS SEED LIBRARY...
 * Kills MOMENTS programs on pools in $VMMALLOC_POOL_DIR, with each library in turn. The
 * directory must be on a file system of its own. Prints TAP. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill.h"

#define PAGE_FD 900
#define SETTLE_SECONDS 20

static struct {
	const char *dir;
	int dir_fd;
	struct statfs before;
	unsigned files, blocks, ended, places[PLACES];
	unsigned moments[4], in_fork[4]; /* for each VMMALLOC_FORK */
	uint64_t start_ns; /* how long a program needs to reach main */
} test;

/* A program, and when and how it is killed. */
struct moment {
	int number;
	int when; /* 7: before main; even: during fork(2) or soon after it; odd: any time */
	int library;
	int fork;
	int has_thread;
	int only_program; /* not its process group */
};

static int
take_digit(int *number, int base)
{
	int digit = *number % base;

	*number /= base;
	return digit;
}

/* Each setting is a digit of the number. With two libraries, 512 numbers have all
 * combinations. */
static struct moment
moment_of(int number, int nlibraries)
{
	/* Not VMMALLOC_FORK=0, with which parent and child share the heap. */
	static const int forks[] = { 2, 2, 2, 2, 2, 1, 1, 3 };
	struct moment moment = { .number = number };

	moment.when = take_digit(&number, 8);
	moment.library = take_digit(&number, nlibraries);
	moment.fork = forks[take_digit(&number, 8)];
	moment.has_thread = take_digit(&number, 2);
	moment.only_program = take_digit(&number, 2);
	return moment;
}

/* Returns the number of files in the pool directory. */
static int
names(void)
{
	DIR *dir = opendir(test.dir);
	int count = 0;

	if (dir == NULL)
		return -1;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
	closedir(dir);
	return count;
}

static int
is_as_before(void)
{
	struct statfs now;

	return statfs(test.dir, &now) == 0 &&
	    now.f_bfree == test.before.f_bfree &&
	    now.f_bavail == test.before.f_bavail;
}

/* Some file systems free blocks a little after the last process has ended. */
static int
settles(void)
{
	uint64_t end = now_ns() + (uint64_t)SETTLE_SECONDS * 1000000000;

	while (!is_as_before()) {
		if (now_ns() > end)
			return 0;
		syncfs(test.dir_fd);
	}
	return 1;
}

static pid_t
begin(const struct moment *moment, char *library)
{
	char fork_text[16], number[16];
	pid_t pid;

	memset(page, 0, sizeof(*page));
	snprintf(fork_text, sizeof(fork_text), "%d", moment->fork);
	snprintf(number, sizeof(number), "%d", moment->number);
	pid = fork();
	if (pid != 0)
		return pid;
	/* The program must not outlive the test. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("VMMALLOC_FORK", fork_text, 1);
	setenv("LD_PRELOAD", library, 1);
	setpgid(0, 0);
	execl("/proc/self/exe", "kill", "program", number,
	    moment->has_thread ? "thread" : "alone", NULL);
	_exit(98);
}

static void
pass(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		;
}

/* Waits until the program has reached a place and made some forks, or has ended; at most a
 * minute. */
static void
wait_for(enum place place, unsigned forks, pid_t pid)
{
	uint64_t end = now_ns() + (uint64_t)60 * 1000000000;
	siginfo_t info = { 0 };

	while (page->place < place || page->forks < forks) {
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
		if (info.si_pid != 0 || now_ns() > end)
			return;
		sched_yield();
	}
}

/* Waits for a random moment. */
static void
wait_for_moment(const struct moment *moment, pid_t pid, uint64_t begin_ns)
{
	if (moment->when == 7) {
		pass(below(1000) * (test.start_ns / 1000));
		return;
	}
	wait_for(IN_MAIN, 1 + below(4), pid);
	test.start_ns = page->main_ns > begin_ns ? page->main_ns - begin_ns : 0;
	if (moment->when % 2 == 0)
		wait_for(IN_FORK, 0, pid);
	pass(below(1000) * (page->fork_ns / 1000));
}

/* Whether all children end in time: the killed program's, and the helper of a stop. */
static int
all_end(void)
{
	uint64_t end = now_ns() + (uint64_t)SETTLE_SECONDS * 1000000000;

	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return 1;
		if (now_ns() > end)
			return 0;
		if (pid == 0)
			sched_yield();
	}
}

static void
kill_one(int number, char **libraries, int nlibraries)
{
	struct moment moment = moment_of(number, nlibraries);
	uint64_t begin_ns = now_ns();
	pid_t pid = begin(&moment, libraries[moment.library]);
	int status, left;

	if (pid < 0)
		exit(99);
	setpgid(pid, pid);
	wait_for_moment(&moment, pid, begin_ns);
	/*
	 * Kills the whole process group, or only the program. In the second case its children
	 * and the helper of a stop must end by themselves soon.
	 */
	kill(moment.only_program ? pid : -pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL) {
		printf("# moment %d: the program ended by itself, status %#x\n", number,
		    (unsigned)status);
		test.ended++;
	}
	if (!all_end()) {
		printf("# moment %d: a process lives on\n", number);
		exit(1);
	}
	test.places[page->place]++;
	test.moments[moment.fork]++;
	test.in_fork[moment.fork] += page->place == IN_FORK;
	left = names();
	if (left != 0)
		printf("# moment %d: %d files are left\n", number, left);
	test.files += left != 0;
	if (!settles()) {
		printf("# moment %d: blocks are not freed\n", number);
		test.blocks++;
	}
}

static void
set_up(void)
{
	int fd = memfd_create("page", 0);

	test.dir = getenv("VMMALLOC_POOL_DIR");
	if (fd < 0 || test.dir == NULL || ftruncate(fd, sizeof(*page)) != 0 ||
	    dup2(fd, PAGE_FD) != PAGE_FD)
		exit(99);
	close(fd);
	map_page(PAGE_FD);
	test.dir_fd = open(test.dir, O_RDONLY | O_CLOEXEC);
	/* The kernel gives orphans to this process. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* Forgets what was counted. */
static void
begin_counts(void)
{
	memset(test.places, 0, sizeof(test.places));
	memset(test.moments, 0, sizeof(test.moments));
	memset(test.in_fork, 0, sizeof(test.in_fork));
	test.files = test.blocks = test.ended = 0;
}

static void
print_results(int moments, const char *seed_text)
{
	printf("# seed %s: killed before main %u, outside of fork %u, in fork %u\n",
	    seed_text, test.places[IN_START], test.places[IN_MAIN],
	    test.places[IN_FORK]);
	printf("%sok 1 - %d moments: no file is left\n",
	    test.files == 0 ? "" : "not ", moments);
	printf("%sok 2 - %d moments: no block is left\n",
	    test.blocks == 0 ? "" : "not ", moments);
	printf("%sok 3 - no program ended before it was killed\n",
	    test.ended == 0 ? "" : "not ");
	for (int i = 1; i <= 3; i++) {
		printf("# VMMALLOC_FORK=%d: %u moments, %u in fork\n", i, test.moments[i],
		    test.in_fork[i]);
		printf("%sok %d - VMMALLOC_FORK=%d: at least a fifth of the moments were "
		    "in fork\n", test.in_fork[i] >= test.moments[i] / 5 ? "" : "not ",
		    i + 3, i);
	}
	printf("1..6\n");
}

int
main(int argc, char **argv)
{
	int moments;

	if (argc == 4 && strcmp(argv[1], "program") == 0) {
		seed = (unsigned)atoi(argv[2]);
		program(PAGE_FD, strcmp(argv[3], "thread") == 0);
	}
	if (argc < 4)
		return 99;
	moments = atoi(argv[1]);
	seed = (unsigned)atoi(argv[2]);
	set_up();
	/* After the first program the file system has made its tables of inodes. */
	statfs(test.dir, &test.before);
	kill_one(1, argv + 3, argc - 3);
	syncfs(test.dir_fd);
	statfs(test.dir, &test.before);
	begin_counts();
	for (int i = 0; i < moments; i++)
		kill_one(i, argv + 3, argc - 3);
	print_results(moments, argv[2]);
	return 0;
}
