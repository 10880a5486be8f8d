/* SPDX-License-Identifier: BSD-3-Clause */
/* kill.h: declarations for the files of kill. */
#ifndef KILL_H
#define KILL_H

#include <stdint.h>

/* The state of the program, in a page that it shares with the test. */
enum place { IN_START, IN_MAIN, IN_FORK, PLACES };
struct page {
	volatile enum place place;
	volatile unsigned forks;
	volatile uint64_t main_ns; /* when the program reached main */
	volatile uint64_t fork_ns; /* how long the last fork took */
};

extern struct page *page;
void map_page(int fd);

extern unsigned seed;

/* A random number below the limit. The seed decides which. */
unsigned below(unsigned limit);

uint64_t now_ns(void);

/* The program: maps the page, then allocates, frees and forks until it is killed. */
_Noreturn void program(int fd, int has_thread);

#endif
