#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_trace.sh: the trace of the debug variant: levels, lines, and files.
. "${top_srcdir:-..}/tests/support/lib.sh"

if [ ! -e "$(library debug)" ]; then
	skip "the trace" "needs the debug variant"
	plan
	exit
fi

# traced LEVEL COMMAND...: runs the command. Lines go to $work/err, or to the file $log.
log=
traced() {
	traced_level=$1
	shift
	on_pool debug env VMMALLOC_LOG_LEVEL="$traced_level" \
		VMMALLOC_LOG_FILE="$log" "$@" >"$work/out" 2>"$work/err"
}

# How each line begins.
where='^<libvmmalloc>: <[1-4]> \[[a-z_]*\.[ch]:[0-9]* [a-z_0-9 []*\]*\] '

# whole FILE...: each line is complete, and contains no other line.
whole() {
	cat "$@" >"$work/lines"
	test -s "$work/lines" &&
		test "$(tail -c 1 "$work/lines" | od -An -c | tr -d ' ')" = '\n' &&
		! grep -v "$where" "$work/lines" | head -n 3 | grep . &&
		! grep -n '.<libvmmalloc>' "$work/lines" | head -n 3 | grep .
}

# Each level has its own lines and those of lower levels.
expected=
for level in 0 1 2 3 4; do
	traced $level "$programs/trace/trace" errors
	sed 's/^<libvmmalloc>: <\(.\)>.*/\1/' "$work/err" | sort -u |
		tr -d '\n' >"$work/levels"
	expected=$expected${level#0}
	expect "level $level: lines of this and of lower levels" \
		test "$(cat "$work/levels")" = "$expected"
done
traced 1 "$programs/trace/trace" errors
expect "level 1: the size for which there is no room" \
	grep -q '<1> .*no room for 4611686018427387903 bytes' "$work/err"
for message in 'alignment is 3, no power of two: Invalid argument' \
	"alignment is 4, no multiple of a pointer's size: Invalid argument" \
	'alignment is [0-9]*, larger than the largest power of two: Invalid argument' \
	'[0-9]* times 3 bytes are more than there can be: Cannot allocate memory' \
	'options is not 0: Invalid argument'; do
	expect "level 1: $message" grep -q "<1> .*\] $message\$" "$work/err"
done
for level in 2 3 4; do
	traced $level /bin/true
	head -n 1 "$work/err" >"$work/first"
	expect "level $level: the first line reports that the pool is opened" grep -q \
		'<2> .*\] opening a pool in /.*, size 67108864$' "$work/first"
done
traced 2 "$programs/fork/heap"
for message in \
	'pool opened in /.*: file system [a-z0-9]*, no DAX, page size [0-9]*, size 67108864, reserve grow' \
	'pool grown: reserved [0-9]*' \
	'forking: both sides are private' 'pool closed'; do
	expect "level 2: $message" grep -q "<2> .*\] $message" "$work/err"
done
traced 2 "$programs/pool/metadata"
expect "level 2: the pool is exhausted" grep -q \
	'<2> .*exhausted: no range of [0-9]*, the longest.* [0-9]*$' "$work/err"
traced 3 "$programs/fork/heap"
for name in vmm_heap_start vmm_pool_open vmm_pool_allocate \
	vmm_ranges_allocate vmm_jehost_extent_alloc fork vmm_fork vmm_pool_fork_child; do
	expect "level 3: $name is entered" \
		grep -q "<3> \[[a-z_]*\.c:[0-9]* $name\] entered\$" "$work/err"
done

# The table of names has every function of pool/, heap/ and jemalloc/ that other files can
# call. It leaves out guard.c, because each allocation calls a function of that file.
nm -A "$top_builddir/lib/debug/.libs/libcore.a" |
	sed -n 's/.*la-\([a-z_]*\)\.o:.* T \(vmm_[a-z_0-9]*\)$/\1 \2/p' |
	grep -v ' vmm_jehost_pages_purge_' >"$work/defined" # other names of one function
(cd "$top_srcdir/lib" && ls pool/*.c heap/*.c jemalloc/*.c) |
	sed -e 's/.*\///' -e 's/\.c$//' -e '/^guard$/d' | sort -u >"$work/rooms"
${CC:-cc} -E -P -DVMMALLOC_DEBUG -I"$top_builddir" -I"$top_srcdir/lib" \
	"$top_builddir/lib/debug/trace_functions.c" >"$work/table"
awk 'NR == FNR { is_traced[$1] = 1; next } $1 in is_traced { print $2 }' \
	"$work/rooms" "$work/defined" | while read -r name; do
	grep -q "\"$name\"" "$work/table" || echo "$name"
done >"$work/forgotten"
grep -o '"vmm_[a-z_0-9]*"' "$work/table" | sort | uniq -d >"$work/repeated"
expect "level 3: the test finds the functions" test "$(wc -l <"$work/defined")" -gt 100
expect "level 3: all functions are in the table" test ! -s "$work/forgotten"
comment "$work/forgotten"
expect "level 3: the table has no function twice" test ! -s "$work/repeated"
comment "$work/repeated"

# Level 4: each call by its name, with arguments and result.
traced 4 "$programs/trace/trace" each
p='0x[0-9a-f]*'
while IFS='|' read -r name message; do
	expect "level 4: $name $message" \
		grep -q "<4> \[[a-z]*\.c:[0-9]* $name\] $message\$" "$work/err"
done <<END
malloc|size 4321 -> $p
realloc|block $p, size 5432 -> $p
reallocarray|block $p, count 3, size 1111 -> $p
free|block $p
calloc|count 7, size 13 -> $p
aligned_alloc|alignment 64, size 640 -> $p
cfree|block $p
posix_memalign|block $p, alignment 128, size 1280 -> $p
free_aligned_sized|block $p, alignment 128, size 1280
memalign|alignment 256, size 2560 -> $p
valloc|size 77 -> $p
pvalloc|size 88 -> $p
free_sized|block $p, size 99
mallocx|size 1234, flags 0 -> $p
rallocx|block $p, size 2345, flags 0 -> $p
xallocx|block $p, size 2346, extra 0, flags 0 -> [0-9]*
dallocx|block $p, flags 0
sdallocx|block $p, size 555, flags 0
free|block NULL
END
traced 4 "$programs/entry/operators"
for name in 'operator new' 'operator new\[\]' 'operator delete' \
	'operator delete\[\]'; do
	expect "level 4: $name" grep -q "<4> \[operators\.h:[0-9]* $name\] " \
		"$work/err"
done
traced 4 "$programs/trace/trace" errors
expect "level 4: a call that failed" \
	grep -q '<4> .*aligned_alloc\] alignment 3, size 3 -> NULL$' "$work/err"

# Eight threads write a million lines.
log=$work/threads
traced 4 "$programs/trace/trace" threads 8 62500
expect "a million lines of eight threads: each line is whole" whole "$log"
expect "a million lines of eight threads: no line is missing" test "$(
	grep -c -e 'malloc\] size' -e 'free\] block 0x' "$log")" -ge 1000000
expect "nothing is written to stderr" test ! -s "$work/err"
expect "only the user can read the file" test "$(stat -c %a "$log")" = 600
lines=$(wc -l <"$log")
traced 2 "$programs/trace/trace" threads 1 1
expect "lines are appended to an existing file" \
	test "$(wc -l <"$log")" -gt "$lines"
rm "$log"
log=
on_pool debug env VMMALLOC_LOG_LEVEL=4 "$programs/trace/trace" threads 8 6250 \
	2>&1 >/dev/null | cat >"$work/pipe"
expect "through a pipe: each line is whole" whole "$work/pipe"

# Forks.
log=$work/forks
if unshare --pid --fork true 2>/dev/null; then
	tries=0
	while [ $tries -lt 20 ] && timeout -s KILL 60 unshare --pid --fork env \
		VMMALLOC_LOG_LEVEL=4 VMMALLOC_LOG_FILE="$log" \
		VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
		LD_PRELOAD="$(library debug)" "$programs/trace/trace" namespace
	do
		tries=$((tries + 1))
	done
	expect "a child with its parent's process ID is traced" test $tries -eq 20
	rm -f "$log"
else
	skip "a child with its parent's process ID is traced" "needs root for namespaces"
fi
traced 4 timeout -s KILL 100 "$programs/trace/trace" handlers 200
status=$?
expect "a signal handler forks while a line is written" test $status -eq 0
rm "$log"
traced 4 "$programs/trace/trace" forks 20 2000
expect "twenty forks, one file: each line is whole" whole "$log"
log=$work/own-
traced 4 "$programs/trace/trace" forks 20 2000
expect "a file for each process" test "$(ls "$work" | grep -c '^own-')" -eq 21
for pid in $(cat "$work/out"); do
	[ -s "$work/own-$pid" ] && [ "$(stat -c %a "$work/own-$pid")" = 600 ] ||
		echo "$pid"
done >"$work/none"
expect "each file has the process ID in its name, and mode 600" test ! -s "$work/none"
expect "each line in these files is whole" whole "$work"/own-*
expect "the file of a child has all of its lines" sh -c "
	for pid in \$(cat '$work/out'); do
		test \"\$(grep -c 'malloc\] size' '$work/own-'\$pid)\" -ge 400 || exit 1
	done"
rm -f "$work"/own-*
traced 4 env VMMALLOC_FORK=0 "$programs/trace/trace" silent-forks 3
expect "VMMALLOC_FORK=0: a file for each process" \
	test "$(ls "$work" | grep -c '^own-')" -eq 4
rm -f "$work"/own-*

# A relative name means the directory in which the program started.
log=here-
(cd "$work" && traced 4 "$programs/trace/trace" chdir)
expect "a child after chdir(2) writes to the same directory" \
	test "$(ls "$work" | grep -c '^here-')" -eq 2
rm -f "$work"/here-*

# A daemon closes all descriptors, and opens a file in their place.
log=$work/closed
traced 4 "$programs/trace/trace" close "$work/daemon"
expect "a program that closed all descriptors is still traced" \
	grep -q 'malloc\] size 2718' "$work/closed"
expect "no lines go to the file that it opened then" test ! -s "$work/daemon"

# Limits of file sizes.
log=$work/limited
(ulimit -f 100; on_pool debug env VMMALLOC_POOL_SIZE=14M VMMALLOC_LOG_LEVEL=4 \
	VMMALLOC_LOG_FILE="$log" true) >/dev/null 2>&1
status=$?
expect "a limit below the size of the pool: the start is refused" \
	test $status -eq 1
(ulimit -f 32768; exec env VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=14M \
	VMMALLOC_LOG_LEVEL=4 VMMALLOC_LOG_FILE="$log" \
	LD_PRELOAD="$(library debug)" "$programs/trace/trace" threads 2 150000) \
	>/dev/null 2>&1
status=$?
expect "past the limit of file sizes: the program goes on" test $status -eq 0
expect "past the limit of file sizes: the lines that fit are whole" whole "$log"
rm -f "$log"

# A message that ends the process is also in the file.
log=$work/fatal
traced 1 env VMMALLOC_POOL_SIZE=100T "$programs/trace/trace" each
expect "a refused start: the message is on stderr" \
	grep -q '^Error (libvmmalloc): vmem pool' "$work/err"
expect "a refused start: the message is in the file" grep -q '^Error (libvmmalloc): vmem pool' "$log"
rm "$log"
(ulimit -c 0; traced 0 "$programs/entry/misuse" double-free)
expect "an abort: the message is on stderr" grep -q '^Error (libvmmalloc): free' "$work/err"
expect "an abort: the message is in the file" grep -q '^Error (libvmmalloc): free' "$log"

# no_log WHAT NAME REASON: the start is refused, because the library cannot open NAME as the
# log file, or must not write to it.
no_log() {
	log=$2
	traced 1 "$programs/trace/trace" each
	status=$?
	expect "$1: the start is refused" test $status -eq 1
	expect "$1: the message has the reason" grep -q \
		"^Error (libvmmalloc): VMMALLOC_LOG_FILE=$2: $3\$" "$work/err"
}
no_log "no such directory" "$work/missing/log" "No such file or directory"
no_log "a directory" "$work" "Is a directory"
: >"$work/once"
ln "$work/once" "$work/twice"
no_log "a file with two names" "$work/twice" "Too many links"
# Descriptors that the program inherits: a pipe and a file.
for name in /dev/stderr /dev/fd/2 /proc/self/fd/2; do
	on_pool debug env VMMALLOC_LOG_LEVEL=2 VMMALLOC_LOG_FILE=$name /bin/true 2>&1 |
		cat >"$work/err"
	expect "$name, a pipe: lines are written to it" grep -q 'pool closed' "$work/err"
done
for name in /dev/stdout /dev/fd/5; do
	on_pool debug env VMMALLOC_LOG_LEVEL=2 VMMALLOC_LOG_FILE=$name /bin/true \
		>"$work/out" 5>>"$work/out" 2>"$work/err"
	expect "$name, a file: lines are written to it" sh -c "grep 'pool closed' '$work/out' && test ! -s '$work/err'"
done
no_log "a descriptor that is not open" /dev/fd/99 "Bad file descriptor"
expect "a descriptor that is not open: the message says so" grep -q 'a descriptor that is not open' "$work/err"
on_pool debug env VMMALLOC_LOG_LEVEL=2 VMMALLOC_LOG_FILE=/dev/stderr /bin/true 2>&-
status=$?
expect "/dev/stderr, closed: the program runs" test $status -eq 0
mkfifo "$work/fifo"
no_log "a fifo without a reader" "$work/fifo" "No such device or address"
cat "$work/fifo" >"$work/out2" &
reader=$!
on_pool debug env VMMALLOC_LOG_LEVEL=2 VMMALLOC_LOG_FILE="$work/fifo" sh -c '
	# Descriptor 9 keeps the fifo open for reading.
	exec "$0"' /bin/true 9<>"$work/fifo" 2>"$work/err"
status=$?
wait $reader
expect "a fifo with a reader" sh -c "test $status -eq 0 && grep -q 'pool closed' '$work/out2'"
# Past the limit of file sizes, here 14 MiB, lines are lost in any kind of file.
for log in "$work/limited" /dev/stderr /dev/fd/5; do
	rm -f "$work/limited" "$work/fd5"
	(ulimit -S -f 28672 && VMMALLOC_POOL_SIZE=14M on_pool debug env \
		VMMALLOC_LOG_LEVEL=4 VMMALLOC_LOG_FILE="$log" \
		"$programs/support/churn" 150000 >"$work/out" 2>"$work/err" 5>"$work/fd5")
	status=$?
	expect "$log with a limit of file sizes: the program ends well" test $status -eq 0
	expect "$log with a limit of file sizes: the file was filled" sh -c "find '$work/limited' '$work/err' \
		'$work/fd5' -size +14679000c 2>/dev/null | grep ."
done
rm -f "$work/limited" "$work/fd5" "$work/err"
log=/dev/null
ln -s "$work/once2" "$work/link"
log=$work/link
traced 1 "$programs/trace/trace" errors
expect "the user's own symbolic link is followed" test -s "$work/once2"
no_log "a link to a file with a slash at its end" "$work/link/" "Is a directory"
log=/dev/null
traced 4 "$programs/trace/trace" each
expect "/dev/null: lines are thrown away" test $? -eq 0 -a ! -s "$work/err"
ln -s loop2 "$work/loop"
ln -s loop "$work/loop2"
no_log "a link to itself" "$work/loop" "Too many levels of symbolic links"
if [ "$(id -u)" -eq 0 ]; then
	# A directory without the sticky bit, to which everybody may write.
	mkdir -m 777 "$work/open" "$work/open/target"
	chown 65534:65534 "$work/open"
	ln -s "$work/open/target/log" "$work/open/planted"
	: >"$work/open/file"
	mkfifo "$work/open/fifo"
	chown -h 65534:65534 "$work/open/planted" "$work/open/file" \
		"$work/open/fifo"
	no_log "another user's link" "$work/open/planted" \
		"Too many levels of symbolic links"
	no_log "another user's file" "$work/open/file" "Operation not permitted"
	cat "$work/open/fifo" >/dev/null &
	reader=$!
	no_log "another user's fifo" "$work/open/fifo" "Operation not permitted"
	kill $reader 2>/dev/null
	wait $reader 2>/dev/null
	expect "nothing was written to them" test -z "$(ls "$work/open/target")" \
		-a ! -s "$work/open/file"
else
	skip "another user's link" "needs root to make one"
fi

# completes NAME COMMAND...: with each call traced, a real program has the same output.
completes() {
	completes_name=$1
	shift
	"$@" >"$work/plain" 2>&1
	log=$work/real-
	traced 4 "$@"
	status=$?
	expect "$completes_name at level 4: ends well" test $status -eq 0
	expect "$completes_name at level 4: the same output" cmp "$work/plain" "$work/out"
	expect "$completes_name at level 4: lines are whole" whole "$work"/real-*
	echo "# $(cat "$work"/real-* | wc -l) lines"
	rm -f "$work"/real-*
}
if command -v python3 >/dev/null 2>&1; then
	completes python3 python3 -S -c '
import json, subprocess
data = [{"n": n, "text": "x" * (n % 300)} for n in range(20000)]
print(len(json.dumps(data)), subprocess.call(["true"]))'
else
	skip "python3 at level 4" "needs python3"
fi
if command -v git >/dev/null 2>&1 && [ -e "$top_srcdir/.git" ]; then
	completes git git -C "$top_srcdir" --no-pager log --stat
else
	skip "git at level 4" "needs a git clone"
fi
plan
