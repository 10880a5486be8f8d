/* SPDX-License-Identifier: BSD-3-Clause */
/* command.h: the functions that the files of the vmmalloc command share. */
#ifndef VMM_COMMAND_H
#define VMM_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

/* Exit statuses, as env(1) and nice(1) use them. */
#define STATUS_OURS 125
#define STATUS_CANNOT 126
#define STATUS_NOT_FOUND 127

#define MIB ((uint64_t)1 << 20)

/* main.c: the text of --help. */
extern const char usage[];

/* The commands. They print to stdout. If a command returns, main() flushes stdout. */

/* run.c: executes the command that `argv` names, or exits with a message. */
_Noreturn void run_command(int argc, char **argv);

/* ps.c: lists every process that has a pool. */
void show_processes(void);

/* nodes.c: prints the memory nodes of the machine, a line each. */
void print_nodes(void);

/* check.c: reports how well `dir` suits a pool. Returns 0 if a pool of 14M fits, else 1. */
int show_place(const char *dir);

/* message.c */

/* Prints "vmmalloc: MESSAGE" to stderr and exits with `status`. */
_Noreturn void fail(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Flushes stdout. If a write has failed, exits with STATUS_OURS and a message. */
void flush_output(void);

/* number.c */

/* Writes `bytes` with a unit, such as 1.5G, in at most 5 columns. Returns `text`. */
const char *human(uint64_t bytes, char text[static 16]);

/*
 * Returns a field, in bytes, of /proc/meminfo (proc_meminfo(5)), or of a memory node's meminfo
 * in sysfs; 0 if there is no such field. `name` ends with the colon.
 */
uint64_t meminfo(const char *path, const char *name);

/* Returns the bytes in free huge pages of that size (sysfs, hugepages); 0 if unknown. */
uint64_t free_huge_pages(uint64_t page_size);

/* Whether `text` consists of digits, at least one. False for NULL. */
bool is_number(const char *text);

#endif
