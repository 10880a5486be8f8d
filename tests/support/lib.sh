# SPDX-License-Identifier: BSD-3-Clause
# lib.sh: functions for test scripts: TAP, the built library, clean-up. Each
# tests/*/test_*.sh sources this file first and calls `plan` last.

set -u
LC_ALL=C
export LC_ALL
# A test has its own settings, not those of the user who runs it.
unset LD_PRELOAD MALLOC_CONF VMMALLOC_POOL_DIR VMMALLOC_POOL_SIZE \
	VMMALLOC_FORK VMMALLOC_RESERVE VMMALLOC_CONF VMMALLOC_STOP_THREADS VMMALLOC_NUMA \
	VMMALLOC_LARGE_PAGES VMMALLOC_LOG_LEVEL \
	VMMALLOC_LOG_FILE VMMALLOC_LOG_STATS \
	MAKEFLAGS MFLAGS MAKELEVEL 2>/dev/null || :
# TEST_CONF is VMMALLOC_CONF for all tests.
[ -z "${TEST_CONF-}" ] || export VMMALLOC_CONF="$TEST_CONF"

: "${top_builddir:=.}" "${top_srcdir:=..}"
top_builddir=$(cd "$top_builddir" && pwd)
top_srcdir=$(cd "$top_srcdir" && pwd)
programs=$top_builddir/tests
probe=$programs/support/.libs/heap_probe.so

# sources_in FOLDER...: prints the C files of folders of lib/. It leaves out
# trace/functions.c, which needs a file that only the Makefile generates.
sources_in() {
	for room; do
		ls "$top_srcdir/lib/$room"/*.c
	done | grep -v '/trace/functions\.c$'
}

# below_jemalloc: prints the sources that do not need jemalloc. Some tests compile them.
below_jemalloc() {
	sources_in base os trace pool
	echo "$top_srcdir/lib/heap/fork.c"
}

# above_pool: prints the other sources below the entry points.
above_pool() {
	sources_in heap jemalloc | grep -v '/heap/fork\.c$'
}

# Pools and images of file systems are large files.
# shellcheck disable=SC3045 # dash and bash have these options of ulimit
ulimit -S -f "$(ulimit -H -f)"
# shellcheck disable=SC3045
if [ "$(ulimit -f)" != unlimited ]; then
	echo "1..0 # SKIP the size of files is limited here (ulimit -f)"
	exit 0
fi

count=0

ok() {
	count=$((count + 1))
	echo "ok $count - $1"
}

not_ok() {
	count=$((count + 1))
	echo "not ok $count - $1"
}

# skip WHAT REASON
skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# comment [FILE...]: prints up to 40 lines of files or of standard input as TAP comments.
comment() {
	sed -e 's/^/# /' "$@" | head -40
}

# expect WHAT COMMAND...: reports whether the command succeeds. If not, shows its output.
expect() {
	expect_what=$1
	shift
	if "$@" >"$work/expect" 2>&1; then
		ok "$expect_what"
	else
		not_ok "$expect_what"
		comment "$work/expect"
	fi
}

# measures WHAT: succeeds if the test may measure times. On a busy machine the user sets
# TEST_TIMES=no: then it fails, and reports WHAT as skipped.
measures() {
	[ "${TEST_TIMES-}" != no ] || skip "$1" "left out by TEST_TIMES"
	[ "${TEST_TIMES-}" != no ]
}

# plan: prints the TAP plan. It is the last command of a test script.
plan() {
	# The processor time of this shell, and of the programs that it has run.
	times >"$work/times"
	comment "$work/times"
	echo "1..$count"
}

# in_machine WHAT COMMAND...: runs tests/places/vm/run by COMMAND, and reports its results, or
# why there is no virtual machine.
in_machine() {
	in_machine_what=$1
	shift
	"$@" >"$work/said" 2>"$work/err"
	in_machine_status=$?
	reason=$(sed -n 's/^1\.\.0 # SKIP //p' "$work/said")
	if [ -n "$reason" ]; then
		skip "$in_machine_what" "$reason"
		return
	fi
	comment "$work/err"
	(exit $in_machine_status)
	tap "$work/said" machine
}

# variants: prints "release", and "debug" if that variant was built, a line each.
variants() {
	echo release
	[ ! -e "$top_builddir/lib/debug/.libs/libvmmalloc.so.1" ] || echo debug
}

# library VARIANT: prints the file to preload.
library() {
	case $1 in
	release) echo "$top_builddir/lib/.libs/libvmmalloc.so.1" ;;
	debug) echo "$top_builddir/lib/debug/.libs/libvmmalloc.so.1" ;;
	esac
}

# free_kb DIR: prints the free space of the file system of DIR in KiB.
free_kb() {
	df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'
}

# clean_up unmounts all that the test has mounted before it removes the images.
mounts=
clean_up() {
	for mount in $mounts; do
		umount -R "$mount" || umount -R -l "$mount"
	done
	[ -z "$huge_pages_before" ] ||
		echo "$huge_pages_before" >/proc/sys/vm/nr_hugepages
	# If a mount could not be removed, its files must stay.
	rm -rf --one-file-system "$work" "$pool_dir"
}

work=$(mktemp -d "$programs/work.XXXXXX") || exit 99
pool_dir=$work
if [ "$(free_kb /dev/shm)" -gt 2097152 ] 2>/dev/null; then
	pool_dir=$(mktemp -d /dev/shm/vmmalloc.XXXXXX) || exit 99
fi
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# on_pool VARIANT COMMAND...: runs the command with the library preloaded, on a pool of
# $pool_size in $pool_dir. VMMALLOC_POOL_SIZE and VMMALLOC_POOL_DIR override these. If
# $on_pool_by is set, that command runs COMMAND, and itself has no pool (timeout...).
pool_size=64M
on_pool_by=
on_pool() {
	on_pool_library=$(library "$1")
	shift
	# shellcheck disable=SC2086 # words
	$on_pool_by env VMMALLOC_POOL_DIR="${VMMALLOC_POOL_DIR-$pool_dir}" \
		VMMALLOC_POOL_SIZE="${VMMALLOC_POOL_SIZE-$pool_size}" \
		LD_PRELOAD="$on_pool_library" "$@"
}

# huge_pages SIZE: makes the kernel reserve huge pages. clean_up restores their number. A
# lock lets only one test on the machine have them at a time.
huge_pages_before=
huge_pages() {
	exec 8</proc/sys/vm/nr_hugepages && flock -w 900 8 || return 1
	huge_pages_kb=$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)
	[ -n "$huge_pages_kb" ] || return 1
	huge_pages_want=$((${1%M} * 1024 / huge_pages_kb))
	: "${huge_pages_before:=$(cat /proc/sys/vm/nr_hugepages)}"
	echo $((huge_pages_before + huge_pages_want)) \
		2>/dev/null >/proc/sys/vm/nr_hugepages || return 1
	[ "$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)" -ge \
		"$huge_pages_want" ]
}

# file_system TYPE SIZE [OPTION]: makes a file system and mounts it at $mounted. A disk file
# system lies in an image file. If that is not possible, $mounted_not has the reason.
# TEST_FILE_SYSTEMS lists the only types that tests may use.
file_system() {
	mounted=$work/$1${3:+.$3}
	mounted_not=
	mkdir -p "$mounted"
	if [ -n "${TEST_FILE_SYSTEMS-}" ] && ! echo " $TEST_FILE_SYSTEMS " | grep -q " $1 "
	then
		mounted_not="left out by TEST_FILE_SYSTEMS"
	elif [ "$(id -u)" -ne 0 ]; then
		mounted_not="needs root to mount $1"
	elif [ "$1" = tmpfs ]; then
		mount -t tmpfs -o "size=$2${3:+,$3}" tmpfs "$mounted" \
			2>"$work/mount" ||
			mounted_not="no tmpfs ${3-} can be mounted here"
	elif [ "$1" = hugetlbfs ]; then
		huge_pages "$2" &&
			mount -t hugetlbfs none "$mounted" 2>"$work/mount" ||
			mounted_not="the kernel gives no $2 in huge pages"
	elif ! command -v "mkfs.$1" >/dev/null 2>&1; then
		mounted_not="needs mkfs.$1"
	else
		# $pool_dir is in memory if that is large enough. A disk may be slow.
		truncate -s "$2" "$pool_dir/$1.img"
		"mkfs.$1" -q "$pool_dir/$1.img" >"$work/mkfs" 2>&1 &&
			mount -o loop "$pool_dir/$1.img" "$mounted" \
				2>"$work/mount" ||
			mounted_not="$1 cannot be loop-mounted here"
	fi
	[ -z "$mounted_not" ] || return 1
	mounts="$mounted $mounts"
}

# unmount_last: unmounts the file system that file_system mounted last, and removes its image.
unmount_last() {
	umount -R "$mounted" || return 1
	mounts=${mounts#"$mounted "}
	rm -f "$pool_dir/${mounted##*/}.img"
}

# full_on TYPE VARIANT PROGRAM...: by on_pool, runs a program that fills the file system. Its
# TAP is in $work/tap. On a full btrfs a store can wait in the kernel for ever for space. So
# a program on btrfs is killed after 60 s, and later programs on btrfs are skipped.
full_on_stalled=
full_on() {
	full_on_type=$1
	shift
	if [ "$full_on_type" != btrfs ]; then
		on_pool "$@" >"$work/tap" 2>&1
		return
	fi
	full_on_status=137
	if [ -z "$full_on_stalled" ]; then
		on_pool_by="timeout -s KILL 60"
		on_pool "$@" >"$work/tap" 2>&1
		full_on_status=$?
		on_pool_by=
	fi
	[ $full_on_status -eq 137 ] || return $full_on_status
	full_on_stalled=yes
	rm -f "$mounted/eaten"
	printf '1..1\nok 1 - ends # SKIP %s\n' "the kernel waits for room on a full\
 btrfs, without an end in a minute" >"$work/tap"
}

# debian_archive: prints the address of the Debian archive of this machine, if it has one.
debian_archive() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		2>/dev/null | grep -m 1 '/debian/\{0,1\}$'
}

# jemalloc_release VERSION: downloads upstream's release from that archive, as
# $jemalloc_tarball.
jemalloc_release() {
	jemalloc_from=$(debian_archive)
	jemalloc_suffix=gz
	[ "$1" != 5.3.0 ] || jemalloc_suffix=bz2
	jemalloc_tarball=$work/jemalloc-$1.tar.$jemalloc_suffix
	[ -n "$jemalloc_from" ] && /usr/lib/apt/apt-helper download-file \
		"${jemalloc_from}pool/main/j/jemalloc/jemalloc_$1.orig.tar.$jemalloc_suffix" \
		"$jemalloc_tarball" >"$work/fetch" 2>&1
}

# jemalloc_source VERSION: downloads and unpacks a release to $work/jemalloc-VERSION.
# Debian's tarball of 5.3.1 lacks two files of upstream's release, configure and VERSION.
jemalloc_source() {
	jemalloc_source=$work/jemalloc-$1
	jemalloc_release "$1" && mkdir "$jemalloc_source" &&
		tar -C "$jemalloc_source" --strip-components=1 -xf "$jemalloc_tarball" &&
		if [ ! -e "$jemalloc_source/configure" ]; then
			awk -v version="$1" '$1 == "version" && $2 == version {
				print $3 }' "$top_srcdir/lib/jemalloc/jemalloc.syms" \
				>"$jemalloc_source/VERSION"
			(cd "$jemalloc_source" && autoconf)
		fi >>"$work/fetch" 2>&1
}

# fresh_system SUITE NAME: installs a minimal Debian in $root, $work/NAME. If not possible,
# $fresh_not has the reason. The result of debootstrap is kept in $VMM_TEST_CACHE for a
# week.
fresh_not=
fresh_system() {
	root=$work/$2
	fresh_kept=${VMM_TEST_CACHE:-/var/cache/vmmalloc-tests}/$1.tar
	fresh_mirror=$(debian_archive)
	if [ "$(id -u)" -ne 0 ]; then
		fresh_not="needs root for debootstrap"
	elif ! command -v debootstrap >/dev/null 2>&1; then
		fresh_not="needs debootstrap"
	elif [ -z "$fresh_mirror" ]; then
		fresh_not="knows no Debian archive"
	fi
	[ -z "$fresh_not" ] || return 1
	# An old debootstrap does not know new releases. The script for sid works for all.
	fresh_script=/usr/share/debootstrap/scripts/$1
	[ -e "$fresh_script" ] || fresh_script=${fresh_script%/*}/sid
	mkdir -p "$root" "${fresh_kept%/*}"
	if [ -n "$(find "$fresh_kept" -mtime -7 2>/dev/null)" ]; then
		tar -C "$root" -xpf "$fresh_kept"
	elif debootstrap --variant=minbase --include=ca-certificates "$1" "$root" \
		"$fresh_mirror" "$fresh_script" >"$work/log" 2>&1; then
		# A mirror of a testing release may be out of date.
		echo 'Acquire::Check-Valid-Until "false";' \
			>"$root/etc/apt/apt.conf.d/99copy"
		tar -C "$root" --one-file-system -cpf "$fresh_kept.$$" . &&
			mv "$fresh_kept.$$" "$fresh_kept"
	else
		fresh_not="debootstrap $1 failed"
		comment "$work/log"
		return 1
	fi
	for place in proc sys dev; do
		mount --rbind "/$place" "$root/$place" &&
			mount --make-rslave "$root/$place" &&
			mounts="$root/$place $mounts"
	done
	# Servers in packages must not start.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
}

# inside COMMAND...: runs the command in $root as root, in the directory $inside_dir.
inside_dir=/root
inside() {
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		DEBIAN_FRONTEND=noninteractive \
		sh -c 'cd "$0" && exec "$@"' "$inside_dir" "$@" </dev/null
}

# tap FILE WHAT: reports the results in FILE, with new numbers, each after WHAT. It must be
# called right after the program that wrote FILE, since it reads $?. Also fails if the
# program's status is not 0, or if it has printed fewer results than its plan.
tap() {
	tap_status=$?
	[ $tap_status -eq 0 ] || not_ok "$2: status $tap_status"
	tap_plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$1" | head -n 1)
	tap_seen=0
	while IFS= read -r line; do
		case $line in
		"ok "*) tap_seen=$((tap_seen + 1)); ok "$2: ${line#ok * - }" ;;
		"not ok "*) tap_seen=$((tap_seen + 1)); not_ok "$2: ${line#not ok * - }" ;;
		1..*) ;;
		*) echo "# $line" ;;
		esac
	done <"$1"
	[ "$tap_seen" = "${tap_plan:-none}" ] ||
		not_ok "$2: ran $tap_seen of ${tap_plan:-unknown} tests"
}
