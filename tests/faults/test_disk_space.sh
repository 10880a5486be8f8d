#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_disk_space.sh: another process fills the pool's file system and empties it again, all
# the time: at the start of programs, while their heaps grow, and around forks.
. "${top_srcdir:-..}/tests/support/lib.sh"

# eater begin|end: starts or ends the other process.
eater() {
	case $1 in
	begin)
		"$programs/faults/disk_space" eat "$mounted/eaten" &
		eater_pid=$!
		;;
	end)
		kill "$eater_pid"
		wait "$eater_pid" 2>/dev/null
		rm -f "$mounted/eaten"
		;;
	esac
}

# starts VARIANT TIMES: each program starts, or is refused with the manual's message. Both
# must happen.
starts() {
	started=0 refused=0 bad=0
	for n in $(seq "$2"); do
		for reserve in grow full; do
			VMMALLOC_RESERVE=$reserve on_pool "$1" \
				"$programs/support/churn" 20000 >"$work/out" 2>"$work/err"
			status=$?
			if [ $status -eq 0 ]; then
				started=$((started + 1))
			elif [ $status -eq 1 ] && [ "$(wc -l <"$work/err")" -eq 2 ] &&
				grep -q '^Error (libvmmalloc): vmem pool creation failed: No space' \
					"$work/err"; then
				refused=$((refused + 1))
			elif grep -q '^churn: out of memory$' "$work/err"; then
				# The program has started. Later malloc returned NULL.
				started=$((started + 1))
			else
				bad=$((bad + 1))
				comment "$work/err"
			fi
		done
	done
	echo "# $started started, $refused refused"
	test $bad -eq 0 -a $started -gt 0 -a $refused -gt 0
}

rounds=100
[ -z "${CI_FULL-}" ] || rounds=1000
for type in tmpfs ext4 xfs; do
	size=100M
	# This is the smallest size of an xfs.
	[ $type != xfs ] || size=300M
	if ! file_system $type $size; then
		skip "$type: another process takes the space" "$mounted_not"
		continue
	fi
	mkdir "$mounted/pools"
	VMMALLOC_POOL_DIR=$mounted/pools
	eater begin
	for variant in $(variants); do
		pool_size=14M
		expect "$type, $variant: programs start or are refused" starts "$variant" 20
		pool_size=48M
		for fork in 1 2 3; do
			# Repeats a refused start: `starts` has tested those.
			tries=0
			# On xfs, with VMMALLOC_FORK=2 and 3, files may share blocks. Then a
			# full file system can lead to SIGBUS (the manual's LIMITS). This test
			# excludes that by VMMALLOC_RESERVE=full.
			reserve=grow
			[ $type$fork = xfs1 ] || [ $type != xfs ] || reserve=full
			while
				VMMALLOC_RESERVE=$reserve VMMALLOC_FORK=$fork on_pool \
					"$variant" "$programs/faults/disk_space" $rounds \
					>"$work/tap" 2>&1
				status=$?
				grep -q 'vmem pool creation failed' "$work/tap" &&
					[ $tries -lt 1000 ]
			do
				tries=$((tries + 1))
			done
			(exit $status)
			tap "$work/tap" "$type, VMMALLOC_FORK=$fork, $variant"
		done
	done
	eater end
	unset VMMALLOC_POOL_DIR
	expect "$type: no file is left" test -z "$(ls -A "$mounted/pools")"
	unmount_last
done
plan
