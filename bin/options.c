/* SPDX-License-Identifier: BSD-3-Clause */
/* options.c: the options of vmmalloc COMMAND. */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "command.h"
#include "os/os.h"
#include "run.h"

/* The variable that check_value() checks. */
static const char *checked_name, *checked_value;

/* A getenv(3) for vmm_settings_read(), in which all other variables are valid. */
static const char *
get_checked(const char *name)
{
	if (strcmp(name, checked_name) == 0)
		return checked_value;
	return strcmp(name, "VMMALLOC_POOL_DIR") == 0 ? "/"
	    : strcmp(name, "VMMALLOC_POOL_SIZE") == 0 ? "14M" : NULL;
}

/* Refuses a value of `option` that the library would refuse for its variable `name`. */
static void
check_value(char option, const char *name, const char *value)
{
	struct vmm_settings settings;
	struct vmm_text error;
	const char *why;

	checked_name = name;
	checked_value = value;
	if (vmm_settings_read(&settings, get_checked, &error))
		return;
	/* The second line is "libvmmalloc: NAME REASON"; print "-OPTION REASON". */
	error.data[error.length - 1] = '\0';
	why = strstr(error.data, "\nlibvmmalloc: ");
	why = why == NULL ? error.data : why + strlen("\nlibvmmalloc: ");
	if (strncmp(why, name, strlen(name)) == 0)
		why += strlen(name);
	fail(STATUS_OURS, "-%c%s", option, why);
}

const char *
absolute(const char *name, const char *path, char whole[static PATH_MAX])
{
	int error;

	if (path == NULL || path[0] == '\0')
		fail(STATUS_OURS, "%s is empty, a path is needed", name);
	error = vmm_os_path_absolute(path, whole, PATH_MAX);
	if (error != 0)
		fail(STATUS_OURS, "%s %s: %s", name, path, strerror(error));
	return whole;
}

static void
set_level(struct run *run, const char *level)
{
	run->is_debug = true;
	if (level == NULL)
		return;
	if (!is_number(level) || strlen(level) != 1 || level[0] > '4')
		fail(STATUS_OURS, "-g is %s, not supported; accepted: 0, 1, 2, 3, 4",
		    level);
	run->level = level;
}

/* Reports what getopt_long(3) refused in `word`: `result` is ':' or '?'. */
_Noreturn static void
refuse_option(int result, const char *word)
{
	if (result == ':')
		fail(STATUS_OURS, "option -%c requires a value; see vmmalloc --help",
		    optopt);
	if (optopt != 0 && word[1] != '-')
		fail(STATUS_OURS, "unknown option -%c; see vmmalloc --help", optopt);
	fail(STATUS_OURS, "unknown option %s; see vmmalloc --help", word);
}

/* Completes the options, and checks those that become variables as they are. */
static void
check_options(struct run *run)
{
	if (run->size != NULL)
		check_value('s', "VMMALLOC_POOL_SIZE", run->size);
	if (run->fork != NULL)
		check_value('f', "VMMALLOC_FORK", run->fork);
	if (run->numa != NULL)
		check_value('N', "VMMALLOC_NUMA", run->numa);
	/* -l alone asks for a trace; with -S the file may be for statistics only. */
	if (run->log_file != NULL && run->level == NULL && !run->has_stats &&
	    getenv("VMMALLOC_LOG_LEVEL") == NULL)
		run->level = "2";
}

char **
read_options(int argc, char **argv, struct run *run)
{
	static const struct option long_options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *word;
	int option;

	opterr = 0;
	/* getopt_long(3) moves optind to the next word only after a word's last option. */
	while (word = argv[optind], (option = getopt_long(argc, argv,
		"+:d:s:f:N:g::l:Sh", long_options, NULL)) != -1) {
		switch (option) {
		case 'd': run->dir = absolute("-d", optarg, run->whole_dir); break;
		case 's': run->size = optarg; break;
		case 'f': run->fork = optarg; break;
		case 'N': run->numa = optarg; break;
		case 'l':
			run->log_file = absolute("-l", optarg, run->whole_log_file);
			run->is_debug = true;
			break;
		case 'S': run->is_debug = run->has_stats = true; break;
		case 'g':
			/* getopt_long(3) takes no optional value from the next word: -g 2. */
			if (optarg == NULL && is_number(argv[optind]))
				optarg = argv[optind++];
			set_level(run, optarg);
			break;
		case 'h': fputs(usage, stdout); flush_output(); exit(0);
		case 'V': puts("vmmalloc " PACKAGE_VERSION); flush_output(); exit(0);
		default: refuse_option(option, word);
		}
	}
	check_options(run);
	return argv + optind;
}

