#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_memory.sh: pools in memory, without a file (:memory:) or in huge pages without a mount
# (:memory:2M).
. "${top_srcdir:-..}/tests/support/lib.sh"

vmmalloc=$programs/vmmalloc
VMMALLOC_POOL_DIR=:memory:
export VMMALLOC_POOL_DIR

# refused WHAT PATTERN COMMAND...: the command ends with status 1, and the second line of its
# message matches PATTERN.
refused() {
	refused_what=$1 refused_pattern=$2
	shift 2
	"$@" >"$work/out" 2>"$work/err"
	refused_status=$?
	expect "$refused_what" sh -c "cat '$work/err'; [ $refused_status -eq 1 ] &&
		sed -n 2p '$work/err' | grep -q '$refused_pattern'"
}

# programs_run PLACE VARIANT: programs and forks as on the ordinary heap.
programs_run() {
	expect "$1, $2: a program runs" on_pool "$2" "$programs/support/churn" 300000
	# The debug variant needs memory for its guards.
	if [ "$2" = release ]; then
		on_pool release "$programs/pool/capacity" 67108864 >"$work/tap" 2>&1
		tap "$work/tap" "$1"
	fi
	for fork in 0 1 2 3; do
		# With VMMALLOC_FORK=0 a child shares the pages of a file.
		[ "$1 $fork" != ":memory:2M 0" ] || continue
		VMMALLOC_FORK=$fork on_pool "$2" "$programs/fork/heap" kept >"$work/tap" 2>&1
		tap "$work/tap" "$1, VMMALLOC_FORK=$fork, $2"
	done
}

for variant in $(variants); do
	programs_run :memory: "$variant"
done
pool_size=256M
for case in $("$programs/fork/callers" list); do
	on_pool release "$programs/fork/callers" "$case" >"$work/tap" 2>&1
	tap "$work/tap" ":memory:, fork/callers $case"
done
on_pool release "$programs/fork/stop_threads" 4 100000 >"$work/tap" 2>&1
tap "$work/tap" ":memory:, fork/stop_threads"
expect ":memory:, fork/model" on_pool release "$programs/fork/model" 4
# Settings of pages are the kernel's business here. The library itself sets MADV_HUGEPAGE.
on_pool release "$programs/fork/page_settings" mlock dontdump dontfork wipeonfork guard \
	own_shared >"$work/tap" 2>&1
tap "$work/tap" ":memory:, fork/page_settings"
expect "a child of clone(2) has a heap of its own" on_pool release \
	"$programs/places/raw_child"

# Memory.
pool_size=64M
on_pool release "$programs/places/large_pages" grow 20 >"$work/out"
expect "untouched memory is not allocated" \
	test "$(cut -d ' ' -f 3 "$work/out")" -le 26000
on_pool release env VMMALLOC_RESERVE=full "$programs/places/large_pages" grow 20 >"$work/out"
expect "VMMALLOC_RESERVE=full allocates the whole pool" \
	test "$(cut -d ' ' -f 3 "$work/out")" -ge 65536
comment "$work/out"
case $(cat /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null) in
*"[never]"* | "") skip "large pages" "the kernel gives none (transparent_hugepage)" ;;
*)
	# Fragmented memory has few of them.
	pool_size=256M
	if measures "large pages"; then
		on_pool release "$programs/places/large_pages" grow 100 >"$work/out"
		expect "the heap has large pages" test "$(cut -d ' ' -f 2 "$work/out")" -ge 49152
		comment "$work/out"
	fi
	on_pool release env VMMALLOC_LARGE_PAGES=never "$programs/places/large_pages" grow 100 \
		>"$work/out"
	expect "VMMALLOC_LARGE_PAGES=never: no large pages" test "$(cut -d ' ' -f 2 "$work/out")" -eq 0
	;;
esac
pool_size=64M

# Messages.
refused ":memory:x is refused" "POOL_DIR is :memory:x, .*pools in memory are :memory:, :memory:2M" \
	env VMMALLOC_POOL_DIR=:memory:x LD_PRELOAD="$(library release)" \
	VMMALLOC_POOL_SIZE=64M true
refused "huge pages of an unknown size are refused" "no huge pages of that size" \
	env VMMALLOC_POOL_DIR=:memory:4K LD_PRELOAD="$(library release)" \
	VMMALLOC_POOL_SIZE=64M true
refused "a pool above ulimit -v is refused" "POOL_DIR is :memory:, .*ulimit -v" \
	sh -c 'ulimit -v 200000 && exec "$@"' - env LD_PRELOAD="$(library release)" \
	VMMALLOC_POOL_SIZE=300M true

# The statistics, the command.
if [ -n "$(variants | grep debug)" ]; then
	VMMALLOC_LOG_STATS=1 on_pool debug true 2>"$work/err"
	expect "statistics: memory without a file" sh -c "
		grep -q '^  pool in:  *:memory:, memory\$' '$work/err' &&
		grep -q '^  heap is in:  *memory without a file\$' '$work/err' &&
		! grep -q 'blocks of the file' '$work/err'"
fi
expect "vmmalloc -d :memory: runs a program, with a default size" \
	env -u VMMALLOC_POOL_DIR "$vmmalloc" -d :memory: "$programs/support/churn" 1000
"$vmmalloc" -s 100M "$vmmalloc" ps >"$work/out" 2>"$work/err"
expect "ps lists :memory:" \
	grep -q '^ *[0-9]* vmmalloc  *100M  *-  *[0-9.]*[KM]  *0B  *0B unneeded .* :memory:$' \
	"$work/out"
# Its mark may lie above the library or below it: both orders, by the library's place.
cp "$(library release)" "$pool_dir/libvmmalloc.so.1"
LD_PRELOAD=$pool_dir/libvmmalloc.so.1 VMMALLOC_POOL_SIZE=100M "$vmmalloc" ps >"$work/out"
expect "ps lists :memory:, with the library in another place" \
	grep -q '^ *[0-9]* vmmalloc  *100M .* :memory:$' "$work/out"
"$vmmalloc" check :memory: >"$work/out"
expect "vmmalloc check: status 0" test $? -eq 0
for line in "file system:  *memory" "memory: .*without a file" "huge pages:  *[a-z]* (transparent_hugepage/enabled)" \
	"free memory:  *[0-9.]*[MGT]" "VMMALLOC_NUMA:  *\(yes\|no: the kernel, or\)" "advice:  *good"; do
	expect "vmmalloc check: $line" grep -q "^$line" "$work/out"
done

# A control group's limit is below the size of the pool.
groups=/sys/fs/cgroup limit=memory.max
[ -e $groups/cgroup.controllers ] || groups=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
group=$groups/vmmalloc.$$
remove_group() {
	[ ! -e "$group" ] || rmdir "$group"
}
trap 'remove_group; clean_up' EXIT
if [ -e $groups/cgroup.procs ] && mkdir "$group" 2>/dev/null &&
	[ -e "$group/$limit" ] && echo $((100 << 20)) >"$group/$limit"; then
	refused "a pool that is larger than the control group allows" \
		"209715200 bytes needed, 104857600 allowed by the control group" sh -c '
		echo $$ >'"$group"'/cgroup.procs && exec "$@"' - env VMMALLOC_POOL_SIZE=200M \
		LD_PRELOAD="$(library release)" true
	expect "a smaller pool is made" sh -c '
		echo $$ >'"$group"'/cgroup.procs && exec "$@"' - env VMMALLOC_POOL_SIZE=80M \
		LD_PRELOAD="$(library release)" true
	sh -c 'echo $$ >'"$group"'/cgroup.procs && exec "$@"' - "$vmmalloc" check :memory: \
		>"$work/out"
	expect "vmmalloc check: the limit" grep -q '^limit:  *100M (control group' "$work/out"
else
	skip "the limit of a control group" "needs root, and control groups for memory"
fi
remove_group
trap clean_up EXIT

# An ordinary user, in namespaces with a /dev/shm of 64 MiB as in a container.
chmod 755 "$work"
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1 && unshare -m true 2>/dev/null &&
	setpriv --reuid 65534 --clear-groups test -r "$(library release)"
then
	cat >"$work/as_user" <<-END
	mount -t tmpfs -o size=64M,mode=1777 none /dev/shm || exit 9
	exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs "\$@"
	END
	node=$(grep -o '^[0-9]*' /sys/devices/system/node/has_memory 2>/dev/null)
	expect "an ordinary user with a small /dev/shm" unshare -m sh "$work/as_user" \
		env VMMALLOC_POOL_SIZE=512M LD_PRELOAD="$(library release)" \
		"$programs/places/large_pages" grow 150
	expect "an ordinary user, VMMALLOC_NUMA" unshare -m sh "$work/as_user" env \
		VMMALLOC_POOL_SIZE=512M VMMALLOC_NUMA="${node:+bind:$node}" LD_PRELOAD="$(library release)" \
		"$programs/places/large_pages" grow 150
else
	skip "an ordinary user with a small /dev/shm" \
		"needs root, setpriv, unshare, and a build that all users can read"
fi

# Huge pages.
VMMALLOC_POOL_DIR=:memory:2M
if [ "$(id -u)" -eq 0 ] && huge_pages 1536M; then
	for variant in $(variants); do
		pool_size=64M
		programs_run :memory:2M "$variant"
	done
	pool_size=32M
	expect ":memory:2M, fork/model" on_pool release "$programs/fork/model" 3
	on_pool release "$programs/fork/child_file" 1 >"$work/tap" 2>&1
	tap "$work/tap" ":memory:2M"
	VMMALLOC_FORK=2 on_pool release "$programs/fork/child_file" 2 >"$work/tap" 2>&1
	tap "$work/tap" ":memory:2M, VMMALLOC_FORK=2"
	"$vmmalloc" -s 100M "$vmmalloc" ps >"$work/out" 2>"$work/err"
	expect "ps lists :memory:2M" grep -q '^ *[0-9]* vmmalloc  *100M .* :memory:2M$' \
		"$work/out"
	comment "$work/out"
	"$vmmalloc" check :memory:2M >"$work/out"
	expect "vmmalloc check :memory:2M" grep -q '^huge pages:  *all, of 2M' "$work/out"
	expect "vmmalloc -d :memory:2M, with a default size" env -u VMMALLOC_POOL_DIR \
		"$vmmalloc" -d :memory:2M true
else
	skip ":memory:2M" "needs root, and 1536 MiB in huge pages"
fi
if [ -e /sys/kernel/mm/hugepages/hugepages-2048kB ]; then
	refused "too few huge pages" "hugepages-2048kB/nr_hugepages" \
		env LD_PRELOAD="$(library release)" VMMALLOC_POOL_SIZE=1T true
else
	skip "too few huge pages" "the kernel has no huge pages of 2 MiB"
fi

# One page of 1 GiB is enough for a program.
giant=/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages
if [ "$(cat $giant 2>/dev/null || echo 0)" -gt 0 ]; then
	VMMALLOC_POOL_DIR=:memory:1G expect ":memory:1G" on_pool release \
		"$programs/support/churn" 30000
else
	skip ":memory:1G" "no huge page of 1 GiB is reserved on this machine"
fi
plan
