/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.c: makes calls for the debug variant to trace. Run with the library preloaded:
 * trace MODE [ARGUMENT...]. main() lists the modes. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmmalloc.h"

/* libc does not have these. They are found when the library is preloaded. */
#pragma weak cfree
#pragma weak free_sized
#pragma weak free_aligned_sized
#pragma weak mallocx
#pragma weak rallocx
#pragma weak xallocx
#pragma weak dallocx
#pragma weak sdallocx

static void
fail(const char *what)
{
	fprintf(stderr, "trace: %s: %s\n", what, strerror(errno));
	_exit(2);
}

static void
each_function_once(void)
{
	void *block = malloc(4321);
	void *aligned = NULL;

	block = realloc(block, 5432);
	block = reallocarray(block, 3, 1111);
	free(block);
	free(calloc(7, 13));
	cfree(aligned_alloc(64, 640));
	if (posix_memalign(&aligned, 128, 1280) != 0)
		fail("posix_memalign");
	free_aligned_sized(aligned, 128, 1280);
	free(memalign(256, 2560));
	free(valloc(77));
	free(pvalloc(88));
	free_sized(malloc(99), 99);
	block = mallocx(1234, 0);
	block = rallocx(block, 2345, 0);
	xallocx(block, 2346, 0, 0);
	dallocx(block, 0);
	sdallocx(mallocx(555, 0), 555, 0);
	free(NULL);
}

/* Each pass writes two lines at level 4. Their lengths vary with the size. */
static void *
churn(void *argument)
{
	size_t count = *(size_t *)argument;

	for (size_t i = 0; i < count; i++)
		free(malloc(24 + i % 1000));
	return NULL;
}

static void
run_threads(size_t nthreads, size_t count)
{
	pthread_t threads[64];

	for (size_t i = 0; i < nthreads; i++) {
		if (pthread_create(&threads[i], NULL, churn, &count) != 0)
			fail("pthread_create");
	}
	for (size_t i = 0; i < nthreads; i++)
		pthread_join(threads[i], NULL);
}

/* Forks while a thread allocates. Each child allocates in threads, too. */
static void
run_forks(size_t nforks, size_t count)
{
	pthread_t thread;
	int status;

	if (pthread_create(&thread, NULL, churn, &count) != 0)
		fail("pthread_create");
	for (size_t i = 0; i < nforks; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid == 0) {
			run_threads(2, count / 10);
			exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			fail("child");
		printf("%ld\n", (long)pid);
	}
	pthread_join(thread, NULL);
}

/* Children that make lines without using the heap. */
static void
run_silent_forks(size_t nforks)
{
	for (size_t i = 0; i < nforks; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			free(NULL);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			fail("fork");
	}
}

static void *
churn_on(void *unused)
{
	for (;;)
		free(malloc(100));
	return unused;
}

/*
 * Forks a child into a PID namespace of its own while threads write lines. Parent and child
 * both have the process ID 1, so this must run as the first process of a namespace. Returns
 * 77 if it does not, or if no namespace can be made.
 */
static int
run_namespace(void)
{
	pthread_t thread;
	int status = 1;
	pid_t pid;

	for (int i = 0; i < 4; i++)
		pthread_create(&thread, NULL, churn_on, NULL);
	if (getpid() != 1 || unshare(CLONE_NEWPID) != 0)
		return 77;
	pid = fork();
	if (pid == 0) {
		free(malloc(1));
		_exit(getpid() != 1);
	}
	waitpid(pid, &status, 0);
	return status != 0;
}

/* A signal handler forks. It usually interrupts the writing of a line. */
static volatile sig_atomic_t nhandled;

static void
fork_in_handler(int number)
{
	pid_t pid = fork();

	(void)number;
	if (pid == 0)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		_exit(1);
	nhandled++;
}

static void
run_handlers(int nhandlers)
{
	struct sigaction action = { .sa_handler = fork_in_handler, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (nhandled < nhandlers)
		free(malloc(100));
}

/* Like a daemon: closes all descriptors, and opens a file under the same numbers. */
static void
close_all(const char *path)
{
	for (int fd = 3; fd < 2000; fd++)
		close(fd);
	for (int i = 0; i < 1100; i++) {
		if (open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) < 0)
			fail(path);
	}
	free(malloc(2718));
}

/* Calls that must fail, with NULL or EINVAL. Returns 0 if all do. */
static int
errors(void)
{
	/* volatile: otherwise the compiler computes results itself, and warns. */
	volatile size_t three = 3, four = 4, most = SIZE_MAX;
	void *block = NULL;

	return malloc(most / 4) != NULL || aligned_alloc(three, 3) != NULL ||
	    posix_memalign(&block, four, 10) != EINVAL || memalign(most, 10) != NULL ||
	    calloc(most / 2, three) != NULL || malloc_info(7, stdout) != EINVAL;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	size_t first = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	size_t second = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

	/* Buffered, so that no output of this program comes between lines of the trace. */
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (strcmp(what, "each") == 0)
		each_function_once();
	else if (strcmp(what, "threads") == 0)
		run_threads(first, second);
	else if (strcmp(what, "forks") == 0)
		run_forks(first, second);
	else if (strcmp(what, "silent-forks") == 0)
		run_silent_forks(first);
	else if (strcmp(what, "handlers") == 0)
		run_handlers((int)first);
	else if (strcmp(what, "namespace") == 0)
		return run_namespace();
	else if (strcmp(what, "close") == 0)
		close_all(argv[2]);
	else if (strcmp(what, "chdir") == 0 && chdir("/") == 0)
		run_forks(1, 10);
	else if (strcmp(what, "errors") == 0)
		return errors();
	else
		return 2;
	return 0;
}
