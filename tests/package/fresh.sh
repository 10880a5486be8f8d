#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# fresh.sh: the two commands of README.md on a fresh Debian system that has only the base,
# git and a compiler. Sourced after lib.sh, with $suite set.

# commands_of_readme: runs the two commands in the fresh system.
commands_of_readme() {
	inside_dir=/root
	expect "$suite: git and a compiler" inside sh -c "
		apt-get -q update && apt-get -qy install git gcc libc6-dev"
	rm "$root/usr/sbin/policy-rc.d"
	expect "$suite: git clone" \
		git clone -q "$top_srcdir" "$root/root/libvmmalloc"
	inside_dir=/root/libvmmalloc
	expect "$suite: quickstart" inside ./quickstart
	cp "$work/expect" "$work/log"
	expect "$suite: it installs packages, and shows that the heap is in the pool" sh -c "
		grep 'apt-get install' '$work/log' &&
			grep 'the heap was in the pool' '$work/log'"
	expect "$suite: quickstart again" inside ./quickstart
	cp "$work/expect" "$work/log"
	expect "$suite: it installs nothing this time" \
		sh -c "! grep apt-get '$work/log'"
	# Only tmpfs: the kernel and its file systems are those of this machine, on which
	# the tests run anyway. No times: they depend on the machine's other work.
	inside env TEST_FILE_SYSTEMS=tmpfs TEST_TIMES=no ./quickstart check >"$work/log" 2>&1
	status=$?
	tail -n 1 "$work/log" >"$work/last"
	expect "$suite: quickstart check: $(cat "$work/last")" test $status -eq 0
	grep '^FAIL' "$work/log" | comment
	# What the failed tests have printed.
	cat "$root"/root/libvmmalloc/build/tests/*/*.log | sed -n '/^not ok/,/^ok/p' | comment
	grep '^SKIP' "$work/log" | comment
	expect "$suite: the last line has the counts" \
		grep -q '^[1-9][0-9]* passed, 0 failed, [0-9]* skipped$' "$work/last"
}

what="$suite: quickstart and quickstart check"
if [ ! -e "$top_srcdir/.git" ]; then
	skip "$what" "needs a git clone"
elif [ "${CI_FULL-}" != 1 ]; then
	skip "$what" "takes long: set CI_FULL=1"
elif ! fresh_system $suite $suite; then
	skip "$what" "$fresh_not"
else
	commands_of_readme
fi
plan
