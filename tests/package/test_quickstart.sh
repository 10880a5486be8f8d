#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_quickstart.sh: quickstart when something is in its way: a space in the path, no
# root, an interrupt, tests that fail. tests/package/fresh.sh tests its normal
# work.
. "${top_srcdir:-..}/tests/support/lib.sh"

# at DIR: goes to a copy of quickstart in DIR, with empty files as if autoreconf had run.
at() {
	mkdir -p "$1/build"
	cp "$top_srcdir/quickstart" "$top_srcdir/configure.ac" "$1"
	: >"$1/configure"
	: >"$1/Makefile.in"
	cd "$1" || exit 99
}

# made NAME: makes a command in $work/bin from standard input.
made() {
	mkdir -p "$work/bin"
	{
		echo "#!/bin/sh"
		cat
	} >"$work/bin/$1"
	chmod +x "$work/bin/$1"
}

# A system with only these commands, on which no package is installed.
made apt-get <<'END'
[ "$1" = update ] || exec "$INSTALL" "$@"
END
made apt-cache </dev/null
made dpkg-query </dev/null
made id <<'END'
echo "${USER_ID:-0}"
END
for name in awk cat chmod cp dirname env find grep head make mkdir nproc rm sed sh tail tee \
	tr wc; do
	ln -s "$(command -v $name)" "$work/bin/$name"
done

at "$work/a space"
PATH=$work/bin ./quickstart >"$work/said" 2>&1
status=$?
expect "a path with a space is refused" test $status -eq 1
expect "a path with a space: the message is the only line" sh -c "
	test \$(wc -l <'$work/said') -eq 1 && grep 'a space in its name' '$work/said'"

mkdir -p "$work/elsewhere"
ln -s "$top_srcdir/quickstart" "$work/elsewhere/quickstart"
(cd "$work/elsewhere" && PATH=$work/bin ./quickstart) >"$work/said" 2>&1
status=$?
expect "by a link in another directory: ends at once" sh -c "
	test $status -eq 1 && test \$(wc -l <'$work/said') -eq 1"
at "$work/nobody"
PATH=$work/bin ./quickstart check all >"$work/said" 2>&1
status=$?
expect "one argument too many: prints the usage" sh -c "
	test $status -eq 2 && grep '^CONFIGURE_FLAGS' '$work/said'"

PATH=$work/bin USER_ID=1000 ./quickstart check >"$work/said" 2>&1
status=$?
expect "without root, with packages to install: ends" test $status -eq 1
for package in libtool sqlite3; do
	expect "without root: the list of packages has $package" \
		grep -q "apt-get install .* $package " "$work/said"
done

# in_sbin COMMAND...: runs the command with an empty /usr/sbin of its own, for
# policy-rc.d.
in_sbin() {
	mkdir -p "$work/sbin"
	unshare -m sh -c '
		mount --bind "$0" /usr/sbin && exec "$@"' "$work/sbin" "$@"
}
# env restores SIGINT, which is ignored if the test was started in the background.
made interrupted <<'END'
ls /usr/sbin >"${0%/*}/seen"
kill -INT 0
sleep 60
END
ln -s "$(command -v ls)" "$(command -v sleep)" "$work/bin"
at "$work/interrupt"
if in_sbin true 2>/dev/null; then
	in_sbin setsid -w env --default-signal=INT PATH="$work/bin" INSTALL="$work/bin/interrupted" \
		./quickstart check >"$work/said" 2>&1
	status=$?
	expect "an interrupt while packages are installed: ends" test $status -ne 0
	expect "an interrupt: policy-rc.d kept servers from starting" grep -qx policy-rc.d "$work/bin/seen"
	expect "an interrupt: policy-rc.d is removed" test -z "$(ls "$work/sbin")"
	rm "$work/bin/seen"
	cp "$work/said" "$work/said.first"
	# The reader of quickstart's output is interrupted, too.
	in_sbin setsid -w env --default-signal=INT,PIPE PATH="$work/bin" \
		INSTALL="$work/bin/interrupted" sh -c './quickstart check 2>&1 | cat' \
		>"$work/said" 2>&1
	expect "an interrupt with a reader: policy-rc.d kept servers from starting" \
		grep -qx policy-rc.d "$work/bin/seen"
	expect "an interrupt with a reader: policy-rc.d is removed" test -z "$(ls "$work/sbin")"
	rm "$work/bin/seen"
	mv "$work/said.first" "$work/said"
	shown=$(sed -n "s/^\$ \(.*policy-rc\.d.*chmod.*\)/\1/p" "$work/said")
	in_sbin sh -c "$shown" >/dev/null 2>&1
	expect "the printed command makes the same policy-rc.d" test "$(cat "$work/sbin/policy-rc.d")" = "#!/bin/sh
exit 101"
	rm -f "$work/sbin/policy-rc.d"
	in_sbin setsid -w env --default-signal=INT PATH="$work/bin" INSTALL="$work/bin/interrupted" \
		./quickstart >"$work/said" 2>&1
	expect "quickstart without check makes no policy-rc.d" sh -c "
		grep -q 'apt-get install' '$work/said' &&
			test -e '$work/bin/seen' && ! grep -x policy-rc.d '$work/bin/seen'"
else
	skip "an interrupt while packages are installed" "needs a mount namespace"
fi

made dpkg-query <<'END'
printf 'install ok installed'
END
at "$work/fails"
mkdir build/tests
cat >build/Makefile <<'END'
all:
check:
	@cp ../log tests/test_a.log
	@printf ':test-result: PASS\n:test-result: FAIL\n' >tests/test_a.trs
	@false
END
cat >log <<'END'
ok 1 - one
# of the first
not ok 2 - two
# because
1..2
END
PATH=$work/bin ./quickstart check >"$work/said" 2>&1
status=$?
expect "a failed test: status 1" test $status -eq 1
expect "a failed test: its name and the reason are printed" sh -c "
	grep -A 2 'failed: build/tests/test_a' '$work/said' >'$work/last'
	grep -qx 'not ok 2 - two' '$work/last' && grep -qx '# because' '$work/said'"
expect "a failed test: the last line has the counts" test "$(tail -n 1 "$work/said")" = \
	"1 passed, 1 failed, 0 skipped"
sed -i '/@false/d; s/FAIL/PASS/' build/Makefile
PATH=$work/bin ./quickstart check >"$work/said" 2>&1
status=$?
expect "no failed test: status 0" test $status -eq 0

printf 'all:\n\t@seq 100; echo broken; false\n' >build/Makefile
ln -s "$(command -v seq)" "$work/bin"
PATH=$work/bin ./quickstart >"$work/said" 2>&1
status=$?
expect "a failed build: status 1" test $status -eq 1
expect "a failed build: the end of its output is printed" sh -c "
	grep -qx broken '$work/said' && ! grep -qx 5 '$work/said'"
expect "a failed build: all output is in the log" grep -qx 5 build/quickstart.log
plan
