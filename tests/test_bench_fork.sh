#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_bench_fork.sh: bench/fork.sh in short form, and what it has to reach.
. "${top_srcdir:-..}/tests/lib.sh"

# at_most LIMIT LINE WHAT: the ratio on the bench's line that begins so.
at_most() {
	ratio=$(awk -v line="$2" -v of="$3" 'index($0, line " ") == 1 &&
		$NF == of && $(NF - 1) == "of" { print $(NF - 2) }' "$work/bench")
	expect "$type: $2: ${ratio:-nothing} of $3, at most $1" \
		awk -v ratio="${ratio:-1000}" -v limit="$1" \
		'BEGIN { exit !(ratio <= limit) }'
}

if [ "$(free_kb "$pool_dir")" -lt $((6 << 20)) ]; then
	skip "fork latency" "needs 6 GiB free where file systems are made"
	plan
	exit 0
fi
for type in tmpfs ext4 xfs btrfs; do
	if ! file_system $type 4G; then
		skip "fork latency on $type" "$mounted_not"
		continue
	fi
	rounds=6
	case $type in
	xfs | btrfs) rounds=2 ;;
	esac
	"$top_srcdir/bench/fork.sh" "$(library release)" \
		"$top_builddir/bench/fork" "$mounted" $rounds >"$work/bench" 2>&1
	comment "$work/bench"
	at_most 1.2 "VMMALLOC_FORK=1, 2 GiB pool" ordinary
	case $type in
	tmpfs | ext4)
		at_most 1.3 "VMMALLOC_FORK=2, 2 GiB pool" cp
		at_most 1.3 "VMMALLOC_FORK=2, 2 GiB pool" fork-2-small
		;;
	*)
		at_most 0.25 "VMMALLOC_FORK=2, 2 GiB pool, on disk" cp
		;;
	esac
	take_down
done
plan
