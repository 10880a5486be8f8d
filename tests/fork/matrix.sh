# SPDX-License-Identifier: BSD-3-Clause
# matrix.sh: the file systems and conditions under which the programs of test_stop_threads.sh,
# test_stop_helper_killed.sh, test_kernel.sh, test_page_settings.sh and test_waits.sh run.
# Sourced after lib.sh. A column says which cases of the program run:
#
#                       ordinary heap  tmpfs               ext4; xfs (1)  without stops
#   page_settings       all            all; debug: few     all; few       few
#   waits               all            all; debug, 2: few  few            those that wait
#   kernel (2)          all            all; debug, 2: few  all; few       few
#   stop_threads        all            both variants; 2    release; 2     no measures
#   stop_helper_killed  all            both variants       ext4: release  -
#
# VMMALLOC_FORK is 1; "2" means VMMALLOC_FORK=2; page_settings runs with 1 and 2 on each
# file system. "without stops" is four runs in which threads cannot be stopped.
# (1) waits and kernel run on xfs with CI_FULL=1 only.
# (2) Two cases of kernel also run on hugetlbfs.

unset VMMALLOC_STOP_THREADS TEST_NOT_DUMPABLE TEST_NO_STOPS
VMMALLOC_FORK=1
export VMMALLOC_FORK

# Types for tests of mappings, not of file blocks: for those, xfs behaves as ext4 does.
mapped_alike="tmpfs ext4${CI_FULL:+ xfs}"

# A program that hangs is killed, and one that crashes leaves no core dump. Files that a
# killed case leaves behind are removed with $work.
bounded="timeout -s KILL 120"
# shellcheck disable=SC3045 # dash and bash have ulimit -S
ulimit -S -c 0
TMPDIR=$work
export TMPDIR

# More files and directories to remove at the end, as words.
also_remove=
trap 'rm -rf $also_remove; clean_up' EXIT

# plain NAME ARGUMENT...: runs a program on the ordinary heap, where each case must pass.
plain() {
	plain_name=$1
	shift
	$bounded "$programs/fork/$plain_name" "$@" >"$work/tap" 2>&1
	tap "$work/tap" "ordinary heap"
}

# preloaded WHERE VARIANT NAME ARGUMENT...: runs a program on a pool, started by the
# command in $under, if that is set.
under=
preloaded() {
	preloaded_what="$1, VMMALLOC_FORK=$VMMALLOC_FORK, $2"
	preloaded_variant=$2
	preloaded_name=$3
	shift 3
	on_pool_by="$bounded $under"
	on_pool "$preloaded_variant" "$programs/fork/$preloaded_name" "$@" \
		>"$work/tap" 2>&1
	tap "$work/tap" "$preloaded_what"
	on_pool_by=
}

# each_file_system RUN TYPE...: mounts a file system of each type, and calls RUN with the
# type, with pools on that file system. Users that may not mount get pools in $pool_dir.
each_file_system() {
	each_run=$1
	shift
	if [ "$(id -u)" -ne 0 ]; then
		skip "pools on $*" "needs root to mount them"
		$each_run "$pool_dir"
		return
	fi
	for type; do
		if ! file_system "$type" 1536M; then
			skip "a pool on $type" "$mounted_not"
			continue
		fi
		VMMALLOC_POOL_DIR=$mounted
		$each_run "$type"
		unset VMMALLOC_POOL_DIR
		expect "$type: no file is left" test -z "$(ls -A "$mounted" |
			grep -v lost+found)"
		unmount_last
	done
}

# without_stops NAME ARGUMENT...: runs the program where threads cannot be stopped:
# VMMALLOC_STOP_THREADS=never forbids it, another process traces this one, a seccomp filter
# kills a process that calls ptrace(2), or the process is not dumpable.
without_stops() {
	TEST_NO_STOPS=1
	export TEST_NO_STOPS
	under="env VMMALLOC_STOP_THREADS=never"
	preloaded "VMMALLOC_STOP_THREADS=never" release "$@"
	under=$programs/support/tracer
	preloaded "traced" release "$@"
	under=$programs/support/seccomp_filter
	if $under true 2>"$work/err"; then
		preloaded "seccomp filter" release "$@"
	else
		skip "seccomp filter" "seccomp filters cannot be set here"
	fi
	under=
	not_dumpable "$@"
	unset TEST_NO_STOPS
}

# not_dumpable NAME ARGUMENT...: runs the program as a user without privileges. This user
# can read neither the build directory nor $work, and gets copies elsewhere.
not_dumpable() {
	if [ "$(id -u)" -ne 0 ] || ! command -v setpriv >/dev/null 2>&1; then
		skip "not dumpable" "needs root and setpriv"
		return
	fi
	open=$(mktemp -d /tmp/vmmalloc.XXXXXX) &&
		open_pool=$(mktemp -d "${pool_dir%/*}/vmmalloc.XXXXXX") || exit 99
	also_remove="$also_remove $open $open_pool"
	chmod 755 "$open"
	chown 65534 "$open_pool"
	mkdir -p "$open/tests/fork" "$open/lib/.libs"
	cp "$programs/fork/$1" "$open/tests/fork/"
	cp "$(library release)" "$open/lib/.libs/"
	not_dumpable_saved=$top_builddir
	top_builddir=$open
	programs=$open/tests
	under="setpriv --reuid=65534 --regid=65534 --clear-groups
		--inh-caps=-all env TEST_NOT_DUMPABLE=1"
	VMMALLOC_POOL_DIR=$open_pool
	preloaded "not dumpable" release "$@"
	unset VMMALLOC_POOL_DIR
	under=
	top_builddir=$not_dumpable_saved
	programs=$top_builddir/tests
	rm -rf "$open" "$open_pool"
}
