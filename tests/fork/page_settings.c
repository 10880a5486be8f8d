/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings.c: what a program has set on pages of its heap stays, through fork(2) and
 * the heap's return to its file. Prints TAP.
 * page_settings [CASE...]; page_settings list */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "page_settings.h"
#include "../support/heap_return.h"
#include "../support/self.h"

#define FEW_ALLOCATIONS 200
#define AREA_STACK ((size_t)1 << 20)
#define HOLE_BLOCKS 120
#define HOLE_BYTES ((size_t)2 << 20)
/* The pool's own mappings may be parted a little, but not once for each hole. */
#define MORE_MAPPINGS 10

/*
 * The parts' common blocks
 */

static char *filler;

void
filler_write(char value)
{
	if (filler == NULL)
		filler = malloc(FILLER_BYTES);
	if (filler == NULL)
		_exit(99);
	memset(filler, value, FILLER_BYTES);
}

int
filler_is(char value)
{
	for (size_t i = 0; i < FILLER_BYTES; i++) {
		if (filler[i] != value)
			return 0;
	}
	return 1;
}

char *
area_make(void)
{
	void *block;

	if (posix_memalign(&block, AREA_BYTES, 3 * AREA_BYTES) != 0)
		_exit(99);
	memset(block, 'n', 3 * AREA_BYTES);
	return (char *)block + AREA_BYTES;
}

int
area_has_neighbours(const char *area)
{
	for (size_t i = 0; i < AREA_BYTES; i++) {
		if (area[-1 - (ssize_t)i] != 'n' || area[AREA_BYTES + i] != 'n')
			return 0;
	}
	return 1;
}

int
can_read(const char *byte)
{
	int ends[2];
	ssize_t done;

	if (pipe(ends) != 0)
		_exit(99);
	done = write(ends[1], byte, 1);
	close(ends[0]);
	close(ends[1]);
	return done == 1;
}

int
can_write(char *byte)
{
	int ends[2];
	ssize_t done;

	if (pipe(ends) != 0 || write(ends[1], "w", 1) != 1)
		_exit(99);
	done = read(ends[0], byte, 1);
	close(ends[0]);
	close(ends[1]);
	return done == 1;
}

/*
 * Cases without a setting
 */

int
child_lives(void *argument)
{
	(void)argument;
	return 1;
}

static int
child_sees_filler(void *value)
{
	return filler_is(*(const char *)value);
}

static pthread_t main_thread;

static void
run_returns(const struct test_case *self)
{
	struct heap_child child;
	char before = 1;

	(void)self;
	filler_write(before);
	for (int round = 0; round < 2; round++) {
		int is_good = heap_child_start(&child, child_sees_filler,
		    &before);

		filler_write((char)(before + 1));
		cases_result(heap_child_end(&child) && is_good,
		    "the child has the heap of the fork");
		cases_stage("allocating until the heap returns");
		is_good = heap_returns(RETURNED_KB, 20000);
		cases_result(is_good && filler_is((char)(before + 1)),
		    "the heap returns when the child has ended");
		before++;
	}
}

/* After pthread_exit(3) in main: what /proc/self shows is the main thread's, nothing. */
static void *
returns_without_main(void *self)
{
	pthread_join(main_thread, NULL);
	run_returns(self);
	cases_end();
}

static void
run_main_ended(const struct test_case *self)
{
	pthread_t thread;

	main_thread = pthread_self();
	pthread_create(&thread, NULL, returns_without_main, (void *)(uintptr_t)self);
	pthread_exit(NULL);
}

/* Threads that end at any moment cannot be stopped at some. */
static void *
end(void *argument)
{
	return argument;
}

static void *
start_and_end(void *is_over)
{
	pthread_t thread;

	while (!__atomic_load_n((int *)is_over, __ATOMIC_RELAXED)) {
		if (pthread_create(&thread, NULL, end, NULL) == 0)
			pthread_join(thread, NULL);
	}
	return NULL;
}

static void
run_threads_end(const struct test_case *self)
{
	static int is_over;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, start_and_end, &is_over);
	run_returns(self);
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* A limit of file sizes below the pool's: a signal would end the process. */
static void
run_file_limit(const struct test_case *self)
{
	struct rlimit before, limit;
	struct heap_child child;
	unsigned seed = 1;

	(void)self;
	filler_write(1);
	heap_child_start(&child, child_lives, NULL);
	filler_write(2);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = (struct rlimit){ 1 << 20, before.rlim_max };
	setrlimit(RLIMIT_FSIZE, &limit);
	heap_child_end(&child);
	cases_stage("allocating below the limit");
	for (int i = 0; i < FEW_ALLOCATIONS; i++)
		heap_allocate(&seed);
	cases_result(filler_is(2), "the heap stays where it is");
	setrlimit(RLIMIT_FSIZE, &before);
	cases_stage("allocating until the heap returns");
	cases_result(heap_returns(RETURNED_KB, 20000) && filler_is(2),
	    "the heap returns when there is no limit");
}

/* Coroutines' stacks: blocks whose first page a thread makes inaccessible, and accessible
 * again. What it sets while another thread forks stays set. */
#define NSTACKS 100
#define STACK_PAGES 4
#define GUARDED_FORKS 300
#define GUARDED_FORKS_LEAST 30
#define GUARDED_SECONDS 20
#define ALLOCATIONS_BETWEEN 8

static void *
guard_and_release(void *is_over)
{
	static char *stacks[NSTACKS];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned seed = 1;
	uintptr_t wrong = 0;

	while (!__atomic_load_n((int *)is_over, __ATOMIC_RELAXED)) {
		char **stack = &stacks[((seed = seed * 1103515245 + 12345) >> 8) % NSTACKS];

		if (*stack == NULL) {
			if (posix_memalign((void **)stack, page,
				STACK_PAGES * page) != 0)
				_exit(99);
			memset(*stack, 1, STACK_PAGES * page);
			wrong |= mprotect(*stack, page, PROT_NONE) != 0;
			/* Each look takes long beside what it looks at. */
			wrong |= seed >> 8 & 0xff ? 0 : can_read(*stack);
		} else {
			wrong |= mprotect(*stack, page, PROT_READ | PROT_WRITE) != 0;
			memset(*stack, 2, page);
			free(*stack);
			*stack = NULL;
		}
	}
	return (void *)wrong;
}

static void
run_guards_beside(const struct test_case *self)
{
	static int is_over;
	pthread_t thread;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	time_t until = time(NULL) + GUARDED_SECONDS;
	void *guarded, *wrong;
	int is_good = 1;
	unsigned seed = 1;

	(void)self;
	filler_write(1);
	/* Once anything is set, all threads stop for each fork: see the manual. */
	if (posix_memalign(&guarded, page, page) != 0 ||
	    mprotect(guarded, page, PROT_NONE) != 0 || !heap_forks())
		_exit(99);
	pthread_create(&thread, NULL, guard_and_release, &is_over);
	for (int i = 0; i < GUARDED_FORKS &&
	     (i < GUARDED_FORKS_LEAST || time(NULL) < until); i++) {
		cases_stage("fork %d", i);
		is_good &= heap_forks();
		/* The heap returns, and so leaves again. */
		for (int n = 0; n < ALLOCATIONS_BETWEEN; n++)
			heap_allocate(&seed);
	}
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &wrong);
	cases_result(is_good && wrong == NULL, "each guard stays while it is set");
	mprotect(guarded, page, PROT_READ | PROT_WRITE);
	free(guarded);
}

/* A thread's own data lies on its stack, here a block of the heap: libc's note of how it
 * may be cancelled, too. */
static void *
cancel_types(void *argument)
{
	int type;

	run_returns(argument);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
	cases_result(type == PTHREAD_CANCEL_DEFERRED,
	    "a thread on a heap block is cancelled as before");
	return NULL;
}

static void
run_cancel_type(const struct test_case *self)
{
	pthread_attr_t attributes;
	pthread_t thread;
	void *stack;

	pthread_attr_init(&attributes);
	if (posix_memalign(&stack, (size_t)sysconf(_SC_PAGESIZE), AREA_STACK) != 0)
		_exit(99);
	pthread_attr_setstack(&attributes, stack, AREA_STACK);
	pthread_create(&thread, &attributes, cancel_types, (void *)(uintptr_t)self);
	pthread_join(thread, NULL);
}

/* A handler that counts, in the heap and beside it, also while the one thread of a process
 * puts the heap back. */
#define COUNTERS 64
#define COUNTED_FORKS 40
static volatile long *counters[COUNTERS], counted;

static void
on_timer(int number)
{
	(void)number;
	for (int i = 0; i < COUNTERS; i++)
		++*counters[i];
	counted++;
}

static void
run_signal_counts(const struct test_case *self)
{
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int is_good = 1;

	(void)self;
	for (int i = 0; i < COUNTERS; i++) {
		void *block;

		if (posix_memalign(&block, page, 16 * page) != 0)
			_exit(99);
		memset(block, 0, 16 * page);
		counters[i] = block;
	}
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < COUNTED_FORKS; i++) {
		unsigned seed = 1;

		is_good &= heap_forks();
		filler_write((char)i);
		for (int n = 0; n < ALLOCATIONS_BETWEEN; n++)
			heap_allocate(&seed);
	}
	is_good &= heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	setitimer(ITIMER_REAL, &never, NULL);
	cases_comment("%ld signals", counted);
	for (int i = 0; i < COUNTERS; i++)
		is_good &= *counters[i] == counted;
	cases_result(is_good && counted > 0, "nothing that a handler writes is lost");
}

/* A crash handler on a small stack forks a debugger. */
#define SIGNAL_STACK 8192
static volatile pid_t from_handler;

static void
on_signal(int number)
{
	(void)number;
	from_handler = fork();
	if (from_handler == 0)
		_exit(0);
}

static void
run_signal_stack(const struct test_case *self)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_size = SIGNAL_STACK };
	char *map = mmap(NULL, page + SIGNAL_STACK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)self;
	if (SIGNAL_STACK < sysconf(_SC_MINSIGSTKSZ) + SIGNAL_STACK / 2) {
		cases_skip("a small stack", "this machine's signals need more");
		return;
	}
	mprotect(map, page, PROT_NONE);
	stack.ss_sp = map + page;
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	filler_write(1);
	for (int i = 0; i < 2; i++) {
		raise(SIGUSR1);
		cases_result(blocks_ends_good(from_handler),
		    "a signal handler forks on 8 KiB of stack");
	}
}

static char *hole_blocks[HOLE_BLOCKS];

static int
make_holes(void)
{
	for (int i = 0; i < HOLE_BLOCKS; i++) {
		void *block;

		if (posix_memalign(&block, HOLE_BYTES, HOLE_BYTES) != 0)
			return 0;
		hole_blocks[i] = block;
		memset(block, i + 1, HOLE_BYTES);
	}
	for (int i = 1; i < HOLE_BLOCKS; i += 2)
		free(hole_blocks[i]);
	malloc_trim(0);
	return 1;
}

static int
has_blocks_around(void)
{
	for (int i = 0; i < HOLE_BLOCKS; i += 2) {
		if (hole_blocks[i][0] != i + 1 ||
		    hole_blocks[i][HOLE_BYTES - 1] != i + 1)
			return 0;
	}
	return 1;
}

static int
child_sees_holes(void *before)
{
	int now = self_mappings();

	cases_comment("%d mappings in the child", now);
	return has_blocks_around() && now <= *(int *)before + MORE_MAPPINGS;
}

static void
run_holes(const struct test_case *self)
{
	struct heap_child child;
	int before, now;

	(void)self;
	filler_write(1);
	cases_result(make_holes(), "half of the blocks are free");
	before = self_mappings();
	cases_result(heap_child_start(&child, child_sees_holes, &before),
	    "fork");
	filler_write(2);
	now = self_mappings();
	cases_comment("%d mappings before the fork, %d after it", before, now);
	cases_result(now <= before + MORE_MAPPINGS, "mappings are not many more");
	cases_result(heap_child_end(&child), "nor in the child");
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	now = self_mappings();
	cases_comment("%d mappings when the heap has returned", now);
	cases_result(now <= before + MORE_MAPPINGS && has_blocks_around(),
	    "nor when the heap has returned");
}

static const int current = MCL_CURRENT, future = MCL_CURRENT | MCL_FUTURE;
static const struct test_case cases[] = {
	{ "returns", run_returns, NULL, 60 },
	{ "main_ended", run_main_ended, NULL, 60 },
	{ "threads_end", run_threads_end, NULL, 60 },
	{ "file_limit", run_file_limit, NULL, 60 },
	{ "guards_beside", run_guards_beside, NULL, 60 },
	{ "cancel_type", run_cancel_type, NULL, 60 },
	{ "signal_counts", run_signal_counts, NULL, 60 },
	{ "signal_stack", run_signal_stack, NULL, 60 },
	{ "mlock", run_setting, NULL, 30 },
	{ "mlock_onfault", run_setting, NULL, 30 },
	{ "dontdump", run_setting, NULL, 30 },
	{ "dontfork", run_setting, NULL, 30 },
	{ "wipeonfork", run_setting, NULL, 30 },
	{ "hugepage", run_setting, NULL, 30 },
	{ "nohugepage", run_setting, NULL, 30 },
	{ "guard", run_setting, NULL, 30 },
	{ "readonly", run_setting, NULL, 30 },
	{ "own_shared", run_setting, NULL, 30 },
	{ "own_private", run_setting, NULL, 30 },
	{ "together", run_settings_together, NULL, 60 },
	{ "large", run_large, NULL, 30 },
	{ "dofork", run_dofork, NULL, 30 },
	{ "at_limit", run_at_limit, NULL, 30 },
	{ "closed", run_closed, NULL, 30 },
	{ "mlockall", run_lock, &current, 30 },
	{ "mlockall_future", run_lock, &future, 30 },
	{ "holes", run_holes, NULL, 30 },
	{ "core_parent", run_core, "parent", 60 },
	{ "core_child", run_core, "child", 60 },
	{ "core_returned", run_core, "returned", 60 },
};

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "abort") == 0)
		core_main(argv[2]);
	return cases_main(argc, argv, 1, cases, sizeof(cases) / sizeof(cases[0]));
}
