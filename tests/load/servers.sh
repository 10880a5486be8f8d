# SPDX-License-Identifier: BSD-3-Clause
# servers.sh: functions that run programs in the background, on pools. The programs fork.
# All processes are ended when the test ends. Sourced after lib.sh, by server_tests.sh and
# test_fork_programs.sh.

# Servers that give up root cannot enter a directory of root's. Their files are in a
# directory that all users may enter. Its name is short, as names of sockets must be.
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

# Each setting is a variant of the library and its VMMALLOC_FORK.
settings="release,1 release,2"

# use SETTING: sets $variant and $fork.
use() {
	variant=${1%,*}
	fork=${1#*,}
}

# preloaded COMMAND...: runs the command on a pool in $pool. The words in $bounded and
# $as come before it: a time limit, and a change of the user. The variant "plain" is the
# ordinary heap. SERVERS_OF marks the processes, for the function left.
bounded="timeout -k 10 120"
as=""
preloaded() {
	# shellcheck disable=SC2086 # words
	if [ "$variant" = plain ]; then
		$bounded $as env -C "$public" SERVERS_OF=$$ "$@" </dev/null
	else
		$bounded $as env -C "$public" SERVERS_OF=$$ \
			VMMALLOC_POOL_DIR="$pool" VMMALLOC_POOL_SIZE="$pool_size" \
			VMMALLOC_FORK="$fork" \
			LD_PRELOAD="$public/$variant/libvmmalloc.so.1${with_probe-}" \
			"$@" </dev/null
	fi
}

# start LOG COMMAND...: like preloaded, in the background. The command gets a session of
# its own, so that its children can be ended with it. Sets $pid.
started=
start() {
	start_log=$1
	shift
	(bounded="exec setsid" && preloaded "$@") >"$start_log" 2>&1 &
	pid=$!
	started="$started $pid"
}

# soon COMMAND...: repeats the command until it succeeds. Fails after about 60 + $patience
# seconds.
patience=0
soon() {
	soon_tries=$((600 + patience * 10))
	until "$@" >"$work/soon" 2>&1; do
		soon_tries=$((soon_tries - 1))
		[ $soon_tries -gt 0 ] ||
			{ echo "never: $*"; cat "$work/soon"; return 1; }
		sleep 0.1
	done
}

# gone PID: the process has ended, even if its parent has not waited for it yet.
gone() {
	! grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status" 2>/dev/null
}

# status_of PID: prints and returns the status of a process that ends soon. Kills the
# rest of its session.
status_of() {
	soon gone "$1"
	kill -s KILL -- "-$1" 2>/dev/null || kill -s KILL "$1" 2>/dev/null
	wait "$1"
	status=$?
	forget "$1"
	echo "status $status"
	return $status
}

# stopped SIGNAL PID: the process ends with status 0 after the signal.
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

# left: prints the IDs of the processes of this test that still run.
left() {
	grep -lzx "SERVERS_OF=$$" /proc/[0-9]*/environ 2>/dev/null |
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

# file_of PID: prints the inode of the pool file in $pool that the process has mapped.
file_of() {
	awk -v dir=" $pool/" '/ \(deleted\)$/ && index($0, dir) { print $5; exit }' \
		"/proc/$1/maps" 2>/dev/null
}

# on_pools PID COUNT: the heaps of the process and of its children are in pool files in
# $pool, and there are at least COUNT children. With VMMALLOC_FORK=1 all have the same
# file, otherwise each has its own.
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
		1*) [ "$its" = "$own" ] || return 1 ;;
		*" $its "*) return 1 ;;
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
