#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_rpm.sh: RPM packages, made from the tarball and a release of jemalloc, put into a
# repository, installed from it, used and removed. CI_FULL: the build runs its tests, too.
. "${top_srcdir:-..}/tests/support/lib.sh"

: "${MAKE:=make}"

made() {
	mkdir "$work/b"
	(cd "$work/b" && "$top_srcdir/configure" --quiet &&
		$MAKE -s rpm JEMALLOC_TARBALL="$jemalloc_tarball" \
			RPMBUILD_FLAGS="$flags")
}
flags=
[ -n "${CI_FULL-}" ] || flags=--nocheck

reason=
for tool in rpmbuild createrepo_c dnf; do
	command -v $tool >/dev/null 2>&1 || reason="needs $tool"
done
[ -n "$reason" ] || jemalloc_release 5.3.0 ||
	reason="needs an archive with the source of jemalloc"
if [ -n "$reason" ]; then
	skip "make rpm" "$reason"
	plan
	exit
fi
expect "make rpm${CI_FULL:+, with its own tests}" made
packages=$work/b/rpmbuild/RPMS
ls "$packages"/*/*.rpm | sed 's|.*/||; s/-[0-9].*//' | sort | tr '\n' ' ' \
	>"$work/names"
expect "four packages" test "$(cat "$work/names")" = \
	"libvmmalloc libvmmalloc-debug libvmmalloc-devel vmmalloc "
for name in libvmmalloc libvmmalloc-debug; do
	expect "$name declares the bundled jemalloc" sh -c "
		rpm -qp --provides '$packages'/*/$name-[0-9]*.rpm |
			grep -x 'bundled(jemalloc) = 5\.3\.0'"
	expect "$name has both licences" sh -c "
		rpm -qpl '$packages'/*/$name-[0-9]*.rpm | grep -c '/COPYING' |
			grep -x 2"
done
expect "libvmmalloc provides the SONAME" sh -c "
	rpm -qp --provides '$packages'/*/libvmmalloc-[0-9]*.rpm |
		grep '^libvmmalloc\.so\.1()'"
expect "libvmmalloc-debug does not" sh -c "
	! rpm -qp --provides '$packages'/*/libvmmalloc-debug-[0-9]*.rpm |
		grep 'libvmmalloc\.so'"
for name in libvmmalloc-devel vmmalloc; do
	expect "$name has only the licence of the project" test "$(
		rpm -qp --queryformat '%{LICENSE}' "$packages"/*/$name-[0-9]*.rpm)" = \
		BSD-3-Clause
done
for name in libvmmalloc libvmmalloc-debug vmmalloc; do
	expect "$name has no libvmmalloc.so for the linker" sh -c "
		! rpm -qpl '$packages'/*/$name-[0-9]*.rpm | grep '\.so$'"
done
if command -v rpmlint >/dev/null 2>&1; then
	rpmlint -c /dev/null -r "$top_srcdir/rpm/libvmmalloc.rpmlintrc" \
		"$packages"/*/*.rpm "$work"/b/rpmbuild/SRPMS/*.rpm \
		"$top_srcdir/rpm/libvmmalloc.spec" >"$work/rpmlint" 2>&1
	expect "rpmlint" grep -q ' 0 errors, 0 warnings' "$work/rpmlint"
	comment "$work/rpmlint"
else
	skip "rpmlint" "needs rpmlint"
fi

# A repository with these packages, and one that provides the rest of a system.
mkdir "$work/repository"
cp "$packages"/*/*.rpm "$work/repository"
{
	printf 'Name: system\nVersion: 1\nRelease: 1\nSummary: s\nLicense: none\n'
	printf 'BuildArch: noarch\n'
	rpm -qpR "$work"/repository/*.rpm | grep -v -e '^rpmlib' -e vmmalloc |
		sort -u | sed 's/^/Provides: /'
	printf '%%description\ns\n%%files\n'
} >"$work/system.spec"
expect "a package that provides the rest of a system" rpmbuild -bb \
	--define "_topdir $work/system" "$work/system.spec"
cp "$work"/system/RPMS/noarch/*.rpm "$work/repository"
expect "a repository" createrepo_c -q "$work/repository"
root=$work/root
in_root() {
	dnf -q -y --installroot="$root" --releasever=1 \
		--repofrompath="local,file://$work/repository" --repo=local \
		--nogpgcheck --setopt=cachedir="$work/cache" \
		--setopt=install_weak_deps=False "$@"
}
expect "dnf install libvmmalloc" in_root install libvmmalloc
file=$(find "$root" -name libvmmalloc.so.1)
env LD_PRELOAD="$file" VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
	cat /proc/self/maps >"$work/maps"
expect "a program runs on the installed library" sh -c "
	grep '$root/.*/libvmmalloc\.so\.1' '$work/maps' &&
		grep 'rw-s.*(deleted)' '$work/maps'"
expect "only libvmmalloc is installed" test "$(rpm --root "$root" -qa | grep -c vmmalloc)" -eq 1
expect "dnf install the other packages" in_root install libvmmalloc-devel \
	libvmmalloc-debug vmmalloc
expect "the installed command runs" sh -c "
	'$root/usr/bin/vmmalloc' --version | grep -x 'vmmalloc ${VERSION:-1.1.0}'"
env LD_PRELOAD="$(find "$root" -path '*/vmmalloc_debug/*' -name libvmmalloc.so.1)" \
	VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M VMMALLOC_LOG_LEVEL=2 \
	"$programs/support/churn" 1000 2>"$work/err"
expect "the installed debug variant traces" grep -q 'pool opened' "$work/err"
expect "dnf remove" in_root remove libvmmalloc libvmmalloc-devel \
	libvmmalloc-debug vmmalloc
expect "dnf remove: nothing is left behind" test -z "$(find "$root" -name '*vmmalloc*' \
	-not -path '*/var/*')"
plan
