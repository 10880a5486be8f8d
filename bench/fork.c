/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: measures fork(2) with a heap of some size: the time until it returns in the
 * parent, and until the child runs.
 *	fork MIB ROUNDS [DIR]
 * prints the medians in microseconds. With DIR, its file system is written to disk
 * before each fork. */
#include "config.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)32000)
#define ROUNDS_MAX 1000

static double
now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *values, size_t count)
{
	qsort(values, count, sizeof(values[0]), compare);
	return values[count / 2];
}

/* Writes to every page, like a program at work, and replaces some blocks. */
static void
work(char **blocks, size_t count, int round)
{
	for (size_t i = 0; i < count; i++) {
		if (i % 50 == 0) {
			free(blocks[i]);
			blocks[i] = malloc(BLOCK_BYTES);
			if (blocks[i] == NULL)
				exit(1);
		}
		for (size_t byte = 0; byte < BLOCK_BYTES; byte += 1000)
			blocks[i][byte] = (char)(round + (int)byte);
	}
}

static void
to_disk(const char *dir)
{
	int fd = dir == NULL ? -1 : open(dir, O_RDONLY | O_DIRECTORY);

	if (fd >= 0 && syncfs(fd) != 0)
		exit(1);
	if (fd >= 0)
		close(fd);
}

int
main(int argc, char **argv)
{
	static double parent_us[ROUNDS_MAX], child_us[ROUNDS_MAX];
	size_t mib = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	size_t count = (mib << 20) / BLOCK_BYTES;
	const char *variant = getenv("VMMALLOC_FORK");
	bool may_share = variant != NULL && strcmp(variant, "0") == 0;
	char **blocks;
	double *child_at;

	if (mib == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
		fputs("usage: fork MIB ROUNDS [DIR]\n", stderr);
		return 2;
	}
	child_at = mmap(NULL, sizeof(*child_at), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	blocks = calloc(count, sizeof(blocks[0]));
	if (child_at == MAP_FAILED || blocks == NULL)
		return 1;
	for (size_t i = 0; i < count; i++) {
		blocks[i] = malloc(BLOCK_BYTES);
		if (blocks[i] == NULL)
			return 1;
	}
	for (size_t round = 0; round < rounds; round++) {
		double before;
		int status;
		pid_t pid;

		work(blocks, count, (int)round);
		to_disk(argv[3]);
		before = now_us();
		pid = fork();
		if (pid == 0) {
			*child_at = now_us();
			status = blocks[count - 1][0] != (char)round;
			blocks[0][0] = 'c';
			_exit(status);
		}
		parent_us[round] = now_us() - before;
		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			return 1;
		/* Status 3: the child has written into its parent's heap. */
		if (blocks[0][0] != (char)round && !may_share)
			return 3;
		child_us[round] = *child_at - before;
	}
	printf("%.0f %.0f\n", median(parent_us, rounds),
	    median(child_us, rounds));
	/* fflush here: at exit(3) memtier's heap, which has the buffer, no longer exists. */
	return fflush(stdout) != 0;
}
