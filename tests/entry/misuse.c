/* SPDX-License-Identifier: BSD-3-Clause */
/* misuse.c: what a program must not do with blocks, one kind a run. */
#include "config.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libvmmalloc.h"

#pragma weak free_sized
#pragma weak dallocx
#pragma weak mallocx
#pragma weak sallocx

/* The compiler knows what is wrong here, and must not. */
static void *
opaque(void *value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

/* Names the address that the message has to name. */
static char *
name(void *block)
{
	printf("0x%lx\n", (unsigned long)(uintptr_t)block);
	fflush(stdout);
	return opaque(block);
}

static char *
dead(void)
{
	char *block = malloc(100);

	free(opaque(block));
	return name(block);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char *block = malloc(100);

	memset(opaque(block), 1, 100);
	if (strcmp(what, "double-free") == 0) {
		free(dead());
	} else if (strcmp(what, "double-free-later") == 0) {
		char *first = dead();

		for (int i = 0; i < 1000; i++)
			free(opaque(malloc(5000)));
		free(first);
	} else if (strcmp(what, "realloc-dead") == 0) {
		block = realloc(dead(), 200);
	} else if (strcmp(what, "free-inside") == 0) {
		free(name(block + 32));
	} else if (strcmp(what, "free-odd") == 0) {
		free(name(block + 3));
	} else if (strcmp(what, "free-never") == 0) {
		/* In the pool, far above all that was given out. */
		free(name(block + (32 << 20)));
	} else if (strcmp(what, "free-foreign") == 0) {
		/* No chunk of libc's: in front of it are zeroes. */
		static char zeroes[64] __attribute__((aligned(16)));

		free(name(zeroes + 32));
	} else if (strcmp(what, "free-chunk") == 0) {
		/* By what is in front of it, of an arena of libc's that is not there. */
		static size_t words[16] __attribute__((aligned(4096)));

		words[7] = 0x125;
		free(name(words + 8));
	} else if (strcmp(what, "free-nowhere") == 0) {
		free(name((void *)(uintptr_t)0x1000));
	} else if (strcmp(what, "free-bits") == 0) {
		/* As another would be, with bits that no address has. */
		free(name((void *)((uintptr_t)block ^ ((uintptr_t)1 <<
		    (8 * sizeof(block) - 1)))));
	} else if (strcmp(what, "realloc-nowhere") == 0) {
		block = realloc(name((void *)(uintptr_t)0x1000), 10);
	} else if (strcmp(what, "overrun-by-one") == 0) {
		((char *)opaque(name(block)))[100] = 'x';
		free(block);
	} else if (strcmp(what, "overrun-zero") == 0) {
		/* strcpy of a string that is one too long. */
		((char *)opaque(name(block)))[100] = '\0';
		free(block);
	} else if (strcmp(what, "overrun-far") == 0) {
		memset(opaque(name(block)), 'x', malloc_usable_size(block) + 12);
		block = realloc(block, 1000);
	} else if (strcmp(what, "overrun-empty") == 0) {
		void *empty = malloc(0);

		((char *)opaque(name(empty)))[0] = 'x';
		free(empty);
	} else if (strcmp(what, "wrong-size") == 0) {
		free_sized(name(block), 64);
	} else if (strcmp(what, "usable-dead") == 0) {
		return malloc_usable_size(dead()) != 0;
	} else if (strcmp(what, "dallocx-twice") == 0) {
		char *extended = mallocx(300, 0);

		dallocx(name(extended), 0);
		dallocx(opaque(extended), 0);
	} else if (strcmp(what, "sallocx-dead") == 0) {
		return sallocx(dead(), 0) != 0;
	} else if (strcmp(what, "nothing") != 0) {
		return 2;
	}
	return 0;
}
