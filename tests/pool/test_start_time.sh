#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_start_time.sh: a program starts as fast on a large pool as on a small one.
. "${top_srcdir:-..}/tests/support/lib.sh"
if ! measures "time to start a program"; then
	plan
	exit
fi

for type in tmpfs ext4 xfs; do
	what="$type: /bin/true takes at most 1.2 times as long with 4 GiB as with 64 MiB"
	# The image is sparse, and the pool reserves little of it.
	if ! file_system $type 6G; then
		skip "$what" "$mounted_not"
		continue
	fi
	"$programs/pool/start_time" "$(library release)" "$mounted" 400 >"$work/times"
	comment "$work/times"
	ratio=$(sed -n 's/.*ratio //p' "$work/times")
	expect "$what" awk "BEGIN { exit !($ratio > 0 && $ratio <= 1.2) }"
done
plan
