/* SPDX-License-Identifier: BSD-3-Clause */
/* bench.c: runs one workload, and prints its operations, the seconds, and the peak of memory
 * in KiB. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static struct timespec begin;

void
bench_begin(void)
{
	clock_gettime(CLOCK_MONOTONIC, &begin);
}

static double
seconds(void)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	return (double)(end.tv_sec - begin.tv_sec) +
	    (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

void
bench_fail(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

void *
bench_block(size_t size)
{
	char *block = malloc(size);

	if (block == NULL)
		bench_fail("out of memory");
	for (size_t i = 0; i < size; i += 128)
		((volatile char *)block)[i] = 1;
	return block;
}

static const struct bench_workload *const tables[] = {
	bench_small, bench_large, bench_threads
};
#define NTABLES (sizeof(tables) / sizeof(tables[0]))

static const struct bench_workload *
find(const char *name)
{
	for (size_t i = 0; i < NTABLES; i++) {
		for (const struct bench_workload *w = tables[i]; w->name; w++) {
			if (strcmp(w->name, name) == 0)
				return w;
		}
	}
	return NULL;
}

static void
usage(void)
{
	puts("bench [-n OPERATIONS] [-t THREADS] [-l LIVE_BLOCKS] WORKLOAD\n"
	     "prints the operations, the seconds, and the peak of memory in KiB\n");
	for (size_t i = 0; i < NTABLES; i++) {
		for (const struct bench_workload *w = tables[i]; w->name; w++)
			printf("%-10s %s\n", w->name, w->help);
	}
}

int
main(int argc, char **argv)
{
	struct bench_load load, asked = { 0, 0, 0 };
	const struct bench_workload *workload;
	double took;
	int option;

	while ((option = getopt(argc, argv, "n:t:l:")) != -1) {
		unsigned long number = strtoul(optarg ? optarg : "", NULL, 10);

		if (option == 'n')
			asked.operations = number;
		else if (option == 't')
			asked.threads = (unsigned)number;
		else if (option == 'l')
			asked.live = number;
		else
			return 2;
	}
	workload = optind < argc ? find(argv[optind]) : NULL;
	if (workload == NULL) {
		usage();
		return 2;
	}
	load = workload->load;
	if (asked.operations != 0)
		load.operations = asked.operations;
	if (asked.threads != 0)
		load.threads = asked.threads;
	if (asked.live != 0)
		load.live = asked.live;
	bench_begin();
	workload->run(&load);
	took = seconds();
	printf("%lu %.6f %lu\n", load.operations, took, bench_peak_kib());
	/* fflush here: at exit(3) memtier's heap, which has the buffer, no longer exists. */
	return fflush(stdout) != 0;
}
