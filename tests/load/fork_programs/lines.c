/* SPDX-License-Identifier: BSD-3-Clause */
/* lines.c: threads write numbered lines to one stream, while another thread forks and
 * the heap returns. Each line arrives once, and whole. Prints TAP.
 *	lines FORKS FILE
 * forks FORKS times while threads write to FILE, which it overwrites, and fewer times for
 * other streams. */
#include "config.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../support/blocks.h"
#include "../../support/heap_return.h"

#define NWRITERS 4
#define NAP_EVERY 64
#define LINE_BYTES 256
#define PAD_MAX 150
#define BUFFER_BYTES ((size_t)64 << 10)

/* Blocks that are rewritten after each fork, so that private pages have to return. */
#define NBLOCKS 32
#define BLOCK_BYTES ((size_t)64 << 10)
#define CHILDREN_MAX 3
#define RETURNED_KB 4096UL
#define RETURN_LIMIT_MS 10000

struct writer {
	pthread_t thread;
	FILE *stream;
	unsigned long nlines;
	int number;
	int is_good;
};

static int is_over;

static int
format(char line[LINE_BYTES], int writer, unsigned long number)
{
	int pad = (int)(number * 37 % PAD_MAX);

	return snprintf(line, LINE_BYTES, "thread %d line %lu %.*s.\n", writer, number,
	    pad,
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	    "cccccccccccccccccccccccccccccccccccccccccccccccccc");
}

static void *
write_lines(void *argument)
{
	struct writer *writer = argument;
	struct timespec nap = { 0, 1000000 };
	unsigned seed = (unsigned)writer->number;

	writer->is_good = 1;
	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		char *line = malloc(LINE_BYTES);

		if (line == NULL)
			_exit(98);
		format(line, writer->number, writer->nlines++);
		writer->is_good &= fprintf(writer->stream, "%s", line) > 0;
		free(line);
		if (writer->nlines % NAP_EVERY == 0) {
			writer->is_good &= heap_allocate(&seed);
			nanosleep(&nap, NULL);
		}
	}
	return NULL;
}

/* The thread that forks. It rewrites the blocks after each fork. */
static void *
fork_often(void *argument)
{
	int nforks = *(int *)argument, nchildren = 0;
	pid_t children[CHILDREN_MAX];
	intptr_t is_good = 1;

	for (int i = 0; i < nforks; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(!blocks_are((char)i));
		is_good &= pid > 0;
		children[nchildren++] = pid;
		is_good &= blocks_write((char)(i + 1));
		/* Some children still live when the next one is forked. */
		while (nchildren > i % CHILDREN_MAX)
			is_good &= child_succeeds(children[--nchildren]);
	}
	while (nchildren > 0)
		is_good &= child_succeeds(children[--nchildren]);
	__atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
	return (void *)is_good;
}

/* What a reader has found: the next number of each thread. */
struct found {
	FILE *stream;
	unsigned long next[NWRITERS];
	int is_good;
};

/* Reads all lines. Checks that those of each thread are in order, without a gap. */
static void *
read_lines(void *argument)
{
	struct found *found = argument;
	char line[LINE_BYTES], right[LINE_BYTES];
	int writer;

	found->is_good = 1;
	while (fgets(line, sizeof(line), found->stream) != NULL) {
		if (sscanf(line, "thread %d line ", &writer) != 1 || writer < 0 ||
		    writer >= NWRITERS) {
			found->is_good = 0;
			continue;
		}
		format(right, writer, found->next[writer]++);
		found->is_good &= strcmp(line, right) == 0;
	}
	found->is_good &= !ferror(found->stream);
	fclose(found->stream);
	return NULL;
}

/* Threads write to the stream while the process forks. Closes the stream. */
static int
write_beside_forks(FILE *stream, int nforks, struct writer writers[NWRITERS])
{
	pthread_t forks;
	void *forks_good;
	int is_good = 1;

	is_over = 0;
	if (!blocks_write(0))
		exit(99);
	for (int i = 0; i < NWRITERS; i++) {
		writers[i] = (struct writer){ .stream = stream, .number = i };
		if (pthread_create(&writers[i].thread, NULL, write_lines,
			&writers[i]) != 0)
			exit(99);
	}
	if (pthread_create(&forks, NULL, fork_often, &nforks) != 0)
		exit(99);
	pthread_join(forks, &forks_good);
	for (int i = 0; i < NWRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		is_good &= writers[i].is_good;
	}
	is_good &= !ferror(stream);
	is_good &= fclose(stream) == 0;
	return is_good && forks_good != NULL;
}

static void
report(const char *kind, int is_written, const struct writer writers[NWRITERS],
    const struct found *found)
{
	unsigned long total = 0;
	int is_good = found->is_good;
	char what[80];

	for (int i = 0; i < NWRITERS; i++) {
		is_good &= writers[i].nlines == found->next[i];
		total += writers[i].nlines;
		if (writers[i].nlines != found->next[i])
			printf("# thread %d: %lu lines, %lu arrive\n", i,
			    writers[i].nlines, found->next[i]);
	}
	printf("# %s: %lu lines\n", kind, total);
	snprintf(what, sizeof(what), "%s: no call fails", kind);
	tap_result(is_written, what);
	snprintf(what, sizeof(what), "%s: each line arrives once, whole, in order",
	    kind);
	tap_result(is_good, what);
}

/* A stream to a file, with its own buffer or a larger one. */
static void
to_file(const char *kind, const char *path, int nforks, size_t buffer_bytes)
{
	struct writer writers[NWRITERS];
	struct found found = { .is_good = 1 };
	FILE *stream = fopen(path, "w");
	char *buffer = buffer_bytes > 0 ? malloc(buffer_bytes) : NULL;
	int is_written;

	if (stream == NULL ||
	    (buffer != NULL && setvbuf(stream, buffer, _IOFBF, buffer_bytes) != 0))
		exit(99);
	is_written = write_beside_forks(stream, nforks, writers);
	free(buffer);
	found.stream = fopen(path, "r");
	if (found.stream == NULL)
		exit(99);
	read_lines(&found);
	report(kind, is_written, writers, &found);
	unlink(path);
}

/* To a pipe that another thread reads: forks meet a waiting write(2) and read(2). */
static void
to_pipe(int nforks)
{
	struct writer writers[NWRITERS];
	struct found found = { .is_good = 1 };
	pthread_t reader;
	FILE *stream;
	int ends[2], is_written;

	if (pipe(ends) != 0 || (found.stream = fdopen(ends[0], "r")) == NULL ||
	    (stream = fdopen(ends[1], "w")) == NULL ||
	    pthread_create(&reader, NULL, read_lines, &found) != 0)
		exit(99);
	is_written = write_beside_forks(stream, nforks, writers);
	pthread_join(reader, NULL);
	report("pipe", is_written, writers, &found);
}

int
main(int argc, char **argv)
{
	int nforks = argc == 3 ? atoi(argv[1]) : 0;

	if (nforks < 1) {
		fprintf(stderr, "usage: lines FORKS FILE\n");
		return 2;
	}
	blocks_set(NBLOCKS, BLOCK_BYTES);
	to_file("file", argv[2], nforks, 0);
	to_file("file with a buffer of 64 KiB", argv[2], nforks / 4 + 1, BUFFER_BYTES);
	to_pipe(nforks / 2 + 1);
	tap_result(heap_returns(RETURNED_KB, RETURN_LIMIT_MS),
	    "the heap returns to its file");
	blocks_free();
	return tap_plan();
}
