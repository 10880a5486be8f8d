#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_programs_wide.sh: large programs with much work, some with their own test suites.
# Output and status are the same on a pool as on the ordinary heap, and every heap is in
# a pool. PROGRAMS.md has the results.
#
# CI_FULL: CPython's own tests, a larger repository, and more settings, too. PROGRAMS:
# test only these; names are the first arguments of `program`. PERL_TESTS: the directory
# t/ of perl's source, to run its tests, too.
. "${top_srcdir:-..}/tests/support/lib.sh"
unset PYTHONPATH PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE
: "${CC:=cc}" "${CXX:=c++}"

files=$top_srcdir/tests/load/programs
export files
PATH=$PATH:/usr/sbin

# Each word is a variant of the library and its VMMALLOC_FORK: $settings for programs
# that do not fork, $forking for those that do.
settings="release,1"
forking="release,1"
[ -z "${CI_FULL-}" ] || forking="release,1 release,2 release,3"
for variant in $(variants); do
	[ "$variant" = debug ] || continue
	[ -z "${CI_FULL-}" ] || settings="$settings debug,1"
	[ -z "${CI_FULL-}" ] || forking="$forking debug,1"
	forking="$forking debug,2"
done

# program NAME COMMAND...: NAME is to be tested, and these commands are installed.
program() {
	what=$1
	shift
	case " ${PROGRAMS-$what} " in
	*" $what "*) ;;
	*) return 1 ;;
	esac
	for command; do
		command -v "$command" >/dev/null 2>&1 ||
			{ skip "$what" "needs $command"; return 1; }
	done
}

# run_in NAME COMMAND...: runs the command in the new directory $work/here. Its name is
# always the same, since some programs print it. Output and status go to $work/NAME.out
# and $work/NAME.err.
patience=600
run_in() {
	run_name=$work/$1
	shift
	rm -rf "$work/here"
	mkdir "$work/here"
	(cd "$work/here" && HOME=$work/here exec timeout -k 10 $patience "$@") \
		>"$run_name.out" 2>"$run_name.err" </dev/null
	echo "status $?" >>"$run_name.out"
}

# on_a_pool SETTING COMMAND...: like run_in, on pools, with the probe.
on_a_pool() {
	on_setting=$1
	shift
	rm -f "$work/probe"
	run_in pool env VMMALLOC_POOL_DIR="$pool_dir" \
		VMMALLOC_POOL_SIZE="$pool_size" VMMALLOC_FORK="${on_setting#*,}" \
		LD_PRELOAD="$(library "${on_setting%,*}") $probe" \
		PROBE_FILE="$work/probe" "$@"
}

# in_the_pool NAME: according to the probe, a process NAME ran on a pool, and no process
# had its heap elsewhere. Rarely, in a thread of CPython's tests, the probe
# cannot read its mappings and reports no memory at all. Such a line does not count.
in_the_pool() {
	grep -q "^$1[^ ]* in=yes pool=[1-9][0-9]* pool-rss=[1-9]" "$work/probe" ||
		{ echo "no process $1 on a pool"; return 1; }
	! grep -v -e ' in=yes .* brk-rss=0 ' -e ' pool=0 .* other-rss=0$' "$work/probe"
}

same_output() {
	diff "$work/plain.out" "$work/pool.out" &&
		diff "$work/plain.err" "$work/pool.err" && in_the_pool "$1"
}

# same NAME SETTINGS SCRIPT: runs the shell's SCRIPT on the ordinary heap and with each
# setting, and compares. NAME is a process of it.
same() {
	run_in plain sh -c "$3"
	if ! grep -q '^status 0$' "$work/plain.out"; then
		not_ok "$what, plain"
		comment "$work/plain.out"
		comment "$work/plain.err"
	fi
	for setting in $2; do
		on_a_pool "$setting" sh -c "$3"
		expect "$what, $setting" same_output "$1"
	done
}

# Prints the version of a program, for PROGRAMS.md.
version() {
	"$@" 2>&1 </dev/null | grep -m 1 '[0-9]\.[0-9]' | comment
}

pool_size=512M

if program grep grep ls tail seq; then
	version grep --version
	same grep "$forking" '
	seq 200000 >lines
	seq 7 7777 200000 >patterns
	grep -c -F -f patterns lines
	grep -n -P "^(\d)\d*\1$" lines | md5sum
	grep -E -o "[0-3]{3}" lines | sort | uniq -c | md5sum
	grep -z -c 5 lines
	grep -r -l struct "$files" | sed "s,.*/,," | sort
	mkdir d; seq 5000 | (cd d && xargs touch); ls d | md5sum
	ls -l --time-style=+ -S d | tail -n 2
	tail -c 100000 lines | md5sum; tail -n +199998 lines
	seq 10 >growing & tail --pid=$! -s 0.01 -n 1 -f lines; wait; cat growing'
fi
if program tar tar gzip bzip2 xz; then
	version tar --version
	same tar "$forking" '
	mkdir d; (cd d; seq 3000 | split -l 10 -a 3 - x; seq 200000 >large)
	for z in z j J; do
		mkdir $z; tar -c${z}f t d; tar -x${z}f t -C $z; diff -r d $z/d
	done
	tar --sort=name -cf - d | tar -tvf - | wc -l
	XZ_OPT="-T2 --block-size=100000" tar -cJf t d; tar -tf t | sort | md5sum
	# touch: the clock of the file system may be too coarse to see the change.
	tar -cf t --listed-incremental=i d; echo more >>d/large; touch -d "1 minute" d/large
	tar -cf t --listed-incremental=i d; tar -tf t | sort'
fi
if program perl perl; then
	version perl -v
	same perl "$forking" 'perl "$files/work.pl"'
fi
if program sqlite3 sqlite3; then
	version sqlite3 --version
	same sqlite3 "$settings" '
	sqlite3 -bail x.db <"$files/work.sql"; sqlite3 x.db .dump >dump; md5sum <dump
	sqlite3 y.db <dump; sqlite3 y.db .dump | md5sum
	sqlite3 x.db ".backup z.db"; sqlite3 z.db "pragma integrity_check"
	for i in 1 2 3 4 5 6; do
		seq 100 | sed "s/.*/insert into log values(char(112), &$i);/" |
			sqlite3 -cmd ".timeout 60000" x.db &
	done; wait
	sqlite3 x.db "select count(*), sum(n) from log"'
fi
if program git git awk; then
	version git --version
	size="-v files=600 -v commits=150"
	[ -z "${CI_FULL-}" ] || size="-v files=6000 -v commits=2000"
	export size
	same git "$forking" '
	export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a \
		GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE="2020-01-01T00:00:00Z" \
		GIT_COMMITTER_DATE="2020-01-01T00:00:00Z"
	git config --global advice.detachedHead false
	git config --global gc.auto 0
	git init -q -b main r && cd r
	awk $size -f "$files/repository.awk" | git fast-import --quiet
	git checkout -q main; git status --short; git repack -adfq --depth=50 --window=20
	git fsck --full --strict 2>&1; git gc -q; git commit-graph write --reachable
	git count-objects -v | grep -v size; git log --stat | md5sum
	git log --graph --oneline --all | md5sum; git log -p -M -S"of 31 is" | md5sum
	git log --follow --oneline dir1/sub1/file1 | wc -l; git shortlog -sn --all
	git rev-list --objects --all | sort | md5sum
	git cat-file --batch-all-objects --batch-check | md5sum
	for f in dir1/sub1/file1 dir3/sub3/file3; do git blame -w $f | md5sum; done
	git bisect start main $(git rev-list --max-parents=0 main) >/dev/null &&
		git bisect run sh -c "test ! -e bad" | tail -n 20; git bisect reset 2>&1
	git worktree add -q ../w topic10 2>&1; git -C ../w status -sb
	echo changed >>../w/dir1/sub1/file1; git -C ../w commit -qam worktree
	git merge -q -m merged topic10; git status -s | head -n 3
	git merge --abort 2>/dev/null; git reset -q --hard
	git checkout -q -b side main~20; echo x >new; git add new; git commit -qm side
	git rebase -q main; git log --oneline -3; git cherry-pick topic20 >/dev/null 2>&1
	git status -s | head -n 3; git cherry-pick --abort 2>/dev/null
	echo y >>new; git stash -q; git stash pop -q; git diff --stat; git reset -q --hard
	git format-patch -q --stdout main~3..main >p; git checkout -q -b mail main~8
	git am -q --3way p 2>&1; git am --abort 2>/dev/null; git log --oneline -4
	git archive main | md5sum; git bundle create -q b --all 2>&1
	git clone -q -b main b ../c 2>&1; git -C ../c log --oneline -3
	git clone -q --no-local . ../d; git -C ../d fsck 2>&1; git tag -a -m t v1
	git push -q ../d v1; git -C ../d describe v1; git -C ../d fetch -q origin side:s
	git grep -c "is 7" | md5sum; git diff --numstat main~50 main | md5sum
	git ls-tree -r main | md5sum; git rm -rq dir1; git clean -dxfq
	git reflog expire --expire=now --all; git gc -q --prune=now; git fsck 2>&1'
fi
if program bash bash; then
	version bash --version
	same bash "$forking" 'bash "$files/work.bash"'
fi
if program gdb gdb "${CC%% *}"; then
	version gdb --version
	same gdb "$settings" "$CC"' -g -O0 -o prog "$files/prog.c" &&
	gdb -nx -q -batch -x "$files/work.gdb" prog 2>&1 | sed "s/process [0-9]*//"'
fi
if program gcc "${CC%% *}" "${CXX%% *}"; then
	version "$CC" --version
	same cc1plus "$settings" "cp $top_srcdir/tests/entry/operators*.cc ."'
	cp "$files/prog.c" .
	'"$CC"' -O2 -flto=2 -g -o prog prog.c && ./prog 4; echo $?
	'"$CXX"' -O2 -std=gnu++17 -S -o - -fno-builtin operators_replaced.cc | md5sum
	'"$CC"' -O2 -S -fopenmp -fsanitize=undefined -o - prog.c | md5sum'
fi
if program vim vim; then
	version vim --version
	same vim "$forking" 'vim -u NONE -N -i NONE -n -es -S "$files/work.vim"
	md5sum sorted undone joined values text'
fi
if program emacs emacs; then
	version emacs --version
	same emacs "$forking" 'emacs -Q --batch --load "$files/work.el" 2>&1'
fi
if program node node; then
	version node -v
	same node "$settings" 'node --expose-gc "$files/work.js"'
fi
if program php php; then
	version php -v
	same php "$forking" 'php -n -d extension=pcntl -d memory_limit=-1 "$files/work.php"
	USE_ZEND_ALLOC=0 php -d memory_limit=-1 "$files/work.php"'
fi
if program fdfind fdfind; then
	version fdfind --version
	same fdfind "$settings" '
	mkdir -p d/a/b/c; cd d; seq 1000 | (cd a/b; xargs touch)
	fdfind | sort | md5sum; fdfind -e none; fdfind "^[0-3]+$" -x echo | sort | tail -n 3
	fdfind -H -I . /usr/include --threads 8 | sort | md5sum'
fi
# /usr/bin: Debian's rustc. Another build may contain a malloc of its own.
if program rustc /usr/bin/rustc; then
	version /usr/bin/rustc --version
	same work "$settings" '
	/usr/bin/rustc -O -o work "$files/work.rs" && ./work 2>/dev/null'
	expect "$what: its heap is in the pool" grep -q '^rustc in=yes' "$work/probe"
fi
# The heap of go is not malloc's. A program of C and go has both.
if program go go "${CC%% *}"; then
	version go version
	same work "$settings" '
	export GOCACHE=$PWD/cache GOPATH=$PWD/go GO111MODULE=off GOFLAGS=-p=2
	cp "$files/work.go" .; go vet work.go && go build -o work work.go && ./work
	echo $?; gofmt -l work.go'
fi
if program ImageMagick convert-im6.q16 identify-im6.q16; then
	version convert-im6.q16 -version
	same convert-im6.q16 "$settings" '
	c=convert-im6.q16
	$c -size 900x700 -seed 7 plasma:red-blue a.png
	$c a.png -blur 0x6 -resize 50% -rotate 33 -colorspace Lab -normalize b.png
	$c a.png b.png -resize 300x -average -paint 4 -colors 64 c.gif
	$c a.png -crop 100x100 +repage -append -implode 0.4 d.tiff
	$c -delay 5 a.png \( a.png -flip \) \( a.png -flop \) -resize 200x e.gif
	$c a.png -quality 60 g.jpg
	$c a.png -resize 50% -morphology Close Disk:3 -edge 2 -charcoal 1 h.png
	for i in b.png c.gif d.tiff e.gif g.jpg h.png; do
		identify-im6.q16 -format "%m %wx%h %#\n" $i
	done
	$c none.png x.png || :'
fi
if program ffmpeg ffmpeg ffprobe; then
	version ffmpeg -version
	same ffmpeg "$settings" '
	q="ffmpeg -v error -nostdin -y"; b="-fflags +bitexact -flags +bitexact"
	v="-f lavfi -i testsrc2=size=320x240:rate=25:duration=3"
	s="-f lavfi -i sine=frequency=440:duration=3"
	# With more threads, the output of these encoders depends on timing.
	$q $v $s -c:v libx264 -preset veryfast -threads 1 -c:a aac $b x.mkv
	$q -i x.mkv -vf scale=160:-2,hue=s=0.5,unsharp,rotate=0.3 -af atempo=1.5 \
		-f framemd5 - | md5sum
	$q $v -c:v mpeg4 -threads 4 -q 3 $b x.avi; $q -i x.avi -f framemd5 - | md5sum
	$q $v -c:v libvpx -b:v 500k -deadline good -cpu-used 5 -threads 1 $b x.webm
	$q -i x.webm -f framemd5 - | tail -n 3
	$q -i x.mkv -filter_complex "[0:v]split[a][b];[a]hflip[c];[b][c]hstack" \
		-f rawvideo - | md5sum
	$q $s -c:a flac $b x.flac; $q -i x.flac -f md5 -; $q -i none x.mp4
	ffprobe -v error -count_frames -of csv \
		-show_entries stream=codec_name,width,nb_read_frames x.mkv'
fi
pool_size=1G
if program java java javac; then
	version java -version
	same java "$settings" '
	javac -d . "$files/Work.java" && java -Xmx300m Work &&
	java -Xmx300m -XX:+UseParallelGC Work | md5sum'
fi
if program mariadb mariadbd mariadb mariadb-install-db; then
	version mariadbd --version
	same mariadbd "$settings" 'sh "$files/work_mariadb.sh"'
fi

#
# Test suites of programs. A case that fails on the ordinary heap may fail on a pool.
#

# perl's own tests, and the result of each.
if [ -n "${PERL_TESTS-}" ] && program perl_tests perl; then
	patience=3600
	export PERL_TESTS
	same perl "$forking" 'sh "$files/perl_tests.sh"'
	grep -c '^ok' "$work/plain.out" | comment
fi

# A python3 that has its tests.
python=
for one in /usr/bin/python3 python3; do
	[ -n "$python" ] || ! $one -c 'import test.test_mmap' 2>/dev/null ||
		python=$one
done

python_modules="array ast asyncore atexit bisect buffer bytes bz2 cmd_line code
	codecs collections compile concurrent_futures contextlib copy coroutines
	crypt csv ctypes dataclasses datetime dbm decimal deque descr dict
	difflib dis doctest email embed enum epoll exceptions faulthandler fcntl
	fileio float fork1 format functools gc generators grammar grp gzip hashlib
	heapq hmac import importlib inspect io ipaddress itertools json list
	locale logging long lzma marshal math memoryio memoryview minidom mmap
	multiprocessing_fork multiprocessing_main_handling openpty os pathlib pickle
	pickletools poll popen posix pty pwd pyexpat queue random re readline
	resource runpy sax secrets select selectors set shelve shutil signal site
	socketserver sort sqlite3 ssl statistics struct subprocess super
	syntax sys syslog tarfile tempfile thread threadedtempfile threading
	threading_local threadsignals tracemalloc types typing unicode unittest uuid
	wait3 wait4 weakref xml_etree xml_etree_c xmlrpc zipfile zipimport zlib"
python_forking="fork1 multiprocessing_fork os popen posix pty subprocess threading wait3 wait4
	concurrent_futures asyncio"

# Two cases do not count: in them a process lists its open descriptors. The pool's is one of
# them: at 1000, or just below the limit if that is lower (libvmmalloc(7), FORK).
python_not='test_pass_fds_redirected|test_close_fds_when_max_fd_is_lowered'

# python_cases FILE COMMAND...: runs CPython's tests of $modules by COMMAND. The result
# of each case goes to $work/FILE.
python_cases() {
	cases=$1
	shift
	rm -f "$work/cases.xml"
	# shellcheck disable=SC2046,SC2086 # words
	"$@" "$python" -m test -j2 --timeout 900 --junit-xml "$work/cases.xml" \
		$("$python" -c 'import importlib.util, sys
for name in sys.argv[1:]:
	if importlib.util.find_spec("test.test_" + name): print("test_" + name)' \
		$modules)
	"$python" "$files/cases.py" "$work/cases.xml" | grep -Ev "$python_not" |
		sort >"$work/$cases"
}

python_same() {
	[ -s "$work/plain.cases" ] && diff "$work/plain.cases" "$work/pool.cases" &&
		in_the_pool python3
}

# python_suite MALLOC SETTINGS: with PYTHONMALLOC=MALLOC, compares the results of all cases
# on the ordinary heap and with each setting.
python_suite() {
	PYTHONMALLOC=$1
	export PYTHONMALLOC
	python_cases plain.cases run_in plain
	for setting in $2; do
		python_cases pool.cases on_a_pool "$setting"
		expect "$what, $1, $setting: $(grep -vc skipped "$work/plain.cases") cases" \
			python_same
		grep -h '^Total dur' "$work/plain.out" "$work/pool.out" | comment
	done
	unset PYTHONMALLOC
}

if [ -z "${CI_FULL-}" ]; then
	skip "CPython's own tests" "takes long: set CI_FULL=1"
elif [ -z "$python" ]; then
	skip "CPython's own tests" "needs a python3 with its tests"
elif program cpython "$python"; then
	version "$python" --version
	patience=3600
	# Some tests change to another user.
	chmod 1777 "$pool_dir"
	modules=$python_modules
	python_suite default release,1
	# malloc: otherwise python3 puts small objects into mappings of its own.
	python_suite malloc debug,1
	modules=$python_forking
	python_suite malloc "release,2 release,3"
fi
plan
