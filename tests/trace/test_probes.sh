#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_probes.sh: the static probes: their notes in the ELF files, and bpftrace on them.
. "${top_srcdir:-..}/tests/support/lib.sh"

probes="open grow give_back exhausted fork"

if ! grep -q '^#define HAVE_SYS_SDT_H 1' "$top_builddir/config.h"; then
	skip "static probes" "needs sys/sdt.h when configure runs"
	plan
	exit
fi
for variant in $(variants); do
	readelf -n "$(library "$variant")" >"$work/notes" 2>/dev/null
	for name in $probes; do
		expect "$variant: probe $name" sh -c "
			grep -A 3 'Provider: libvmmalloc' '$work/notes' |
				grep -q 'Name: $name\$'"
	done
	expect "$variant: no other probes" test \
		"$(grep -c 'Provider: libvmmalloc' "$work/notes")" -eq 5
	expect "$variant: arguments are registers or numbers" test -z "$(
		grep Arguments: "$work/notes" | grep -v \
		'Arguments: -\{0,1\}[48]@[%$]*[-a-z0-9]* -\{0,1\}[48]@[%$]*[-a-z0-9]*$')"
done

expect "libvmmalloc.7 lists the probes" sh -c "
	for name in $probes; do
		grep -q \"^\\.B.* \$name\" '$top_srcdir/man/libvmmalloc.7' ||
			{ echo \"no \$name\"; exit 1; }
	done"

# bpftrace traces all probes, while programs run that reach them. bpftrace does not
# report when it has started, so programs run until each probe was seen, or for a
# minute.
if ! command -v bpftrace >/dev/null 2>&1; then
	skip "bpftrace sees each probe" "needs bpftrace"
elif [ "$(id -u)" -ne 0 ]; then
	skip "bpftrace sees each probe" "needs root for bpftrace"
else
	script=
	for name in $probes; do
		script="$script usdt:$(library release):libvmmalloc:$name {
			printf(\"$name %ld %ld\\n\", arg0, arg1); }"
	done
	timeout 60 bpftrace -B line -e "$script" >"$work/seen" 2>"$work/err" &
	tracer=$!
	while kill -0 $tracer 2>/dev/null; do
		missing=
		for name in $probes; do
			grep -q "^$name [0-9]" "$work/seen" || missing="$missing $name"
		done
		[ -n "$missing" ] || break
		on_pool release "$programs/fork/heap" >/dev/null 2>&1
		on_pool release "$programs/pool/metadata" >/dev/null 2>&1
		on_pool release "$programs/pool/trim" >/dev/null 2>&1
	done
	kill $tracer 2>/dev/null
	wait $tracer 2>/dev/null
	if [ ! -s "$work/seen" ] || ! grep -q Attaching "$work/seen" "$work/err"; then
		skip "bpftrace sees each probe" "bpftrace does not work here"
		comment "$work/err"
	else
		for name in $probes; do
			expect "bpftrace sees probe $name" \
				grep -q "^$name [0-9]" "$work/seen"
		done
		expect "open: the argument is the size of the pool" grep -q '^open 67108864 ' "$work/seen"
		expect "give_back: a chunk of 2 MiB" \
			grep -q '^give_back [0-9]* 2097152$' "$work/seen"
		expect "fork: the heap became private, without an error" \
			grep -q '^fork 1 0$' "$work/seen"
	fi
fi
plan
