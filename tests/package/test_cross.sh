#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_cross.sh: other architectures, built by cross compilers in a fresh Debian and run
# there: i386 by this machine, others by qemu's user emulation. Takes about 4 minutes and
# downloads 400 MB: only with CI=1. CI_FULL: runs the tests of riscv64, too, and the
# debug variant in emulators.
. "${top_srcdir:-..}/tests/support/lib.sh"

suite=trixie
if [ -z "${CI-}" ]; then
	skip "other architectures" "downloads 400 MB: set CI=1"
	plan
	exit
elif [ "$(uname -m)" != x86_64 ]; then
	skip "other architectures" "needs x86_64 for the cross compilers"
	plan
	exit
elif ! fresh_system $suite cross; then
	skip "other architectures" "$fresh_not"
	plan
	exit
fi

# Libraries for real programs and tests, and the packages of real programs.
libraries='libacl1 libbz2-1.0 libc6-dev libcrypt1 libexpat1 libffi8 libgmp10
	liblzma5 libmpfr6 libpcre2-8-0 libreadline8t64 libselinux1 libsigsegv2
	libsqlite3-0 libssl3t64 libstdc++6 libtinfo6 zlib1g check libjemalloc-dev'
programs_in='bash coreutils gawk git libpython3.13-minimal libpython3.13-stdlib
	perl-base python3.13-minimal sqlite3 xz-utils'
c_programs='tests/unit/check_pool tests/unit/check_ranges tests/unit/check_settings
	tests/entry/check_entry tests/fork/model tests/fork/handlers tests/entry/operators
	tests/pool/capacity tests/support/churn'

# for_architecture PACKAGE...: prints each as PACKAGE:ARCHITECTURE.
for_architecture() {
	for package; do
		echo "$package:$architecture"
	done
}

# listed: adds $architecture to apt's lists of packages. Fails if the archive lacks it.
listed() {
	inside dpkg --add-architecture "$architecture"
	inside apt-get -q update >"$work/log" 2>&1 && return
	inside dpkg --remove-architecture "$architecture"
	comment "$work/log"
	return 1
}

# set_up: installs libraries, and unpacks programs. A -dev package replaces that of
# another architecture.
# shellcheck disable=SC2046,SC2086 # names of packages
set_up() {
	inside apt-get -qy install --no-install-recommends \
		$(for_architecture $libraries) &&
		mkdir "$root/root/debs.$architecture" "$root/opt/$architecture" &&
		inside_dir=/root/debs.$architecture inside apt-get -q \
			-o APT::Sandbox::User=root download \
			$(for_architecture $programs_in) &&
		inside sh -c "for deb in /root/debs.$architecture/*.deb; do
			dpkg-deb -x \$deb /opt/$architecture; done"
}

# shellcheck disable=SC2086 # names of programs
build() {
	inside_dir=/root/$architecture
	mkdir "$root$inside_dir"
	inside env PKG_CONFIG_LIBDIR="/usr/lib/$directory/pkgconfig" \
		../source/configure --quiet --enable-werror --host="$compiler" &&
		inside make -s -j 2 && inside make -s -j 2 $c_programs
}

# target [NAME=VALUE...] PROGRAM [ARGUMENT...]: runs a program of $architecture.
# shellcheck disable=SC2086 # words
target() {
	target_by=$emulator
	while case $1 in *=*) ;; *) false ;; esac; do
		target_by="$target_by $emulator_option $1"
		shift
	done
	inside $target_by "$@"
}

# on_target VARIANT [NAME=VALUE...] PROGRAM [ARGUMENT...]: like target, on a pool.
on_target() {
	case $1 in
	release) on_target_library=/root/$architecture/lib/.libs/libvmmalloc.so.1 ;;
	debug) on_target_library=/root/$architecture/lib/debug/.libs/libvmmalloc.so.1 ;;
	esac
	shift
	target LD_PRELOAD="$on_target_library" VMMALLOC_POOL_DIR=/dev/shm \
		VMMALLOC_POOL_SIZE=256M "$@"
}

# same PROGRAM [ARGUMENT...]: a real program has the same output on a pool.
same() {
	program=$1
	shift
	target "${same_with:-A=}" "/opt/$architecture/usr/bin/$program" "$@" \
		>"$work/plain" 2>"$work/plain.err"
	same_status=$?
	for fork in 1 2; do
		on_target release VMMALLOC_FORK=$fork "${same_with:-A=}" \
			"/opt/$architecture/usr/bin/$program" "$@" \
			>"$work/pool" 2>"$work/pool.err"
		expect "$architecture, VMMALLOC_FORK=$fork: $program" \
			test "$?" = "$same_status" -a -s "$work/plain" \
			-a "$(cksum <"$work/plain")" = "$(cksum <"$work/pool")"
		comment "$work/plain.err" "$work/pool.err"
	done
}

# shellcheck disable=SC2016 # other languages
real_programs() {
	inside_dir=/root
	same sort lines
	same sort -S 4M --parallel=4 -k2 lines
	same sha256sum lines
	same xz -T2 -c lines
	same git hash-object lines
	same gawk '{ n[$1 % 100] = n[$1 % 100] $2 }
		END { for (i = 0; i < 100; i++) print length(n[i]) }' lines
	same bash -c 'for ((i = 0; i < 50; i++)); do
			x=$(echo $i | { read y; echo $y$y; })
			echo $x
		done'
	same perl -e 'for (1 .. 10) {
			my %h = map { $_ => "x" x $_ } 1 .. 300;
			my $p = fork;
			if (!$p) { $h{$_} .= "y" for 1 .. 300; exit(length($h{7}) != 8); }
			waitpid $p, 0;
			print "$? ", length(join "", values %h), "\n";
		}'
	same sqlite3 :memory: 'create table t(a, b);
		with recursive c(x) as
			(select 1 union all select x + 1 from c where x < 10000)
			insert into t select x, hex(x * 7919) from c;
		create index i on t(b);
		select count(*), max(b) from t where b like "3%";'
	same_with=PYTHONHOME=/opt/$architecture/usr
	same python3.13 -S -c '
import multiprocessing, threading
multiprocessing.set_start_method("fork")
def f(x): return sum(len(str(i)) for i in range(x))
print(multiprocessing.Pool(4).map(f, range(0, 2000, 100)))
threads = [threading.Thread(target=f, args=(1000,)) for i in range(8)]
for t in threads: t.start()
for t in threads: t.join()'
	same_with=
}

# Tests of the project: those that print TAP, and those that have a status only.
own_tests() {
	inside_dir=/root/$architecture
	for program in check_settings check_ranges check_pool; do
		target "A=" "tests/unit/$program" >"$work/tap" 2>&1
		tap "$work/tap" "$architecture"
	done
	for variant in release debug; do
		# Emulators are slow.
		[ "$variant" = release ] || [ "$emulator" = env ] ||
			[ -n "${CI_FULL-}" ] || continue
		on_target $variant tests/entry/check_entry >"$work/tap" 2>&1
		tap "$work/tap" "$architecture, $variant"
		for fork in 1 2; do
			# The test executes true(1), a program of x86-64. There ld.so
			# reports that it cannot preload the library.
			on_target $variant VMMALLOC_FORK=$fork tests/fork/handlers \
				>"$work/tap" 2>&1
			sed -i '/^ERROR: ld.so: /d' "$work/tap"
			tap "$work/tap" "$architecture, $variant, VMMALLOC_FORK=$fork"
			expect "$architecture, $variant, VMMALLOC_FORK=$fork: fork/model" \
				on_target $variant VMMALLOC_FORK=$fork \
				tests/fork/model
		done
		expect "$architecture, $variant: churn" \
			on_target $variant tests/support/churn 20000
		expect "$architecture, $variant: operators" \
			on_target $variant tests/entry/operators
		# How much of a pool can be allocated depends on jemalloc's pages. On the
		# other architectures they have 64 KiB.
		[ "$architecture" = i386 ] || continue
		guard=
		[ $variant = release ] || guard=16
		# shellcheck disable=SC2086 # nothing, or a word
		on_target $variant tests/pool/capacity 268435456 $guard >"$work/tap" 2>&1
		tap "$work/tap" "$architecture, $variant"
	done
}

pages() {
	on_target release VMMALLOC_CONF=stats_print:true tests/support/churn 10 \
		>"$work/out" 2>&1
	grep '^Page size: ' "$work/out" | sed "s/^/# $architecture, jemalloc's: /"
}

mkdir "$root/root/source"
(cd "$top_srcdir" && tar -cf - --exclude=./build --exclude=./.git .) |
	tar -C "$root/root/source" -xf -
seq 30000 | awk '{ print ($1 * 7919) % 30011, $1 }' >"$root/root/lines"
if ! inside sh -c "apt-get -q update && apt-get -qy install \
		--no-install-recommends make pkgconf xz-utils qemu-user-static \
		g++-aarch64-linux-gnu g++-riscv64-linux-gnu g++-i686-linux-gnu" \
	>"$work/log" 2>&1; then
	skip "other architectures" "packages cannot be installed"
	comment "$work/log"
	plan
	exit
fi
emulator_option=-E
while read -r architecture compiler directory emulator; do
	[ "$emulator" != env ] || emulator_option=
	inside_dir=/root
	if ! listed; then
		skip "$architecture" "the archive has no packages for it"
		continue
	fi
	expect "$architecture: packages are installed" set_up
	expect "$architecture: builds without a warning" build
	if [ "$architecture${CI_FULL-}" = riscv64 ]; then
		skip "riscv64: its tests" "takes minutes in an emulator: set CI_FULL=1"
		continue
	fi
	own_tests
	pages
	real_programs
done <<END
arm64 aarch64-linux-gnu aarch64-linux-gnu qemu-aarch64-static
riscv64 riscv64-linux-gnu riscv64-linux-gnu qemu-riscv64-static
i386 i686-linux-gnu i386-linux-gnu env
END
plan
