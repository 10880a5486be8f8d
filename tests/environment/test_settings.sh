#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_settings.sh: messages for missing and wrong settings.
. "${top_srcdir:-..}/tests/support/lib.sh"

# refused WHAT FIRST SECOND COMMAND...: the command ends with status 1 and prints nothing on
# stdout and two lines on stderr. FIRST is the first line, SECOND a pattern for the second.
refused() {
	what=$1 first=$2 second=$3
	shift 3
	"$@" >"$work/out" 2>"$work/err"
	status=$?
	# jemalloc reports the page size as well.
	sed -i '/^<jemalloc>: Unsupported system page size$/d' "$work/err"
	if [ $status -eq 1 ] && [ ! -s "$work/out" ] &&
		[ "$(sed -n 1p "$work/err")" = "$first" ] &&
		[ "$(wc -l <"$work/err")" -eq 2 ] &&
		sed -n 2p "$work/err" | grep -q "^libvmmalloc: .*$second"; then
		ok "$variant: $what"
	else
		not_ok "$variant: $what"
		echo "# status $status"
		comment "$work/out" "$work/err"
	fi
	# The log file must have the same two lines.
	[ "$variant" = debug ] || return 0
	case " $* " in *" -i "* | *VMMALLOC_LOG_FILE* | *setpriv*) return 0 ;; esac
	rm -f "$work/log_file"
	VMMALLOC_LOG_FILE=$work/log_file "$@" >"$work/out" 2>"$work/err"
	sed -i '/^<jemalloc>: Unsupported system page size$/d' "$work/err" "$work/log_file"
	expect "$variant: $what: the log file has the message" cmp "$work/err" "$work/log_file"
}

run() {
	env LD_PRELOAD="$(library "$variant")" "$@"
}

E='Error (libvmmalloc):'
for variant in $(variants); do
	refused "VMMALLOC_POOL_DIR is not set" \
		"$E environment variable VMMALLOC_POOL_DIR not specified" \
		"VMMALLOC_POOL_DIR.*accepted: a writable directory" \
		run /bin/true
	refused "the environment is empty" \
		"$E environment variable VMMALLOC_POOL_DIR not specified" "" \
		env -i LD_PRELOAD="$(library "$variant")" /bin/true
	refused "VMMALLOC_POOL_SIZE is not set" \
		"$E environment variable VMMALLOC_POOL_SIZE not specified" \
		"VMMALLOC_POOL_SIZE.*14M" \
		run VMMALLOC_POOL_DIR="$pool_dir" /bin/true

	VMMALLOC_POOL_DIR=$pool_dir
	export VMMALLOC_POOL_DIR
	refused "the pool size is too small" \
		"$E VMMALLOC_POOL_SIZE value is less than minimum (1048576 < 14680064)" \
		"VMMALLOC_POOL_SIZE is 1048576.*14M" \
		run VMMALLOC_POOL_SIZE=1048576 /bin/true
	refused "the pool size is negative" "$E negative VMMALLOC_POOL_SIZE" \
		"VMMALLOC_POOL_SIZE is -5" \
		run VMMALLOC_POOL_SIZE=-5 /bin/true
	for value in 10X abc "" 99999999999999999999; do
		refused "the pool size is '$value'" \
			"$E incorrect VMMALLOC_POOL_SIZE value ($value)" \
			"VMMALLOC_POOL_SIZE is ${value:-empty}[,;] .*K, M, G, T" \
			run VMMALLOC_POOL_SIZE="$value" /bin/true
	done

	VMMALLOC_POOL_SIZE=64M
	export VMMALLOC_POOL_SIZE
	for value in 4 -1 x; do
		refused "VMMALLOC_FORK=$value" \
			"$E incorrect VMMALLOC_FORK value ($value)" \
			"VMMALLOC_FORK is $value.*accepted: 0, 1, 2, 3" \
			run VMMALLOC_FORK="$value" /bin/true
	done
	refused "VMMALLOC_RESERVE=some" "$E incorrect VMMALLOC_RESERVE value (some)" \
		"VMMALLOC_RESERVE is some.*accepted: grow, full" \
		run VMMALLOC_RESERVE=some /bin/true
	refused "the directory does not exist" \
		"$E vmem pool creation failed: No such file or directory" \
		"VMMALLOC_POOL_DIR is $work/none.*a writable directory" \
		run VMMALLOC_POOL_DIR="$work/none" /bin/true
	: >"$work/file"
	refused "the directory is a file" \
		"$E vmem pool creation failed: Not a directory" \
		"VMMALLOC_POOL_DIR is $work/file" \
		run VMMALLOC_POOL_DIR="$work/file" /bin/true
	refused "the pool is larger than the file system" \
		"$E vmem pool creation failed: No space left on device" \
		"VMMALLOC_POOL_DIR is .*109951162777600 bytes needed, [0-9]* free" \
		run VMMALLOC_POOL_SIZE=100T /bin/true
	refused "the pool is larger than the limit of file sizes" \
		"$E vmem pool creation failed: File too large" \
		"67108864 bytes needed, 1048576 allowed" \
		sh -c "ulimit -f 2048; VMMALLOC_POOL_SIZE=64M \
			LD_PRELOAD=$(library "$variant") exec /bin/true"
	if file_system ext3 200M; then
		refused "the file system cannot reserve blocks" \
			"$E vmem pool creation failed: Operation not supported" \
			"VMMALLOC_POOL_DIR is $mounted.*cannot reserve blocks" \
			run VMMALLOC_POOL_DIR="$mounted" /bin/true
		unmount_last
	else
		skip "the file system cannot reserve blocks" "$mounted_not"
	fi
	unset VMMALLOC_POOL_DIR VMMALLOC_POOL_SIZE

	# There is no core dump, although the shell allows one.
	(cd "$work" && ulimit -c unlimited 2>/dev/null
		run /bin/true 2>/dev/null)
	expect "$variant: a refused program leaves no core dump" sh -c "! ls $work/core* 2>/dev/null"

	# With good settings the library prints nothing.
	for good in VMMALLOC_POOL_SIZE=14680064 VMMALLOC_POOL_SIZE=14336K \
		VMMALLOC_POOL_SIZE=20000001 VMMALLOC_FORK=0 VMMALLOC_FORK=1 \
		VMMALLOC_RESERVE=full VMMALLOC_CONF=narenas:2 \
		MALLOC_CONF=abort_conf:true,nonsense:1; do
		on_pool "$variant" env "$good" /bin/echo fine >"$work/out" 2>&1
		expect "$variant: $good: the program runs" test "$(cat "$work/out")" = fine
	done

	# The library rounds the pool size up to a page.
	VMMALLOC_POOL_DIR=$work on_pool "$variant" env \
		VMMALLOC_POOL_SIZE=20000001 "$programs/pool/own_process" >"$work/out" 2>&1
	page_kb=$(($(getconf PAGESIZE) / 1024))
	expect "$variant: the pool size is rounded up to a page" grep -q \
		"^size $(((20000001 / 1024 / page_kb + 1) * page_kb)) KiB\$" "$work/out"

	# Only the debug variant has the trace (tests/trace/test_trace.sh). The release variant
	# must not even contain its strings.
	if [ "$variant" = debug ]; then
		for value in 5 -1 x ""; do
			refused "VMMALLOC_LOG_LEVEL='$value'" \
				"$E incorrect VMMALLOC_LOG_LEVEL value ($value)" \
				"VMMALLOC_LOG_LEVEL is ${value:-empty}[,;] .*accepted: 0, 1, 2, 3, 4" \
				on_pool debug env VMMALLOC_LOG_LEVEL="$value" /bin/true
		done
		for value in 2 -1 yes; do
			refused "VMMALLOC_LOG_STATS='$value'" \
				"$E incorrect VMMALLOC_LOG_STATS value ($value)" \
				"VMMALLOC_LOG_STATS is $value, .*accepted: 0, 1" \
				on_pool debug env VMMALLOC_LOG_STATS="$value" /bin/true
		done
		refused "the log file cannot be created" \
			"$E VMMALLOC_LOG_FILE=$work/none/log: No such file or directory" \
			"VMMALLOC_LOG_FILE is $work/none/log; accepted: a file that this user owns" \
			on_pool debug env VMMALLOC_LOG_FILE="$work/none/log" /bin/true
	else
		on_pool release env VMMALLOC_LOG_LEVEL=4 VMMALLOC_LOG_STATS=1 \
			VMMALLOC_LOG_FILE="$work/log" "$programs/fork/heap" \
			>"$work/out" 2>"$work/err"
		expect "release: the library ignores VMMALLOC_LOG_..." \
			test ! -s "$work/err" -a ! -e "$work/log"
		strip --strip-debug -o "$work/stripped" "$(library release)"
		expect "release: the library has no strings of the trace" sh -c "
			! strings '$work/stripped' | grep -e '<libvmmalloc>' \
				-e 'pool opened' -e 'opening a' -e 'pool closed' -e 'alignment is' -e 'pool grown' \
				-e 'exhausted: ' -e 'forking: ' -e '^entered' \
				-e '^operator new' -e ' -> ' -e 'no room for' \
				-e 'LOG_' -e 'statistics of process' -e 'freed before' \
				-e '/lib/[a-z_]*/[a-z_]*\.[ch]'"
	fi

	for name in POOL_DIR POOL_SIZE FORK RESERVE STOP_THREADS; do
		on_pool "$variant" env VMMALLOC_$name= /bin/true >"$work/out" 2>&1
		expect "$variant: VMMALLOC_$name is empty: the message says so" \
			grep -q "^libvmmalloc: VMMALLOC_$name is empty; accepted: " "$work/out"
	done
	expect "$variant: a pool of 1 GiB fits into 1.4 GiB of address space" on_pool "$variant" \
		sh -c "ulimit -v 1500000 && VMMALLOC_POOL_SIZE=1G /bin/true"
done

# In the debug variant the log file has these messages, and those of jemalloc, as well.
for variant in $(variants); do
	[ "$variant" = debug ] || continue
	for bad in VMMALLOC_CONF=nonsense:1 VMMALLOC_FORK=9 VMMALLOC_POOL_SIZE=1 \
		VMMALLOC_POOL_DIR="$work/none"; do
		rm -f "$work/log"
		on_pool debug env VMMALLOC_LOG_FILE="$work/log" $bad /bin/true \
			2>"$work/err"
		expect "debug: $bad: the log file has the messages of stderr" \
			cmp "$work/err" "$work/log"
	done
	rm -f "$work/log"
	on_pool debug env VMMALLOC_LOG_FILE="$work/log" \
		VMMALLOC_CONF=confirm_conf:true,narenas:1 /bin/true 2>"$work/err"
	expect "debug: the log file has jemalloc's messages" \
		grep -q 'Set conf value: narenas:1' "$work/log"
done

# A system may have larger pages than the private jemalloc was built for.
for variant in $(variants); do
	refused "the system has pages of 1 MiB" \
		"$E the library is built for smaller pages of memory than this system's, of 1048576 bytes" \
		"build the library with a jemalloc that is configured with --with-lg-page=20" \
		on_pool "$variant" env LD_PRELOAD="$(library "$variant") $programs/places/.libs/sysconf_1m.so" \
		/bin/true
done

# Root may write to any directory, so an ordinary user runs the program.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1; then
	# That user must be able to read the library.
	open=$(mktemp -d /tmp/vmmalloc.XXXXXX)
	chmod 755 "$open"
	for variant in $(variants); do
		cp "$(library "$variant")" "$open/libvmmalloc.so.1"
		mkdir -p "$open/closed"
		refused "the user may not write to the directory" \
			"$E vmem pool creation failed: Permission denied" \
			"a writable directory" \
			setpriv --reuid=65534 --regid=65534 --clear-groups env \
			VMMALLOC_POOL_DIR="$open/closed" VMMALLOC_POOL_SIZE=64M \
			LD_PRELOAD="$open/libvmmalloc.so.1" /bin/true
	done
	rm -rf "$open"
else
	skip "the user may not write to the directory" "needs root and setpriv"
fi
plan
