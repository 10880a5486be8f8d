#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_moments.sh: the first allocation at unusual moments, and privileges.
. "${top_srcdir:-..}/tests/lib.sh"

: "${CC:=cc}"

for variant in $(variants); do
	expect "$variant: allocation before all constructors" \
		on_pool "$variant" "$programs/early"
	expect "$variant: an environment with nothing else in it" \
		on_pool "$variant" env -i PATH="$PATH" \
		VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
		LD_PRELOAD="$(library "$variant")" env -u PATH "$programs/churn" 1000
done

# Blocks that libc allocated by itself.
for variant in $(variants); do
	what="$variant: libc's own blocks go back to libc"
	on_pool "$variant" "$programs/foreign" >"$work/out" 2>&1
	case $? in
	0) ok "$what" ;;
	77) skip "$what" "$(cat "$work/out")" ;;
	*) not_ok "$what"; comment "$work/out" ;;
	esac
done

# A set-user-ID program, linked with the library, run by somebody else: the
# variables are as if they were not there.
what="a set-user-ID program ignores the variables"
if [ "$(id -u)" -ne 0 ] || ! command -v setpriv >/dev/null 2>&1; then
	skip "$what" "needs root and setpriv"
else
	open=$(mktemp -d /tmp/vmmalloc.XXXXXX)
	chmod 755 "$open"
	echo 'int main(void) { return 0; }' >"$open/suid.c"
	cp "$(library release)" "$open/libvmmalloc.so.1"
	$CC -o "$open/suid" "$open/suid.c" -Wl,--no-as-needed \
		"$open/libvmmalloc.so.1" -Wl,-rpath,"$open"
	as_nobody() {
		setpriv --reuid=65534 --regid=65534 --clear-groups env \
			VMMALLOC_POOL_DIR=/dev/shm VMMALLOC_POOL_SIZE=64M \
			"$open/suid" 2>"$work/err"
		echo "$?" >"$work/status"
	}
	as_nobody
	expect "the same program without the privilege obeys them" \
		test "$(cat "$work/status")" -eq 0
	# One without the library tells whether the bit means anything here.
	cat >"$open/is_suid.c" <<-'END'
		#include <unistd.h>
		int main(void) { return geteuid() == getuid(); }
	END
	$CC -o "$open/is_suid" "$open/is_suid.c"
	chmod u+s "$open/suid" "$open/is_suid"
	as_nobody
	if ! setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$open/is_suid"; then
		skip "$what" "set-user-ID has no effect on this file system"
	else
		expect "$what" grep -q "VMMALLOC_POOL_DIR not specified" "$work/err"
		expect "and ends with status 1" test "$(cat "$work/status")" -eq 1
	fi
	rm -rf "$open"
fi
plan
