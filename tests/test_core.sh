#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_core.sh: a core dump holds the heap, and not the rest of the pool.
. "${top_srcdir:-..}/tests/lib.sh"

pattern=$(cat /proc/sys/kernel/core_pattern)
for variant in $(variants); do
	what="$variant: a core of the order of the heap, with the heap in it"
	case $pattern in
	core | core.%p | core-%p) ;;
	*)
		skip "$what" "core dumps go elsewhere here ($pattern)"
		continue
		;;
	esac
	rm -f "$work"/core*
	# shellcheck disable=SC3045 # dash and bash know this one
	(cd "$work" && ulimit -c unlimited &&
		pool_size=1G on_pool "$variant" "$programs/dies") \
		>/dev/null 2>&1
	if ! ls "$work"/core* >/dev/null 2>&1; then
		skip "$what" "no core dump is to be had here"
		continue
	fi
	bytes=$(cat "$work"/core* | wc -c)
	letters=$(tr -cd Q <"$(echo "$work"/core*)" | wc -c)
	echo "# $bytes bytes, $letters of them from the heap"
	expect "$what" test "$bytes" -lt 100000000 -a "$letters" -ge 20971520
done
plan
