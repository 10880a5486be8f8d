#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_privileges.sh: programs with privileges ignore the environment, and other users do
# not see a pool.
. "${top_srcdir:-..}/tests/support/lib.sh"
: "${CC:=cc}"

if [ "$(id -u)" -ne 0 ] || ! command -v setpriv >/dev/null 2>&1; then
	skip "privileges" "needs root and setpriv"
	plan
	exit
fi

as_nobody() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# linked: another user runs the program with the settings of a pool.
linked() {
	as_nobody env VMMALLOC_POOL_DIR=/dev/shm VMMALLOC_POOL_SIZE=64M \
		"$open/linked" 2>"$work/err"
	status=$?
}

# ignores WHAT: the program has not seen the settings.
ignores() {
	linked
	expect "$1 ignores the variables" \
		grep -q "VMMALLOC_POOL_DIR not specified" "$work/err"
	expect "$1 ends with status 1" test "$status" -eq 1
}

# Other users must be able to enter the directory.
open=$(mktemp -d /tmp/vmmalloc.XXXXXX) || exit 99
trap 'rm -rf "$open"; clean_up' EXIT
chmod 755 "$open"
echo 'int main(void) { return 0; }' >"$open/linked.c"
cp "$(library release)" "$open/libvmmalloc.so.1"
$CC -o "$open/linked" "$open/linked.c" -Wl,--no-as-needed \
	"$open/libvmmalloc.so.1" -Wl,-rpath,"$open"
# This program, without the library, tells whether file privileges work here.
cat >"$open/has.c" <<-'END'
	#include <sys/auxv.h>
	int main(void) { return getauxval(AT_SECURE) == 0; }
END
$CC -o "$open/has" "$open/has.c"

linked
expect "a program without privileges uses the variables" test "$status" -eq 0
chmod u+s "$open/linked" "$open/has"
if as_nobody "$open/has"; then
	ignores "a set-user-ID program"
else
	skip "set-user-ID" "has no effect on this file system"
fi
chmod u-s "$open/linked" "$open/has"
if ! command -v setcap >/dev/null 2>&1; then
	skip "file capabilities" "needs setcap"
elif setcap cap_net_raw+ep "$open/linked" && setcap cap_net_raw+ep "$open/has" &&
	as_nobody "$open/has"; then
	ignores "a program with file capabilities"
else
	skip "file capabilities" "have no effect on this file system"
fi

# While a program runs, its pool file has no name, and /proc hides it from other users.
for variant in $(variants); do
	mkfifo "$work/fifo.$variant"
	on_pool "$variant" cat <"$work/fifo.$variant" >"$work/ready.$variant" &
	process=$!
	exec 9>"$work/fifo.$variant"
	echo ready >&9
	tries=0
	until [ -s "$work/ready.$variant" ] || [ $tries -eq 1000 ]; do
		tries=$((tries + 1))
		sleep 0.01
	done
	# In the background on_pool is a shell, and its only child is the program.
	found=/none owner=none
	for process in $process $(cat "/proc/$process/task/$process/children"); do
		for file in "/proc/$process/fd"/*; do
			case $(readlink "$file") in
			*" (deleted)") found=$file; owner=$process ;;
			esac
		done
	done
	expect "$variant: root can read the pool file" test -r "$found"
	expect "$variant: the pool file has mode 0600 and no name" test \
		"$(stat -L -c '%a %h' "$found" 2>&1)" = "600 0"
	as_nobody cat "/proc/$owner/maps" >"$work/maps" 2>&1
	as_nobody sh -c "exec 3<>'$found'" 2>"$work/err"
	status=$?
	expect "$variant: another user cannot open the pool file" test "$status" -ne 0
	expect "$variant: another user cannot read the mappings" \
		grep -q 'Permission denied' "$work/maps"
	exec 9>&-
	wait
done
plan
