/* SPDX-License-Identifier: BSD-3-Clause */
/* callers_libc.c: fork(2) and the state of libc: thread-specific data, locks of FILEs. */
#include "config.h"

#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "callers.h"

#define CHILD_PATIENCE_S 10 /* SIGALRM ends a child that takes longer */

/*
 * keys: in a child, glibc's fork clears the thread-specific values of all threads that
 * the child does not have. glibc keeps the values of the 33rd and later keys in blocks of
 * the heap.
 */

#define NKEYS 48

static pthread_key_t keys[NKEYS];
static sem_t values_set, forks_done;

static void
set_values(uintptr_t owner)
{
	for (uintptr_t i = 0; i < NKEYS; i++)
		pthread_setspecific(keys[i], (void *)(owner + i));
}

static int
has_values(uintptr_t owner)
{
	for (uintptr_t i = 0; i < NKEYS; i++) {
		if (pthread_getspecific(keys[i]) != (void *)(owner + i))
			return 0;
	}
	return 1;
}

static void *
keep_values(void *argument)
{
	set_values(1000);
	sem_post(&values_set);
	sem_wait(&forks_done);
	return has_values(1000) ? argument : keys;
}

enum action { EXIT, EXECUTE, OVERWRITE, DELETE, ALLOCATE, NACTIONS };

static void
child_of_keys(enum action action)
{
	int is_good = has_values(1);

	if (action == EXECUTE)
		execlp("true", "true", (char *)NULL);
	if (action == OVERWRITE)
		set_values(5000);
	for (int i = 0; action == DELETE && i < NKEYS; i++)
		pthread_key_delete(keys[i]);
	if (action == ALLOCATE)
		is_good &= callers_allocate(1);
	_exit(!is_good);
}

void
case_keys(void)
{
	pthread_t threads[2];
	int is_good = 1;

	sem_init(&values_set, 0, 0);
	sem_init(&forks_done, 0, 0);
	for (int i = 0; i < NKEYS; i++)
		pthread_key_create(&keys[i], NULL);
	set_values(1);
	for (int i = 0; i < 2; i++)
		threads[i] = callers_start(keep_values, NULL);
	for (int i = 0; i < 2; i++)
		sem_wait(&values_set);
	for (int action = 0; action < NACTIONS; action++) {
		pid_t pid = fork();

		if (pid == 0)
			child_of_keys((enum action)action);
		is_good &= child_succeeds(pid);
	}
	tap_result(is_good && has_values(1),
	    "the thread that forks keeps its thread-specific values, also in children");
	for (int i = 0; i < 2; i++)
		sem_post(&forks_done);
	for (int i = 0; i < 2; i++) {
		void *wrong = keys;

		pthread_join(threads[i], &wrong);
		tap_result(wrong == NULL,
		    "another thread keeps its thread-specific values");
	}
}

/*
 * file-lock: another thread has locked a FILE twice when this thread forks.
 */

static FILE *file;
static sem_t step_done, next_step;

static void *
lock_file(void *argument)
{
	flockfile(file);
	flockfile(file);
	sem_post(&step_done);
	sem_wait(&next_step);
	funlockfile(file);
	sem_post(&step_done);
	sem_wait(&next_step);
	funlockfile(file);
	return argument;
}

static int
is_locked(void)
{
	if (ftrylockfile(file) != 0)
		return 1;
	funlockfile(file);
	return 0;
}

static int
child_writes(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(CHILD_PATIENCE_S);
		_exit(fputs("child\n", file) < 0 || fflush(file) != 0);
	}
	return child_succeeds(pid);
}

void
case_file_lock(void)
{
	pthread_t thread;

	file = fopen("/dev/null", "w");
	if (file == NULL)
		exit(99);
	sem_init(&step_done, 0, 0);
	sem_init(&next_step, 0, 0);
	thread = callers_start(lock_file, NULL);
	sem_wait(&step_done);
	tap_result(child_writes(),
	    "a FILE that another thread locked is unlocked in a child");
	tap_result(is_locked(), "the FILE is still locked in the parent");
	sem_post(&next_step);
	sem_wait(&step_done);
	tap_result(is_locked() && child_writes() && is_locked(),
	    "the FILE is still locked after another fork and one of two unlocks");
	sem_post(&next_step);
	pthread_join(thread, NULL);
	tap_result(!is_locked() && child_writes(), "the other thread can unlock the FILE");
	fclose(file);
}

/*
 * stdio: fork takes the lock of libc's list of FILEs, and then the locks of the heap.
 * fflush(NULL) takes the lock of the list, and then that of a FILE. getline takes the lock
 * of a FILE, and then allocates. A fork that took the locks of the heap first would cause
 * a deadlock.
 */

#define STDIO_FORKS 100
#define LINE_BYTES 50000
#define NREADERS 2

static int is_over, is_wrong;
static int nflushes, nlines;
static char long_file[64];

static void *
flush_all(void *argument)
{
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		fflush(NULL);
		__atomic_add_fetch(&nflushes, 1, __ATOMIC_RELAXED);
	}
	return argument;
}

static void *
read_lines(void *argument)
{
	FILE *input = fopen(long_file, "r");

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		char *line = NULL;
		size_t bytes = 0;

		if (input == NULL || getline(&line, &bytes, input) != LINE_BYTES)
			__atomic_store_n(&is_wrong, 1, __ATOMIC_RELAXED);
		free(line);
		if (input != NULL)
			rewind(input);
		__atomic_add_fetch(&nlines, 1, __ATOMIC_RELAXED);
		/* Without this, fflush rarely gets the lock of the FILE, and delays fork. */
		sched_yield();
	}
	if (input != NULL)
		fclose(input);
	return argument;
}

/* Makes a file of one long line in memory. Its name is below /proc/self/fd. */
static void
make_long_file(void)
{
	char *line = malloc(LINE_BYTES);
	int fd = memfd_create("line", MFD_CLOEXEC);

	if (line == NULL || fd < 0)
		exit(99);
	memset(line, 'x', LINE_BYTES - 1);
	line[LINE_BYTES - 1] = '\n';
	if (write(fd, line, LINE_BYTES) != LINE_BYTES)
		exit(99);
	snprintf(long_file, sizeof(long_file), "/proc/self/fd/%d", fd);
	free(line);
}

/* Does not flush stdout: only the parent prints TAP. */
static void
child_of_stdio(void)
{
	alarm(CHILD_PATIENCE_S);
	if (fputs("child\n", file) < 0 || fflush(file) != 0 ||
	    printf("# child\n") < 0)
		_exit(1);
	_exit(0);
}

void
case_stdio(void)
{
	pthread_t threads[NREADERS + 1];
	int is_good = 1;

	file = fopen("/dev/null", "w");
	if (file == NULL)
		exit(99);
	make_long_file();
	for (int i = 0; i < NREADERS; i++)
		threads[i] = callers_start(read_lines, NULL);
	threads[NREADERS] = callers_start(flush_all, NULL);
	while (__atomic_load_n(&nflushes, __ATOMIC_RELAXED) == 0 ||
	    __atomic_load_n(&nlines, __ATOMIC_RELAXED) < NREADERS)
		sched_yield();
	for (int i = 0; i < STDIO_FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0)
			child_of_stdio();
		is_good &= child_succeeds(pid);
	}
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i <= NREADERS; i++)
		pthread_join(threads[i], NULL);
	printf("# %d forks, %d flushes of all files, %d long lines\n",
	    STDIO_FORKS, nflushes, nlines);
	tap_result(is_good && !is_wrong,
	    "forks beside threads in fflush(NULL) and getline, with children that print");
}
