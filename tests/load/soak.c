/* SPDX-License-Identifier: BSD-3-Clause */
/* soak.c: threads, forks and every entry point for a time, each byte of each block
 * verified; run with the library preloaded. soak SECONDS [SEED] */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/in_pool.h"
#include "../support/shadow.h"

#define NWORKERS 6
#define NSLOTS 100
#define NCHILDREN_MAX 3
#define DEPTH_MAX 2
#define LATE_SECONDS 120
#define CHILD_SECONDS 300 /* a child that takes as long hangs */
#define ALL_HELD ((1U << (NWORKERS + 1)) - 1)

/*
 * A thread and what it owns. It has its lock while it does something, so that whoever
 * has the lock finds each block whole. The last one's thread is the main thread.
 */
static struct worker {
	pthread_mutex_t lock;
	pthread_cond_t is_let_go;
	pthread_t thread;
	bool has_thread;
	bool is_wanted; /* by the main thread: atomic */
	bool is_over;   /* its thread is to end: atomic */
	uint64_t random;
	unsigned long steps; /* to go, of a thread in a child; 0: no limit */
	struct shadow_block slots[NSLOTS];
	struct shadow_chain chain; /* what it has filled the pool with */
	bool is_filling;
} workers[NWORKERS + 1];

static struct worker *const own = &workers[NWORKERS];

/* Where blocks change hands. Its lock is taken behind those of workers. */
static struct {
	pthread_mutex_t lock;
	struct shadow_block slots[NSLOTS];
} market = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* What all processes have in common. */
static struct shared {
	struct shadow_counts counts;
	unsigned long steps, forks, nested, threads, refused_threads, exhaustions;
} *shared;

static int kind; /* VMMALLOC_FORK */
static size_t size_most;

static void
add(unsigned long *count)
{
	__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
}

/* Mostly small ones; up to a third of the pool. */
static size_t
size_for(uint64_t random)
{
	unsigned what = random % 1024;

	random >>= 10;
	if (what < 600)
		return random % 257;
	if (what < 900)
		return random % 4097;
	if (what < 1000)
		return random % 65537;
	if (what < 1022)
		return random % ((1 << 20) + 1);
	return random % (size_most + 1);
}

static void
change_hands(struct shadow_block *slot, uint64_t random)
{
	struct shadow_block block = *slot, *other;

	pthread_mutex_lock(&market.lock);
	other = &market.slots[random % NSLOTS];
	*slot = *other;
	*other = block;
	pthread_mutex_unlock(&market.lock);
	shadow_is_whole(slot, "from another thread");
}

/* Threads now and then take all that there is, until nobody gets any, and free it. */
static void
exhaust(struct worker *worker, uint64_t random)
{
	static const size_t sizes[] = { 32, 48, 300, 5000, 70000, 600000 };

	if (worker->is_filling) {
		worker->is_filling = !shadow_fill(&worker->chain, 500);
	} else if (worker->chain.last != NULL) {
		shadow_drain(&worker->chain, 500);
	} else if (worker != own && random % 10000 == 0) {
		worker->chain.size = sizes[random / 10000 %
		    (sizeof(sizes) / sizeof(sizes[0]))];
		worker->is_filling = true;
		add(&shared->exhaustions);
	}
}

static void
step(struct worker *worker)
{
	uint64_t random = shadow_random(&worker->random);
	uint64_t other = shadow_random(&worker->random);
	struct shadow_block *slot = &worker->slots[random % NSLOTS];

	switch (random / NSLOTS % 8) {
	case 0:
	case 1:
		shadow_resize(slot, size_for(other), random >> 16);
		break;
	case 2:
		change_hands(slot, other);
		break;
	case 3:
		shadow_is_whole(slot, "later");
		break;
	default:
		shadow_give(slot, random >> 16);
		shadow_get(slot, size_for(other), random >> 24);
	}
	exhaust(worker, other >> 8);
	add(&shared->steps);
}

static void *
work(void *argument)
{
	struct worker *worker = argument;

	pthread_mutex_lock(&worker->lock);
	while (!__atomic_load_n(&worker->is_over, __ATOMIC_RELAXED)) {
		while (__atomic_load_n(&worker->is_wanted, __ATOMIC_RELAXED))
			pthread_cond_wait(&worker->is_let_go, &worker->lock);
		step(worker);
		if (worker->steps > 0 && --worker->steps == 0)
			break;
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* At a full pool there may be no room for a thread: then another time. */
static void
start(struct worker *worker)
{
	int error;

	worker->is_over = false;
	error = pthread_create(&worker->thread, NULL, work, worker);
	worker->has_thread = error == 0;
	if (error == EAGAIN || error == ENOMEM)
		add(&shared->refused_threads);
	else if (error != 0)
		shadow_fault("pthread_create: %s", strerror(error));
	else
		add(&shared->threads);
}

static void
end(struct worker *worker)
{
	if (!worker->has_thread)
		return;
	__atomic_store_n(&worker->is_over, true, __ATOMIC_RELAXED);
	pthread_join(worker->thread, NULL);
	worker->has_thread = false;
}

/* The threads of `held`, a bit each, wait; of the market, whose bit is the last, all. */
static void
hold(unsigned held)
{
	for (int i = 0; i < NWORKERS; i++) {
		if (!(held & 1U << i))
			continue;
		__atomic_store_n(&workers[i].is_wanted, true, __ATOMIC_RELAXED);
		pthread_mutex_lock(&workers[i].lock);
	}
	if (held & 1U << NWORKERS)
		pthread_mutex_lock(&market.lock);
}

static void
let_go(unsigned held)
{
	if (held & 1U << NWORKERS)
		pthread_mutex_unlock(&market.lock);
	for (int i = 0; i < NWORKERS; i++) {
		if (!(held & 1U << i))
			continue;
		__atomic_store_n(&workers[i].is_wanted, false, __ATOMIC_RELAXED);
		pthread_cond_signal(&workers[i].is_let_go);
		pthread_mutex_unlock(&workers[i].lock);
	}
}

static void
check_all(const char *when)
{
	for (int i = 0; i <= NWORKERS; i++) {
		for (int slot = 0; slot < NSLOTS; slot++)
			shadow_is_whole(&workers[i].slots[slot], when);
		shadow_chain_is_whole(&workers[i].chain, when);
	}
	for (int slot = 0; slot < NSLOTS; slot++)
		shadow_is_whole(&market.slots[slot], when);
}

static void
give_all(void)
{
	for (int i = 0; i <= NWORKERS; i++) {
		for (int slot = 0; slot < NSLOTS; slot++)
			shadow_give(&workers[i].slots[slot], own->random >> slot % 32);
		shadow_drain(&workers[i].chain, SIZE_MAX);
		workers[i].is_filling = false;
	}
	for (int slot = 0; slot < NSLOTS; slot++)
		shadow_give(&market.slots[slot], own->random >> slot % 32);
}

/* In a child nobody but this thread is there; who was not held, was doing something. */
static void
become_child(unsigned held, uint64_t seed)
{
	for (int i = 0; i <= NWORKERS; i++) {
		struct worker *worker = &workers[i];

		pthread_mutex_init(&worker->lock, NULL);
		pthread_cond_init(&worker->is_let_go, NULL);
		worker->has_thread = worker->is_wanted = false;
		worker->random = (seed ^ (uint64_t)i << 40) | 1;
		if (worker == own || held & 1U << i)
			continue;
		memset(worker->slots, 0, sizeof(worker->slots));
		memset(&worker->chain, 0, sizeof(worker->chain));
		worker->is_filling = false;
	}
	pthread_mutex_init(&market.lock, NULL);
	if (!(held & 1U << NWORKERS))
		memset(market.slots, 0, sizeof(market.slots));
}

static int forks(unsigned held, int depth);
static int reap(int children, int flags);

/* Goes on for a moment, with threads or without, and perhaps with a child of its own. */
static void
go_on(int depth)
{
	uint64_t random = shadow_random(&own->random);
	unsigned long steps = 1 + random % 300;
	int nthreads = random & 1024 ? 0 : (int)(random >> 11) % 4;
	int children = 0;

	for (int i = 0; i < nthreads; i++) {
		workers[i].steps = steps;
		start(&workers[i]);
	}
	while (steps-- > 0)
		step(own);
	if (depth < DEPTH_MAX && (random >> 13) % 4 == 0) {
		unsigned held = (unsigned)(random >> 16) & ALL_HELD;

		hold(held);
		children += forks(held, depth);
		let_go(held);
		add(&shared->nested);
	}
	for (int i = 0; i < nthreads; i++) {
		if (workers[i].has_thread)
			pthread_join(workers[i].thread, NULL);
		workers[i].has_thread = false;
		workers[i].steps = 0;
	}
	reap(children, 0);
}

static _Noreturn void
child(unsigned held, int depth)
{
	uint64_t random = own->random;

	alarm(CHILD_SECONDS);
	if (kind == 0 && random % 8 == 0)
		execl("/bin/true", "true", (char *)NULL);
	/* With 0 the heap is its parent's: libvmmalloc(7). */
	if (kind == 0)
		_exit(0);
	become_child(held, random);
	check_all("in a child");
	go_on(depth + 1);
	check_all("later in a child");
	if (random & 2)
		give_all();
	if (random & 4)
		exit(0);
	_exit(0);
}

/* The calling thread has what is `held`. 1 if there is a child now. */
static int
forks(unsigned held, int depth)
{
	pid_t pid = fork();

	if (pid == 0)
		child(held, depth);
	if (pid < 0)
		shadow_fault("fork: %s", strerror(errno));
	else
		add(&shared->forks);
	return pid > 0;
}

static int
reap(int children, int flags)
{
	int status = 0;
	pid_t pid = 1;

	while (children > 0 && (pid = waitpid(-1, &status, flags)) != 0) {
		if (pid < 0 || status != 0)
			shadow_fault("child %d: status %x", (int)pid,
			    (unsigned)status);
		children--;
	}
	return children;
}

/* What the main thread does besides the steps of its own. */
static int
turn(int children)
{
	uint64_t random = shadow_random(&own->random);
	struct worker *worker = &workers[random / 64 % NWORKERS];
	unsigned held;

	switch (random % 16) {
	case 0:
		end(worker);
		start(worker);
		break;
	case 1:
		malloc_trim(0);
		break;
	case 2:
		hold(ALL_HELD);
		check_all("now and then");
		let_go(ALL_HELD);
		break;
	case 3:
		if (!worker->has_thread)
			start(worker);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
	case 10:
	case 11:
		/* All, or some, while the others go on. */
		held = random & 1024 ? ALL_HELD : (unsigned)(random >> 11) & ALL_HELD;
		hold(held);
		children += forks(held, 0);
		let_go(held);
		break;
	default:
		break;
	}
	/* Who has ended; and if there are too many, all. */
	return reap(children, children == NCHILDREN_MAX ? 0 : WNOHANG);
}

/* Whether there was something of everything. */
static bool
is_all_reached(void)
{
	bool is_all = true;

	for (int i = 0; shadow_names[i] != NULL; i++)
		is_all &= shared->counts.calls[i] > 0;
	return is_all && shared->forks > 0 && shared->exhaustions > 0 &&
	    shared->counts.refused > 0 && (kind == 0 || shared->nested > 0);
}

static void
soak(time_t seconds)
{
	time_t until = time(NULL) + seconds;
	int children = 0;

	for (int i = 0; i < NWORKERS; i++)
		start(&workers[i]);
	/* Where others have the processor, longer than that. */
	while (time(NULL) < until || (seconds > 0 && !is_all_reached() &&
		time(NULL) < until + LATE_SECONDS)) {
		for (int i = 0; i < 10; i++)
			step(own);
		children = turn(children);
	}
	reap(children, 0);
	for (int i = 0; i < NWORKERS; i++)
		end(&workers[i]);
	check_all("at the end");
	give_all();
}

/* A block of a third of the pool, when nothing is left of all that was. */
static void
try_largest(void)
{
	struct shadow_block block;

	if (!shadow_get(&block, size_most, 0))
		shadow_fault("no %zu bytes at the end", size_most);
	shadow_give(&block, 0);
}

/* The calls of each entry point, and what they come to. */
static unsigned long
operations(void)
{
	unsigned long sum = 0;

	for (int i = 0; shadow_names[i] != NULL; i++) {
		printf("%s%s %lu", i % 6 ? ", " : "\n# ", shadow_names[i],
		    shared->counts.calls[i]);
		sum += shared->counts.calls[i];
	}
	puts("");
	return sum;
}

static void
set_up(uint64_t seed)
{
	const char *value = getenv("VMMALLOC_FORK");
	uintptr_t from, to;

	kind = value == NULL ? 1 : atoi(value);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		exit(99);
	shadow_counts = &shared->counts;
	shadow_start(true);
	size_most = in_pool_span(&from, &to) ? (to - from) / 3 : 1 << 20;
	for (int i = 0; i <= NWORKERS; i++) {
		pthread_mutex_init(&workers[i].lock, NULL);
		pthread_cond_init(&workers[i].is_let_go, NULL);
		workers[i].random = (seed ^ (uint64_t)i << 40) | 1;
	}
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
	/* Whatever happens, this has been said. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# seed %llu\n", (unsigned long long)seed);
	set_up(seed);
	soak(atoi(argv[1]));
	try_largest();
	sum = operations();
	printf("# %lu steps, %lu forks, of them %lu in children, %lu threads, "
	    "and %lu had no room, the pool filled %lu times, NULL %lu times, "
	    "%lu MiB checked\n", shared->steps, shared->forks, shared->nested,
	    shared->threads, shared->refused_threads, shared->exhaustions,
	    shared->counts.refused, shared->counts.bytes_checked >> 20);
	is_all = is_all_reached();
	printf("%lu operations, %lu faults%s\n", sum, shared->counts.faults,
	    is_all ? "" : ", not everything was reached");
	return shared->counts.faults != 0 || !is_all;
}
