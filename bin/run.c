/* SPDX-License-Identifier: BSD-3-Clause */
/* run.c: vmmalloc COMMAND: runs COMMAND with its heap in a pool. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "os/os.h"
#include "run.h"

void
set_variable(const char *name, const char *value)
{
	if (setenv(name, value, 1) != 0)
		fail(STATUS_OURS, "%s: %s", name, strerror(errno));
}

/* As execvp(3) does: has the shell run a file that is neither ELF nor has a #! line. */
static void
run_by_shell(char *program, char **command)
{
	size_t count = 0;
	char **words;

	while (command[count] != NULL)
		count++;
	words = calloc(count + 2, sizeof(*words));
	if (words == NULL)
		return;
	words[0] = (char *)(uintptr_t)"sh";
	words[1] = program;
	for (size_t i = 1; i < count; i++)
		words[i + 1] = command[i];
	execv("/bin/sh", words);
	free(words);
}

/* Sets the library's variables for the command and the programs that it starts. */
static void
set_variables(const struct run *run)
{
	set_variable("VMMALLOC_POOL_DIR", run->dir);
	if (run->size != NULL)
		set_variable("VMMALLOC_POOL_SIZE", run->size);
	else if (getenv("VMMALLOC_POOL_SIZE") == NULL)
		set_variable("VMMALLOC_POOL_SIZE", default_size(run->dir));
	if (run->fork != NULL)
		set_variable("VMMALLOC_FORK", run->fork);
	if (run->numa != NULL)
		set_variable("VMMALLOC_NUMA", run->numa);
	if (run->level != NULL)
		set_variable("VMMALLOC_LOG_LEVEL", run->level);
	if (run->log_file != NULL)
		set_variable("VMMALLOC_LOG_FILE", run->log_file);
	if (run->has_stats)
		set_variable("VMMALLOC_LOG_STATS", "1");
}

/* Chooses the directory if -d does not. Refuses a path that is neither directory nor device. */
static void
choose_dir(struct run *run)
{
	const char *dir = getenv("VMMALLOC_POOL_DIR");
	struct stat stat_of_dir;

	if (run->dir == NULL)
		run->dir = absolute("VMMALLOC_POOL_DIR",
		    dir != NULL ? dir : "/dev/shm", run->whole_dir);
	if (vmm_os_is_memory(run->dir))
		return;
	if (stat(run->dir, &stat_of_dir) != 0)
		fail(STATUS_OURS, "pool directory %s: %s", run->dir, strerror(errno));
	if (!S_ISDIR(stat_of_dir.st_mode) && !S_ISCHR(stat_of_dir.st_mode))
		fail(STATUS_OURS, "pool directory %s: %s", run->dir,
		    strerror(ENOTDIR));
}

_Noreturn void
run_command(int argc, char **argv)
{
	static struct run run;
	char **command = read_options(argc, argv, &run);
	char *program;

	if (command[0] == NULL) {
		fputs(usage, stderr);
		exit(STATUS_OURS);
	}
	choose_dir(&run);
	program = find_program(command[0]);
	check_program(program);
	set_variables(&run);
	preload_library(run.is_debug);
	execv(program, command);
	if (errno == ENOEXEC)
		run_by_shell(program, command);
	fail(STATUS_CANNOT, "%s: %s", program, strerror(errno));
}
