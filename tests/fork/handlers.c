/* SPDX-License-Identifier: BSD-3-Clause */
/* handlers.c: fork(2) with handlers, in signal handlers, and other functions that make a
 * process. Run with the library preloaded. Prints TAP. handlers [_Fork|clone|handlers]
 * _Fork, clone: only makes a child by this call. The child allocates, and the library ends it,
 * unless VMMALLOC_FORK=0.
 * handlers: with early_handlers.so, whose handlers allocate at each fork(2). No signal may
 * interrupt them, so the case that interrupts fork(2) is left out. */
#include "config.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "handlers.h"

#define BLOCK_BYTES ((size_t)15000)

/* Replaces all blocks by others, with other content. */
static int
renew(char before, char after)
{
	int is_good = blocks_are(before);

	blocks_free();
	return is_good && blocks_write(after) && blocks_are(after);
}

int
child_status(char value)
{
	return !renew(value, 50);
}

int
forks(char value)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(child_status(value));
	return renew(value, (char)(value + 1)) && child_succeeds(pid) &&
	    renew((char)(value + 1), value);
}

/*
 * Handlers that allocate, and note in which order they run
 */

static char order[16];
static size_t order_length;

static void
note(char handler)
{
	void *block = malloc(100000);

	if (block != NULL && order_length < sizeof(order) - 1)
		order[order_length++] = handler;
	free(block);
}

static void prepare_1(void) { note('a'); }
static void parent_1(void) { note('b'); }
static void child_1(void) { note('c'); }
static void prepare_2(void) { note('A'); }
static void parent_2(void) { note('B'); }
static void child_2(void) { note('C'); }

static void
order_of_handlers(void)
{
	pid_t pid;

	pthread_atfork(prepare_1, parent_1, child_1);
	pthread_atfork(prepare_2, parent_2, child_2);
	pid = fork();
	if (pid == 0)
		_exit(strcmp(order, "AacC") != 0);
	tap_result(child_succeeds(pid) && strcmp(order, "AabB") == 0,
	    "handlers that allocate run in the order of pthread_atfork(3)");
}

/* Of early_handlers.c, one handler runs before fork(2), and one after it in each process. */
static void
early_handlers(void)
{
	const int *ran = dlsym(RTLD_DEFAULT, "early_handlers_ran");
	static const char what[] = "handlers registered before the first allocation run";
	int before;
	pid_t pid;

	if (ran == NULL) {
		tap_result(0, what);
		return;
	}
	before = *ran;
	pid = fork();
	if (pid == 0)
		_exit(*ran != before + 2);
	tap_result(child_succeeds(pid) && *ran == before + 2, what);
}

/*
 * Descriptors
 */

/*
 * Returns how many descriptors of unlinked files on the pool's file system there are, and
 * the last one's number. A descriptor that is not close-on-exec counts as 100.
 */
static int
pool_descriptors(int *number)
{
	const char *dir = getenv("VMMALLOC_POOL_DIR");
	struct stat place, stat;
	int found = 0;

	if (dir == NULL || lstat(dir, &place) != 0)
		return -1;
	for (int fd = 0; fd < 4096; fd++) {
		if (fstat(fd, &stat) != 0 || stat.st_dev != place.st_dev ||
		    !S_ISREG(stat.st_mode) || stat.st_nlink != 0)
			continue;
		*number = fd;
		found += (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 ? 1 : 100;
	}
	return found;
}

/* Checks this process, and descendants down to `depth`, before and after each fork. */
static int
has_one_descriptor(int depth, int number)
{
	int own = -1;
	int is_good = pool_descriptors(&own) == 1 && own == number;
	pid_t pid;

	if (depth == 0)
		return is_good;
	pid = fork();
	if (pid == 0)
		_exit(!has_one_descriptor(depth - 1, number));
	is_good &= child_succeeds(pid);
	return is_good && pool_descriptors(&own) == 1 && own == number;
}

static void
one_descriptor(void)
{
	int number = -1;

	tap_result(pool_descriptors(&number) == 1 && has_one_descriptor(4, number),
	    "each process has one descriptor of a pool, which is close-on-exec");
}

/*
 * Cancellation
 */

/* malloc is no cancellation point, although it may wait for the file system. Nor is
 * malloc_stats, although it writes to stderr. */
static void *
allocate_cancelled(void *argument)
{
	char **kept = argument;
	int state;

	/* The request to cancel is pending when malloc is called. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(state, NULL);
	for (int i = 0; i < 20; i++) {
		kept[i] = malloc(1000000);
		memset(kept[i], 1, 1000000);
	}
	malloc_stats();
	kept[20] = kept[0];
	pthread_testcancel();
	kept[20] = NULL;
	return NULL;
}

static void
cancellation(void)
{
	static char *kept[21];
	pthread_t thread;
	void *end;

	pthread_create(&thread, NULL, allocate_cancelled, kept);
	pthread_join(thread, &end);
	tap_result(end == PTHREAD_CANCELED && kept[20] != NULL && forks(1),
	    "malloc and malloc_stats are no cancellation points");
	for (int i = 0; i < 20; i++)
		free(kept[i]);
}

int
main(int argc, char **argv)
{
	int has_handlers = argc > 1 && strcmp(argv[1], "handlers") == 0;

	blocks_set(BLOCKS_MAX, BLOCK_BYTES);
	blocks_write(1);
	if (argc > 1 && !has_handlers)
		return unprepared_allocates(strcmp(argv[1], "clone") == 0);
	tap_result(forks(1), "parent and child have separate heaps after fork");
	one_descriptor();
	other_calls();
	fork_in_signal_handler();
	unprepared_child(0);
	unprepared_child(1);
	cancellation();
	if (has_handlers)
		early_handlers();
	else
		fork_interrupts_fork();
	order_of_handlers();
	tap_result(forks(1), "fork still works after all of these cases");
	return tap_plan();
}
