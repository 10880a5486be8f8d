#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_shells.sh: bash, make and python3, which fork hundreds of times: the same output
# on a pool as on the ordinary heap, and every heap in a pool.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/load/server_tests.sh"

# run_in NAME COMMAND...: runs the command in the new directory $work/NAME. Output and
# status go to $work/NAME.out and $work/NAME.err.
run_in() {
	run_dir=$work/$1
	shift
	rm -rf "$run_dir"
	mkdir "$run_dir"
	(cd "$run_dir" && "$@") >"$run_dir.out" 2>"$run_dir.err" </dev/null
	echo "status $?" >>"$run_dir.out"
}

# same_output NAME: the output is the same. A process NAME ran on a pool, and no process
# had its heap elsewhere.
same_output() {
	diff "$work/plain.out" "$work/pool.out" &&
		diff "$work/plain.err" "$work/pool.err" || return 1
	grep -q "^$1[^ ]* in=yes pool=[1-9][0-9]* pool-rss=[1-9]" "$work/probe" ||
		{ echo "no process $1 on a pool"; return 1; }
	! grep -v ' in=yes .* brk-rss=0 ' "$work/probe"
}

# same WHAT NAME COMMAND...: runs the command on the ordinary heap and with each setting,
# and compares.
same() {
	same_what=$1 same_name=$2
	shift 2
	if ! command -v "$same_name" >/dev/null 2>&1; then
		skip "$same_what" "no $same_name here"
		return
	fi
	run_in plain "$@"
	for setting in $settings; do
		use "$setting"
		rm -f "$work/probe"
		run_in pool timeout -k 10 120 env VMMALLOC_POOL_DIR="$pool" \
			VMMALLOC_POOL_SIZE="$pool_size" VMMALLOC_FORK="$fork" \
			LD_PRELOAD="$public/$variant/libvmmalloc.so.1 $probe" \
			PROBE_FILE="$work/probe" "$@"
		expect "$same_what, $setting" same_output "$same_name"
	done
}

cat >"$work/shells.bash" <<'END'
declare -A table
for i in {1..2000}; do table[$i]="value $i of many"; done
# Nested substitutions. A subshell changes only its own copy.
for i in {1..150}; do
	x=$(table[$i]="changed $i"
		echo "${table[$i]} $(echo $((i * i)) | tr 0-9 a-j)")
	table[$((i + 1))]+=" $(unset 'table[7]'; echo ${#table[@]})"
	echo "$x: ${table[$i]}"
done
# Pipelines of subshells that work at the same time.
for i in {1..100}; do
	for ((j = 0; j < 20; j++)); do echo "$i $j ${table[$j]}"; done |
		while read -r a b rest; do echo "$((a * b)) $rest"; done |
		{ mapfile -t lines; echo "${#lines[@]} ${lines[19]}"; }
done
# Groups of five background jobs, and their status.
for i in {1..40}; do
	pids=()
	for j in {1..5}; do
		(for ((k = 0; k < 200; k++)); do table[new$k]=$k; done
			exit $(((i * j + ${#table[@]}) % 100))) & pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; echo -n "$? "; done; echo
done
for i in {1..40}; do
	paste <(echo "$i") <(printf '%s\n' "${table[$i]}") - <<<"here $i"
done
# Nested subshells.
deep() { if (($1 > 0)); then (table[$1]=$1; deep $(($1 - 1))); else
	echo "${#table[@]} $BASH_SUBSHELL"; fi; }
deep 40; wait
printf '%s\n' "${table[@]}" | cksum
END

cat >"$work/Makefile" <<'END'
names := $(foreach n,1 2 3 4 5 6,$(addprefix f$n,0 1 2 3 4 5 6 7 8 9))
letters := $(foreach n,$(names),$(shell echo $n | tr 0-9 a-j))
all: $(names); @cat $^; echo $(letters)
$(names): common
	@seq 300 | sed "s/^/$@ /" | sort -r | cksum >$@
	@for i in 1 2 3; do (echo $@; echo $$i) | while read x; do \
		echo "$$x `tr a-z A-Z <common`"; done; done >>$@
common:; @(echo this; echo that) | tee $@ | wc -l
END

cat >"$work/forks.py" <<'END'
import multiprocessing, os, zlib
N = 40000
shared = {i: [i, "number %d" % i] for i in range(N)}

def change(n):
    # Each task has entries of its own, so any worker gets the same result.
    total = 0
    for i in range(n, N, 200):
        shared[i] = [i, shared[i][1][:9] + " changed by %d" % n * (n % 5), [n] * 10]
        total += len(shared[i][1]) + shared[i][0]
    return total

def digest():
    sum = 0
    for i in range(0, N, 3):
        sum = zlib.crc32(repr(shared[i]).encode(), sum)
    return sum

if __name__ == "__main__":
    before = digest()
    # A thread forks new workers all the time, while others work.
    with multiprocessing.get_context("fork").Pool(4, maxtasksperchild=10) as pool:
        totals = pool.map(change, range(200), chunksize=1)
        pool.close()
        pool.join()
    # Only now: a worker that inherits the text in a buffer prints it again.
    print(totals)
    print(before == digest())
    for n in range(100):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            change(n)
            os.write(write, b"%d %d" % (n, digest()))
            os._exit(n % 50)
        os.close(write)
        # The parent changes its copy at the same time.
        shared[n] = [n, "parent's", n]
        print(os.read(read, 100).decode(), os.waitstatus_to_exitcode(
            os.waitpid(child, 0)[1]))
        os.close(read)
    print(digest())
END

same "bash: a thousand subshells" bash bash "$work/shells.bash"
same "make -j4" make make -s -j4 -f "$work/Makefile"
# PYTHONMALLOC=malloc: otherwise python3 puts small objects into mappings of its own.
pool_size=256M
same "python3: multiprocessing, os.fork" python3 env PYTHONMALLOC=malloc \
	python3 -W ignore "$work/forks.py"

expect "nothing is left of any pool" test -z "$(ls -A "$pool")"
plan
