/* SPDX-License-Identifier: BSD-3-Clause */
/* prog.c: a small program: gdb debugs it, and gcc compiles it with several options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	char *name;
	int count;
	struct node *next;
};

static struct node *table;

int
count(struct node *nodes, int number)
{
	int sum = 0;

	for (int i = 0; i < number; i++)
		sum += nodes[i].count;
	return sum;
}

int
main(int argc, char **argv)
{
	int number = argc > 1 ? atoi(argv[1]) : 3;

	table = calloc((size_t)number, sizeof(*table));
	for (int i = 0; i < number; i++) {
		table[i].name = strdup("name of a node");
		table[i].name[0] = (char)('a' + i);
		table[i].count = i * i;
	}
	printf("%d\n", count(table, number));
	table[2].count = 77;
	printf("%s %d\n", table[1].name, table[2].count);
	for (int i = 0; i < number; i++)
		free(table[i].name);
	free(table);
	return 3;
}
