#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_fork_programs.sh: real programs that fork, first on the ordinary heap and then on
# pools: fibers, threads with stdio, python3, perl, bash, and servers. Each server has a
# file in tests/load/fork_programs.
#
# FORK_PROGRAMS: test only these, of the names below.
. "${top_srcdir:-..}/tests/support/lib.sh"

: "${FORK_PROGRAMS:=fibers lines python3 perl bash redis php-fpm sshd}"
: "${CC:=cc}" "${CXX:=c++}"
unset PYTHONPATH PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE
files=$top_srcdir/tests/load/fork_programs
ulimit -c 0

# asked_for NAME: FORK_PROGRAMS has this name.
asked_for() {
	case " $FORK_PROGRAMS " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

. "$top_srcdir/tests/load/servers.sh"
chmod 1777 "$shared_pool"
cheap_settings=$settings
[ "$(variants)" = release ] || [ -z "${CI_FULL-}" ] || cheap_settings="$settings debug,1"

# on_pools_by RUN SETTING...: calls RUN with each setting, on pools in $pool. $where
# describes the setting in the names of tests.
on_pools_by() {
	run=$1
	shift
	for setting in "$@"; do
		use "$setting"
		where="$place, $variant, VMMALLOC_FORK=$fork"
		$run
	done
}

# plain_and_pools RUN [SETTING...]: calls RUN on the ordinary heap, then on a pool with
# each setting. The default is $settings. The pool is in /dev/shm if there is room.
plain_and_pools() {
	run=$1
	shift
	variant=plain where="ordinary heap"
	$run
	pool=$shared_pool place=tmpfs
	[ "$pool_dir" != "$work" ] || place="temporary directory"
	# shellcheck disable=SC2086 # words
	[ $# -gt 0 ] || set -- $settings
	on_pools_by "$run" "$@"
}

# on_ext4 WHAT RUN SETTING...: calls RUN with each setting, on pools on ext4.
on_ext4() {
	ext4_what=$1
	shift
	if [ -z "${ext4-}" ]; then
		if ! file_system ext4 1536M; then
			skip "$ext4_what, ext4" "$mounted_not"
			return
		fi
		ext4=$mounted
	fi
	pool=$ext4 place=ext4
	on_pools_by "$@"
	pool=$shared_pool place=tmpfs
}

#
# Programs that print TAP
#

# compiled NAME SUFFIX COMPILER...: compiles tests/load/fork_programs/NAME.SUFFIX to
# $work/NAME.
compiled() {
	compiled_name=$1 compiled_suffix=$2
	shift 2
	for part in blocks heap_return in_pool self; do
		[ -e "$work/$part.o" ] ||
			$CC -std=gnu11 -O2 -I"$top_builddir" -c -o "$work/$part.o" \
				"$top_srcdir/tests/support/$part.c" || return 1
	done
	"$@" -O2 -pthread -I"$top_builddir" -I"$top_srcdir/tests/support" \
		-o "$work/$compiled_name" "$files/$compiled_name.$compiled_suffix" \
		"$work/blocks.o" "$work/heap_return.o" "$work/in_pool.o" \
		"$work/self.o" ${libraries-}
}

try_fibers() {
	preloaded "$work/fibers" 3 60 >"$work/tap" 2>&1
	tap "$work/tap" "Boost.Context, $where"
	[ "$variant" = plain ] || expect \
		"Boost.Context, $where: stacks of fibers are in the pool" \
		grep -q 'stacks of fibers in the pool: yes' "$work/tap"
}

has_boost_context() {
	echo '#include <boost/context/fiber.hpp>' |
		$CXX -x c++ -std=gnu++17 -E - >/dev/null 2>&1
}

pool_size=256M
if ! asked_for fibers; then
	:
elif ! command -v "${CXX%% *}" >/dev/null 2>&1; then
	skip "Boost.Context" "needs a C++ compiler"
elif ! has_boost_context; then
	skip "Boost.Context" "needs the headers of Boost.Context"
else
	libraries=-lboost_context
	# shellcheck disable=SC2086 # words
	expect "Boost.Context: compiles" compiled fibers cc $CXX -std=gnu++17
	libraries=
	# shellcheck disable=SC2086 # words
	plain_and_pools try_fibers $cheap_settings
	# shellcheck disable=SC2086 # words
	on_ext4 Boost.Context try_fibers $settings
fi

try_lines() {
	nforks=200
	[ "$variant" != debug ] || nforks=60
	preloaded "$work/lines" $nforks "$work/lines.out" >"$work/tap" 2>&1
	tap "$work/tap" "stdio, $where"
}

if asked_for lines; then
	# shellcheck disable=SC2086 # words
	expect "stdio: compiles" compiled lines c $CC -std=gnu11
	# shellcheck disable=SC2086 # words
	plain_and_pools try_lines $cheap_settings
	on_ext4 stdio try_lines release,1
fi

#
# Programs whose output is the same on a pool
#

# same_output NAME: the output is the same. A process NAME ran on a pool, and no process
# had its heap elsewhere.
same_output() {
	diff "$work/same.plain" "$work/same.pool" || return 1
	grep -q "^$1[^ ]* in=yes pool=[1-9][0-9]* pool-rss=[1-9]" "$work/probe" ||
		{ echo "no process $1 on a pool"; return 1; }
	! grep -v ' in=yes .* brk-rss=0 ' "$work/probe"
}

# Runs $same_program in an empty directory. Output and status go to $work/same.plain, or
# $work/same.pool.
try_same() {
	rm -rf "$work/here"
	mkdir "$work/here"
	same_to=$work/same.pool
	[ "$variant" != plain ] || same_to=$work/same.plain
	rm -f "$work/probe"
	with_probe=" $probe"
	preloaded env -C "$work/here" PROBE_FILE="$work/probe" PYTHONWARNINGS=ignore \
		PYTHONMALLOC=malloc "$same_program" "$same_script" >"$same_to" 2>&1
	echo "status $?" >>"$same_to"
	with_probe=
	if [ "$variant" = plain ]; then
		expect "$same_what, $where" grep '^status 0$' "$same_to"
	else
		expect "$same_what, $where" same_output "${same_program##*/}"
	fi
}

# same NAME WHAT SCRIPT SETTINGS [SETTINGS ON EXT4]: the program NAME runs SCRIPT.
same() {
	asked_for "$1" || return
	same_program=$(command -v "$1")
	same_what="$1: $2"
	same_script=$files/$3
	if [ -z "$same_program" ]; then
		skip "$same_what" "needs $1"
		return
	fi
	# The command python3 may be a script: ask Python for the interpreter's own file.
	[ "$1" != python3 ] ||
		same_program=$("$1" -c 'import sys; print(sys.executable)')
	# shellcheck disable=SC2086 # words
	plain_and_pools try_same $4
	# shellcheck disable=SC2086 # words
	[ -z "${5-}" ] || on_ext4 "$same_what" try_same $5
}

same python3 "multiprocessing, os.fork beside threads" pool.py "$settings" release,1
pool_size=64M
same perl "system, backticks, fork" work.pl "$cheap_settings"
same bash "200 checks of a configure script" configure.bash "$settings"

#
# Servers
#

. "$files/redis.sh"
. "$files/php_fpm.sh"
. "$files/sshd.sh"

expect "no process is left" test -z "$(left)"
plan
