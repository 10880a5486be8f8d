#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_limits.sh: the heap in unusual environments: environment variables, descriptors,
# roots, namespaces, forbidden system calls, few mappings, little memory.
. "${top_srcdir:-..}/tests/support/lib.sh"

is_root=no
[ "$(id -u)" -ne 0 ] || is_root=yes
pool_size=64M

# limits WHAT VARIANT [ARGUMENT...]: runs the program with each VMMALLOC_FORK,
# or with those in $forks.
limits() {
	what=$1 variant=$2
	shift 2
	for fork in ${forks-0 1 2 3}; do
		VMMALLOC_FORK=$fork on_pool "$variant" "$programs/environment/limits" "$@" \
			>"$work/tap" 2>&1
		tap "$work/tap" "$what, VMMALLOC_FORK=$fork, $variant"
	done
}

# refused PATTERN: the last command ended with status 1 and two lines. The first has PATTERN.
refused() {
	test "$status" -eq 1 -a "$(wc -l <"$work/err")" -eq 2 &&
		sed -n 1p "$work/err" | grep -q "^Error (libvmmalloc): .*$1" &&
		sed -n 2p "$work/err" | grep -q '^libvmmalloc: '
}

# runs_or_refused VARIANT LIMIT...: under this limit of ulimit the program runs, or ends with
# a message. Succeeds also if the program cannot run under the limit without the library.
started=0
runs_or_refused() {
	limited_library=$(library "$1")
	shift
	sh -c "ulimit $*; exec $programs/support/churn 1000" >"$work/out" 2>&1 || return 0
	sh -c "ulimit $*; VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=64M \
		LD_PRELOAD=$limited_library exec $programs/support/churn 1000" \
		>"$work/out" 2>"$work/err"
	status=$?
	if [ $status -eq 0 ]; then
		started=$((started + 1))
		return
	fi
	refused "" && return
	[ $status -eq 1 ] && grep -q '^churn: out of memory$' "$work/err" && return
	[ $status -eq 127 ] && grep -q 'error while loading' "$work/err" && return
	echo "status $status $(cat "$work/err")"
	return 1
}

environment() {
	for fork in 1 2; do
		env -i VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
			VMMALLOC_FORK=$fork LD_PRELOAD="$(library "$1")" \
			"$programs/environment/limits" plain "$pool_dir" >"$work/tap" 2>&1
		tap "$work/tap" "an environment with the settings only, VMMALLOC_FORK=$fork, $1"
	done
	limits "the program changes its environment" "$1" environ
	limits "the first allocation comes before environ is set" "$1" preinit "$pool_dir"
}

# Some of the descriptors 0, 1 and 2 are closed at the start. Neither the pool file nor a
# log file may take their numbers.
stdio() {
	bad=
	library=$(library "$1")
	for closed in 0 1 2 01 012; do
		case $closed in *0*) to='<&-' ;; *) to='</dev/null' ;; esac
		case $closed in *1*) to="$to >&-" ;; *) to="$to >/dev/null" ;; esac
		case $closed in *2*) to="$to 2>&-" ;; *) to="$to 2>/dev/null" ;; esac
		for fork in 1 2; do
			for log in "" "$work/log-"; do
				eval 'env VMMALLOC_POOL_DIR="$pool_dir" \
					VMMALLOC_POOL_SIZE=64M \
					VMMALLOC_FORK=$fork \
					${log:+VMMALLOC_LOG_FILE="$log"} \
					LD_PRELOAD="$library" \
					"$programs/environment/limits" stdio $closed' "$to" ||
					bad="$bad $closed, VMMALLOC_FORK=$fork, log $log;"
			done
		done
	done
	expect "$1: descriptors 0, 1 and 2 that were closed at the start stay closed" \
		sh -c 'echo "$0"; test -z "$0"' "$bad"
	rm -f "$work"/log-*
}

# The daemon writes on after its parent has ended. `cat` waits for the end of its output.
closes() {
	for fork in 0 1 2 3; do
		{
			VMMALLOC_FORK=$fork on_pool "$1" "$programs/environment/limits" \
				closes </dev/null 2>&1
		} | cat >"$work/tap"
		tap "$work/tap" "the program closes all descriptors, VMMALLOC_FORK=$fork, $1"
	done
}

roots() {
	if [ $is_root = no ]; then
		skip "$1: other roots and namespaces" "needs root"
		return
	fi
	mkdir -p "$work/root"
	limits "the program changes its root" "$1" chroot "$work/root"
	limits "the program changes its root, without descriptors" "$1" chroot_closed \
		"$work/root"
	forks=1
	limits "another root, no descriptors, a thread of clone(2)" "$1" chroot_raw \
		"$work/root"
	unset forks
	limits "the root is gone" "$1" gone
	if unshare -m -p -i true 2>/dev/null; then
		limits "the program enters new namespaces" "$1" unshare
		limits "the program enters a new process namespace beside a thread" "$1" \
			unshare_beside
		limits "the program loses /proc" "$1" noproc
		forks="1 2 3"
		on_pool_by="$work/no_proc"
		cat >"$work/no_proc" <<-'END'
			#!/bin/sh
			exec unshare -m sh -c 'umount -l /proc; exec "$@"' sh "$@"
		END
		chmod +x "$work/no_proc"
		limits "no /proc at the start" "$1" plain "$pool_dir"
		on_pool_by="unshare -U -r"
		if unshare -U -r true 2>/dev/null; then
			limits "another user namespace" "$1" plain "$pool_dir"
		else
			skip "$1: another user namespace" "not allowed here"
		fi
		on_pool_by="unshare -p -f"
		limits "the first process of a process namespace" "$1" plain "$pool_dir"
		# Two nested namespaces, with the /proc of the outer one. There the inner
		# unshare is process 1, so each ID is larger by 1 than the process's own.
		on_pool_by="unshare -p -f --mount-proc unshare -p -f"
		forks=1
		limits "/proc of an outer process namespace" "$1" outer_proc
		on_pool_by=
		unset forks
	else
		skip "$1: namespaces" "not allowed here"
	fi
}

directory() {
	for fork in 1 2 3; do
		mkdir "$pool_dir/gone"
		VMMALLOC_POOL_DIR=$pool_dir/gone VMMALLOC_FORK=$fork \
			on_pool "$1" "$programs/environment/limits" rmdir "$pool_dir/gone" \
			>"$work/tap" 2>&1
		tap "$work/tap" "the pool's directory is removed, VMMALLOC_FORK=$fork, $1"
	done
	if ! file_system tmpfs 100M; then
		skip "$1: the library refuses a read-only mount" "$mounted_not"
		return
	fi
	mount -o remount,ro "$mounted"
	VMMALLOC_POOL_DIR=$mounted on_pool "$1" /bin/true 2>"$work/err"
	status=$?
	expect "$1: the library refuses a read-only mount" refused "Read-only file system"
	unmount_last
}

# forbidden VARIANT CALL ERRNO: runs the program with a call that fails from the start on.
# Sets $status. Its messages are in $work/err.
forbidden() {
	LD_PRELOAD='' "$programs/environment/limits" forbid "$2" "$3" env \
		VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=$pool_size \
		VMMALLOC_FORK="${fork-1}" LD_PRELOAD="$(library "$1")" \
		"$programs/environment/limits" plain "$pool_dir" >"$work/tap" 2>"$work/err"
	status=$?
	return $status
}

calls() {
	if ! "$programs/environment/limits" forbid clone ENOSYS true; then
		skip "$1: forbidden system calls" "seccomp is not available here"
		return
	fi
	forbidden "$1" fallocate EPERM
	expect "$1: the library refuses to start if fallocate fails with EPERM" \
		refused "Operation not permitted"
	forbidden "$1" fallocate ENOSYS
	expect "$1: the library refuses to start if fallocate fails with ENOSYS" \
		refused "Function not implemented"
	forbidden "$1" ftruncate EPERM
	expect "$1: the library refuses to start if ftruncate fails" \
		refused "Operation not permitted"
	for call in madvise statx getrandom prlimit64 fstatfs ioctl lseek \
		sched_getaffinity rt_sigprocmask sync_file_range; do
		for fork in 1 2; do
			forbidden "$1" $call EPERM
			tap "$work/tap" "$call always fails, VMMALLOC_FORK=$fork, $1"
		done
	done
	for error in EPERM ENOSYS; do
		limits "fallocate fails later with $error" "$1" fallocate $error
	done
	limits "no more processes" "$1" clone
	VMMALLOC_POOL_SIZE=400M on_pool "$1" timeout -s KILL 60 "$programs/places/timer" 256 \
		>"$work/tap" 2>&1
	tap "$work/tap" "a profiler's timer, $1"
}

memory() {
	limits "few mappings" "$1" mappings
	limits "little address space" "$1" as
	limits "little data" "$1" data
	forks="1 2"
	limits "few mappings and no pool descriptor" "$1" mappings closed
	limits "little data and no pool descriptor" "$1" data closed
	limits "little address space and no pool descriptor" "$1" as closed
	unset forks
	bad=
	started=0
	for kib in 1000 2000 4000 6000 8000 10000 15000 20000 30000 50000 70000 75000 \
		80000 90000 100000 120000 150000 200000 250000 300000; do
		for limit in -v -d; do
			runs_or_refused "$1" $limit $kib >"$work/why" ||
				bad="$bad $limit $kib: $(cat "$work/why");"
		done
	done
	echo "# $started of 40 started"
	expect "$1: with any limit of memory a program starts or is refused" \
		sh -c "echo \"\$0\"; test -z \"\$0\"" "$bad"
	bad=
	started=0
	for limit in 0 1 2 3 4 5 6 7 8 9 10 12 16 32 1000 1001 1005; do
		runs_or_refused "$1" -n $limit >"$work/why" ||
			bad="$bad $limit: $(cat "$work/why");"
	done
	echo "# $started of 17 started"
	expect "$1: with any limit of descriptors a program starts or is refused" \
		sh -c "echo \"\$0\"; test -z \"\$0\"" "$bad"
}

layouts() {
	if ! setarch -R true 2>/dev/null; then
		skip "$1: no address randomisation" "needs setarch"
		return
	fi
	forks="1 2 3"
	on_pool_by="setarch -R"
	limits "no address randomisation" "$1" plain "$pool_dir"
	on_pool_by="setarch -R -L"
	limits "mappings begin at the lowest address" "$1" plain "$pool_dir"
	on_pool_by=
	unset forks
}

for variant in $(variants); do
	for part in ${VMM_TEST_PARTS-environment stdio closes roots directory calls \
		memory layouts}; do
		$part "$variant"
	done
done
# This filter allows the system calls that an ordinary malloc needs, and kills the process
# for all others.
cat >"$work/filtered.c" <<'END'
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	static const long allowed[] = { SYS_read, SYS_write, SYS_mmap, SYS_munmap,
		SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk, SYS_futex, SYS_exit_group,
		SYS_rt_sigprocmask, SYS_getrandom };
	enum { COUNT = sizeof(allowed) / sizeof(allowed[0]) };
	struct sock_filter filter[2 * COUNT + 2] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	    offsetof(struct seccomp_data, nr)) };
	struct sock_fprog program = { 2 * COUNT + 2, filter };
	for (int i = 0; i < COUNT; i++) {
		filter[2 * i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
		    (unsigned)allowed[i], 0, 1);
		filter[2 * i + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
		    SECCOMP_RET_ALLOW);
	}
	filter[2 * COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
	    SECCOMP_RET_KILL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(77);
	for (int i = 0; i < 200; i++) {
		char *block = malloc((size_t)1 << 20);
		if (block == NULL)
			_exit(i < 40);
		memset(block, 1, (size_t)1 << 20);
	}
	_exit(0);
}
END
if ${CC:-cc} -o "$work/filtered" "$work/filtered.c" 2>"$work/err"; then
	for variant in $(variants); do
		what="$variant, VMMALLOC_RESERVE=full: malloc works under a strict filter"
		VMMALLOC_RESERVE=full on_pool "$variant" "$work/filtered" >"$work/out" 2>&1
		status=$?
		if [ $status -eq 77 ]; then
			skip "$what" "seccomp is not available here"
		else
			expect "$what" sh -c "cat '$work/out'; test $status -eq 0"
		fi
	done
else
	skip "malloc works under a strict filter" "$(head -n 1 "$work/err")"
fi

# man(1) runs other programs under a filter that forbids them to create files.
if ! man -P cat ls >"$work/plain" 2>/dev/null || [ ! -s "$work/plain" ]; then
	skip "man -P cat ls" "the manual of ls is not installed"
else
	for variant in $(variants); do
		on_pool "$variant" man -P cat ls >"$work/out" 2>"$work/err"
		if [ -s "$work/err" ]; then
			expect "$variant: under man's filter the message names the filter" \
				grep -q 'VMMALLOC_POOL_DIR is .*; a seccomp filter forbids' \
				"$work/err"
		else
			expect "$variant: man works if it has no filter" cmp "$work/plain" "$work/out"
		fi
		on_pool "$variant" env MAN_DISABLE_SECCOMP=1 man -P cat ls \
			>"$work/out" 2>"$work/err"
		expect "$variant: MAN_DISABLE_SECCOMP=1 man -P cat ls" \
			cmp "$work/plain" "$work/out"
	done
fi
plan
