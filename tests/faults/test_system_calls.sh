#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_system_calls.sh: each system call of the library fails, with each errno. By default a
# choice of times; CI_FULL: each of the first 200 where a heap leaves its file and returns,
# and a choice in all variants of fork; lasting faults, a file system whose blocks are
# shared, all without O_TMPFILE.
. "${top_srcdir:-..}/tests/support/lib.sh"

# What the library takes from libc: system calls by syscall(2), clone(2) and setresuid(2)
# alone (os_linux_sys.h). The last are jemalloc's, for heap profiles and threads of its own.
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
	expect "$variant: every system call is in the table of those that are made to fail" \
		test ! -s "$work/unknown"
	comment "$work/unknown"
done

# A file system for each variant: what is left there was left by it.
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

# inject WHAT FORK [OPTION...]: in both variants at once.
inject() {
	what=$1 fork=$2
	shift 2
	for variant in $(variants); do
		eval "dir=\$place_$variant"
		{
			# shellcheck disable=SC2086 # a word, or none
			VMMALLOC_POOL_DIR=$dir VMMALLOC_POOL_SIZE=16M \
				INJECT="$work/page.$variant" VMMALLOC_FORK=$fork "$programs/faults/system_calls" $own "$@" \
				"$programs/faults/.libs/system_calls_seam.so $(library "$variant")" \
				>"$work/tap.$variant" 2>&1
			echo $? >"$work/status.$variant"
		} &
	done
	wait
	for variant in $(variants); do
		(exit "$(cat "$work/status.$variant")")
		tap "$work/tap.$variant" "$what, fork $fork, $variant"
	done
}

if [ -z "${CI_FULL-}" ]; then
	for fork in 1 2; do
		inject once $fork
	done
	# What differs without it is at the file's first name.
	inject "no O_TMPFILE" 2 -t -c unlinkat
	inject "from then on" 1 -l
else
	for fork in 0 1 2 3; do
		inject once $fork
		inject "from then on" $fork -l
	done
	inject once 1 -a
	inject "no O_TMPFILE" 2 -t
	ln -s log "$work/link"
	mkdir "$work/log"
	export VMMALLOC_LOG_LEVEL=2 VMMALLOC_LOG_FILE="$work/link/log"
	inject "with a trace" 1
	inject "with a trace" 2
	unset VMMALLOC_LOG_LEVEL VMMALLOC_LOG_FILE
	if file_system xfs 600M; then
		own=
		export INJECT_SYNC=1
		for variant in $(variants); do
			mkdir "$mounted/$variant"
			eval "place_$variant=\$mounted/\$variant"
		done
		inject "shared blocks" 2 -a
		inject "shared blocks, from then on" 2 -l
	else
		skip "shared blocks" "$mounted_not"
	fi
fi
plan
