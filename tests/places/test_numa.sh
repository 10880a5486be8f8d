#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_numa.sh: VMMALLOC_NUMA: the pages of the heap are on the nodes that it names, on tmpfs,
# hugetlbfs and in memory, before and after a fork. Most machines have one node;
# tests/places/vm/run has two.
. "${top_srcdir:-..}/tests/support/lib.sh"

# The nodes: the first that has memory, or those that the caller names.
: "${TEST_NODES:=$(grep -o '^[0-9]*' /sys/devices/system/node/has_memory 2>/dev/null)}"
last=${TEST_NODES##*,}

# refused WHAT PATTERN COMMAND...: the command ends with status 1. The second line of its
# message is about VMMALLOC_NUMA, and matches PATTERN.
refused() {
	refused_what=$1 refused_pattern=$2
	shift 2
	on_pool release "$@" >"$work/out" 2>"$work/err"
	refused_status=$?
	expect "$refused_what is refused" sh -c "cat '$work/err'; [ $refused_status -eq 1 ] &&
		sed -n 2p '$work/err' | grep -q '^libvmmalloc: VMMALLOC_NUMA is .*$refused_pattern'"
}

# all_on WHAT NODE: the last run of places/numa shows pages of this node only, in all states.
all_on() {
	expect "$1: all pages are on node $2" sh -c "cat '$work/nodes'
		[ \$(grep -c ' $2:[0-9]*\$' '$work/nodes') -eq 4 ]"
}

# in_place NAME: the heap is bound to the last node, with each VMMALLOC_FORK.
in_place() {
	for variant in $(variants); do
		for fork in 1 2 3; do
			[ "$variant" = release ] || [ $fork = 1 ] || continue
			VMMALLOC_FORK=$fork VMMALLOC_NUMA=bind:$last on_pool "$variant" \
				"$programs/places/numa" 24 >"$work/nodes" 2>"$work/err"
			numa_status=$?
			in_place_what="$1, VMMALLOC_FORK=$fork, $variant"
			if [ $numa_status -eq 77 ]; then
				skip "$in_place_what" "move_pages(2) is not possible here"
				continue
			fi
			expect "$in_place_what: the program ends well" \
				sh -c "cat '$work/err'; test $numa_status -eq 0"
			all_on "$in_place_what" "$last"
			comment "$work/nodes"
		done
	done
	VMMALLOC_RESERVE=full VMMALLOC_NUMA=bind:$last on_pool release \
		"$programs/places/numa" 24 >"$work/nodes" 2>"$work/err"
	all_on "$1, VMMALLOC_RESERVE=full" "$last"
}

# modes: a program runs with each mode that this kernel knows.
modes() {
	for mode in bind preferred preferred-many interleave weighted; do
		VMMALLOC_NUMA=$mode:$last on_pool release true 2>"$work/err"
		modes_status=$?
		if grep -q 'which this kernel does not know' "$work/err"; then
			skip "$mode" "this kernel does not know it"
		else
			expect "$mode: a program runs" \
				sh -c "cat '$work/err'; test $modes_status -eq 0"
		fi
	done
}

if [ ! -e /proc/self/numa_maps ] || [ -z "$TEST_NODES" ]; then
	skip "VMMALLOC_NUMA" "the kernel has no memory nodes"
	plan
	exit
fi
VMMALLOC_NUMA=bind:900 refused "a node that does not exist" \
	"can use memory of these nodes: [0-9,-]*; accepted: bind, preferred" true
for value in bind "bind:" "bind:x" "bind:0," "bind:1-0" "bind:0 " "prefer:0" "bind:2000"; do
	VMMALLOC_NUMA=$value refused "$value" "accepted: bind, preferred" true
done
VMMALLOC_NUMA=preferred:0-1 refused "preferred with two nodes" "more than one node" true
expect "an empty value is no policy" env VMMALLOC_NUMA= VMMALLOC_POOL_SIZE=64M \
	VMMALLOC_POOL_DIR="$pool_dir" LD_PRELOAD="$(library release)" true
modes
# What a filter, or a change of the cpuset, takes away after the start must not matter.
for fork in 1 2; do
	for place in "$pool_dir" :memory:; do
		VMMALLOC_FORK=$fork VMMALLOC_NUMA=bind:$last VMMALLOC_POOL_DIR=$place \
			on_pool release "$programs/places/without_mbind" >"$work/out" 2>&1
		without_status=$?
		without_what="mbind(2) is refused later, VMMALLOC_FORK=$fork, ${place%%/*}"
		if [ $without_status -eq 77 ]; then
			skip "$without_what" "needs seccomp(2)"
		else
			expect "$without_what" sh -c "cat '$work/out'; test $without_status -eq 0"
		fi
	done
done
expect "vmmalloc -N" "$programs/vmmalloc" -d :memory: -s 64M -N "bind:$last" true
"$programs/vmmalloc" -N bind:x true 2>"$work/err"
expect "vmmalloc -N refuses a wrong value" grep -q '^vmmalloc: -N is bind:x, not a list' "$work/err"

pool_size=128M
for type in tmpfs "tmpfs huge=always" hugetlbfs ext4 xfs btrfs; do
	# shellcheck disable=SC2086 # a type and an option
	set -- $type
	if ! file_system "$1" 512M ${2+"$2"}; then
		skip "$type" "$mounted_not"
		continue
	fi
	VMMALLOC_POOL_DIR=$mounted
	case $1 in
	tmpfs | hugetlbfs) in_place "$type" ;;
	*) VMMALLOC_NUMA=bind:$last refused "$type" \
		"the kernel places the pages of $1 itself" true ;;
	esac
done
VMMALLOC_POOL_DIR=:memory:
in_place :memory:

if [ "$last" = 0 ]; then
	skip "several nodes" "this machine has one; tests/places/test_vm.sh has two"
	plan
	exit
fi
pool_size=64M
# on_both: the last run of places/numa shows at least 2000 pages on each node, in all states.
on_both() {
	test "$(grep -c ' 0:[2-9][0-9][0-9][0-9] 1:[2-9][0-9][0-9][0-9]$' "$work/nodes")" -eq 4
}
for VMMALLOC_POOL_DIR in :memory: /dev/shm; do
	VMMALLOC_NUMA=interleave:$TEST_NODES on_pool release "$programs/places/numa" 24 \
		>"$work/nodes"
	expect "$VMMALLOC_POOL_DIR, interleave: pages on both nodes" on_both
	comment "$work/nodes"
	on_pool release "$programs/places/numa" 24 >"$work/nodes"
	all_on "$VMMALLOC_POOL_DIR, without VMMALLOC_NUMA" 0
	VMMALLOC_NUMA=bind:$last on_pool release "$programs/places/numa" 24 locked >"$work/nodes"
	all_on "$VMMALLOC_POOL_DIR, after mlockall(2)" "$last"
	VMMALLOC_NUMA=preferred:$last on_pool release "$programs/places/numa" 24 >"$work/nodes"
	all_on "$VMMALLOC_POOL_DIR, preferred" "$last"
	# The node is too small for this pool: the rest is on other nodes.
	VMMALLOC_NUMA=preferred:$last VMMALLOC_POOL_SIZE=800M on_pool release \
		"$programs/places/large_pages" grow 600 >"$work/out" 2>&1
	expect "$VMMALLOC_POOL_DIR, preferred: more than the node has" test $? -eq 0
	comment "$work/out"
done
expect "ps shows the nodes" sh -c "'$programs/vmmalloc' -d :memory: -s 64M -N bind:$last \
	'$programs/vmmalloc' ps | tee '$work/out'
	grep -q ' vmmalloc .* $last=[0-9.]*[KM]  *:memory:\$' '$work/out'"
expect "check shows the nodes" sh -c "'$programs/vmmalloc' check :memory: | tee '$work/out'
	grep -q '^memory nodes:  *0: [0-9.]*[MG], [0-9.]*[MG] free\$' '$work/out' &&
	grep -q '^  *1: [0-9.]*[MG], [0-9.]*[MG] free, no processors\$' '$work/out'"
plan
