#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# private-jemalloc.sh: checks jemalloc's archive against jemalloc.syms, or makes
# the library's private copy of it: one object, renamed by that table.
#
#   private-jemalloc.sh check SYMS ARCHIVE
#   private-jemalloc.sh make SYMS ARCHIVE OUTPUT
#
# Tools come from the environment: AR, LD, NM, OBJCOPY.
set -eu

die() {
	echo "private-jemalloc.sh: $*" >&2
	exit 1
}

# Objects are called by their names without suffixes: ehooks.pic.o is `ehooks`.
rows() {
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$syms"
}

# Every name with its object: "OBJECT NAME" a line.
names() {
	"${NM:-nm}" -A "$archive" 2>/dev/null |
		sed -n -e 's/^[^ ]*:\([A-Za-z0-9_]*\)[^ :]*:/\1 /p' |
		awk '{ print $1, $NF }' | sort -u
}

check() {
	missing=$(rows | awk -v names="$1" '
		BEGIN {
			while ((getline line < names) > 0) {
				split(line, part, " ")
				has[part[1], part[2]] = has["all", part[2]] = 1
			}
		}
		$1 != "omit" && $2 !~ /\?$/ && !(($1, $2) in has) {
			printf " %s (%s)", $2, $1
		}')
	[ -z "$missing" ] || die "$archive lacks$missing"
}

command=$1 syms=$2 archive=$3
[ -r "$archive" ] || die "no archive $archive"
# Absolute, for what happens in another directory.
case $archive in /*) ;; *) archive=$PWD/$archive ;; esac

work=$(mktemp -d "${TMPDIR:-/tmp}/vmmalloc.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
names >"$work/names"
[ -s "$work/names" ] || die "$archive holds no symbols"
check "$work/names"
[ "$command" = make ] || exit 0

output=$4
mkdir "$work/o"
(cd "$work/o" && "${AR:-ar}" x "$archive")
rows | sed 's/?//' | awk '$1 == "all" { print $2, $3 }' >"$work/all"
for object in "$work"/o/*.o; do
	name=${object##*/}
	name=${name%%.*}
	if rows | grep -q "^omit $name\$"; then
		rm "$object"
		continue
	fi
	rows | sed 's/?//' | awk -v name="$name" '$1 == name { print $2, $3 }' |
		cat "$work/all" - >"$work/these"
	"${OBJCOPY:-objcopy}" --redefine-syms="$work/these" "$object"
done
${LD:-ld} -r -o "$output" "$work"/o/*.o
