# SPDX-License-Identifier: BSD-3-Clause
# matrix.sh: for tests/test_fork_{pages,waits,kernel,count}.sh: on which file systems
# and under which conditions their programs run. Sourced behind lib.sh.
#
#             ordinary heap   tmpfs                    ext4; xfs (1)   hindered
#   pages     all             all; debug: a few        all; a few      a few
#   waits     all             all; debug and 2: a few  a few           those that wait
#   kernel    all             all; debug and 2: a few  all; a few      a few
#   count     all             both variants, 1 and 2   release, 1, 2   counts
#
# (1) waits and kernel on xfs with CI_FULL=1 only.
#
# With VMMALLOC_FORK=1, if there is no other number; pages: 1 and 2 everywhere. "hindered"
# is four runs in which threads cannot be stopped.

unset VMMALLOC_STOP_THREADS TEST_NOT_DUMPABLE TEST_NO_STOPS
VMMALLOC_FORK=1
export VMMALLOC_FORK

# For what has to do with mappings, and not with blocks: a file system on a disk is like
# another.
mapped_alike="tmpfs ext4${CI_FULL:+ xfs}"

# A program that hangs is ended. One that crashes leaves no dump, and what a case that was
# ended has left in files goes with $work.
bounded="timeout -s KILL 120"
# shellcheck disable=SC3045 # dash and bash know this one
ulimit -S -c 0
TMPDIR=$work
export TMPDIR

# What else is removed at the end, as words.
also_remove=
trap 'rm -rf $also_remove; clean_up' EXIT

# plain NAME ARGUMENT...: a program on the ordinary heap, where each case has to pass.
plain() {
	plain_name=$1
	shift
	$bounded "$programs/fork/$plain_name" "$@" >"$work/tap" 2>&1
	tap "$work/tap" "ordinary heap"
}

# preloaded WHERE VARIANT NAME ARGUMENT...: a program on a pool; by what $under says.
under=
preloaded() {
	preloaded_what="$1, fork $VMMALLOC_FORK, $2"
	preloaded_variant=$2
	preloaded_name=$3
	shift 3
	on_pool_by="$bounded $under"
	on_pool "$preloaded_variant" "$programs/fork/$preloaded_name" "$@" \
		>"$work/tap" 2>&1
	tap "$work/tap" "$preloaded_what"
	on_pool_by=
}

# each_place RUN TYPE...: calls RUN with each type of file system, and a pool on it.
# Without the rights to mount any, the pool is in $pool_dir.
each_place() {
	each_place_run=$1
	shift
	if [ "$(id -u)" -ne 0 ]; then
		skip "pools on $*" "needs root to mount them"
		$each_place_run "$pool_dir"
		return
	fi
	for type; do
		if ! file_system "$type" 1536M; then
			skip "a pool on $type" "$mounted_not"
			continue
		fi
		VMMALLOC_POOL_DIR=$mounted
		$each_place_run "$type"
		unset VMMALLOC_POOL_DIR
		expect "$type: nothing is left" test -z "$(ls -A "$mounted" |
			grep -v lost+found)"
		take_down
	done
}

# hindered NAME ARGUMENT...: the same program where threads cannot be stopped: it is not
# allowed by the setting, another tracer is there, a filter kills who tries, the process
# is not dumpable.
hindered() {
	TEST_NO_STOPS=1
	export TEST_NO_STOPS
	under="env VMMALLOC_STOP_THREADS=never"
	preloaded "no stops" release "$@"
	under=$programs/support/tracer
	preloaded "traced" release "$@"
	under=$programs/support/seccomp_filter
	if $under true 2>"$work/err"; then
		preloaded "confined" release "$@"
	else
		skip "confined" "seccomp filters cannot be set here"
	fi
	under=
	not_dumpable "$@"
	unset TEST_NO_STOPS
}

# not_dumpable NAME ARGUMENT...: by a user without privileges, who reaches neither the
# build directory nor $work.
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
