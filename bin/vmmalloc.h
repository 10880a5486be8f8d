/* SPDX-License-Identifier: BSD-3-Clause */
/* vmmalloc.h: what the parts of the vmmalloc command have in common. */
#ifndef VMM_COMMAND_H
#define VMM_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

/* Statuses as env(1), nice(1) and others have them. */
#define STATUS_OURS 125
#define STATUS_CANNOT 126
#define STATUS_NOT_FOUND 127

#define MIB ((uint64_t)1 << 20)

extern const char usage[];

/* Ends with that status, behind a line on stderr. */
_Noreturn void fail(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A number of bytes for people, in at most 6 columns. */
const char *human(uint64_t bytes, char text[static 16]);

/*
 * The value of a field of /proc/meminfo, its name with the colon: bytes, of HugePages_...
 * a number of pages. 0 if there is no such field.
 */
uint64_t meminfo(const char *name);

/* Whether it is digits, and nothing else. */
bool is_number(const char *text);

/* Flushes stdout; if that cannot be written, ends with STATUS_OURS, behind a message. */
void flush_output(void);

/* The commands. `run_command` becomes the command, or ends; `show_place` returns the
 * status: 1 where no pool can be. */
_Noreturn void run_command(int argc, char **argv);
void show_processes(void);
int show_place(const char *dir);

#endif
