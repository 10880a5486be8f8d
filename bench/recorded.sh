#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# recorded.sh: prints the sizes of a program's blocks, and how long they live, as rows of
# recorded.h.
#
#   recorded.sh DEBUG_LIBRARY COMMAND...
#
# COMMAND runs with the debug variant, which traces every call. Lives are counted in
# allocations, until the end of the program at most. realloc frees and allocates.
set -eu
[ $# -ge 2 ] || { sed -n '3,9s/^# *//p' "$0" >&2; exit 2; }
library=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

VMMALLOC_POOL_DIR="$work" VMMALLOC_POOL_SIZE=1G VMMALLOC_LOG_LEVEL=4 \
	VMMALLOC_LOG_FILE="$work/trace" LD_PRELOAD="$library" "$@" >/dev/null
# Lines of calls have the form [FILE:LINE FUNCTION] ARGUMENTS -> RESULT.
awk '
function value(name) {
	return match($0, name " [0-9a-fx]+") \
		? substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 1) : ""
}
function log2(n,    result) {
	for (result = 0; n >= 2; n /= 2)
		result++
	return result
}
function end(block,    life) {
	if (!(block in born))
		return
	life = log2(now - born[block] + 1)
	seen[size[block] " " (life > 20 ? 20 : life)]++
	delete born[block]
}
function begin(block, bytes) {
	born[block] = now++
	size[block] = bytes < 16 ? 16 : bytes < 1024 ? int((bytes + 15) / 16) * 16 \
		: int((bytes + 1023) / 1024) * 1024
}
$2 == "<4>" && $4 ~ /^(free|realloc|operator)/ { end(value("block")) }
$2 == "<4>" && / -> 0x/ && $NF ~ /^0x/ {
	bytes = value("size")
	if ($4 == "calloc]")
		bytes *= value("count")
	if (bytes + 0 <= 1048576)
		begin($NF, bytes + 0)
}
END {
	for (block in born)
		end(block)
	for (row in seen) {
		split(row, part, " ")
		printf "%d %d %d\n", part[1], part[2], seen[row]
	}
}' "$work/trace" | sort -k3,3nr | head -n 300 | sort -k1,1n -k2,2n |
	awk '{ printf "{ %d, %d, %d },\n", $1, $2, $3 }'
