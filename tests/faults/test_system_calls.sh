#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_system_calls.sh: each system call of the library fails with each errno value. By
# default a choice of calls fails. CI_FULL: each of the first 200 with VMMALLOC_FORK=1, a
# choice with 0 and 2; lasting errors with all three; all system calls without O_TMPFILE; with
# a trace; and on a file system on which parent and child share blocks.
. "${top_srcdir:-..}/tests/support/lib.sh"

# Functions that the library takes from libc. Of these only syscall(2), clone(2) and
# setresuid(2) make the system calls of its table (os/linux_sys.c). The last two lines are
# jemalloc's, for its heap profiles and background threads.
known='syscall clone setresuid
	_dl_find_object _exit abort environ exp getauxval log memchr memcmp memcpy memmove
	memset pthread_.* round sigfillset stpcpy str.* sysconf dlsym fprintf _IO_list_.*
	__.* _ITM_.* getcontext makecontext swapcontext
	close creat getpid gettid gettimeofday open sched_getaffinity sched_getcpu
	sched_setaffinity sched_yield'
# shellcheck disable=SC2086 # words
printf '%s\n' $known >"$work/known"
for variant in $(variants); do
	nm -D --undefined-only "$(library "$variant")" |
		sed 's/.* //; s/@.*//' | grep -vxf "$work/known" >"$work/unknown"
	expect "$variant: the library makes system calls only through its table" \
		test ! -s "$work/unknown"
	comment "$work/unknown"
done

# If possible, each variant has a file system of its own, whose free space shows what the
# variant leaves behind.
for variant in $(variants); do
	option=size=200M
	[ "$variant" = release ] || option=size=201M
	if file_system tmpfs 200M $option; then
		own=-o
	else
		mounted=$pool_dir/$variant
		mkdir "$mounted"
		own=
	fi
	mkdir "$mounted/pools"
	chmod 755 "$mounted/pools"
	eval "place_$variant=\$mounted/pools"
done

# inject WHAT FORK [OPTION...]: runs faults/system_calls with VMMALLOC_FORK=FORK and these
# options, in all variants at the same time. Reports the results; their names begin with WHAT.
inject() {
	what=$1 fork=$2
	shift 2
	for variant in $(variants); do
		eval "dir=\$place_$variant"
		{
			# shellcheck disable=SC2086 # a word, or none
			VMMALLOC_POOL_DIR=$dir VMMALLOC_POOL_SIZE=16M \
				INJECT="$work/page.$variant" VMMALLOC_FORK=$fork \
				"$programs/faults/system_calls" $own "$@" \
				"$programs/faults/.libs/system_calls_seam.so $(library "$variant")" \
				>"$work/tap.$variant" 2>&1
			echo $? >"$work/status.$variant"
		} &
	done
	wait
	for variant in $(variants); do
		(exit "$(cat "$work/status.$variant")")
		tap "$work/tap.$variant" "$what, VMMALLOC_FORK=$fork, $variant"
	done
}

if [ -z "${CI_FULL-}" ]; then
	for fork in 1 2; do
		inject "a call fails" $fork
	done
	# Without O_TMPFILE the library creates the file with a name, and removes the name.
	inject "a call fails, no O_TMPFILE" 2 -t -c unlinkat
	inject "all calls from one on fail" 1 -l
	for call in mbind get_mempolicy; do
		VMMALLOC_NUMA=bind:0 inject "a call fails, VMMALLOC_NUMA" 2 -c $call
	done
else
	# VMMALLOC_FORK=3 makes the calls of 2.
	for fork in 0 1 2; do
		inject "a call fails" $fork
		inject "all calls from one on fail" $fork -l
	done
	inject "a call fails" 1 -a
	inject "a call fails, no O_TMPFILE" 2 -t
	VMMALLOC_NUMA=bind:0 inject "a call fails, VMMALLOC_NUMA" 2
	ln -s log "$work/link"
	mkdir "$work/log"
	export VMMALLOC_LOG_LEVEL=2 VMMALLOC_LOG_FILE="$work/link/log"
	inject "a call fails, with a trace" 1
	inject "a call fails, with a trace" 2
	unset VMMALLOC_LOG_LEVEL VMMALLOC_LOG_FILE
	if file_system xfs 600M; then
		own=
		export INJECT_SYNC=1
		for variant in $(variants); do
			mkdir "$mounted/$variant"
			eval "place_$variant=\$mounted/\$variant"
		done
		inject "a call fails, shared blocks" 2 -a
		inject "all calls from one on fail, shared blocks" 2 -l
	else
		skip "shared blocks" "$mounted_not"
	fi
fi
plan
