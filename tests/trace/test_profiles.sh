#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_profiles.sh: jemalloc's heap profiles of preloaded programs, as jeprof reads them.
. "${top_srcdir:-..}/tests/support/lib.sh"

if ! command -v jeprof >/dev/null 2>&1; then
	skip "heap profiles" "needs jeprof"
	plan
	exit
fi
conf=prof:true,prof_final:true,lg_prof_sample:12,prof_prefix:$work/heap
for variant in $(variants); do
	rm -f "$work"/heap*
	on_pool "$variant" env VMMALLOC_CONF="$conf" "$programs/pool/exits" exit \
		>"$work/out" 2>"$work/err"
	if grep -q 'prof' "$work/err"; then
		skip "$variant: a profile" "needs a jemalloc that was built with prof"
		continue
	fi
	jeprof --text "$programs/pool/exits" "$work"/heap*.f.heap >"$work/text" \
		2>"$work/err"
	comment "$work/text"
	# When the program ends it holds one block of 5 MiB, allocated by main.
	expect "$variant: the profile names main as the holder" \
		grep -q '^ *[56]\.0  *\(99\.[0-9]\|100\.0\)%.* main$' "$work/text"
done
# A stripped library, as packages install it, has only its exported names.
if command -v strip >/dev/null 2>&1; then
	rm -f "$work"/heap*
	strip -o "$work/libvmmalloc.so.1" "$(library release)"
	env VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
		VMMALLOC_CONF="$conf" LD_PRELOAD="$work/libvmmalloc.so.1" \
		"$programs/pool/exits" exit >"$work/out" 2>"$work/err"
	jeprof --text "$programs/pool/exits" "$work"/heap*.f.heap >"$work/text" \
		2>"$work/err"
	expect "stripped: the profile names main as the holder" \
		grep -q '^ *[56]\.0  *\(99\.[0-9]\|100\.0\)%.* main$' "$work/text"
	comment "$work/text"
else
	skip "stripped: a profile" "needs strip"
fi
if command -v python3 >/dev/null 2>&1; then
	rm -f "$work"/heap*
	# The command python3 may be a script that starts the interpreter. jeprof needs the
	# interpreter's own file.
	python=$(python3 -c 'import sys; print(sys.executable)')
	on_pool release env VMMALLOC_CONF="$conf" VMMALLOC_POOL_SIZE=256M \
		"$python" -S -c 'x = [str(i) * 100 for i in range(30000)]' \
		>"$work/out" 2>&1
	expect "python3: runs" test $? -eq 0 -a ! -s "$work/out"
	jeprof --text "$python" "$work"/heap*.f.heap >"$work/text" 2>"$work/err"
	expect "python3: a profile of the heap at its end" sh -c "
		grep '^Total: [0-9.]* [kM]*B' '$work/text' &&
			test \$(wc -l <'$work/text') -gt 3"
	comment "$work/text"
else
	skip "python3: a profile" "needs python3"
fi
plan
