#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_callers.sh: fork(2) on unusual stacks, in handlers, and beside threads that
# allocate or use stdio: in every variant, and on several file systems. CI_FULL: the debug
# variant with its descriptor closed, too.
. "${top_srcdir:-..}/tests/support/lib.sh"

ulimit -c 0
# A case takes a few seconds. The variable marks its processes: see left.
on_pool_by="timeout -s KILL 60 env SHAPES_OF=$$"

# Prints the IDs of all processes that cases have left behind.
left() {
	grep -lzx "SHAPES_OF=$$" /proc/[0-9]*/environ 2>/dev/null |
		sed 's|/proc/\([0-9]*\)/environ|\1|'
}

# shape WHAT COMMAND...: runs a case, and passes its TAP on. After a crash or a hang it
# kills the processes that the case has left behind.
shape() {
	shape_what=$1
	shift
	"$@" >"$work/tap" 2>&1
	tap "$work/tap" "$shape_what"
	[ "$tap_status" -eq 0 ] || for pid in $(left); do
		kill -KILL "$pid" 2>/dev/null
	done
}

# shapes TYPE VARIANT FORK MODE CASE...: cases on pools in $VMMALLOC_POOL_DIR.
shapes() {
	shapes_type=$1 shapes_variant=$2 shapes_fork=$3 shapes_mode=$4
	shift 4
	for case in "$@"; do
		VMMALLOC_FORK=$shapes_fork shape \
			"$shapes_type, VMMALLOC_FORK=$shapes_fork, $shapes_variant, $shapes_mode: $case" \
			on_pool "$shapes_variant" "$programs/fork/callers" \
			"$case" "$shapes_mode"
	done
}

# nothing_left TYPE: neither files in $VMMALLOC_POOL_DIR, nor processes.
nothing_left() {
	expect "$1: no file is left" test -z "$(ls -A "$VMMALLOC_POOL_DIR" |
		grep -v 'lost+found\|overlay')"
	expect "$1: no process is left" test -z "$(left)"
}

# All cases run on tmpfs. These depend on how the file system maps and copies a file:
few="coroutine-fork coroutine-after nested-prepare threads-at-once parent-writes
	grandchildren"

# on_type TYPE: few cases on pools in $VMMALLOC_POOL_DIR, in the release variant.
on_type() {
	for fork in 1 2; do
		# shellcheck disable=SC2086 # words
		shapes "$1" release $fork plain $few
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
		shape "without the library, $mode: $case" \
			$on_pool_by "$programs/fork/callers" "$case" $mode
	done
done

# Where many others want the processors, a thread that has none may have the lock on the
# process's mappings, which its fellows wait for: a fork has to wait for it.
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
		! grep -q '^ok 1 ' "$work/tap" || forked=$((forked + 1))
	done
	# shellcheck disable=SC2086 # processes
	kill $others
	expect "a busy machine: forks beside threads that allocate, 10 of 10" \
		test $forked -eq 10
	unset VMMALLOC_POOL_DIR
	take_down
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
				# VMMALLOC_FORK=3 does the same as 2 here.
				[ $fork != 3 ] || [ "$variant${CI_FULL-}" = release1 ] ||
					continue
				for mode in plain closed; do
					[ "$variant $mode${CI_FULL-}" != "debug closed" ] ||
						continue
					# shellcheck disable=SC2086 # words
					shapes $type "$variant" $fork $mode $all
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
	take_down || not_ok "$type: is in use"
done
plan
