#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_wrappers.sh: other libraries are preloaded before or after this one. Their functions
# stand before libc's, and allocate.
. "${top_srcdir:-..}/tests/support/lib.sh"

# both WHAT OTHER COMMAND...: with the other library before or after each variant, the
# command has the same status and output as with the other library only.
both() {
	what=$1 other=$2
	shift 2
	timeout -s KILL 60 env LD_PRELOAD="$other" "$@" >"$work/plain" 2>&1 </dev/null
	plain_status=$?
	for variant in $(variants); do
		library=$(library "$variant")
		for preload in "$library $other" "$other $library"; do
			where=before
			[ "$preload" = "$library $other" ] || where=behind
			timeout -s KILL 60 env VMMALLOC_POOL_DIR="$pool_dir" \
				VMMALLOC_POOL_SIZE=64M LD_PRELOAD="$preload" \
				"$@" >"$work/out" 2>&1 </dev/null
			status=$?
			expect "$variant $where $what: the status is $plain_status" \
				test $status -eq $plain_status
			expect "$variant $where $what: the output is the same" \
				diff "$work/plain" "$work/out"
		done
	done
}

cat >"$work/program" <<'EOF'
list=$(ls -l /usr | wc -l)
printf 'b\na\n' | sort
(exit 3)
echo $? $list
EOF

wrappers=$programs/entry/.libs/wrappers.so
both "functions that allocate" "$wrappers" sh "$work/program"
for variant in $(variants); do
	for program in "fork/model 3" "support/churn 3000"; do
		# shellcheck disable=SC2086 # a program and its argument
		expect "$variant beside functions that allocate: $program succeeds" \
			timeout -s KILL 120 env VMMALLOC_POOL_DIR="$pool_dir" \
			VMMALLOC_POOL_SIZE=64M WRAPPERS_COUNT=1 \
			LD_PRELOAD="$wrappers $(library "$variant")" "$programs/"$program
	done
	cp "$work/expect" "$work/out"
	expect "$variant: the functions that allocate were called" \
		grep -q 'wrappers: functions were called' "$work/out"
done

# find_library NAME: prints the path of a library on this system.
find_library() {
	ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }' |
		grep . && return
	for dir in /usr/lib/*-linux-gnu /usr/lib /usr/lib64; do
		for file in "$dir/$1" "$dir"/*/"$1"; do
			[ ! -e "$file" ] || { echo "$file"; return 0; }
		done
	done
	return 1
}

# libfaketime leaves files in /dev/shm, with the process ID in their names.
faketime_files() {
	ls /dev/shm | grep faketime_
}
faketime_files >"$work/before"
remove_faketime_files() {
	faketime_files | grep -vxFf "$work/before" | while read -r name; do
		rm -f "/dev/shm/$name"
	done
}
trap 'remove_faketime_files; clean_up' EXIT
for name in libfakechroot.so libeatmydata.so libfaketime.so.1 libfaketimeMT.so.1; do
	if file=$(find_library $name); then
		both $name "$file" FAKETIME=-15d sh "$work/program"
	else
		skip "$name" "not installed"
	fi
done

# fakeroot needs its daemon, and cowdancer needs a list of files.
if file=$(find_library libfakeroot-sysv.so) && command -v fakeroot >/dev/null 2>&1; then
	for variant in $(variants); do
		library=$(library "$variant")
		for preload in "$library $file" "$file $library"; do
			expect "$variant with fakeroot: files have the owners that it simulates" \
				timeout -s KILL 60 fakeroot env \
				VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
				LD_PRELOAD="$preload" sh -c "id -u | grep -qx 0 &&
					: >'$work/owned' && chown 5:6 '$work/owned' &&
					test \"\$(stat -c %u:%g '$work/owned')\" = 5:6"
		done
	done
else
	skip "fakeroot" "not installed"
fi
if file=$(find_library libcowdancer.so) && command -v cowdancer-ilistcreate >/dev/null 2>&1
then
	mkdir "$work/tree"
	(cd "$work/tree" && cowdancer-ilistcreate "$work/ilist" "find ." 2>"$work/err")
	both libcowdancer.so "$file" COWDANCER_ILISTFILE="$work/ilist" sh "$work/program"
else
	skip "libcowdancer.so" "not installed"
fi
plan
