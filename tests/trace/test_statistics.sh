#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_statistics.sh: the statistics that the debug variant prints at exit.
. "${top_srcdir:-..}/tests/support/lib.sh"

if [ ! -e "$(library debug)" ]; then
	skip "statistics" "the debug variant was not built"
	plan
	exit
fi

# stats HOW: of a program that ends in that way, having had 5 MiB.
stats() {
	on_pool debug env VMMALLOC_LOG_STATS=1 "$programs/pool/exits" "$1" \
		>"$work/out" 2>"$work/err"
}

# figure NAME: the number behind it.
figure() {
	sed -n "s/^ *$1: *\([0-9]*\).*/\1/p" "$work/err" | head -n 1
}

for how in return exit err thread last-thread; do
	stats $how
	expect "$how: one summary" test \
		"$(grep -c '^libvmmalloc: statistics of process [0-9]*$' "$work/err")" -eq 1
	expect "$how: and jemalloc's own" grep -q \
		'^--- End jemalloc statistics ---' "$work/err"
done
for how in _exit quick_exit abort; do
	(ulimit -c 0; stats $how)
	expect "$how: none, since no destructors run" \
		sh -c "! grep statistics '$work/err'"
done

# Who closes stderr at exit, or before; and has a file of its own under number 2.
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
	expect "${what%% *}, which closes stderr: one summary" test \
		"$(grep -c '^libvmmalloc: statistics of process [0-9]*$' "$work/err")" -eq 1
done
expect "what took number 2 has nothing of it" test ! -s "$work/second" -a -e "$work/second"
on_pool debug env VMMALLOC_LOG_STATS=1 "$work/closes" "$work/third" 2>&-
expect "nor where there was no stderr" test ! -s "$work/third"

stats exit
process=$(sed -n 's/^process //p' "$work/out")
expect "names the process" grep -q "statistics of process $process\$" "$work/err"
expect "names the directory and its file system" grep -q \
	"^  pool in:  *$(cd "$pool_dir" && pwd -P), $(stat -f -c %T "$pool_dir" |
		sed 's,ext2/ext3,ext4,')\$" "$work/err"
expect "pool size" test "$(figure "pool size")" -eq 67108864
# Five MiB were allocated three times, and two of them are free again.
expect "in use: what is held" test "$(figure "in use")" -ge 5242880
expect "allocated: no more than that" \
	test "$(figure "allocated")" -ge 5242880 -a \
	"$(figure "allocated")" -le "$(figure "in use")"
expect "kept for later: what was freed" test "$(figure "kept for later")" -ge 10485760
expect "peak: all three" test "$(figure peak)" -ge 15728640
expect "free ranges, and the largest of them" test "$(figure "free ranges")" -ge 1 \
	-a "$(figure "largest of them")" -gt 41943040 \
	-a "$(figure "largest of them")" -lt 51380224
expect "blocks of the file" test "$(figure "blocks of the file")" -ge 15728640 \
	-a "$(figure "blocks of the file")" -le 67108864
expect "failed allocations" test "$(figure "failed allocations")" -eq 2
expect "no forks" grep -q '^  forks:  *0, which took 0 us' "$work/err"
expect "the heap is in the file" grep -q '^  heap is in:  *the file$' "$work/err"
expect "for people, too" grep -q '^  pool size:  *67108864 bytes (64\.0 MiB)$' \
	"$work/err"

stats forks
# The two children end by exit(3) as well, and say it of themselves.
expect "of each process that ends so" test \
	"$(grep -c '^libvmmalloc: statistics of process' "$work/err")" -eq 3
expect "forks of the parent, and what they took" grep -q \
	'^  forks:  *2, which took [1-9][0-9]* us, the longest [1-9][0-9]* us; failed: 0' \
	"$work/err"
expect "of its children: none" test \
	"$(grep -c '^  forks:  *0, which took 0 us' "$work/err")" -eq 2

on_pool debug env VMMALLOC_LOG_STATS=0 "$programs/pool/exits" exit 2>"$work/err" >"$work/out"
expect "none without being asked for" test ! -s "$work/err"
on_pool debug env VMMALLOC_LOG_STATS=1 VMMALLOC_LOG_FILE="$work/log-" \
	"$programs/pool/exits" forks >"$work/out" 2>"$work/err"
expect "into the file of each process" test "$(grep -l 'statistics of process' \
	"$work"/log-* | wc -l)" -eq 3 -a ! -s "$work/err"
plan
