/* SPDX-License-Identifier: BSD-3-Clause */
/* heap.c: parent and child continue with the heap of the fork, and neither sees writes of
 * the other. Run with the library preloaded, with each VMMALLOC_FORK. Prints TAP.
 * heap [plain|closed|reused|kept [DEPTH]]: with closed, the program closes the pool's
 * descriptor; with reused, it opens another file under that number; with plain and kept, it
 * does neither. DEPTH is the depth of the tree of processes, 4 by default. */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/disk.h"

#define NBLOCKS 1500
#define NTHREADS 4
#define FORKS_UNDER_LOAD 15 /* times DEPTH */

static int count;

static void
result(int is_good, const char *what)
{
	printf("%sok %d - %s\n", is_good ? "" : "not ", ++count, what);
	fflush(stdout);
}

/* The heap of a process: blocks filled with a pattern of their owner, a process. */
static struct {
	unsigned char *data;
	size_t size;
} blocks[NBLOCKS];

static unsigned char
pattern(unsigned owner, size_t index)
{
	return (unsigned char)(owner * 31 + index * 7 + 1);
}

static size_t
size_of(unsigned owner, size_t index)
{
	size_t size = (index * 2654435761U + owner * 40503U) % 3000;

	return index % 100 == 0 ? size * 100 : size;
}

static int
fill(unsigned owner, size_t index)
{
	size_t size = size_of(owner, index);
	unsigned char *data = realloc(blocks[index].data, size + 1);

	if (data == NULL)
		return 0;
	memset(data, pattern(owner, index), size + 1);
	blocks[index].data = data;
	blocks[index].size = size + 1;
	return 1;
}

static int
fill_all(unsigned owner)
{
	int is_good = 1;

	for (size_t i = 0; i < NBLOCKS; i++) {
		if (i % 3 == owner % 3) {
			free(blocks[i].data);
			blocks[i].data = NULL;
		}
		is_good &= fill(owner, i);
	}
	return is_good;
}

static int
is_filled(unsigned owner)
{
	for (size_t i = 0; i < NBLOCKS; i++) {
		for (size_t byte = 0; byte < blocks[i].size; byte++) {
			if (blocks[i].data[byte] != pattern(owner, i))
				return 0;
		}
	}
	return 1;
}

static int
ends_good(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* Each child sees its parent's heap, fills it with a pattern of its own, and forks, too. */
static int
generation(unsigned owner, int depth)
{
	pid_t children[2];
	int is_good = 1;

	if (depth == 0)
		return 1;
	for (unsigned i = 0; i < 2; i++) {
		children[i] = fork();
		if (children[i] < 0)
			return 0;
		if (children[i] == 0) {
			unsigned child = owner * 2 + i;

			is_good = is_filled(owner) && fill_all(child) &&
			    is_filled(child) && generation(child, depth - 1) &&
			    is_filled(child);
			_exit(!is_good);
		}
		/* The parent writes while the child reads. */
		for (size_t block = 0; block < NBLOCKS; block += 2)
			is_good &= fill(owner, block);
	}
	is_good &= ends_good(children[0]);
	is_good &= ends_good(children[1]);
	return is_good && is_filled(owner);
}

/* Threads that allocate and free while another thread forks. */
static int is_over;

static void *
churn(void *argument)
{
	unsigned char *kept[64] = { NULL };
	unsigned seed = (unsigned)(uintptr_t)argument;

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		unsigned slot = seed % 64;

		seed = seed * 1103515245 + 12345;
		if (kept[slot] != NULL && kept[slot][0] != slot)
			return argument;
		free(kept[slot]);
		kept[slot] = malloc(1 + (seed >> 8) % 20000);
		if (kept[slot] != NULL)
			kept[slot][0] = (unsigned char)slot;
	}
	for (int slot = 0; slot < 64; slot++)
		free(kept[slot]);
	return NULL;
}

static void
under_load(int depth)
{
	pthread_t threads[NTHREADS];
	int is_good = 1;

	for (uintptr_t i = 0; i < NTHREADS; i++)
		pthread_create(&threads[i], NULL, churn, (void *)(i + 1));
	for (int i = 0; i < depth * FORKS_UNDER_LOAD; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			int is_good_in_child = is_filled(1);

			for (size_t block = 0; block < NBLOCKS; block += 10)
				is_good_in_child &= fill(1, block);
			_exit(!is_good_in_child);
		}
		is_good &= fill(1, (size_t)i);
		is_good &= ends_good(pid);
	}
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < NTHREADS; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		is_good &= wrong == NULL;
	}
	result(is_good, "heaps are separate after forks beside threads that allocate");
}

/* Handlers of fork(2) that allocate. */
static void *from_handler[3];

static void
prepare(void)
{
	free(from_handler[0]);
	from_handler[0] = malloc(5000);
}
static void
in_parent(void)
{
	free(from_handler[1]);
	from_handler[1] = malloc(50000);
}
static void
in_child(void)
{
	free(from_handler[2]);
	from_handler[2] = malloc(500000);
}

static void *
fork_in_thread(void *argument)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(!(is_filled(1) && fill_all(3) && is_filled(3)));
	return ends_good(pid) ? argument : NULL;
}

static void
fork_in_other_thread(void)
{
	pthread_t thread;
	void *answer = NULL;

	pthread_create(&thread, NULL, fork_in_thread, blocks);
	pthread_join(thread, &answer);
	result(answer == blocks && is_filled(1),
	    "heaps are separate after a fork in another thread");
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "plain";
	int fd = disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR"));
	int depth = argc > 2 ? atoi(argv[2]) : 4;
	int has_grown = 1;

	pthread_atfork(prepare, in_parent, in_child);
	result(fill_all(1) && is_filled(1), "the heap can be filled before any fork");
	if (strcmp(mode, "closed") == 0)
		close(fd);
	else if (strcmp(mode, "reused") == 0)
		dup2(open("/proc/self/exe", O_RDONLY), fd);
	/* The pool grows, also without its descriptor. */
	for (int i = 0; i < 40; i++) {
		void *block = malloc(1 << 20);

		has_grown &= block != NULL;
		if (block != NULL)
			memset(block, i, 1 << 20);
		if (i % 2)
			free(block);
	}
	result(has_grown && is_filled(1), "the heap can grow with the descriptor in this mode");
	result(generation(1, depth), "heaps are separate in a tree of processes");
	under_load(depth);
	fork_in_other_thread();
	result(is_filled(1), "the heap of the first process keeps its content");
	printf("1..%d\n", count);
	return 0;
}
