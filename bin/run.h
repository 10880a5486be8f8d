/* SPDX-License-Identifier: BSD-3-Clause */
/* run.h: the steps of vmmalloc COMMAND. A function that fails exits with a message. */
#ifndef VMM_COMMAND_RUN_H
#define VMM_COMMAND_RUN_H

#include <limits.h>
#include <stdbool.h>

/* The command line. NULL: the option is not given. */
struct run {
	const char *dir;
	const char *size;
	const char *fork;
	const char *numa;
	const char *level;
	const char *log_file;
	bool is_debug; /* use the debug variant */
	bool has_stats;
	/* Buffers for absolute paths. */
	char whole_dir[PATH_MAX];
	char whole_log_file[PATH_MAX];
};

/* options.c */

/*
 * Reads the options into `run`, which must be zeroed. Refuses values that the library
 * would refuse. Returns COMMAND and its arguments, ended by NULL; the list is empty if
 * there is no COMMAND. Exits after --help and --version.
 */
char **read_options(int argc, char **argv, struct run *run);

/*
 * Returns `path` as an absolute path, in `whole`, which stays valid after a chdir(2).
 * `name` is the option or the variable that contains it, for messages.
 */
const char *absolute(const char *name, const char *path, char whole[static PATH_MAX]);

/* default_size.c: returns a value for VMMALLOC_POOL_SIZE that suits `dir`. */
const char *default_size(const char *dir);

/* program.c */

/* Returns the path of the file that execvp(3) would execute for `name`; to be freed. */
char *find_program(const char *name);

/* Refuses a program into which the dynamic linker would not preload the library. */
void check_program(const char *path);

/* library.c */

/* Returns the path at which make install puts the library. */
const char *installed_library(bool is_debug);

/* Puts the library into LD_PRELOAD, before libraries that are in it already. */
void preload_library(bool is_debug);

/* run.c: sets an environment variable for the program. */
void set_variable(const char *name, const char *value);

#endif
