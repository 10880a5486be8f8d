#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_ps_check.sh: vmmalloc ps and vmmalloc check.
. "${top_srcdir:-..}/tests/support/lib.sh"

vmmalloc=$programs/vmmalloc

# runs COMMAND...: sets $status, and leaves the output in $work/out and $work/err.
runs() {
	"$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
}

# ps.
# shows WHAT PATTERN COMMAND...: starts COMMAND, which prints a line and then waits for the
# end of its input; meanwhile, the line of vmmalloc ps for it matches PATTERN.
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
size='[0-9.]*[KM]' large='[0-9.]*[BKM]' nodes='[-0-9=,.BKMG]*'
if command -v python3 >/dev/null 2>&1; then
	shows "ps: size, and no private memory" \
		"python3  *512M  *$size  *$size  *0B  *$large yes  *$nodes *" python3 -c '
import sys
print("ready", flush=True)
sys.stdin.read()'
	expect "ps: the header line" grep -q \
		'^ *PID COMMAND  *SIZE  *IN-USE  *RAM  *PRIVATE  *LARGE STOPS  *NODES  *DIRECTORY$' "$work/out"
	shows "ps: private memory after a fork" \
		"python3  *512M  *[0-9.]*M  *[0-9.]*M  *[1-9][0-9.]*M  *$large yes  *$nodes *" python3 -c '
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
	shows "ps: after VMMALLOC_FORK=2" \
		"python3  *512M  *$size  *$size  *[0-9.]*[BKM]  *$large yes  *$nodes *" -f 2 python3 -c '
import os, sys
held = [bytearray(1000) for i in range(20000)]
if os.fork() == 0:
    os._exit(0)
os.wait()
print("ready", flush=True)
sys.stdin.read()'
	shows "ps: the program has closed the pool file" \
		"python3  *512M  *-  *$size  *0B  *$large yes  *$nodes *" python3 -c '
import os, sys
os.closerange(3, 2000)
print("ready", flush=True)
sys.stdin.read()'
	shows "ps: the program has mapped a larger file" \
		"python3  *512M  *$size  *$size  *0B  *$large yes  *$nodes *" python3 -c '
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR)
os.ftruncate(fd, 1 << 30)
map = mmap.mmap(fd, 1 << 30)
print("ready", flush=True)
sys.stdin.read()' "$pool_dir"
	shows "ps: control characters in a name" \
		"a?\[31m???b  *512M  *$size  *$size  *0B  *$large yes  *$nodes *" python3 -c '
import sys
with open("/proc/self/comm", "wb") as comm:
    comm.write(b"a\033[31m\233\302\233b")
print("ready", flush=True)
sys.stdin.read()'
	if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1 &&
		unshare -m mount -t proc -o hidepid=2 proc /proc 2>/dev/null; then
		runs unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc &&
			exec setpriv --reuid 65534 --clear-groups "$0" ps' "$vmmalloc"
		expect "ps: reports that /proc hides processes" grep -q \
			'/proc hides processes of other users .*run vmmalloc ps as root' \
			"$work/err"
		runs setpriv --reuid 65534 --clear-groups "$vmmalloc" ps
		expect "ps: reports other users' processes where /proc does not hide them" sh -c "
			! grep 'hidepid' '$work/err' &&
			grep 'are not shown; run vmmalloc ps as root' '$work/err'"
	else
		skip "ps: reports that /proc hides processes" \
			"needs root, setpriv and unshare"
	fi
else
	skip "ps: python3" "no python3 here"
fi

# check.
# checked WHAT STATUS PATTERN...: vmmalloc check $mounted exits with STATUS, and prints for
# each PATTERN a line that begins with it.
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
# place TYPE SIZE OPTION STATUS PATTERN...: mounts a new file system of TYPE and SIZE, with
# OPTION if that is not empty, and calls `checked` there.
place() {
	place_what="$1${3:+ $3}" place_status=$4
	if file_system "$1" "$2" "$3"; then
		shift 4
		checked "$place_what" "$place_status" "$@"
		unmount_last
	else
		skip "check $place_what" "$mounted_not"
	fi
}
place tmpfs 64M "" 0 "file system:  *tmpfs" "memory: .* without a disk" \
	"huge pages:  *\(made by the library\|never\)" "free space:  *64M" "reserves:  *yes" \
	"memory nodes:  *\([0-9]*: [0-9.]*[MGT], [0-9.]*[MGT] free\|not known\)" "VMMALLOC_NUMA:  *\(yes\|no: the kernel, or\)" \
	"shares blocks:  *no" "advice:  *good\(: memory\|; faster\) with large pages"
place tmpfs 64M huge=always 0 "huge pages:  *always" "advice:  *good: memory"
place tmpfs 10M "" 1 "advice:  *no pool is possible: less than"
place ext4 300M "" 0 "file system:  *ext4" "memory: .*written back" \
	"VMMALLOC_NUMA:  *no: the kernel places" \
	"shares blocks:  *no" "advice:  *works"
place ext3 200M "" 1 "reserves:  *Operation not supported" \
	"advice:  *no pool is possible: the file system cannot reserve"
place xfs 400M "" 0 "file system:  *xfs" "shares blocks:  *yes" \
	"advice:  *good for large heaps on a disk"
place btrfs 400M "" 0 "file system:  *btrfs" "advice:  *works, but slowly"
place hugetlbfs 64M "" 0 "file system:  *hugetlbfs" "huge pages:  *all, of 2M" \
	"advice:  *good for programs that do not fork"
# SIGXFSZ does not end the command under a limit of file sizes.
for limit in 1024 20480; do
	runs sh -c "ulimit -f $limit; exec '$vmmalloc' check '$work'"
	expect "check under ulimit -f $limit: no pool is possible" test $status -eq 1
	expect "check under ulimit -f $limit: the reason" grep -q \
		'^advice:  *no pool is possible: the file size limit .*raise ulimit -f' "$work/out"
done
mounted=$work/none
runs "$vmmalloc" check "$work/none"
expect "check: no such directory" sh -c "test $status -eq 1 &&
	grep -q '^vmmalloc: $work/none: No such file or directory' '$work/err'"
mounted=/proc
checked /proc 1 "file system:  *proc" \
	"advice:  *no pool is possible: cannot make a file"
# overlayfs lies above another file system. ramfs does not count its file blocks.
if [ "$(id -u)" -eq 0 ] && mkdir "$work/below" "$work/ramfs" "$work/layers" &&
	mount -t ramfs none "$work/ramfs" && mounts="$work/ramfs $mounts" &&
	mount -t tmpfs -o size=300M none "$work/below" && mounts="$work/below $mounts" &&
	mkdir "$work/below/upper" "$work/below/work" && mount -t overlay -o \
	"lowerdir=$work/layers,upperdir=$work/below/upper,workdir=$work/below/work" \
	none "$work/layers" 2>/dev/null && mounts="$work/layers $mounts"; then
	mounted=$work/layers
	checked overlay 0 "file system:  *overlay" "memory: .*the upper file system" \
		"free space:  *300M" "reserves:  *yes" "shares blocks:  *no" \
		"advice:  *works, but without large pages .* below overlayfs"
	runs "$vmmalloc" -d "$mounted" -s 64M "$programs/support/churn" 1000
	expect "a program runs on overlayfs" test $status -eq 0
	mounted=$work/ramfs
	checked ramfs 1 "file system:  *ramfs" "memory: .*without a disk" \
		"reserves:  *Operation not supported" \
		"advice:  *no pool is possible: the file system cannot reserve"
else
	skip "check overlay, ramfs" "needs root to mount them"
fi
plan
