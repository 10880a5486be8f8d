#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_core_dump.sh: a core dump contains the heap, but not the unused part of the pool.
. "${top_srcdir:-..}/tests/support/lib.sh"

pattern=$(cat /proc/sys/kernel/core_pattern)
case $pattern in
core | core.%p | core-%p) ;;
*)
	skip "core dumps" "core_pattern sends them elsewhere ($pattern)"
	plan
	exit
	;;
esac
# shellcheck disable=SC3045 # dash and bash know this one
if [ "$(ulimit -H -c)" != unlimited ]; then
	skip "core dumps" "their size is limited (ulimit -c)"
	plan
	exit
fi

# dump VARIANT [ARGUMENT]: runs the program, which leaves its core in $work/dump. `cat`
# waits for the end of the output, which includes that of the child.
dump() {
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
	what="$variant: the core contains the heap and is not much larger"
	if ! dump "$variant"; then
		skip "$what" "the kernel has written no core"
		continue
	fi
	bytes=$(wc -c <"$core")
	letters=$(tr -cd Q <"$core" | wc -c)
	echo "# $bytes bytes, $letters of them from the heap"
	# Each block begins with a text instead of the letter Q.
	expect "$what" test "$bytes" -lt 100000000 -a "$letters" -ge 20971120

	what="$variant: gdb reads the content of a block from the core"
	if command -v gdb >/dev/null 2>&1; then
		gdb -nx -batch -ex 'x/s ((char **)&core_dump_blocks)[17]' \
			"$programs/pool/core_dump" "$core" >"$work/gdb" 2>&1
		expect "$what" grep -q '"block number 17"' "$work/gdb"
	else
		skip "$what" "needs gdb"
	fi

	what="$variant: a pool without a file: the core contains the heap"
	if VMMALLOC_POOL_DIR=:memory: dump "$variant"; then
		letters=$(tr -cd Q <"$core" | wc -c)
		expect "$what" test "$(wc -c <"$core")" -lt 100000000 -a "$letters" -ge 20971120
	else
		skip "$what" "the kernel has written no core"
	fi

	# If the kernel read unused pages of a tmpfs file for the dump, each would take memory.
	what="$variant: the dump does not fill a sparse tmpfs"
	if file_system tmpfs 1100M; then
		VMMALLOC_POOL_DIR=$mounted VMMALLOC_FORK=0 dump "$variant" looks
		comment "$work/out"
		after=$(sed -n 's/^after \(.*\) KiB$/\1/p' "$work/out")
		expect "$what" test "$after" -ge 20480 -a "$after" -lt 40960
		unmount_last
	else
		skip "$what" "$mounted_not"
	fi
done
plan
