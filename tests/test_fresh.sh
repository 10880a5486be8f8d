#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_fresh.sh: the README's two commands on fresh Debian systems where nothing but
# the base, git and a compiler is installed. About 5 minutes a system: CI_FULL=1.
. "${top_srcdir:-..}/tests/lib.sh"

# The archive that this machine installs from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	2>/dev/null | grep -m 1 '/debian/\{0,1\}$')

reason=
if [ "${CI_FULL-}" != 1 ]; then
	reason="takes long: set CI_FULL=1"
elif [ "$(id -u)" -ne 0 ]; then
	reason="needs root for debootstrap"
elif ! command -v debootstrap >/dev/null 2>&1; then
	reason="needs debootstrap"
elif [ ! -e "$top_srcdir/.git" ]; then
	reason="not a git clone"
elif [ -z "$mirror" ]; then
	reason="knows no Debian archive"
fi

# inside COMMAND...: in the fresh system, as its user would, from the clone.
inside() {
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		sh -c 'cd /root/libvmmalloc && exec "$@"' sh "$@" </dev/null
}

for suite in bookworm trixie; do
	what="$suite: quickstart and quickstart check"
	if [ -n "$reason" ]; then
		skip "$what" "$reason"
		continue
	fi
	root=$work/$suite
	if ! debootstrap --variant=minbase \
		--include=ca-certificates,git,gcc,libc6-dev "$suite" "$root" \
		"$mirror" >"$work/log" 2>&1; then
		skip "$what" "debootstrap $suite failed"
		comment "$work/log"
		continue
	fi
	for place in proc sys dev; do
		mount --rbind "/$place" "$root/$place" &&
			mount --make-rslave "$root/$place" &&
			mounts="$root/$place $mounts"
	done
	expect "$suite: git clone" \
		git clone -q "$top_srcdir" "$root/root/libvmmalloc"
	expect "$suite: quickstart" inside ./quickstart
	cp "$work/expect" "$work/log"
	expect "$suite: installs, and shows the heap in the pool" sh -c "
		grep 'apt-get install' '$work/log' &&
			grep 'the heap was in the pool' '$work/log'"
	expect "$suite: quickstart again" inside ./quickstart
	cp "$work/expect" "$work/log"
	expect "$suite: installs nothing then" \
		sh -c "! grep apt-get '$work/log'"
	inside ./quickstart check >"$work/log" 2>&1
	status=$?
	tail -n 1 "$work/log" >"$work/last"
	expect "$suite: quickstart check: $(cat "$work/last")" test $status -eq 0
	grep -e '^FAIL' -e '^SKIP' "$work/log" | comment
	expect "$suite: its last line" \
		grep -q '^[1-9][0-9]* passed, 0 failed, [0-9]* skipped$' "$work/last"
done
plan
