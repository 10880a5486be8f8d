#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_manuals.sh: the form of the manual pages. Each paragraph names the tests that check
# it. Also checks some sentences that no other test checks.
. "${top_srcdir:-..}/tests/support/lib.sh"

man=$top_srcdir/man

for page in libvmmalloc.7 vmmalloc.1; do
	if command -v groff >/dev/null 2>&1; then
		expect "$page: groff has no warning" test -z "$(
			groff -man -Tutf8 -ww -z "$man/$page" 2>&1)"
	else
		skip "$page: groff has no warning" "needs groff"
	fi
	if command -v mandoc >/dev/null 2>&1; then
		expect "$page: mandoc has no warning" \
			mandoc -Tlint -Wwarning "$man/$page"
	else
		skip "$page: mandoc has no warning" "needs mandoc"
	fi
done

sed -n 's/^\.SH //p' "$man/libvmmalloc.7" >"$work/sections"
cat >"$work/expected" <<END
NAME
SYNOPSIS
DESCRIPTION
DEFINITIONS
POOL
ENVIRONMENT
FORK
PLACES
LIMITS
DEBUGGING
NOTES
BUGS
EXAMPLES
ACKNOWLEDGEMENTS
SEE ALSO
END
expect "libvmmalloc.7 has its sections" diff "$work/expected" "$work/sections"

# The table in the source, the manual and README.md have the same variables.
sed -n 's/^	{ "\(VMMALLOC_[A-Z_]*\)".*/\1/p' "$top_srcdir/lib/base/settings.c" |
	sort >"$work/source"
for text in README.md man/libvmmalloc.7; do
	grep -o 'VMMALLOC_[A-Z_]*' "$top_srcdir/$text" | sort -u >"$work/text"
	expect "$text has the variables of the source" \
		diff "$work/source" "$work/text"
done
grep -o 'VMMALLOC_[A-Z_]*' "$man/vmmalloc.1" | sort -u >"$work/text"
expect "vmmalloc.1 has no other variables" test -z "$(comm -13 "$work/source" "$work/text")"
# Each variable has an entry.
for name in $(cat "$work/source"); do
	expect "libvmmalloc.7: an entry for $name" sh -c "
		sed -n '/^\.SH ENVIRONMENT/,/^\.SH FORK/p' '$man/libvmmalloc.7' |
			grep -q '^\.BR\{0,1\} .*$name'"
done

# A comment in each paragraph names the tests that check it, or says why there is none.
for page in libvmmalloc.7 vmmalloc.1; do
	awk '
		function done_with() {
			if (is_checked && text != "" && !is_tagged)
				print first ": " text
			text = ""
			is_tagged = 0
		}
		/^\.RS/ { depth++ }
		/^\.RE/ { depth-- }
		/^\.(SH|SS)/ || (depth == 0 && /^\.(PP|TP)/) { done_with(); first = NR }
		/^\.SH/ {
			is_checked = $0 !~ /NAME|SYNOPSIS|ACKNOWL|EXAMPLES|SEE ALSO/
		}
		/^\.\\" (no )?test: / { is_tagged = 1; next }
		# A sentence, not the name of an item.
		/^[^.].*[.,;]$/ || /^\.(B|BR|I|IR) .*[.,;]$/ { text = $0 }
		END { done_with() }' "$man/$page" >"$work/untested"
	expect "$page: each paragraph names its tests, or says why there are none" \
		test ! -s "$work/untested"
	comment "$work/untested"
	sed -n 's/^\.\\" test: //p' "$man/$page" | tr ' ' '\n' | sort -u |
		while read -r name; do
			ls "$top_srcdir/tests/$name" "$top_srcdir/tests/$name.c" \
				2>/dev/null | grep -q . || echo "$name"
		done >"$work/unknown"
	expect "$page: the named tests exist" test ! -s "$work/unknown"
	comment "$work/unknown"
done

# Each option of the command is in its manual and in its help.
for option in -d -s -f -N -g -l -S --help --version; do
	expect "vmmalloc.1 and --help have $option" sh -c "
		tr -d '\\\\' <'$man/vmmalloc.1' | grep -q -e '$option' &&
		'$programs/vmmalloc' --help | grep -q -e '$option'"
done

# An executed program gets a pool of its own. Without the preload it gets none.
# shellcheck disable=SC2016 # the inner shell is to expand it
on_pool release sh -c '
	grep -m 1 "(deleted)" /proc/$$/maps
	grep -m 1 "(deleted)" /proc/self/maps
	LD_PRELOAD= grep -c "(deleted)" /proc/self/maps' >"$work/out" 2>&1
expect "an executed program has a pool of its own" test "$(
	sed -n '1,2s/.*  *[0-9:a-f]*  *\([0-9]*\)  */\1 /p' "$work/out" |
		awk '{ print $1 }' | sort -u | wc -l)" -eq 2
expect "an executed program without the preload has none" test "$(sed -n 3p "$work/out")" = 0

# mlockall(2) locks the pool. dlopen(3) of the library fails.
if command -v python3 >/dev/null 2>&1; then
	on_pool release python3 -c '
import ctypes
error = ctypes.CDLL(None).mlockall(3)
print(error, *[line.split()[1] for line in open("/proc/self/status")
    if line.startswith("VmLck")])' >"$work/out" 2>&1
	if grep -q '^0 ' "$work/out"; then
		expect "mlockall locks all of the pool" \
			test "$(cut -d ' ' -f 2 "$work/out")" -ge 65536
	else
		skip "mlockall locks all of the pool" "needs permission to lock so much memory"
	fi
	for variant in $(variants); do
		python3 -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' \
			"$(library "$variant")" >"$work/out" 2>&1
		status=$?
		expect "$variant: dlopen refuses the library" sh -c "
			test $status -ne 0 && grep -q 'static TLS' '$work/out'"
	done
else
	skip "mlockall locks all of the pool" "needs python3"
fi

# NUMA nodes such as CXL memory: a policy of the file system applies to the pool.
if file_system tmpfs 64M mpol=bind:0; then
	VMMALLOC_POOL_DIR=$mounted VMMALLOC_POOL_SIZE=32M on_pool release \
		cat /proc/self/numa_maps >"$work/out" 2>&1
	if [ -s "$work/out" ]; then
		expect "a tmpfs with mpol=bind: the pool is bound" \
			grep -q " bind:0 file=.*/tmpfs.* N0=[1-9]" "$work/out"
		grep deleted "$work/out" | comment
	else
		skip "a tmpfs with mpol=bind" "needs a kernel with numa_maps"
	fi
	unmount_last
else
	skip "a tmpfs with mpol=bind" "$mounted_not"
fi
plan
