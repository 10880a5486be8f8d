#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_command.sh: the vmmalloc command, its completion, and its manual.
. "${top_srcdir:-..}/tests/support/lib.sh"

vmmalloc=$programs/vmmalloc

# runs COMMAND...: leaves its status behind, and what it printed.
runs() {
	"$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
}

# fails STATUS WHAT MESSAGE COMMAND...: with one line on stderr, a pattern.
fails() {
	fails_status=$1 fails_what=$2 fails_message=$3
	shift 3
	runs "$@"
	expect "$fails_what: status $fails_status" test $status -eq "$fails_status"
	expect "$fails_what: the message" sh -c "
		test \"\$(wc -l <'$work/err')\" -eq 1 && test ! -s '$work/out' &&
		cat '$work/err' && grep -q '^vmmalloc: $fails_message' '$work/err'"
}

# Runs a command, and is it from then on.
runs "$vmmalloc" -s 64M -d "$pool_dir" sh -c 'echo said; exit 7'
expect "the command's status" test $status -eq 7
expect "the command's output" test "$(cat "$work/out" "$work/err")" = said
runs "$vmmalloc" -s 64M -d "$pool_dir" sh -c 'kill -TERM $$'
expect "the command's end by a signal" test $status -eq 143
LD_PRELOAD=$probe PROBE_FILE=$work/probe runs \
	"$vmmalloc" -s 64M -d "$pool_dir" -- "$programs/support/churn" 1000
expect "its heap is in the pool; what was preloaded before still is" \
	grep -q 'in=yes pool=65536' "$work/probe"

# variables COMMAND...: runs it, and lists the library's variables that it had.
variables() {
	env "$@" env 2>"$work/err" | grep '^VMMALLOC' | sort | tr '\n' ' ' \
		>"$work/out"
	cat "$work/out" "$work/err"
}
expect "options are variables" test "$(
	variables "$vmmalloc" -d "$pool_dir" -s 65M -f 3)" = \
	"VMMALLOC_FORK=3 VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=65M "
expect "values may be joined to their options" test "$(
	variables "$vmmalloc" "-d$pool_dir" -s65M -f2)" = \
	"VMMALLOC_FORK=2 VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=65M "
expect "options override the environment, and that the defaults" test "$(
	variables VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=66M \
		VMMALLOC_FORK=0 "$vmmalloc" -s 67M)" = \
	"VMMALLOC_FORK=0 VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=67M "
expect "-l and -S are the debug variant's" test "$(
	variables "$vmmalloc" -d "$pool_dir" -s 64M -l "$work/log" -S -g1)" = \
	"VMMALLOC_LOG_FILE=$work/log VMMALLOC_LOG_LEVEL=1 VMMALLOC_LOG_STATS=1 VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=64M "
expect "and the statistics went into the file" \
	grep -q 'statistics of process' "$work/log"

# Which variant.
for options in "" -g "-g 0" -S "-l $work/log"; do
	# shellcheck disable=SC2086 # options are words
	runs "$vmmalloc" -d "$pool_dir" -s 64M $options \
		grep libvmmalloc /proc/self/maps
	kind=lib/.libs
	[ -z "$options" ] || kind=lib/debug/.libs
	if [ -n "$options" ] && [ ! -e "$(library debug)" ]; then
		skip "options '$options': $kind" "the debug variant was not built"
	else
		expect "options '$options': $kind" grep -q "$kind" "$work/out"
	fi
done
if [ -e "$(library debug)" ]; then
	runs "$vmmalloc" -d "$pool_dir" -s 64M -g 4 "$programs/trace/trace" each
	expect "-g 4: a trace on stderr" grep -q 'malloc\] size 4321' "$work/err"
fi

# Defaults: a quarter of what is free; and so that make has room for what it starts.
if file_system tmpfs 128M; then
	runs "$vmmalloc" -d "$mounted" env
	expect "a quarter of what is free" grep -qx VMMALLOC_POOL_SIZE=33554432 "$work/out"
	runs env VMMALLOC_RESERVE=full "$vmmalloc" -d "$mounted" env
	expect "little, where all of it is taken at the start" \
		grep -qx VMMALLOC_POOL_SIZE=16777216 "$work/out"
	# What make starts has to begin while others hold most of it.
	mkfifo "$work/held" "$work/wait"
	cat >"$work/many" <<-'END'
		cd "$1" && exec 7<>wait
		for i in 1 2 3 4 5; do
			awk 'BEGIN { for (s = "x"; length(s) < 4000000;) s = s s
				t = s "x"; print length(t); fflush()
				while ((getline line) > 0); }' <wait >held 7>&- &
			read length <held
			echo "held $length"
		done
		/bin/echo started
		exec 7>&-
		wait
	END
	runs timeout -s KILL 60 "$vmmalloc" -d "$mounted" sh "$work/many" "$work"
	held="held 4194305"
	expect "another begins while five hold most of it" test "$status $(tr '\n' ' ' \
		<"$work/out")" = "0 $held $held $held $held $held started "
	comment "$work/out" "$work/err"
	rm "$work/held" "$work/wait"
	head -c 120M /dev/zero >"$mounted/filler"
	fails 125 "too little" "$mounted: only 8M is free; without -s a pool takes at least 16M" \
		"$vmmalloc" -d "$mounted" true
	take_down
else
	skip "a quarter of what is free" "$mounted_not"
fi
# Within what limits allow.
runs sh -c "ulimit -S -f 65536; exec '$vmmalloc' -d '$pool_dir' env"
expect "under a limit of file sizes" grep -qx VMMALLOC_POOL_SIZE=33554432 "$work/out"
runs sh -c "ulimit -S -v 4000000; exec '$vmmalloc' -d '$pool_dir' env"
expect "under a limit of addresses" test $status -eq 0
if file_system hugetlbfs 256M; then
	runs "$vmmalloc" -d "$mounted" \
		sh -c 'sh -c "sh -c \"sh -c \\\"sh -c true; :\\\"; :\"; :"; :'
	expect "huge pages: five one below the other" test "$status $(cat "$work/err")" = "0 "
	take_down
else
	skip "huge pages: five one below the other" "$mounted_not"
fi
if [ "$(free_kb /dev/shm)" -gt 65536 ]; then
	runs "$vmmalloc" env
	expect "in /dev/shm" grep -qx VMMALLOC_POOL_DIR=/dev/shm "$work/out"
else
	skip "in /dev/shm" "too little room there"
fi

# What cannot be.
fails 125 "no such directory" "$work/none: No such file or directory" \
	"$vmmalloc" -d "$work/none" true
: >"$work/file"
fails 125 "no directory" "$work/file: Not a directory" \
	"$vmmalloc" -d "$work/file" true
fails 127 "no such command" "no-such-command: command not found" \
	"$vmmalloc" -s 64M no-such-command
fails 127 "no such file" "$work/none: command not found" \
	"$vmmalloc" -s 64M "$work/none"
fails 126 "not executable" "$work/file: is no program that" \
	"$vmmalloc" -s 64M "$work/file"
fails 126 "a directory as command" "$work: is no program that" \
	"$vmmalloc" -s 64M "$work"
fails 125 "a long option with a value" "--help=x: no such option" "$vmmalloc" --help=x
fails 127 "an empty command" "the name of the command is empty" "$vmmalloc" -s 64M ''
fails 125 "no such option" "-x: no such option" "$vmmalloc" -x true
fails 125 "no such long option" "--fork: no such option" "$vmmalloc" --fork true
fails 125 "an empty variable" "VMMALLOC_POOL_DIR is empty; a path is needed" \
	env VMMALLOC_POOL_DIR= "$vmmalloc" true
fails 125 "an empty directory" "-d is empty; a path is needed" "$vmmalloc" -d '' true
fails 125 "a value is missing" "-s: a value is missing" "$vmmalloc" -s
runs "$vmmalloc"
expect "no command: the usage" sh -c "
	test $status -eq 125 && grep -q '^vmmalloc check DIR' '$work/err'"
runs "$vmmalloc" check
expect "no directory to check: the usage" sh -c "
	test $status -eq 125 && grep -q '^vmmalloc check DIR' '$work/err'"
fails 125 "a size that is too small" "-s is 1M, too small; accepted: .* at least 14M" \
	"$vmmalloc" -d "$pool_dir" -s 1M true
fails 125 "no size" "-s is much, not a size; accepted: " "$vmmalloc" -s much true
fails 125 "an empty size" "-s is empty; accepted: " "$vmmalloc" -s '' true
fails 125 "no kind of fork" "-f is 4, not supported; accepted: 0, 1, 2, 3" \
	"$vmmalloc" -f 4 true
fails 125 "no level" "-g is 5, not supported; accepted: 0, 1, 2, 3, 4" "$vmmalloc" -g5 true
runs "$vmmalloc" -d "$pool_dir" -s 1 -h
expect "-h: the usage" sh -c "
	test $status -eq 0 && grep -q '^vmmalloc check DIR' '$work/out'"
if [ -e /dev/full ]; then
	for arguments in ps "check $pool_dir" --help --version; do
		# shellcheck disable=SC2086 # words
		"$vmmalloc" $arguments >/dev/full 2>"$work/err"
		status=$?
		expect "$arguments: what cannot be written is no success" \
			test $status -eq 125
	done
fi
runs sh -c "cd '$pool_dir' && mkdir -p below && exec '$vmmalloc' -d below -s 64M -l trace env"
expect "relative names become absolute" sh -c "
	grep -qx 'VMMALLOC_POOL_DIR=$pool_dir/below' '$work/out' &&
		grep -qx 'VMMALLOC_LOG_FILE=$pool_dir/trace' '$work/out'"
expect "-l alone traces" grep -qx VMMALLOC_LOG_LEVEL=2 "$work/out"
rm -rf "$pool_dir/below" "$pool_dir/trace"
expect "options may be joined" test "$(variables "$vmmalloc" -d "$pool_dir" \
	-Ss64M | tr ' ' '\n' | grep -c -e '^VMMALLOC_LOG_STATS=1$' -e '_SIZE=64M$')" -eq 2

# As execvp(3) finds commands, and runs them.
printf 'echo "from the shell: $1"\n' >"$work/no-shebang"
chmod +x "$work/no-shebang"
runs "$vmmalloc" -d "$pool_dir" -s 64M "$work/no-shebang" argument
expect "a script without a shebang" test "$(cat "$work/out")" = "from the shell: argument"
runs env -u PATH "$vmmalloc" -d "$pool_dir" -s 64M sh -c 'echo found'
expect "without PATH" test "$(cat "$work/out")" = found
linker=$(readelf -l /bin/true 2>/dev/null |
	sed -n 's/.*program interpreter: \(.*\)\]$/\1/p')
if [ -n "$linker" ]; then
	runs "$vmmalloc" -d "$pool_dir" -s 64M "$linker" /bin/grep -c libvmmalloc \
		/proc/self/maps
	expect "the dynamic linker as a command" test "$(cat "$work/out")" -gt 0
fi

# Programs that a preload does not reach.
echo 'int main(void) { return 0; }' >"$work/plain.c"
: "${CC:=cc}"
if $CC -static -o "$work/static" "$work/plain.c" 2>"$work/err"; then
	fails 126 "a static command" "$work/static: is statically linked" \
		"$vmmalloc" -s 64M "$work/static"
	printf '#! %s -x\n' "$work/static" >"$work/script"
	chmod +x "$work/script"
	fails 126 "a script of one" "$work/static: is statically linked" \
		"$vmmalloc" -s 64M "$work/script"
else
	skip "a static command" "nothing can be linked statically here"
fi
printf '#!/bin/sh\necho "from a script"\n' >"$work/script"
chmod +x "$work/script"
runs "$vmmalloc" -d "$pool_dir" -s 64M "$work/script"
expect "a script is fine" test "$(cat "$work/out")" = "from a script"
$CC -o "$work/plain" "$work/plain.c"
# Byte 18 of an ELF file says which machine it is for; 8 is MIPS.
cp "$work/plain" "$work/alien"
printf '\010' | dd of="$work/alien" bs=1 seek=18 conv=notrunc 2>/dev/null
fails 126 "another architecture" "$work/alien: is for another architecture" \
	"$vmmalloc" -s 64M "$work/alien"
if [ "$(id -u)" -eq 0 ]; then
	cp "$work/plain" "$work/suid"
	chown 65534 "$work/suid"
	chmod 4755 "$work/suid"
	fails 126 "a set-user-ID command" "$work/suid: gains privileges" \
		"$vmmalloc" -s 64M "$work/suid"
	chown 0:65534 "$work/suid"
	chmod 2755 "$work/suid"
	fails 126 "a set-group-ID command" "$work/suid: gains privileges" \
		"$vmmalloc" -s 64M "$work/suid"
	if command -v setpriv >/dev/null 2>&1; then
		runs setpriv --no-new-privs "$vmmalloc" -d "$pool_dir" -s 64M "$work/suid"
		expect "and where none can be gained: runs" test $status -eq 0
	else
		skip "and where none can be gained: runs" "no setpriv here"
	fi
	# Of a script it is the interpreter that has them.
	chown 65534:0 "$work/suid"
	chmod 4755 "$work/suid"
	printf '#!%s\n' "$work/suid" >"$work/by_suid"
	chmod 755 "$work/by_suid"
	fails 126 "a script for a set-user-ID interpreter" "$work/suid: gains privileges" \
		"$vmmalloc" -s 64M "$work/by_suid"
	printf '#!/bin/sh\necho ran\n' >"$work/suid_script"
	chown 65534 "$work/suid_script"
	chmod 4755 "$work/suid_script"
	runs "$vmmalloc" -d "$pool_dir" -s 64M "$work/suid_script"
	expect "a set-user-ID script, which has no privileges" \
		test "$status $(cat "$work/out")" = "0 ran"
else
	skip "a set-user-ID command" "needs root to make one"
fi

runs "$vmmalloc" --help
expect "--help" sh -c "test $status -eq 0 && grep -q '^  -d DIR' '$work/out'"
runs "$vmmalloc" --version
expect "--version" test "$status $(cat "$work/out")" = "0 vmmalloc ${VERSION:-1.1.0}"

# ps. Whoever is looked at waits until it was.
# shows WHAT PATTERN COMMAND...: what ps says of it, once it has printed a line.
shows() {
	shows_what=$1 shows_pattern=$2
	shift 2
	rm -f "$work/wait" "$work/ready"
	mkfifo "$work/wait" "$work/ready"
	"$vmmalloc" -d "$pool_dir" -s 512M "$@" <"$work/wait" >"$work/ready" &
	shows_pid=$!
	exec 8>"$work/wait" 9<"$work/ready"
	read -r line <&9
	"$vmmalloc" ps >"$work/out" 2>"$work/err"
	exec 8>&- 9<&-
	wait $shows_pid
	expect "$shows_what" grep -q "^ *$shows_pid $shows_pattern  $shown_dir\$" \
		"$work/out"
	grep "^ *$shows_pid " "$work/out" | comment
}
shown_dir=$(cd "$pool_dir" && pwd -P)
size='[0-9.]*[KM]'
if command -v python3 >/dev/null 2>&1; then
	shows "ps: python3, its size, and no private memory" \
		"python3  *512M  *$size  *$size  *0B yes *" python3 -c '
import sys
print("ready", flush=True)
sys.stdin.read()'
	expect "ps: a line for people above" grep -q \
		'^ *PID COMMAND  *SIZE  *IN-USE  *RAM  *PRIVATE STOPS  *DIRECTORY$' "$work/out"
	shows "ps: memory that a fork has copied" \
		"python3  *512M  *[0-9.]*M  *[0-9.]*M  *[1-9][0-9.]*M yes *" python3 -c '
import os, sys
held = [bytearray(1000) for i in range(20000)]
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(w)
    os.read(r, 1)
    os._exit(0)
for block in held:
    block[0] = 1
print("ready", flush=True)
sys.stdin.read()
os.close(w)
os.waitpid(pid, 0)'
	shows "ps: after a child got a pool of its own" \
		"python3  *512M  *$size  *$size  *[0-9.]*[BKM] yes *" -f 2 python3 -c '
import os, sys
held = [bytearray(1000) for i in range(20000)]
if os.fork() == 0:
    os._exit(0)
os.wait()
print("ready", flush=True)
sys.stdin.read()'
	shows "ps: a descriptor that was closed" \
		"python3  *512M  *-  *$size  *0B yes *" python3 -c '
import os, sys
os.closerange(3, 2000)
print("ready", flush=True)
sys.stdin.read()'
	shows "ps: beside a larger file of the program's own" \
		"python3  *512M  *$size  *$size  *0B yes *" python3 -c '
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR)
os.ftruncate(fd, 1 << 30)
map = mmap.mmap(fd, 1 << 30)
print("ready", flush=True)
sys.stdin.read()' "$pool_dir"
	shows "ps: a name that a terminal would obey" \
		"a?\[31m???b  *512M  *$size  *$size  *0B yes *" python3 -c '
import sys
with open("/proc/self/comm", "wb") as comm:
    comm.write(b"a\033[31m\233\302\233b")
print("ready", flush=True)
sys.stdin.read()'
	if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1 &&
		unshare -m mount -t proc -o hidepid=2 proc /proc 2>/dev/null; then
		runs unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc &&
			exec setpriv --reuid 65534 --clear-groups "$0" ps' "$vmmalloc"
		expect "ps: says that /proc hides what others run" grep -q \
			'/proc hides processes of other users .*run it as root' "$work/err"
		runs setpriv --reuid 65534 --clear-groups "$vmmalloc" ps
		expect "ps: and not where it does not" sh -c "
			! grep 'hidepid' '$work/err' && grep 'are not shown: run it as root' \
			'$work/err'"
	else
		skip "ps: says that /proc hides what others run" \
			"needs root, setpriv and unshare"
	fi
else
	skip "ps: python3" "no python3 here"
fi
runs "$vmmalloc" -d "$pool_dir" -s 64M -- ps
expect "-- ps is the ps of the system" sh -c "
	if command -v ps >/dev/null; then grep TIME '$work/out'
	else grep 'ps: command not found' '$work/err'; fi"

# check.
# checked WHAT STATUS PATTERN...: of $mounted; each pattern is a line.
checked() {
	checked_what=$1 checked_status=$2
	shift 2
	runs "$vmmalloc" check "$mounted"
	expect "check $checked_what: status $checked_status" \
		test $status -eq "$checked_status"
	for line in "$@"; do
		expect "check $checked_what: $line" grep -q "^$line" "$work/out"
	done
	comment "$work/out"
}
# place TYPE SIZE OPTION STATUS PATTERN...
place() {
	place_what="$1${3:+ $3}" place_status=$4
	if file_system "$1" "$2" "$3"; then
		shift 4
		checked "$place_what" "$place_status" "$@"
		take_down
	else
		skip "check $place_what" "$mounted_not"
	fi
}
place tmpfs 64M "" 0 "file system:  *tmpfs" "memory: .* without a disk" \
	"huge pages:  *never" "free space:  *64M" "reserves:  *yes" \
	"shares blocks:  *no" "advice:  *good, and faster with large pages"
place tmpfs 64M huge=always 0 "huge pages:  *always" "advice:  *good: memory"
place tmpfs 10M "" 1 "advice:  *too little room"
place ext4 300M "" 0 "file system:  *ext4" "memory: .*written back" \
	"shares blocks:  *no" "advice:  *works"
place ext3 200M "" 1 "reserves:  *Operation not supported" \
	"advice:  *no pool can be here"
place xfs 400M "" 0 "file system:  *xfs" "shares blocks:  *yes" \
	"advice:  *good for large heaps on a disk"
place btrfs 400M "" 0 "file system:  *btrfs" "advice:  *works, slowly"
place hugetlbfs 64M "" 0 "file system:  *hugetlbfs" "huge pages:  *all, of 2M" \
	"advice:  *good for programs that do not fork"
# Under a limit of the size of files: no signal.
for limit in 1024 20480; do
	runs sh -c "ulimit -f $limit; exec '$vmmalloc' check '$work'"
	expect "check under ulimit -f $limit: no pool can be" test $status -eq 1
	expect "check under ulimit -f $limit: why" grep -q \
		'^advice:  *the limit of file sizes is too small: .*raise ulimit -f' "$work/out"
done
mounted=$work/none
runs "$vmmalloc" check "$work/none"
expect "check: no such directory" sh -c "test $status -eq 1 &&
	grep -q '^vmmalloc: $work/none: No such file or directory' '$work/err'"
mounted=/proc
checked /proc 1 "file system:  *proc" "advice:  *no pool can be here: no file can be made"
# What lies above another file system, and what keeps no count of blocks.
if [ "$(id -u)" -eq 0 ] && mkdir "$work/below" "$work/ramfs" "$work/layers" &&
	mount -t ramfs none "$work/ramfs" && mounts="$work/ramfs $mounts" &&
	mount -t tmpfs -o size=300M none "$work/below" && mounts="$work/below $mounts" &&
	mkdir "$work/below/upper" "$work/below/work" && mount -t overlay -o \
	"lowerdir=$work/layers,upperdir=$work/below/upper,workdir=$work/below/work" \
	none "$work/layers" 2>/dev/null && mounts="$work/layers $mounts"; then
	mounted=$work/layers
	checked overlay 0 "file system:  *overlay" "memory: .*the upper file system" \
		"free space:  *300M" "reserves:  *yes" "shares blocks:  *no" \
		"advice:  *works; but large pages, .* not had through overlayfs"
	runs "$vmmalloc" -d "$mounted" -s 64M "$programs/support/churn" 1000
	expect "and a program runs there" test $status -eq 0
	mounted=$work/ramfs
	checked ramfs 1 "file system:  *ramfs" "memory: .*without a disk" \
		"reserves:  *Operation not supported" "advice:  *no pool can be here"
else
	skip "check overlay, ramfs" "needs root to mount them"
fi

# Completion.
if command -v bash >/dev/null 2>&1; then
	# completes WORDS...: what is offered for the last of them.
	completes() {
		bash -c '
			source "$1"
			shift
			COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
			_vmmalloc
			printf "%s " "${COMPREPLY[@]}"' bash \
			"$top_srcdir/bin/completion/vmmalloc" "$@"
	}
	mkdir -p "$work/complete/directory"
	: >"$work/complete/file"
	c=$work/complete
	expect "completion: options" test "$(completes vmmalloc --)" = \
		"-- --help --version "
	expect "completion: subcommands and commands" sh -c "
		case ' $(completes vmmalloc che | tr '\n' ' ')' in
		*' check '*) ;; *) exit 1 ;; esac"
	expect "completion: -d has directories" \
		test "$(completes vmmalloc -d "$c/")" = "$c/directory "
	expect "completion: -f" test "$(completes vmmalloc -f "")" = "0 1 2 3 "
	expect "completion: -l has files" \
		test "$(completes vmmalloc -s 64M -l "$c/f")" = "$c/file "
	expect "completion: check has directories" \
		test "$(completes vmmalloc check "$c/")" = "$c/directory "
	expect "completion: ps has nothing" test -z "$(completes vmmalloc ps "" |
		tr -d ' ')"
	expect "completion: of the command's own words" \
		test "$(completes vmmalloc -g 2 -d /tmp cat "$c/f")" = "$c/file "
	expect "completion: of the command after --" \
		test "$(completes vmmalloc -- cat "$c/f")" = "$c/file "
else
	skip "completion" "no bash here"
fi
plan
