#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# fork.sh: the time of fork(2) with a heap of 200 MiB, compared with the ordinary heap and
# with cp. Prints medians in milliseconds.
#
#   fork.sh LIBRARY PROGRAM DIR [ROUNDS]
#
# LIBRARY is preloaded into PROGRAM, bench/fork.c, with pools in DIR, which should have
# 3 GiB free. `on disk` means that the heap was written to disk before. A ratio is the
# median of the ratios of pairs of runs, since a disturbance usually affects both runs
# of a pair.
set -eu
LC_ALL=C
export LC_ALL

[ $# -ge 3 ] || { sed -n '3,11s/^# *//p' "$0" >&2; exit 2; }
library=$1 program=$2 dir=$3 rounds=${4:-7}
mib=200
forks=5
# At least 16 pairs of the short runs, which other work disturbs most.
pairs=$(((15 + rounds) / rounds))

work=$(mktemp -d "$dir/fork.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# sample NAME COMMAND...: appends the output of the command, in microseconds, to a file.
sample() {
	sample_name=$1
	shift
	"$@" >>"$work/$sample_name"
}

now_us() {
	now=$(date +%s%N)
	echo $((now / 1000))
}

copy() {
	copy_before=$(now_us)
	cp --reflink=never "$work/source" "$work/copy"
	copy_after=$(now_us)
	rm "$work/copy"
	echo $((copy_after - copy_before)) 0
}

# on_pool FORK SIZE [DIR]: runs the program on a pool. With DIR, the heap is on disk.
on_pool() {
	env VMMALLOC_POOL_DIR="$work" VMMALLOC_POOL_SIZE="$2" \
		VMMALLOC_FORK="$1" LD_PRELOAD="$library" \
		"$program" $mib $forks ${3+"$3"}
}

head -c ${mib}M /dev/urandom >"$work/source"
sync -f "$work"
round=0
while [ $round -lt "$rounds" ]; do
	sample cp copy
	for _ in $(seq $pairs); do
		sample ordinary "$program" $mib $forks
		sample fork-1 on_pool 1 2G
	done
	sample fork-2-small on_pool 2 512M
	sample fork-2 on_pool 2 2G
	sample fork-2-disk on_pool 2 2G "$work"
	round=$((round + 1))
done

# middle: prints the median of the numbers on standard input.
middle() {
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# line NAME TEXT AGAINST: prints the times of NAME, and the ratio to AGAINST.
line() {
	parent=$(cut -d ' ' -f 1 "$work/$1" | middle)
	child=$(cut -d ' ' -f 2 "$work/$1" | middle)
	ratio=$(paste -d ' ' "$work/$1" "$work/$3" | awk '{ print $1 / $3 }' | middle)
	awk -v us="$parent" -v child="$child" -v ratio="$ratio" \
		-v text="$2" -v against="$3" 'BEGIN {
			printf "%-38s %9.2f %9.2f   %.3f of %s\n",
				text, us / 1000, child / 1000, ratio, against
		}'
}

echo "fork(2) with $mib MiB on the heap, medians of $rounds rounds, ms; $dir"
printf '%-38s %9s %9s   %s\n' "" parent child ratio
line cp "cp of $mib MiB" cp
line ordinary "ordinary heap" ordinary
line fork-1 "VMMALLOC_FORK=1, 2 GiB pool" ordinary
line fork-2-small "VMMALLOC_FORK=2, 512 MiB pool" cp
line fork-2 "VMMALLOC_FORK=2, 2 GiB pool" cp
line fork-2 "VMMALLOC_FORK=2, 2 GiB pool" fork-2-small
line fork-2-disk "VMMALLOC_FORK=2, 2 GiB pool, on disk" cp
