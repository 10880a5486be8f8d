#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_fork_programs.sh: real programs that fork, first on the ordinary heap and then on
# pools: fibers, threads with stdio, python3, perl, bash, and servers, of which each has a
# file in tests/fork_programs.
#
# FORK_PROGRAMS: these alone, of the names below.
. "${top_srcdir:-..}/tests/lib.sh"

: "${FORK_PROGRAMS:=fibers lines python3 perl bash redis PostgreSQL php-fpm sshd}"
: "${CC:=cc}" "${CXX:=c++}"
unset PYTHONPATH PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE
files=$top_srcdir/tests/fork_programs
ulimit -c 0

# asked_for NAME
asked_for() {
	case " $FORK_PROGRAMS " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# Servers give up root, and then cannot enter a directory of root's. What they need is in
# one that all users may enter, with a name as short as sockets require.
public=$(mktemp -d /tmp/vmm.XXXXXX) || exit 99
chmod 755 "$public"
for variant in $(variants); do
	mkdir "$public/$variant"
	cp "$(library "$variant")" "$public/$variant/libvmmalloc.so.1"
done
shared_pool=$public/pool
if [ "$pool_dir" = "$work" ]; then
	mkdir "$shared_pool"
else
	shared_pool=$(mktemp -d "${pool_dir%/*}/vmmalloc.XXXXXX") || exit 99
fi
chmod 1777 "$shared_pool"

# Each setting is a variant of the library and its VMMALLOC_FORK.
settings="release,1 release,2"
cheap_settings=$settings
[ "$(variants)" = release ] || cheap_settings="$settings debug,1"

# preloaded COMMAND...: runs it on a pool in $pool, by the words in $as. The variant
# "plain" is the ordinary heap. The variable marks its processes: see left.
bounded="timeout -k 10 120"
as=""
preloaded() {
	# shellcheck disable=SC2086 # words
	if [ "$variant" = plain ]; then
		$bounded $as env -C "$public" FORK_PROGRAMS_OF=$$ "$@" </dev/null
	else
		$bounded $as env -C "$public" FORK_PROGRAMS_OF=$$ \
			VMMALLOC_POOL_DIR="$pool" VMMALLOC_POOL_SIZE="$pool_size" \
			VMMALLOC_FORK="$fork" \
			LD_PRELOAD="$public/$variant/libvmmalloc.so.1${with_probe-}" \
			"$@" </dev/null
	fi
}

# start LOG COMMAND...: the same in the background, in a session of its own, so that its
# children can be ended with it. Sets $pid.
started=
start() {
	start_log=$1
	shift
	(bounded="exec setsid" && preloaded "$@") >"$start_log" 2>&1 &
	pid=$!
	started="$started $pid"
}

# soon COMMAND...: it succeeds within half a minute.
soon() {
	soon_tries=300
	until "$@" >"$work/soon" 2>&1; do
		soon_tries=$((soon_tries - 1))
		[ $soon_tries -gt 0 ] ||
			{ echo "never: $*"; cat "$work/soon"; return 1; }
		sleep 0.1
	done
}

# gone PID: the process has ended; its parent may not have waited for it yet.
gone() {
	! grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status" 2>/dev/null
}

# status_of PID: prints and returns the status of a process that ends soon. What is left
# of its session is killed.
status_of() {
	soon gone "$1"
	kill -s KILL -- "-$1" 2>/dev/null || kill -s KILL "$1" 2>/dev/null
	wait "$1"
	status=$?
	forget "$1"
	echo "status $status"
	return $status
}

# stopped SIGNAL PID: the process ends at the signal, with status 0.
stopped() {
	kill -s "$1" "$2" && status_of "$2"
}

forget() {
	remaining=
	for one in $started; do
		[ "$one" = "$1" ] || remaining="$remaining $one"
	done
	started=$remaining
}

# Prints the IDs of all processes that programs have left behind.
left() {
	grep -lzx "FORK_PROGRAMS_OF=$$" /proc/[0-9]*/environ 2>/dev/null |
		sed 's|/proc/\([0-9]*\)/environ|\1|'
}

stop_all() {
	for pid in $started; do
		kill -s TERM -- "-$pid" || kill -s TERM "$pid"
	done 2>/dev/null
	for pid in $started; do
		status_of "$pid"
	done >/dev/null 2>&1
	for pid in $(left); do
		kill -s KILL "$pid" 2>/dev/null
	done
	rm -rf "$public" "$shared_pool"
}
trap 'stop_all; clean_up' EXIT

children_of() {
	grep -l "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status 2>/dev/null |
		cut -d / -f 3
}

# file_of PID: the inode of the file in $pool that is mapped as its heap.
file_of() {
	awk -v dir=" $pool/" '/ \(deleted\)$/ && index($0, dir) { print $5; exit }' \
		"/proc/$1/maps" 2>/dev/null
}

# on_pools PID COUNT: the process has its heap in a file in $pool, and so have its
# children, of which there are at least COUNT. With VMMALLOC_FORK=2 each has its own.
on_pools() {
	own=$(file_of "$1")
	[ -n "$own" ] || { echo "$1 is on no pool"; return 1; }
	seen=" $own "
	number=0
	for child in $(children_of "$1"); do
		its=$(file_of "$child")
		! gone "$child" || continue
		echo "child $child: file $its; parent: file $own"
		[ -n "$its" ] || return 1
		case $fork$seen in
		2*" $its "*) return 1 ;;
		esac
		seen="$seen$its "
		number=$((number + 1))
	done
	[ $number -ge "$2" ] || { echo "$number children"; return 1; }
}

# none PATTERN FILE: no line of the file matches.
none() {
	! grep -E "$1" "$2"
}

# on_pools_by RUN SETTING...: calls RUN with each setting, on pools in $pool. $where says
# so in the names of tests.
on_pools_by() {
	run=$1
	shift
	for setting in "$@"; do
		variant=${setting%,*}
		fork=${setting#*,}
		where="$place, $variant, VMMALLOC_FORK=$fork"
		$run
	done
}

# plain_and_pools RUN [SETTING...]: calls RUN on the ordinary heap, then with each
# setting, by default those of $settings, on a pool in /dev/shm if there is room.
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

# compiled NAME LANGUAGE COMPILER...: $work/NAME from tests/fork_programs/NAME.c or .cc.
compiled() {
	compiled_name=$1 compiled_suffix=$2
	shift 2
	for part in blocks heap_return in_pool self; do
		[ -e "$work/$part.o" ] ||
			$CC -std=gnu11 -O2 -I"$top_builddir" -c -o "$work/$part.o" \
				"$top_srcdir/tests/$part.c" || return 1
	done
	"$@" -O2 -pthread -I"$top_builddir" -I"$top_srcdir/tests" \
		-o "$work/$compiled_name" "$files/$compiled_name.$compiled_suffix" \
		"$work/blocks.o" "$work/heap_return.o" "$work/in_pool.o" \
		"$work/self.o" ${libraries-}
}

try_fibers() {
	preloaded "$work/fibers" 3 60 >"$work/tap" 2>&1
	tap "$work/tap" "Boost.Context, $where"
	[ "$variant" = plain ] || expect \
		"Boost.Context, $where: stacks are in the pool" \
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
	skip "Boost.Context" "no C++ compiler here"
elif ! has_boost_context; then
	skip "Boost.Context" "no Boost.Context here"
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

# same_output NAME: and processes NAME, and all others, had their heaps on pools.
same_output() {
	diff "$work/same.plain" "$work/same.pool" || return 1
	grep -q "^$1[^ ]* in=yes pool=[1-9][0-9]* pool-rss=[1-9]" "$work/probe" ||
		{ echo "no process $1 on a pool"; return 1; }
	! grep -v ' in=yes .* brk-rss=0 ' "$work/probe"
}

# What the program prints, and its status, is in $work/same.plain and $work/same.pool. It
# runs in an empty directory.
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

# same NAME WHAT SCRIPT SETTINGS [SETTINGS ON EXT4]
same() {
	asked_for "$1" || return
	same_program=$(command -v "$1")
	same_what="$1: $2"
	same_script=$files/$3
	if [ -z "$same_program" ]; then
		skip "$same_what" "no $1 here"
		return
	fi
	# Where it is a script that looks for the program.
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
. "$files/postgresql.sh"
. "$files/php_fpm.sh"
. "$files/sshd.sh"

expect "no process is left" test -z "$(left)"
plan
