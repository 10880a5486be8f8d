/* SPDX-License-Identifier: BSD-3-Clause */
/* misuse.c: a program that misuses its heap. Each run makes one mistake. Usage:
 * misuse MISTAKE: prints the address that the message must contain. */
#include "config.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libvmmalloc.h"

#pragma weak free_sized
#pragma weak dallocx
#pragma weak mallocx
#pragma weak sallocx

/* Hides a value from the compiler, which would notice the mistakes. */
static void *
opaque(void *value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

/* Prints the address that the message must contain. */
static char *
show(void *block)
{
	printf("0x%lx\n", (unsigned long)(uintptr_t)block);
	fflush(stdout);
	return opaque(block);
}

/* Returns a block that was freed. */
static char *
freed(void)
{
	char *block = malloc(100);

	free(opaque(block));
	return show(block);
}

/* Returns an address at which nothing can be mapped. */
static void *
invalid_address(const char *block)
{
	/* With 64 bits no address in user memory has the highest bit, which jemalloc ignores. */
	if (sizeof(block) == 8)
		return (void *)((uintptr_t)block ^
		    (uintptr_t)1 << (8 * sizeof(block) - 1));
	/* With 32 bits it may be mapped, but not the last page: mmap(2) returns errors as
	 * addresses in it. */
	return (void *)(uintptr_t)-2048;
}

/* Frees an address that malloc has not returned, or that was freed before. */
static bool
free_wrong_address(const char *mistake, char *block)
{
	/* libc keeps the size of a block in front of the block. Here are zeroes. */
	static char zeroes[64] __attribute__((aligned(16)));
	/* The word in front looks like that of a block in another arena of libc. */
	static size_t words[16] __attribute__((aligned(4096)));

	words[7] = 0x125;
	if (strcmp(mistake, "double-free") == 0)
		free(freed());
	else if (strcmp(mistake, "free-inside") == 0)
		free(show(block + 32));
	else if (strcmp(mistake, "free-unaligned") == 0)
		free(show(block + 3));
	else if (strcmp(mistake, "free-unallocated") == 0)
		/* This address in the pool was never allocated. */
		free(show(block + (32 << 20)));
	else if (strcmp(mistake, "free-static") == 0)
		free(show(zeroes + 32));
	else if (strcmp(mistake, "free-fake-block") == 0)
		free(show(words + 8));
	else if (strcmp(mistake, "free-unmapped") == 0)
		free(show((void *)(uintptr_t)0x1000));
	else if (strcmp(mistake, "free-invalid") == 0)
		free(show(invalid_address(block)));
	else
		return false;
	return true;
}

/* The program writes behind the end of a block. */
static bool
overrun(const char *mistake, char *block)
{
	if (strcmp(mistake, "overrun-by-one") == 0) {
		((char *)opaque(show(block)))[100] = 'x';
		free(block);
	} else if (strcmp(mistake, "overrun-by-zero-byte") == 0) {
		/* strcpy does this with a string that is too long by one. */
		((char *)opaque(show(block)))[100] = '\0';
		free(block);
	} else if (strcmp(mistake, "overrun-far") == 0) {
		memset(opaque(show(block)), 'x', malloc_usable_size(block) + 12);
		opaque(realloc(block, 1000));
	} else if (strcmp(mistake, "overrun-empty") == 0) {
		void *empty = malloc(0);

		((char *)opaque(show(empty)))[0] = 'x';
		free(empty);
	} else {
		return false;
	}
	return true;
}

/* Misuse by functions other than free, and a double free with other blocks in between. */
static bool
misuse_otherwise(const char *mistake, char *block)
{
	char *other;

	if (strcmp(mistake, "double-free-later") == 0) {
		other = freed();
		for (int i = 0; i < 1000; i++)
			free(opaque(malloc(5000)));
		free(other);
	} else if (strcmp(mistake, "realloc-freed") == 0) {
		opaque(realloc(freed(), 200));
	} else if (strcmp(mistake, "realloc-unmapped") == 0) {
		opaque(realloc(show((void *)(uintptr_t)0x1000), 10));
	} else if (strcmp(mistake, "wrong-size") == 0) {
		free_sized(show(block), 64);
	} else if (strcmp(mistake, "usable-size-freed") == 0) {
		if (malloc_usable_size(freed()) != 0)
			exit(1);
	} else if (strcmp(mistake, "dallocx-twice") == 0) {
		other = mallocx(300, 0);
		dallocx(show(other), 0);
		dallocx(opaque(other), 0);
	} else if (strcmp(mistake, "sallocx-freed") == 0) {
		if (sallocx(freed(), 0) != 0)
			exit(1);
	} else {
		return strcmp(mistake, "nothing") == 0;
	}
	return true;
}

int
main(int argc, char **argv)
{
	const char *mistake = argc > 1 ? argv[1] : "";
	char *block = malloc(100);

	memset(opaque(block), 1, 100);
	return free_wrong_address(mistake, block) || overrun(mistake, block) ||
	    misuse_otherwise(mistake, block) ? 0 : 2;
}
