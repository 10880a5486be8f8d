/* SPDX-License-Identifier: BSD-3-Clause */
/* callers_nested.c: handlers of fork(2) that fork, and processes with separate heaps. */
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
 * The program calls fork: the outer fork. One of the handlers calls fork: the inner fork.
 * The outer and the inner child write to the whole block. Then the process that called the
 * outer fork writes to it. Then each child checks that its own block is unchanged.
 */

static int written[2], may_check[2]; /* pipes */
static int nwritten; /* children that have told the parent that they wrote */
static int is_nested;
static pid_t inner;

static int
child_works(char value)
{
	if (!block_is('P'))
		return 0;
	memset(block, value, BYTES);
	return callers_tell(written[1]) && callers_hear(may_check[0]) &&
	    block_is(value) && callers_allocate(1) && block_is(value);
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
	nwritten += callers_hear(written[0]);
}

static void
in_parent(void)
{
	if (is_nested++)
		return;
	nwritten += callers_hear(written[0]);
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
	callers_pipe(written);
	callers_pipe(may_check);
	outer = fork();
	if (outer == 0) {
		is_good = child_works('O');
		if (inner_is_grandchild)
			is_good &= child_succeeds(inner);
		_exit(!is_good);
	}
	while (nwritten < 2 && callers_hear(written[0]))
		nwritten++;
	tap_result(nwritten == 2 && block_is('P'),
	    "the outer and the inner child have their parent's heap and write to it");
	memset(block, 'Q', BYTES);
	for (int i = 0; i < 2; i++)
		is_good &= callers_tell(may_check[1]);
	is_good &= child_succeeds(outer);
	if (!inner_is_grandchild)
		is_good &= child_succeeds(inner);
	tap_result(is_good && block_is('Q'), what);
}

void
case_nested_prepare(void)
{
	pthread_atfork(prepare, NULL, NULL);
	nested(0, "a prepare handler forks: each process keeps its own data");
}

void
case_nested_parent(void)
{
	pthread_atfork(NULL, in_parent, NULL);
	nested(0, "a parent handler forks: each process keeps its own data");
}

void
case_nested_child(void)
{
	pthread_atfork(NULL, NULL, in_child);
	nested(1, "a child handler forks: each process keeps its own data");
}

/* Overwrites all blocks, and makes jemalloc ask the pool for more pages. */
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
case_parent_writes(void)
{
	pid_t readers[NREADERS];
	int is_good = 1;

	blocks_set(100, 20000);
	blocks_write('a');
	make_block('a');
	callers_pipe(may_check);
	for (int i = 0; i < NREADERS; i++) {
		char value = (char)('a' + i);

		readers[i] = fork();
		if (readers[i] == 0)
			_exit(!(callers_hear(may_check[0]) && block_is(value) &&
			    blocks_are(value) && callers_allocate(1)));
		is_good &= overwrite((char)(value + 1)) && callers_allocate(i);
	}
	for (int i = 0; i < NREADERS; i++)
		is_good &= callers_tell(may_check[1]);
	tap_result(is_good, "the parent can write to its heap while its children wait");
	for (int i = 0; i < NREADERS; i++)
		tap_result(child_succeeds(readers[i]),
		    "a child sees the heap of its fork, not its parent's later writes");
	tap_result(block_is('a' + NREADERS) && blocks_are('a' + NREADERS),
	    "the parent keeps its own writes");
}

static int
generation(int level)
{
	pid_t pid;

	if (!blocks_write((char)level) || !callers_allocate(level))
		return 0;
	if (level == DEPTH)
		return blocks_are((char)level);
	pid = fork();
	if (pid == 0)
		_exit(!(blocks_are((char)level) && generation(level + 1)));
	return child_succeeds(pid) && blocks_are((char)level) &&
	    callers_allocate(level) && blocks_are((char)level);
}

void
case_grandchildren(void)
{
	blocks_set(100, 20000);
	for (int i = 0; i < 3; i++)
		tap_result(generation(0),
		    "a child, a grandchild and a great-grandchild have separate heaps");
}
