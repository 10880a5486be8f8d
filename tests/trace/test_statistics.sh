#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_statistics.sh: the statistics that the debug variant prints at exit.
. "${top_srcdir:-..}/tests/support/lib.sh"

if [ ! -e "$(library debug)" ]; then
	skip "statistics" "needs the debug variant"
	plan
	exit
fi

# stats HOW: runs a program that allocates 5 MiB three times, and ends in the way HOW.
stats() {
	on_pool debug env VMMALLOC_LOG_STATS=1 "$programs/pool/exits" "$1" \
		>"$work/out" 2>"$work/err"
}

# figure NAME: prints the number after NAME.
figure() {
	sed -n "s/^ *$1: *\([0-9]*\).*/\1/p" "$work/err" | head -n 1
}

for how in return exit err thread last-thread; do
	stats $how
	expect "$how: one summary is printed" test \
		"$(grep -c '^libvmmalloc: statistics of process [0-9]*$' "$work/err")" -eq 1
	expect "$how: jemalloc's statistics are printed, too" grep -q \
		'^--- End jemalloc statistics ---' "$work/err"
done
for how in _exit quick_exit abort; do
	(ulimit -c 0; stats $how)
	expect "$how: none are printed, since no destructors run" \
		sh -c "! grep statistics '$work/err'"
done

# Programs that close stderr at exit or before, or that open a file as descriptor 2.
cat >"$work/closes.c" <<'END'
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	free(malloc(1000));
	close(2);
	if (argc > 1 && open(argv[1], O_CREAT | O_WRONLY, 0600) != 2)
		return 1;
	return argc > 2 && fcntl(atoi(argv[2]), F_GETFD) != -1;
}
END
${CC:-cc} -o "$work/closes" "$work/closes.c" || exit 99
for what in "ls /" "$work/closes" "$work/closes $work/second"; do
	# shellcheck disable=SC2086 # a program and its arguments
	on_pool debug env VMMALLOC_LOG_STATS=1 $what >"$work/out" 2>"$work/err"
	expect "${what%% *} closes stderr: one summary is printed" test \
		"$(grep -c '^libvmmalloc: statistics of process [0-9]*$' "$work/err")" -eq 1
done
expect "nothing is written to a file that the program opened as descriptor 2" test ! -s "$work/second" -a -e "$work/second"
on_pool debug env VMMALLOC_LOG_STATS=1 "$work/closes" "$work/third" 2>&-
expect "the same if stderr was closed from the start" test ! -s "$work/third"

stats exit
process=$(sed -n 's/^process //p' "$work/out")
expect "the summary names the process" grep -q "statistics of process $process\$" "$work/err"
expect "the summary names the directory and its file system" grep -q \
	"^  pool in:  *$(cd "$pool_dir" && pwd -P), $(stat -f -c %T "$pool_dir" |
		sed 's,ext2/ext3,ext4,')\$" "$work/err"
expect "pool size" test "$(figure "pool size")" -eq 67108864
# 5 MiB were allocated three times. Two of the blocks are free again.
expect "in use: at least the block that is held" test "$(figure "in use")" -ge 5242880
expect "allocated: at least that block, at most what is in use" \
	test "$(figure "allocated")" -ge 5242880 -a \
	"$(figure "allocated")" -le "$(figure "in use")"
expect "kept for later: at least the freed blocks" test "$(figure "kept for later")" -ge 10485760
expect "peak: at least all three blocks" test "$(figure peak)" -ge 15728640
expect "free ranges, and the size of the largest" test "$(figure "free ranges")" -ge 1 \
	-a "$(figure "largest of them")" -gt 41943040 \
	-a "$(figure "largest of them")" -lt 51380224
expect "blocks of the file" test "$(figure "blocks of the file")" -ge 15728640 \
	-a "$(figure "blocks of the file")" -le 67108864
expect "failed allocations" test "$(figure "failed allocations")" -eq 2
expect "no forks" grep -q '^  forks:  *0, which took 0 us' "$work/err"
expect "the heap is in the file" grep -q '^  heap is in:  *the file$' "$work/err"
expect "sizes are also printed in MiB" grep -q '^  pool size:  *67108864 bytes (64\.0 MiB)$' \
	"$work/err"

stats forks
# The two children end by exit(3), too, and print statistics of their own.
expect "each process that ends by exit(3) prints statistics" test \
	"$(grep -c '^libvmmalloc: statistics of process' "$work/err")" -eq 3
expect "the parent: forks and their times" grep -q \
	'^  forks:  *2, which took [1-9][0-9]* us, the longest [1-9][0-9]* us; failed: 0' \
	"$work/err"
expect "the children: no forks" test \
	"$(grep -c '^  forks:  *0, which took 0 us' "$work/err")" -eq 2

on_pool debug env VMMALLOC_LOG_STATS=0 "$programs/pool/exits" exit 2>"$work/err" >"$work/out"
expect "VMMALLOC_LOG_STATS=0: none are printed" test ! -s "$work/err"
on_pool debug env VMMALLOC_LOG_STATS=1 VMMALLOC_LOG_FILE="$work/log-" \
	"$programs/pool/exits" forks >"$work/out" 2>"$work/err"
expect "VMMALLOC_LOG_FILE: a file for each process" test "$(grep -l 'statistics of process' \
	"$work"/log-* | wc -l)" -eq 3 -a ! -s "$work/err"
plan
