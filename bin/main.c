/* SPDX-License-Identifier: BSD-3-Clause */
/* main.c: the vmmalloc command: its help, and the choice between its commands. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "command.h"

const char usage[] =
    "Usage: vmmalloc [OPTION]... [--] COMMAND [ARGUMENT]...\n"
    "       vmmalloc ps\n"
    "       vmmalloc check DIR\n"
    "\n"
    "The first form runs COMMAND with its heap in a pool, memory mapped from a file.\n"
    "ps lists every process that has a pool. check reports how well DIR suits a pool.\n"
    "\n"
    "  -d DIR      directory of the pool file, a device, or memory without a file:\n"
    "              :memory:, in huge pages :memory:2M, :memory:1G\n"
    "              (default: VMMALLOC_POOL_DIR, or else /dev/shm)\n"
    "  -s SIZE     size of the pool in bytes, or a number with suffix K, M, G or T\n"
    "              (default: VMMALLOC_POOL_SIZE, or else a quarter of the free space)\n"
    "  -f 0|1|2|3  what fork(2) does to the heap, see libvmmalloc(7)\n"
    "              (default: VMMALLOC_FORK, or else 1)\n"
    "  -N MODE:NODES\n"
    "              the memory nodes of the pool; MODE is bind, preferred,\n"
    "              preferred-many, interleave or weighted (default: VMMALLOC_NUMA)\n"
    "  -g [LEVEL]  use the debug variant; LEVEL 1 to 4 writes a trace to stderr,\n"
    "              LEVEL 0 none (default: VMMALLOC_LOG_LEVEL, or else 0)\n"
    "  -l FILE     write the trace to FILE; implies -g, and without -S level 2\n"
    "  -S          print statistics at exit; implies -g\n"
    "  -h, --help  print this help\n"
    "  --version   print the version\n"
    "\n"
    "To run a command that is called ps or check: vmmalloc -- ps\n"
    "See vmmalloc(1) and libvmmalloc(7).\n";

int
main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "";
	int status = 0;

	if (strcmp(first, "ps") == 0 && argc == 2) {
		show_processes();
	} else if (strcmp(first, "check") == 0 && argc == 3) {
		status = show_place(argv[2]);
	} else if (strcmp(first, "ps") == 0 || strcmp(first, "check") == 0) {
		fputs(usage, stderr);
		status = STATUS_OURS;
	} else {
		run_command(argc, argv);
	}
	flush_output();
	return status;
}
