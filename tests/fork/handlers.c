/* SPDX-License-Identifier: BSD-3-Clause */
/* handlers.c: fork(2) at odd moments, in odd ways, and with handlers; run with the
 * library preloaded. Prints TAP. handlers [WAY]: `_Fork` or `clone`, a child that
 * nobody prepared, which allocates and is to be stopped; `handlers`, where somebody
 * else's handlers allocate at each fork: no signal may come between. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/disk.h"

#define BLOCK_BYTES ((size_t)15000)

/* Other blocks, with other content. */
static int
renew(char before, char after)
{
	int is_good = blocks_are(before);

	blocks_free();
	return is_good && blocks_write(after) && blocks_are(after);
}

static int
child_of(char value)
{
	return !renew(value, 50);
}

static int
forks(char value)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(child_of(value));
	return renew(value, (char)(value + 1)) && blocks_ends_good(pid) &&
	    renew((char)(value + 1), value);
}

/* Handlers in the order that pthread_atfork(3) says, each allocating. */
static char order[16];
static size_t order_length;

static void
note(char what)
{
	void *block = malloc(100000);

	if (block != NULL && order_length < sizeof(order) - 1)
		order[order_length++] = what;
	free(block);
}

static void prepare_1(void) { note('a'); }
static void parent_1(void) { note('b'); }
static void child_1(void) { note('c'); }
static void prepare_2(void) { note('A'); }
static void parent_2(void) { note('B'); }
static void child_2(void) { note('C'); }

static void
handlers(void)
{
	pid_t pid;

	pthread_atfork(prepare_1, parent_1, child_1);
	pthread_atfork(prepare_2, parent_2, child_2);
	pid = fork();
	if (pid == 0)
		_exit(strcmp(order, "AacC") != 0);
	blocks_result(blocks_ends_good(pid) && strcmp(order, "AabB") == 0,
	    "handlers that allocate run in their order");
}

static volatile int handler_result;

static void
on_signal(int number)
{
	(void)number;
	handler_result = forks(1);
}

static void
in_signal_handler(void)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	blocks_result(handler_result, "fork from a signal handler");
}

static volatile int has_shared; /* vfork's child had its parent's memory */

/* A handler that comes while another fork is under way, and forks, too. */
#define FORKS 100
static int forks_begun;
static pid_t forking_thread;

/* Whether a thread waits for a futex that is libc's own. */
static int
waits_in_libc(pid_t thread)
{
	char path[64], call[256] = "";
	unsigned long number, address;
	Dl_info info;
	int fd;

	/* Locks of the heap may be held: nothing here allocates. */
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, call, sizeof(call) - 1) <= 0)
		return 0;
	close(fd);
	return sscanf(call, "%lu %lx", &number, &address) == 2 &&
	    number == SYS_futex && dladdr((void *)address, &info) != 0 &&
	    strstr(info.dli_fname, "libc.so") != NULL;
}

/*
 * libc's fork holds its lock of handlers for an instant before it comes to ours, and after;
 * who forks from a signal then waits for ever, also without the library. Signals cannot be
 * blocked there: other handlers may need them. A machine that is busy may hit it.
 */
static void
end_if_libc_hangs(void)
{
	if (!waits_in_libc(forking_thread))
		return;
	blocks_result(1, "fork from a signal handler, while others fork, and the rest"
	    " # SKIP in libc's own fork, which waits for itself");
	blocks_plan();
	fflush(stdout);
	_exit(0);
}

#define HANGS_AFTER_S 20

static void *
signaller(void *argument)
{
	pthread_t *target = argument;

	/* One more than there are: the last fork is over, too. */
	for (int number = 1;; number++) {
		time_t limit = time(NULL) + HANGS_AFTER_S;

		while (__atomic_load_n(&forks_begun, __ATOMIC_ACQUIRE) < number) {
			sched_yield();
			if (time(NULL) > limit)
				end_if_libc_hangs();
		}
		if (number > FORKS)
			return NULL;
		/* Not all of them at the same moment. */
		for (int i = 0; i < 4; i++) {
			for (volatile int wait = number * 2000; wait > 0; wait--)
				;
			pthread_kill(*target, SIGUSR2);
		}
	}
}

/* Much that a fork gives back to the pool; while no signal may come. */
static void
leave_free_ranges(void)
{
	static char *kept[200];
	sigset_t signals, saved;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &signals, &saved);
	for (int i = 0; i < 200; i++)
		kept[i] = malloc(100000);
	/* Every second one first, so that the ranges are many. */
	for (int i = 0; i < 200; i += 2)
		free(kept[i]);
	for (int i = 1; i < 200; i += 2)
		free(kept[i]);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

static int is_bad_in_signal;

static void
on_signal_too(int number)
{
	int saved_errno = errno;
	pid_t pid = fork();

	(void)number;
	if (pid == 0)
		_exit(0);
	if (pid < 0 ? errno != EAGAIN : !blocks_ends_good(pid))
		is_bad_in_signal = 1;
	errno = saved_errno;
}

static void
in_signal_handler_during_fork(void)
{
	pthread_t thread, self = pthread_self();
	struct sigaction action = { .sa_handler = on_signal_too,
		.sa_flags = SA_RESTART };
	int is_good = 1;

	/* See end_if_libc_hangs: in an emulator that instant is long enough. */
	if (!has_shared) {
		blocks_result(1, "fork from a signal handler, while others fork # SKIP"
		    " an emulator: in libc's own fork, which waits for itself");
		return;
	}
	/* Handlers of the program's own would be interrupted in malloc. */
	sigaction(SIGUSR2, &action, NULL);
	forking_thread = gettid();
	pthread_create(&thread, NULL, signaller, &self);
	for (int i = 0; i < FORKS; i++) {
		pid_t pid;

		leave_free_ranges();
		__atomic_add_fetch(&forks_begun, 1, __ATOMIC_RELEASE);
		pid = fork();
		if (pid == 0)
			_exit(0);
		is_good &= blocks_ends_good(pid);
	}
	__atomic_add_fetch(&forks_begun, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	signal(SIGUSR2, SIG_DFL);
	blocks_result(is_good && !is_bad_in_signal && blocks_are(1),
	    "fork from a signal handler, while others fork");
}

static void *
in_thread(void *argument)
{
	return forks(1) ? argument : NULL;
}

static void
other_ways(void)
{
	pthread_t thread;
	void *answer = NULL;
	char *const arguments[] = { "true", NULL };
	extern char **environ;
	int terminal, status, is_good;
	pid_t pid;

	pthread_create(&thread, NULL, in_thread, &answer);
	pthread_join(thread, &answer);
	blocks_result(answer == &answer, "fork from another thread");

	pid = fork();
	if (pid == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0)
			_exit(!forks(1));
		_exit(!(blocks_ends_good(grandchild) && blocks_are(1)));
	}
	blocks_result(blocks_ends_good(pid) && blocks_are(1), "a child inside a child inside a child");

	pid = fork();
	if (pid == 0) {
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	blocks_result(blocks_ends_good(pid) && blocks_are(1), "fork and exec");

	pid = vfork();
	if (pid == 0) {
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	blocks_result(blocks_ends_good(pid) && blocks_are(1), "vfork and exec");

	/* Not what vfork(2) allows, but it shares the heap, and programs do it. */
	pid = vfork();
	if (pid == 0) {
		char *block = malloc(3000000);

		has_shared = 1;
		if (block != NULL)
			block[0] = 1;
		free(block);
		_exit(block == NULL);
	}
	is_good = blocks_ends_good(pid) && blocks_are(1);
	if (!has_shared)
		blocks_result(1, "a child of vfork that allocates # SKIP an "
		    "emulator's vfork, which shares nothing");
	else
		blocks_result(is_good, "a child of vfork that allocates");

	blocks_result(posix_spawnp(&pid, "true", NULL, NULL, arguments, environ) == 0 &&
	    blocks_ends_good(pid), "posix_spawn");
	blocks_result(system("exit 3") == 3 << 8, "system");

	pid = forkpty(&terminal, NULL, NULL, NULL);
	if (pid == 0)
		_exit(child_of(1));
	blocks_result(blocks_ends_good(pid) && blocks_are(1), "forkpty");
	close(terminal);

	pid = fork();
	if (pid == 0) {
		if (daemon(1, 1) != 0)
			_exit(1);
		_exit(child_of(1));
	}
	blocks_result(waitpid(pid, &status, 0) == pid && status == 0 && blocks_are(1),
	    "daemon");
}

/* A child that nobody prepared may exec, and look, but not allocate. */
static pid_t
unprepared(int is_clone)
{
	if (is_clone)
		return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL,
		    NULL);
	return _Fork();
}

static void
not_prepared(int is_clone)
{
	int status;
	pid_t pid = unprepared(is_clone);

	if (pid == 0) {
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	blocks_result(blocks_ends_good(pid), is_clone ? "clone and exec" : "_Fork and exec");
	pid = unprepared(is_clone);
	if (pid == 0) {
		int fd = open("/dev/null", O_WRONLY);

		dup2(fd, STDERR_FILENO);
		for (int i = 0; i < 1000; i++) {
			char *block = malloc(1000000);

			if (block != NULL)
				memset(block, 1, 1000000);
		}
		_exit(0);
	}
	blocks_result(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGABRT && blocks_are(1) && forks(1),
	    is_clone ? "clone and malloc" : "_Fork and malloc");
}

/* Descriptors without a name, there where the pool is. */
static int
descriptors(int *number)
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

static int
descriptors_below(int depth, int number)
{
	int own = -1;
	int is_good = descriptors(&own) == 1 && own == number;
	pid_t pid;

	if (depth == 0)
		return is_good;
	pid = fork();
	if (pid == 0)
		_exit(!descriptors_below(depth - 1, number));
	is_good &= blocks_ends_good(pid);
	return is_good && descriptors(&own) == 1 && own == number;
}

static void
holds_one(void)
{
	int number = -1;

	blocks_result(descriptors(&number) == 1 && descriptors_below(4, number),
	    "each process has one descriptor of a pool, close-on-exec");
}

/* malloc is no cancellation point, even where it waits for the file system; nor is
 * malloc_stats, which writes. */
static void *
cancelled(void *argument)
{
	char **kept = argument;
	int state;

	/* The request is there when malloc is called. */
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

	pthread_create(&thread, NULL, cancelled, kept);
	pthread_join(thread, &end);
	blocks_result(end == PTHREAD_CANCELED && kept[20] != NULL && forks(1),
	    "malloc and malloc_stats are no cancellation points");
	for (int i = 0; i < 20; i++)
		free(kept[i]);
}

static int
stopped(int is_clone)
{
	static char *kept[1000];
	pid_t pid = unprepared(is_clone);

	if (pid == 0) {
		for (int i = 0; i < 1000; i++)
			kept[i] = malloc(100000);
		_exit(kept[999] == NULL);
	}
	return blocks_ends_good(pid) ? 0 : 1;
}

int
main(int argc, char **argv)
{
	int has_handlers = argc > 1 && strcmp(argv[1], "handlers") == 0;

	blocks_set(BLOCKS_MAX, BLOCK_BYTES);
	blocks_write(1);
	if (argc > 1 && !has_handlers)
		return stopped(strcmp(argv[1], "clone") == 0);
	blocks_result(forks(1), "fork");
	holds_one();
	other_ways();
	in_signal_handler();
	not_prepared(0);
	not_prepared(1);
	cancellation();
	if (!has_handlers)
		in_signal_handler_during_fork();
	handlers();
	blocks_result(forks(1), "fork, after it all");
	return blocks_plan();
}
