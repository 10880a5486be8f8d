#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_callers.sh: fork(2) on unusual stacks, in handlers, and beside threads that allocate
# or use stdio: all cases on tmpfs in both variants, a few cases on other file systems. With
# CI_FULL=1 also VMMALLOC_FORK=3, and the debug variant with closed descriptors.
. "${top_srcdir:-..}/tests/support/lib.sh"

ulimit -c 0
# A case takes a few seconds. The variable marks the processes of cases: see left.
on_pool_by="timeout -s KILL 60 env CALLERS_OF=$$"

# Prints the IDs of all processes that cases have left behind.
left() {
	grep -lzx "CALLERS_OF=$$" /proc/[0-9]*/environ 2>/dev/null |
		sed 's|/proc/\([0-9]*\)/environ|\1|'
}

# run_case WHAT COMMAND...: runs a case, and passes its TAP on. After a crash or a hang it
# kills the processes that the case has left behind.
run_case() {
	run_what=$1
	shift
	"$@" >"$work/tap" 2>&1
	tap "$work/tap" "$run_what"
	[ "$tap_status" -eq 0 ] || for pid in $(left); do
		kill -KILL "$pid" 2>/dev/null
	done
}

# cases TYPE VARIANT FORK MODE CASE...: runs cases on pools in $VMMALLOC_POOL_DIR.
cases() {
	cases_type=$1 cases_variant=$2 cases_fork=$3 cases_mode=$4
	shift 4
	for case in "$@"; do
		VMMALLOC_FORK=$cases_fork run_case \
			"$cases_type, VMMALLOC_FORK=$cases_fork, $cases_variant, $cases_mode: $case" \
			on_pool "$cases_variant" "$programs/fork/callers" \
			"$case" "$cases_mode"
	done
}

# nothing_left TYPE: no file is left in $VMMALLOC_POOL_DIR, and no process.
nothing_left() {
	expect "$1: no file is left" test -z "$(ls -A "$VMMALLOC_POOL_DIR" |
		grep -v 'lost+found\|overlay')"
	expect "$1: no process is left" test -z "$(left)"
}

# All cases run on tmpfs. These depend on how the file system maps and copies a file:
few="coroutine-fork coroutine-after nested-prepare threads-at-once parent-writes
	grandchildren"

# on_type TYPE: runs a few cases on pools in $VMMALLOC_POOL_DIR, in the release variant.
on_type() {
	for fork in 1 2; do
		# shellcheck disable=SC2086 # words
		cases "$1" release $fork plain $few
	done
	nothing_left "$1"
}

# on_overlay TYPE: as on_type, on overlayfs over the file system at $mounted.
on_overlay() {
	layers=$mounted/overlay
	overlay=$work/overlay
	mkdir -p "$overlay" "$layers/lower" "$layers/upper" "$layers/work"
	if ! mount -t overlay -o \
		"lowerdir=$layers/lower,upperdir=$layers/upper,workdir=$layers/work" \
		overlay "$overlay" 2>"$work/mount"; then
		skip "fork on overlayfs over $1" "overlayfs cannot be mounted over it"
		return
	fi
	mounts="$overlay $mounts"
	VMMALLOC_POOL_DIR=$overlay
	on_type "overlayfs over $1"
	umount "$overlay" && mounts=${mounts#"$overlay "}
}

all=$("$programs/fork/callers" list)
for case in $all; do
	for mode in plain closed; do
		# shellcheck disable=SC2086 # words
		run_case "without the library, $mode: $case" \
			$on_pool_by "$programs/fork/callers" "$case" $mode
	done
done

# On a busy machine a thread without a processor may hold the kernel's lock on the mappings
# of the process. Other threads then wait for that lock and cannot stop. A fork must wait
# for all of them, and must not fail.
if file_system tmpfs 1536M; then
	VMMALLOC_POOL_DIR=$mounted
	others=
	for i in 1 2 3 4 5 6 7 8; do
		(while :; do :; done) &
		others="$others $!"
	done
	forked=0
	for i in 1 2 3 4 5 6 7 8 9 10; do
		VMMALLOC_FORK=1 VMMALLOC_POOL_SIZE=256M on_pool release timeout 60 \
			"$programs/fork/callers" stall closed >"$work/tap" 2>&1
		grep '^#' "$work/tap"
		# The first result of the case stall: all forks succeed.
		! grep -q '^ok 1 ' "$work/tap" || forked=$((forked + 1))
	done
	# shellcheck disable=SC2086 # processes
	kill $others
	expect "a busy machine: all forks beside threads that allocate succeed, 10 times" \
		test $forked -eq 10
	unset VMMALLOC_POOL_DIR
	unmount_last
else
	skip "a busy machine" "$mounted_not"
fi

for type in tmpfs ext4 xfs hugetlbfs; do
	if ! file_system $type 1536M; then
		skip "fork on $type" "$mounted_not"
		continue
	fi
	VMMALLOC_POOL_DIR=$mounted
	pool_size=256M
	# Each process reserves huge pages for its whole pool.
	[ $type != hugetlbfs ] || pool_size=64M
	if [ $type = tmpfs ]; then
		for variant in $(variants); do
			for fork in 1 2 3; do
				# VMMALLOC_FORK=3 does the same as VMMALLOC_FORK=2 here.
				[ $fork != 3 ] || [ "$variant${CI_FULL-}" = release1 ] ||
					continue
				for mode in plain closed; do
					[ "$variant $mode${CI_FULL-}" != "debug closed" ] ||
						continue
					# shellcheck disable=SC2086 # words
					cases $type "$variant" $fork $mode $all
				done
			done
		done
		nothing_left $type
	else
		on_type $type
	fi
	case $type in
	tmpfs | ext4) on_overlay $type ;;
	esac
	unmount_last || not_ok "$type: cannot be unmounted, it is in use"
done
plan
