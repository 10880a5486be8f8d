#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_start_time.sh: a program starts as fast on a large pool as on a small one.
. "${top_srcdir:-..}/tests/support/lib.sh"
if ! measures "how fast a program starts"; then
	plan
	exit
fi

for type in tmpfs ext4 xfs; do
	what="$type: /bin/true with 4 GiB within 1.2 of 64 MiB"
	# The image is sparse; what is reserved of it is little.
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
