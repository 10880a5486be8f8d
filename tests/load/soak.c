/* SPDX-License-Identifier: BSD-3-Clause */
/* soak.c: threads and forked children call every entry point for a time. Each byte of each
 * block is checked. The program runs with the library preloaded. Usage:
 * soak SECONDS [SEED] */
#include "config.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/in_pool.h"
#include "soak.h"

#define NCHILDREN_MAX 3
#define LATE_SECONDS 120 /* added at most, until everything has happened */

/*
 * At random, forks, ends or starts a thread, trims, checks all blocks, or does nothing. The
 * main thread calls this after every ten steps. Returns how many children are left.
 */
static int
turn(int children)
{
	uint64_t random = shadow_random(&MAIN_WORKER->random);
	struct worker *worker = &workers[random / 64 % NWORKERS];
	unsigned set;

	switch (random % 16) {
	case 0:
		end_thread(worker);
		start_thread(worker);
		break;
	case 1:
		malloc_trim(0);
		break;
	case 2:
		take_locks(ALL_LOCKS);
		check_all("now and then");
		release_locks(ALL_LOCKS);
		break;
	case 3:
		if (!worker->has_thread)
			start_thread(worker);
		break;
	case 4 ... 11:
		/* With all locks, or with some of them while the other threads work. */
		set = random & 1024 ? ALL_LOCKS : (unsigned)(random >> 11) & ALL_LOCKS;
		take_locks(set);
		children += fork_child(set, 0);
		release_locks(set);
		break;
	default:
		break;
	}
	/* Waits for all children if there are many. */
	return reap(children, children == NCHILDREN_MAX ? 0 : WNOHANG);
}

/*
 * True if each entry point was called, the pool was full, malloc returned NULL, and there were
 * forks, also in children.
 */
static bool
is_all_reached(void)
{
	bool is_all = true;

	for (int i = 0; shadow_names[i] != NULL; i++)
		is_all &= counts->shadow.calls[i] > 0;
	return is_all && counts->forks > 0 && counts->exhaustions > 0 &&
	    counts->shadow.refused > 0 && (fork_setting == 0 || counts->nested > 0);
}

static void
soak(time_t seconds)
{
	time_t until = time(NULL) + seconds;
	int children = 0;

	for (int i = 0; i < NWORKERS; i++)
		start_thread(&workers[i]);
	/* A busy machine may need longer for everything to happen. */
	while (time(NULL) < until || (seconds > 0 && !is_all_reached() &&
		time(NULL) < until + LATE_SECONDS)) {
		for (int i = 0; i < 10; i++)
			step(MAIN_WORKER);
		children = turn(children);
	}
	reap(children, 0);
	for (int i = 0; i < NWORKERS; i++)
		end_thread(&workers[i]);
	check_all("at the end");
	free_all();
}

/* After all blocks were freed, a block of a third of the pool can be allocated. */
static void
try_largest(void)
{
	struct shadow_block block;

	if (!shadow_allocate(&block, size_max, 0))
		shadow_fault("no %zu bytes at the end", size_max);
	shadow_free(&block, 0);
}

/* Prints the calls of each entry point, and returns their sum. */
static unsigned long
print_calls(void)
{
	unsigned long sum = 0;

	for (int i = 0; shadow_names[i] != NULL; i++) {
		printf("%s%s %lu", i % 6 ? ", " : "\n# ", shadow_names[i],
		    counts->shadow.calls[i]);
		sum += counts->shadow.calls[i];
	}
	puts("");
	return sum;
}

static void
set_up(uint64_t seed)
{
	const char *value = getenv("VMMALLOC_FORK");
	uintptr_t from, to;

	fork_setting = value == NULL ? 1 : atoi(value);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		exit(99);
	shadow_counts = &counts->shadow;
	shadow_start(true);
	size_max = in_pool_span(&from, &to) ? (to - from) / 3 : 1 << 20;
	for (int i = 0; i <= NWORKERS; i++)
		init_worker(i, seed);
}

int
main(int argc, char **argv)
{
	uint64_t seed = 0;
	unsigned long sum;
	bool is_all;

	if (argc < 2)
		return 99;
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	else if (getrandom(&seed, 6, 0) != 6)
		return 99;
	/* The seed appears even if the program crashes. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# seed %llu\n", (unsigned long long)seed);
	set_up(seed);
	soak(atoi(argv[1]));
	try_largest();
	sum = print_calls();
	printf("# %lu steps, %lu forks, %lu of them in children, %lu threads, "
	    "%lu threads without memory, pool filled %lu times, %lu times NULL, "
	    "%lu MiB checked\n",
	    counts->steps, counts->forks, counts->nested,
	    counts->threads, counts->refused_threads, counts->exhaustions,
	    counts->shadow.refused, counts->shadow.bytes_checked >> 20);
	is_all = is_all_reached();
	printf("%lu operations, %lu faults%s\n", sum, counts->shadow.faults,
	    is_all ? "" : ", not everything has happened");
	return counts->shadow.faults != 0 || !is_all;
}
