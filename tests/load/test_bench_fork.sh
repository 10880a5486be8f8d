#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_bench_fork.sh: a short run of bench/fork.sh, and the limits of its ratios. If other
# processes use much processor time right before a run, a missed limit is skipped with this
# reason.
. "${top_srcdir:-..}/tests/support/lib.sh"
if ! measures "how long fork takes"; then
	plan
	exit
fi

# ratio LINE WHAT: prints the median over all runs of the ratio to WHAT, from the lines that
# begin with LINE.
ratio() {
	cat "$work"/bench.* | awk -v line="$1" -v of="$2" 'index($0, line " ") == 1 &&
		$NF == of && $(NF - 1) == "of" { print $(NF - 2) }' | sort -n |
		awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

# each_bar COMMAND: calls COMMAND LIMIT LINE WHAT for each limit.
each_bar() {
	"$1" 1.2 "VMMALLOC_FORK=1, 2 GiB pool" ordinary
	case $type in
	tmpfs | ext4)
		"$1" 1.3 "VMMALLOC_FORK=2, 2 GiB pool" cp
		"$1" 1.3 "VMMALLOC_FORK=2, 2 GiB pool" fork-2-small
		;;
	*)
		"$1" 0.25 "VMMALLOC_FORK=2, 2 GiB pool, on disk" cp
		;;
	esac
}

is_at_most() {
	awk -v ratio="$(ratio "$2" "$3")" -v limit="$1" \
		'BEGIN { exit !(ratio != "" && ratio + 0 <= limit) }'
}

misses() {
	is_at_most "$@" || missed=yes
}

at_most() {
	at_most_what="$type: $2: $(ratio "$2" "$3") of $3, at most $1"
	if [ "$busy" -gt 50 ] && ! is_at_most "$@"; then
		skip "$at_most_what" "other processes use $busy % of a processor: nothing can be measured"
	else
		expect "$at_most_what" is_at_most "$@"
	fi
}

# others: prints the processor time that other processes use within two seconds, in percent
# of one processor.
others() {
	{
		grep '^cpu ' /proc/stat
		sleep 2
		grep '^cpu ' /proc/stat
	} | awk -v count="$(nproc)" '
		{ idle = $5 + $6 - idle; all = -all; for (i = 2; i < 10; i++) all += $i }
		END { printf "%d\n", 100 * count * (1 - idle / all) }'
}

# One run is enough if its ratios are within all limits. Otherwise the median of three runs
# counts: other work may disturb a run.
measure() {
	rm -f "$work"/bench.*
	busy=0
	for try in 1 2 3; do
		now_busy=$(others)
		[ "$now_busy" -le "$busy" ] || busy=$now_busy
		"$top_srcdir/bench/fork.sh" "$(library release)" "$top_builddir/bench/fork" \
			"$mounted" $rounds >"$work/bench.$try" 2>&1
		comment "$work/bench.$try"
		missed=
		each_bar misses
		[ -n "$missed" ] || [ $try -eq 2 ] || break
	done
}

if [ "$(free_kb "$pool_dir")" -lt $((6 << 20)) ]; then
	skip "fork latency" "needs 6 GiB free in $pool_dir"
	plan
	exit 0
fi
for type in tmpfs ext4 xfs btrfs; do
	rounds=6
	case $type in
	xfs | btrfs)
		rounds=2
		if [ "${CI_FULL-}" != 1 ]; then
			skip "fork latency on $type" "takes minutes: set CI_FULL=1"
			continue
		fi
		;;
	esac
	if ! file_system $type 4G; then
		skip "fork latency on $type" "$mounted_not"
		continue
	fi
	measure
	each_bar at_most
	unmount_last
done
plan
