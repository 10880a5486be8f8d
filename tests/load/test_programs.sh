#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_programs.sh: real programs give the same output on a pool as on the ordinary
# heap, and their heap is in the pool.
. "${top_srcdir:-..}/tests/support/lib.sh"

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

# in_the_pool NAME: according to the probe, a process NAME ran on a pool, and no process
# had its heap elsewhere.
in_the_pool() {
	grep -q "^$1 in=yes pool=[1-9][0-9]* pool-rss=[1-9]" "$work/probe" ||
		{ echo "no process $1 on a pool"; return 1; }
	! grep -v ' in=yes .* brk-rss=0 ' "$work/probe"
}

# same WHAT NAME SCRIPT [PROGRAM]: runs the shell's SCRIPT on the ordinary heap and on
# pools, and compares. NAME is a process of it. Skipped if PROGRAM, by default NAME, is
# missing.
same() {
	same_what=$1 same_name=$2 same_script=$3
	if ! command -v "${4:-$same_name}" >/dev/null 2>&1; then
		for variant in $(variants); do
			skip "$variant: $same_what" "needs ${4:-$same_name}"
		done
		return
	fi
	run_in plain sh -c "$same_script"
	for variant in $(variants); do
		rm -f "$work/probe"
		run_in pool env LD_PRELOAD="$(library "$variant") $probe" \
			VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
			PROBE_FILE="$work/probe" sh -c "$same_script"
		if cmp "$work/plain.out" "$work/pool.out" >"$work/diff" 2>&1 &&
			cmp "$work/plain.err" "$work/pool.err" \
				>>"$work/diff" 2>&1 &&
			in_the_pool "$same_name" >>"$work/diff" 2>&1; then
			ok "$variant: $same_what"
		else
			not_ok "$variant: $same_what"
			comment "$work/diff" "$work/pool.err" "$work/probe"
		fi
	done
}

text=$top_srcdir/lib/pool/ranges.c

same "true prints nothing" true "env true"
same "ls" ls "ls -la $top_srcdir/lib; ls /none"
same "cat, wc" cat "cat $text | wc"
same "sort" sort "seq 1 200000 | sort -r | sort -n | md5sum"
same "sort with several threads" sort \
	"seq 1 300000 | sort -S 16M --parallel=2 -k1.3 | md5sum"
same "tail, tac" tac "tac $text | tail -n 20"
same "cp, mv, rm, find" find \
	"cp -r $top_srcdir/lib a && mv a b && find b -name '*.c' | sort && rm -r b"
same "tr, cut, uniq, comm, join" uniq \
	"tr -cs a-z '\n' <$text | sort | uniq -c | sort -k1,1nr -k2 | cut -c1-20"
same "dd, sha256sum, od" dd \
	"dd if=$text bs=512 2>/dev/null | tee x | sha256sum; od -c x | tail -n 3"
same "grep" grep "grep -n static $text; grep -rEc 'size_t|void' $top_srcdir/lib |
	sort; grep none $text"
same "sed" sed "sed -e 's/ranges/RANGES/g' -ne '/take/p' $text"
same "awk" awk "awk '{ n[length(\$0)]++; t += NF }
	END { for (i = 0; i < 100; i++) printf \"%d \", n[i]; print t }' $text"
same "diff" diff "diff $text $top_srcdir/lib/pool/pool.c"
same "tar, gzip" gzip "tar cf - -C $top_srcdir lib | gzip -9 | gzip -d |
	tar tf - | sort"
same "bash pipelines" bash "bash -c '
	for i in {1..30}; do (echo \$((i * i)) | cat) | { read x; echo got \$x; }; done
	x=\$(for i in {1..500}; do echo line \$i; done | sort -r | head -n 3); echo \"\$x\"
	declare -A a; for i in {1..3000}; do a[\$i]=\$((i * 7)); done; echo \${#a[@]} \${a[2999]}
	cat <(echo one) <(echo two); wait'"
same "sh with background jobs" seq "
	for i in 1 2 3 4; do (seq \$i 1000 | tail -n 1; exit \$i) & done
	wait; sh -c 'exit 3'; echo \$?"
same "python3" python3 "python3 -c '
import json, re, hashlib
d = {str(i): list(range(i % 50)) for i in range(20000)}
s = json.dumps(d, sort_keys=True)
assert json.loads(s) == d
print(len(s), hashlib.sha256(s.encode()).hexdigest(), len(re.findall(\"1\", s)))
b = bytearray(20_000_000); b[::4096] = b\"x\" * len(b[::4096]); print(b.count(b\"x\"))'"
same "python3 threads" python3 "python3 -c '
import threading, queue
q, r = queue.Queue(), []
def work():
    while True:
        n = q.get()
        if n is None: return
        r.append(sum(len(str(i) * 3) for i in range(n)))
t = [threading.Thread(target=work) for _ in range(8)]
[x.start() for x in t]; [q.put(i * 10) for i in range(300)]
[q.put(None) for _ in t]; [x.join() for x in t]
print(sum(r), len(r))'"
same "python3 multiprocessing by fork" python3 "python3 -c '
import multiprocessing as m
def f(n): return sum(len(str(i)) for i in range(n))
if __name__ == \"__main__\":
    c = m.get_context(\"fork\")
    with c.Pool(4) as p: print(p.map(f, range(0, 20000, 500)))
    q = c.Queue(); keep = [\"kept\" * 1000 for _ in range(1000)]
    def g(i): keep[i] = \"changed\"; q.put((i, len(keep[i]), len(keep[i + 1])))
    ps = [c.Process(target=g, args=(i,)) for i in range(6)]
    [p.start() for p in ps]; print(sorted(q.get() for _ in ps)); [p.join() for p in ps]
    print(len(keep[0]), [p.exitcode for p in ps])'"
same "python3 multiprocessing by spawn" python3 "cat >s.py <<'END'
import multiprocessing as m
def f(n): return n * n
if __name__ == '__main__':
    with m.get_context('spawn').Pool(2) as p: print(p.map(f, range(50)))
END
	python3 s.py"
same "python3 subprocess" python3 "python3 -c '
import subprocess
for i in range(20):
    p = subprocess.run([\"sort\", \"-n\"], input=\"\\n\".join(str(j) for j in range(i, 0, -1)),
                       capture_output=True, text=True, close_fds=True)
    print(p.returncode, p.stdout.split())
print(subprocess.check_output(\"echo a; echo b | cat\", shell=True, preexec_fn=lambda: None))'"
same "perl with fork" perl "perl -e '
	my %h = map { \$_ => \"v\$_\" x 10 } 1 .. 20000;
	for my \$i (1 .. 5) {
		pipe(my \$r, my \$w); my \$p = fork();
		if (!\$p) { close \$r; \$h{\$_} .= \$i for keys %h;
			print \$w length(join \"\", map { \$h{\$_} } sort keys %h), \"\n\"; exit \$i }
		close \$w; print <\$r>; waitpid(\$p, 0); print \$? >> 8, \"\n\";
	}
	print length(\$h{7}), \" \", scalar(keys %h), \"\n\"'"
same "git" git "
	export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a \
		GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' \
		GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' HOME=\$PWD
	git init -q -b main r && cd r && cp -r $top_srcdir/lib . && git add . &&
	git commit -q -m one && git checkout -q -b other && echo x >>lib/pool/pool.c &&
	git commit -q -a -m two && git log --stat && git diff main other &&
	git gc -q && git fsck && git clone -q . ../c && git -C ../c log --oneline &&
	git grep -c static | sort && git blame lib/pool/pool.c | tail -n 3"
same "gcc builds a program" gcc "
	gcc -std=gnu11 -O2 -w -I$top_builddir -I$top_srcdir/lib \
		-o x $top_srcdir/tests/support/churn.c && ./x 10000 && md5sum <x
	printf 'int main(void) { return x; }' >bad.c; gcc -c bad.c"
same "g++ builds a program" g++ "cat >x.cc <<'END'
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>
int main() {
	std::map<std::string, std::vector<int>> m;
	for (int i = 0; i < 10000; i++) m[std::to_string(i % 977)].push_back(i);
	std::regex r(\"1(2|3)+\");
	std::cout << std::count_if(m.begin(), m.end(), [&](auto &e) {
		return std::regex_match(e.first, r); }) << m.size() << std::endl;
}
END
	g++ -O1 -o x x.cc && ./x && md5sum <x"
same "make -j" make "
	printf 'all: \$(addsuffix .o,\$(basename \$(wildcard *.c)))\n' >Makefile
	printf '%%.o: %%.c\n\t@sort <\$< | md5sum >\$@\n' >>Makefile
	cp $top_srcdir/lib/os/*.c $top_srcdir/lib/pool/*.c . && make -s -j 4 && cat *.o"
same "sqlite3" sqlite3 "sqlite3 t.db \"
	create table t(a integer primary key, b text, c real);
	with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000)
		insert into t select i, 'row ' || (i * 7919 % 50021), i / 3.0 from n;
	create index x on t(b); pragma integrity_check;
	select count(*), sum(a), max(b), round(avg(c), 6) from t where b > 'row 2';
	select b from t order by b desc limit 5;\""

plan
