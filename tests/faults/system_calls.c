/* SPDX-License-Identifier: BSD-3-Clause */
/* system_calls.c: makes each system call of the library fail, in a program that allocates,
 * forks and frees. The first calls fail with each errno value; of the later calls a choice
 * fails, with some of the values. Prints TAP. Usage:
 * system_calls [-a] [-l] [-t] [-o] [-c CALL] LIBRARIES
 * -a: each later call fails, not a choice. -l: all calls after a failed one fail, too.
 * -t: without O_TMPFILE. -o: only this test uses the pool's file system. -c: only this system
 * call fails.
 * LIBRARIES are the module of system_calls_seam.c and the library. VMMALLOC_POOL_DIR must
 * be set, and INJECT must name a file for the shared page. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system_calls_test.h"

struct inject *inject;

void
open_page(const char *path)
{
	int fd = path == NULL ? -1
			      : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*inject)) != 0)
		exit(99);
	inject = mmap(NULL, sizeof(*inject), PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	if (inject == MAP_FAILED)
		exit(99);
	close(fd);
}

#define TIMES_MAX 200  /* the most calls of one system call that fail */
#define CHOICE_FIRST 2 /* each error comes at the first 2 calls; with -a at the first 3 */
#define CHOICE_STEP 13 /* later, each error comes at one call in 13 */

static const char *const names[] = {
#define NAME(type, name, parameters, arguments) #name,
	VMM_SYS_CALLS(NAME, NAME, NAME)
};

static struct {
	const char *dir;
	int output; /* descriptor of the file with the program's stderr */
	bool is_all, is_lasting, has_no_tmpfile, is_own;
	uint64_t free_blocks;
	unsigned runs, tests, faults, at_start, aborted;
} test;

static char output[4096];

static void
read_output(void)
{
	ssize_t got = pread(test.output, output, sizeof(output) - 1, 0);

	output[got > 0 ? got : 0] = '\0';
}

static uint64_t
free_blocks(void)
{
	struct statfs stat;

	return statfs(test.dir, &stat) == 0 ? (uint64_t)stat.f_bfree : 0;
}

/* Counts the files that are left in the pool's directory, and removes them. */
static int
names_left(void)
{
	DIR *dir = opendir(test.dir);
	int left = 0;

	if (dir == NULL)
		return -1;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strncmp(entry->d_name, ".vmmalloc.", 10) != 0)
			continue;
		left++;
		unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	return left;
}

/*
 * Kills a program that takes too long. The library blocks all signals around fork(2), so a
 * program that hangs there does not get its alarm(2).
 */
static void
end_late(pid_t pid)
{
	struct pollfd end = {
		.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN
	};

	if (end.fd < 0)
		return;
	if (poll(&end, 1, (SECONDS_MAX + 20) * 1000) == 0)
		kill(pid, SIGKILL);
	close(end.fd);
}

static int
run(enum inject_call call, unsigned nth, int error)
{
	int status;
	pid_t pid;

	memset(inject, 0, sizeof(*inject));
	inject->call = call;
	inject->nth = nth;
	inject->error = error;
	inject->is_lasting = test.is_lasting;
	inject->has_no_tmpfile = test.has_no_tmpfile;
	if (ftruncate(test.output, 0) != 0 ||
	    lseek(test.output, 0, SEEK_SET) != 0)
		exit(99);
	test.runs++;
	pid = vfork();
	if (pid == 0) {
		/* Until execve the child has the parent's memory. */
		static char *arguments[] = { (char *)"system_calls",
			(char *)"program", NULL };

		alarm(SECONDS_MAX);
		dup2(test.output, STDERR_FILENO);
		execve("/proc/self/exe", arguments, environ);
		_exit(98);
	}
	if (pid < 0)
		exit(99);
	end_late(pid);
	if (waitpid(pid, &status, 0) != pid)
		exit(99);
	return status;
}

/* Whether the library has refused to start: status 1 and two lines before main. */
static bool
is_refused(int status)
{
	char *second = strchr(output, '\n');

	return WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
	    !inject->is_started &&
	    strncmp(output, "Error (libvmmalloc): ", 21) == 0 && second != NULL &&
	    strncmp(second + 1, "libvmmalloc: ", 13) == 0 &&
	    strchr(second + 1, '\n') == output + strlen(output) - 1;
}

/* A child may abort if the kernel refuses it memory for a private heap. */
static bool
is_child_excused(enum inject_call call)
{
	test.aborted++;
	return (call == INJECT_mmap || call == INJECT_mremap) &&
	    strstr(output, "Error (libvmmalloc): no memory for the heap of a"
		" forked child") != NULL;
}

static const char *
judge(int status, enum inject_call call)
{
	bool is_good = status == 0;
	int left = names_left();

	test.faults += inject->injected != 0;
	if (is_good && inject->is_child_aborted)
		is_good = is_child_excused(call);
	else if (!is_good && is_refused(status)) {
		test.at_start++;
		is_good = true;
	}
	if (!is_good)
		return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : output;
	/* If unlinkat(2) itself fails, the file stays. */
	if (left != 0 && call != INJECT_unlinkat)
		return "a file is left";
	if (left != 0 && status == 0 && !inject->was_started)
		return "a file is left, and there was no message";
	if (test.is_own && free_blocks() != test.free_blocks)
		return "blocks are left";
	return NULL;
}

static bool
is_chosen(unsigned nth, unsigned error, unsigned count)
{
	/* With -a each later call has one of the errors. */
	unsigned step = test.is_all ? count : CHOICE_STEP;

	return nth <= CHOICE_FIRST + (unsigned)test.is_all || nth % step == error % step;
}

static unsigned
error_count(enum inject_call call)
{
	unsigned count = 0;

	while (count < ERRORS_MAX && system_call_errors[call][count] != 0)
		count++;
	return count;
}

/* The library repeats calls that fail with these errors. A lasting one could make it hang. */
static bool
is_retried(int error)
{
	return error == EINTR || error == EAGAIN || error == EEXIST;
}

static void
each_time(enum inject_call call, unsigned times)
{
	unsigned runs = test.runs, bad = 0, count = error_count(call);

	for (unsigned i = 0; i < count; i++) {
		int error = system_call_errors[call][i];

		if (test.is_lasting && is_retried(error))
			continue;
		for (unsigned nth = 1; nth <= times; nth++) {
			const char *why;
			int status;

			if (!is_chosen(nth, i, count))
				continue;
			status = run(call, nth, error);
			read_output();
			why = judge(status, call);
			if (why == NULL)
				continue;
			if (bad++ < 20)
				printf("# %s %u, %s: status %#x: %.300s\n",
				    names[call], nth, error < 0 ? "half"
				    : strerrorname_np(error), (unsigned)status,
				    why);
		}
	}
	printf("%sok %u - %s: %serrors at calls 1 to %u, in %u runs\n",
	    bad ? "not " : "", ++test.tests, names[call],
	    test.is_lasting ? "lasting " : "", times, test.runs - runs);
	fflush(stdout);
}

static void
set_up(const char *libraries)
{
	test.dir = getenv("VMMALLOC_POOL_DIR");
	if (test.dir == NULL || getenv("INJECT") == NULL)
		exit(99);
	open_page(getenv("INJECT"));
	setenv("LD_PRELOAD", libraries, 1);
	test.output = open(".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (test.output < 0)
		test.output = memfd_create("output", MFD_CLOEXEC);
	test.free_blocks = free_blocks();
}

int
main(int argc, char **argv)
{
	unsigned counts[INJECT_COUNT];
	const char *only = NULL;
	int option, status;

	if (argc == 2 && strcmp(argv[1], "program") == 0)
		return program();
	while ((option = getopt(argc, argv, "altoc:")) != -1) {
		test.is_all |= option == 'a';
		test.is_lasting |= option == 'l';
		test.has_no_tmpfile |= option == 't';
		test.is_own |= option == 'o';
		if (option == 'c')
			only = optarg;
	}
	if (optind != argc - 1)
		return 99;
	set_up(argv[optind]);
	status = run(INJECT_COUNT, 0, 0);
	read_output();
	printf("%sok %u - no error\n# %s\n", status == 0 ? "" : "not ",
	    ++test.tests, output);
	memcpy(counts, inject->counts, sizeof(counts));
	for (unsigned call = 0; call < INJECT_COUNT; call++) {
		if (counts[call] > 0 && error_count(call) > 0 &&
		    (only == NULL || strcmp(only, names[call]) == 0))
			each_time(call, counts[call] < TIMES_MAX ? counts[call]
								 : TIMES_MAX);
	}
	printf("# %u runs, %u with an error, %u refused at start, %u children "
	    "aborted\n", test.runs, test.faults, test.at_start, test.aborted);
	printf("1..%u\n", test.tests);
	return 0;
}
