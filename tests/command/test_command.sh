#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_command.sh: vmmalloc COMMAND: its options, defaults and messages; bash completion.
. "${top_srcdir:-..}/tests/support/lib.sh"

vmmalloc=$programs/vmmalloc

# runs COMMAND...: sets $status, and leaves the output in $work/out and $work/err.
runs() {
	"$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
}

# fails STATUS WHAT MESSAGE COMMAND...: the command exits with STATUS and prints one line,
# which matches MESSAGE, to stderr.
fails() {
	fails_status=$1 fails_what=$2 fails_message=$3
	shift 3
	runs "$@"
	expect "$fails_what: status $fails_status" test $status -eq "$fails_status"
	expect "$fails_what: the message" sh -c "
		test \"\$(wc -l <'$work/err')\" -eq 1 && test ! -s '$work/out' &&
		cat '$work/err' && grep -q '^vmmalloc: $fails_message' '$work/err'"
}

# vmmalloc executes the command in its own process.
runs "$vmmalloc" -s 64M -d "$pool_dir" sh -c 'echo said; exit 7'
expect "the command's status" test $status -eq 7
expect "the command's output" test "$(cat "$work/out" "$work/err")" = said
runs "$vmmalloc" -s 64M -d "$pool_dir" sh -c 'kill -TERM $$'
expect "the signal that ends the command" test $status -eq 143
LD_PRELOAD=$probe PROBE_FILE=$work/probe runs \
	"$vmmalloc" -s 64M -d "$pool_dir" -- "$programs/support/churn" 1000
expect "the heap is in the pool; LD_PRELOAD keeps the library that was in it" \
	grep -q 'in=yes pool=65536' "$work/probe"

# variables COMMAND...: prints the library's variables that COMMAND sets for a program.
variables() {
	env "$@" env 2>"$work/err" | grep '^VMMALLOC' | sort | tr '\n' ' ' \
		>"$work/out"
	cat "$work/out" "$work/err"
}
expect "options set variables" test "$(
	variables "$vmmalloc" -d "$pool_dir" -s 65M -f 3)" = \
	"VMMALLOC_FORK=3 VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=65M "
expect "values may be joined to their options" test "$(
	variables "$vmmalloc" "-d$pool_dir" -s65M -f2)" = \
	"VMMALLOC_FORK=2 VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=65M "
expect "options override the environment, which overrides the defaults" test "$(
	variables VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=66M \
		VMMALLOC_FORK=0 "$vmmalloc" -s 67M)" = \
	"VMMALLOC_FORK=0 VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=67M "
expect "-l, -S and -g set variables" test "$(
	variables "$vmmalloc" -d "$pool_dir" -s 64M -l "$work/log" -S -g1)" = \
	"VMMALLOC_LOG_FILE=$work/log VMMALLOC_LOG_LEVEL=1 VMMALLOC_LOG_STATS=1 VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=64M "
expect "-S with -l: the statistics are in the file" \
	grep -q 'statistics of process' "$work/log"

# The variant of the library.
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

# The default size: a part of the free space, so that other programs that the command
# starts, such as those of make(1), have room for their pools.
if file_system tmpfs 128M; then
	runs "$vmmalloc" -d "$mounted" env
	expect "the default is a quarter of the free space" grep -qx VMMALLOC_POOL_SIZE=33554432 "$work/out"
	runs env VMMALLOC_RESERVE=full "$vmmalloc" -d "$mounted" env
	expect "VMMALLOC_RESERVE=full: the default is small" \
		grep -qx VMMALLOC_POOL_SIZE=16777216 "$work/out"
	# A program can start while others hold most of the space.
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
	expect "a program starts while five others hold most of the space" test "$status $(tr '\n' ' ' \
		<"$work/out")" = "0 $held $held $held $held $held started "
	comment "$work/out" "$work/err"
	rm "$work/held" "$work/wait"
	head -c 120M /dev/zero >"$mounted/filler"
	fails 125 "too little space" "pool directory $mounted: only 8M is free, the default size is at least 16M" \
		"$vmmalloc" -d "$mounted" true
	unmount_last
else
	skip "the default is a quarter of the free space" "$mounted_not"
fi
# The default size respects limits.
runs sh -c "ulimit -S -f 65536; exec '$vmmalloc' -d '$pool_dir' env"
expect "the default under a limit of file sizes" grep -qx VMMALLOC_POOL_SIZE=33554432 "$work/out"
runs sh -c "ulimit -S -v 4000000; exec '$vmmalloc' -d '$pool_dir' env"
expect "the default under a limit of the address space" test $status -eq 0
if file_system hugetlbfs 256M; then
	runs "$vmmalloc" -d "$mounted" \
		sh -c 'sh -c "sh -c \"sh -c \\\"sh -c true; :\\\"; :\"; :"; :'
	expect "huge pages: five nested programs" test "$status $(cat "$work/err")" = "0 "
	unmount_last
else
	skip "huge pages: five nested programs" "$mounted_not"
fi
if [ "$(free_kb /dev/shm)" -gt 65536 ]; then
	runs "$vmmalloc" env
	expect "the default directory is /dev/shm" grep -qx VMMALLOC_POOL_DIR=/dev/shm "$work/out"
else
	skip "the default directory is /dev/shm" "too little room in it"
fi

# Refused command lines.
fails 125 "no such directory" "pool directory $work/none: No such file or directory" \
	"$vmmalloc" -d "$work/none" true
: >"$work/file"
fails 125 "not a directory" "pool directory $work/file: Not a directory" \
	"$vmmalloc" -d "$work/file" true
fails 127 "no such command" "no-such-command: command not found" \
	"$vmmalloc" -s 64M no-such-command
fails 127 "no such file" "$work/none: command not found" \
	"$vmmalloc" -s 64M "$work/none"
fails 126 "not executable" "$work/file: not a file that this user may execute" \
	"$vmmalloc" -s 64M "$work/file"
fails 126 "a directory as command" "$work: not a file that this user may execute" \
	"$vmmalloc" -s 64M "$work"
fails 125 "a long option with a value" "unknown option --help=x" "$vmmalloc" --help=x
fails 127 "an empty command" "the name of the command is empty" "$vmmalloc" -s 64M ''
fails 125 "unknown option" "unknown option -x; see vmmalloc --help" "$vmmalloc" -x true
fails 125 "an unknown option before others" "unknown option -x; see vmmalloc --help" \
	"$vmmalloc" -s '' -xS true
fails 125 "unknown long option" "unknown option --fork" "$vmmalloc" --fork true
fails 125 "an empty variable" "VMMALLOC_POOL_DIR is empty, a path is needed" \
	env VMMALLOC_POOL_DIR= "$vmmalloc" true
fails 125 "an empty directory" "-d is empty, a path is needed" "$vmmalloc" -d '' true
fails 125 "a missing value" "option -s requires a value" "$vmmalloc" -s
runs "$vmmalloc"
expect "no command: the usage" sh -c "
	test $status -eq 125 && grep -q '^ *vmmalloc check DIR\$' '$work/err'"
runs "$vmmalloc" check
expect "no directory to check: the usage" sh -c "
	test $status -eq 125 && grep -q '^ *vmmalloc check DIR\$' '$work/err'"
fails 125 "a size that is too small" "-s is 1M, too small; accepted: .* at least 14M" \
	"$vmmalloc" -d "$pool_dir" -s 1M true
fails 125 "not a size" "-s .*much.*bytes" "$vmmalloc" -s much true
fails 125 "an empty size" "-s .*empty.*bytes" "$vmmalloc" -s '' true
fails 125 "an unknown value of -f" "-f .*4.*0, 1, 2, 3" \
	"$vmmalloc" -f 4 true
fails 125 "an unknown level" "-g is 5, not supported; accepted: 0, 1, 2, 3, 4" "$vmmalloc" -g5 true
runs "$vmmalloc" -d "$pool_dir" -s 1 -h
expect "-h: the usage" sh -c "
	test $status -eq 0 && grep -q '^ *vmmalloc check DIR\$' '$work/out'"
if [ -e /dev/full ]; then
	for arguments in ps "check $pool_dir" --help --version; do
		# shellcheck disable=SC2086 # words
		"$vmmalloc" $arguments >/dev/full 2>"$work/err"
		status=$?
		expect "$arguments: a write error is a failure" \
			test $status -eq 125
	done
fi
runs sh -c "cd '$pool_dir' && mkdir -p below && exec '$vmmalloc' -d below -s 64M -l trace env"
expect "relative paths become absolute" sh -c "
	grep -qx 'VMMALLOC_POOL_DIR=$pool_dir/below' '$work/out' &&
		grep -qx 'VMMALLOC_LOG_FILE=$pool_dir/trace' '$work/out'"
expect "-l alone sets level 2" grep -qx VMMALLOC_LOG_LEVEL=2 "$work/out"
rm -rf "$pool_dir/below" "$pool_dir/trace"
expect "options may be joined" test "$(variables "$vmmalloc" -d "$pool_dir" \
	-Ss64M | tr ' ' '\n' | grep -c -e '^VMMALLOC_LOG_STATS=1$' -e '_SIZE=64M$')" -eq 2

# Commands are found and executed as by execvp(3).
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

# Programs for which the dynamic linker ignores LD_PRELOAD are refused.
echo 'int main(void) { return 0; }' >"$work/plain.c"
: "${CC:=cc}"
if $CC -static -o "$work/static" "$work/plain.c" 2>"$work/err"; then
	fails 126 "a static command" "$work/static: is statically linked" \
		"$vmmalloc" -s 64M "$work/static"
	printf '#! %s -x\n' "$work/static" >"$work/script"
	chmod +x "$work/script"
	fails 126 "a script with a static interpreter" "$work/static: is statically linked" \
		"$vmmalloc" -s 64M "$work/script"
else
	skip "a static command" "nothing can be linked statically here"
fi
printf '#!/bin/sh\necho "from a script"\n' >"$work/script"
chmod +x "$work/script"
runs "$vmmalloc" -d "$pool_dir" -s 64M "$work/script"
expect "a script" test "$(cat "$work/out")" = "from a script"
$CC -o "$work/plain" "$work/plain.c"
# Byte 18 of an ELF file is the machine; 8 is MIPS.
cp "$work/plain" "$work/alien"
printf '\010' | dd of="$work/alien" bs=1 seek=18 conv=notrunc 2>/dev/null
fails 126 "another architecture" "$work/alien: is for another architecture than" \
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
		expect "a set-group-ID command under no_new_privs" test $status -eq 0
	else
		skip "a set-group-ID command under no_new_privs" "no setpriv here"
	fi
	# A script has the privileges of its interpreter.
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
	expect "a set-user-ID script runs without privileges" \
		test "$status $(cat "$work/out")" = "0 ran"
else
	skip "a set-user-ID command" "needs root to make one"
fi

runs "$vmmalloc" --help
expect "--help" sh -c "test $status -eq 0 && grep -q '^  -d DIR' '$work/out'"
runs "$vmmalloc" --version
expect "--version" test "$status $(cat "$work/out")" = "0 vmmalloc ${VERSION:-1.1.0}"

runs "$vmmalloc" -d "$pool_dir" -s 64M -- ps
expect "-- ps is the system's ps" sh -c "
	if command -v ps >/dev/null; then grep TIME '$work/out'
	else grep 'ps: command not found' '$work/err'; fi"

# Completion.
if command -v bash >/dev/null 2>&1; then
	# completes WORDS...: prints the completions of the last word.
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
	expect "completion: the words of COMMAND" \
		test "$(completes vmmalloc -g 2 -d /tmp cat "$c/f")" = "$c/file "
	expect "completion: the words of COMMAND after --" \
		test "$(completes vmmalloc -- cat "$c/f")" = "$c/file "
else
	skip "completion" "no bash here"
fi
plan
