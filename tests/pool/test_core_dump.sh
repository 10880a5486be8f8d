#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_core_dump.sh: a core dump holds the heap, and not the rest of the pool.
. "${top_srcdir:-..}/tests/support/lib.sh"

pattern=$(cat /proc/sys/kernel/core_pattern)
case $pattern in
core | core.%p | core-%p) ;;
*)
	skip "core dumps" "they go elsewhere here ($pattern)"
	plan
	exit
	;;
esac
# shellcheck disable=SC3045 # dash and bash know this one
if [ "$(ulimit -H -c)" != unlimited ]; then
	skip "core dumps" "their size is limited here (ulimit -c)"
	plan
	exit
fi

# dies VARIANT [ARGUMENT]: has it leave its core in $work/dump; to the end of all that
# it writes, a child's words included.
dies() {
	rm -rf "$work/dump"
	mkdir "$work/dump"
	# shellcheck disable=SC3045 # dash and bash know this one
	(cd "$work/dump" && ulimit -c unlimited && pool_size=1G &&
		on_pool "$1" "$programs/pool/core_dump" ${2+"$2"}) 2>/dev/null |
		cat >"$work/out"
	core=$(echo "$work"/dump/core*)
	[ -e "$core" ]
}

for variant in $(variants); do
	what="$variant: a core of the order of the heap, with the heap in it"
	if ! dies "$variant"; then
		skip "$what" "no core dump is to be had here"
		continue
	fi
	bytes=$(wc -c <"$core")
	letters=$(tr -cd Q <"$core" | wc -c)
	echo "# $bytes bytes, $letters of them from the heap"
	# Each block begins with something else.
	expect "$what" test "$bytes" -lt 100000000 -a "$letters" -ge 20971120

	what="$variant: gdb reads a block's content from it"
	if command -v gdb >/dev/null 2>&1; then
		gdb -nx -batch -ex 'x/s ((char **)&dies_blocks)[17]' \
			"$programs/pool/core_dump" "$core" >"$work/gdb" 2>&1
		expect "$what" grep -q '"block number 17"' "$work/gdb"
	else
		skip "$what" "no gdb here"
	fi

	# A hole that is read, for the dump, is one no more on tmpfs.
	what="$variant: the dump does not fill a sparse tmpfs"
	if file_system tmpfs 1100M; then
		VMMALLOC_POOL_DIR=$mounted VMMALLOC_FORK=0 dies "$variant" looks
		comment "$work/out"
		after=$(sed -n 's/^after \(.*\) KiB$/\1/p' "$work/out")
		expect "$what" test "$after" -ge 20480 -a "$after" -lt 40960
		take_down
	else
		skip "$what" "$mounted_not"
	fi
done
plan
