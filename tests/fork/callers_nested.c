/* SPDX-License-Identifier: BSD-3-Clause */
/* callers_nested.c: fork handlers that fork, and processes that change their heaps. */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "callers.h"

#define BYTES ((size_t)4 << 20)
#define NREADERS 3
#define NSMALL 200
#define DEPTH 3

static char *block;

static int
block_is(char value)
{
	for (size_t i = 0; i < BYTES; i++) {
		if (block[i] != value)
			return 0;
	}
	return 1;
}

static void
make_block(char value)
{
	block = malloc(BYTES);
	if (block == NULL)
		exit(99);
	memset(block, value, BYTES);
}

/*
 * The outer fork is the program's. One of its handlers calls fork, too: the inner fork.
 * The outer and the inner child write to the whole block, then their parent does, and then
 * each child checks that the block is as it has left it.
 */

static int written[2], look[2]; /* pipes */
static int nwritten;            /* children that have written, as the parent knows */
static int is_nested;
static pid_t inner;

static int
child_works(char value)
{
	if (!block_is('P'))
		return 0;
	memset(block, value, BYTES);
	return shapes_tell(written[1]) && shapes_hear(look[0]) &&
	    block_is(value) && shapes_allocate(1) && block_is(value);
}

static void
fork_inner(void)
{
	inner = fork();
	if (inner == 0)
		_exit(!child_works('I'));
}

static void
prepare(void)
{
	if (is_nested++)
		return;
	fork_inner();
	nwritten += shapes_hear(written[0]);
}

static void
in_parent(void)
{
	if (is_nested++)
		return;
	nwritten += shapes_hear(written[0]);
	fork_inner();
}

static void
in_child(void)
{
	if (is_nested++)
		return;
	fork_inner();
}

static void
nested(int inner_is_grandchild, const char *what)
{
	int is_good = 1;
	pid_t outer;

	make_block('P');
	shapes_pipe(written);
	shapes_pipe(look);
	outer = fork();
	if (outer == 0) {
		is_good = child_works('O');
		if (inner_is_grandchild)
			is_good &= blocks_ends_good(inner);
		_exit(!is_good);
	}
	while (nwritten < 2 && shapes_hear(written[0]))
		nwritten++;
	blocks_result(nwritten == 2 && block_is('P'),
	    "both children have their parent's heap, and write to it");
	memset(block, 'Q', BYTES);
	for (int i = 0; i < 2; i++)
		is_good &= shapes_tell(look[1]);
	is_good &= blocks_ends_good(outer);
	if (!inner_is_grandchild)
		is_good &= blocks_ends_good(inner);
	blocks_result(is_good && block_is('Q'), what);
}

void
shape_nested_prepare(void)
{
	pthread_atfork(prepare, NULL, NULL);
	nested(0, "a prepare handler that forks: each process keeps what it wrote");
}

void
shape_nested_parent(void)
{
	pthread_atfork(NULL, in_parent, NULL);
	nested(0, "a parent handler that forks: each process keeps what it wrote");
}

void
shape_nested_child(void)
{
	pthread_atfork(NULL, NULL, in_child);
	nested(1, "a child handler that forks: each process keeps what it wrote");
}

/* Overwrites all blocks, and makes the allocator ask for new pages. */
static int
overwrite(char value)
{
	char *small[NSMALL];
	int is_good = 1;

	memset(block, value, BYTES);
	is_good &= blocks_write(value);
	for (int i = 0; i < NSMALL; i++) {
		small[i] = malloc(100000);
		is_good &= small[i] != NULL;
		if (small[i] != NULL)
			memset(small[i], value, 100000);
	}
	for (int i = 0; i < NSMALL; i++)
		free(small[i]);
	return is_good;
}

void
shape_parent_writes(void)
{
	pid_t readers[NREADERS];
	int is_good = 1;

	blocks_set(100, 20000);
	blocks_write('a');
	make_block('a');
	shapes_pipe(look);
	for (int i = 0; i < NREADERS; i++) {
		char value = (char)('a' + i);

		readers[i] = fork();
		if (readers[i] == 0)
			_exit(!(shapes_hear(look[0]) && block_is(value) &&
			    blocks_are(value) && shapes_allocate(1)));
		is_good &= overwrite((char)(value + 1)) && shapes_allocate(i);
	}
	for (int i = 0; i < NREADERS; i++)
		is_good &= shapes_tell(look[1]);
	blocks_result(is_good, "the parent writes while its children wait");
	for (int i = 0; i < NREADERS; i++)
		blocks_result(blocks_ends_good(readers[i]),
		    "a child has the heap as it was at its fork");
	blocks_result(block_is('a' + NREADERS) && blocks_are('a' + NREADERS),
	    "the parent has the heap as it left it");
}

static int
generation(int level)
{
	pid_t pid;

	if (!blocks_write((char)level) || !shapes_allocate(level))
		return 0;
	if (level == DEPTH)
		return blocks_are((char)level);
	pid = fork();
	if (pid == 0)
		_exit(!(blocks_are((char)level) && generation(level + 1)));
	return blocks_ends_good(pid) && blocks_are((char)level) &&
	    shapes_allocate(level) && blocks_are((char)level);
}

void
shape_grandchildren(void)
{
	blocks_set(100, 20000);
	for (int i = 0; i < 3; i++)
		blocks_result(generation(0),
		    "a child, its child and its grandchild change their heaps");
}
