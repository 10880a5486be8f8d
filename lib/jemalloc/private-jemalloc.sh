#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# private-jemalloc.sh: makes the private jemalloc from an archive, by jemalloc.syms.
#
#   private-jemalloc.sh versions SYMS
#       prints the known versions of jemalloc
#   private-jemalloc.sh string ARCHIVE
#       prints the version string that the archive contains
#   private-jemalloc.sh version SYMS STRING
#       prints the known version with that string, or nothing
#   private-jemalloc.sh check SYMS ARCHIVE VERSION
#       fails if the archive lacks a name of that version
#   private-jemalloc.sh prototypes SYMS VERSION
#       prints C that compiles with jemalloc's headers only if each renamed function has
#       the prototype of the function that replaces it
#   private-jemalloc.sh make SYMS ARCHIVE VERSION OUTPUT
#       writes the private jemalloc: one object, with the names of SYMS
#
# Tools come from the environment: AR, LD, NM, OBJCOPY.
set -eu

die() {
	echo "private-jemalloc.sh: $*" >&2
	exit 1
}

table() {
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$syms"
}

# Prints the rows for $version, as SCOPE NAME NEWNAME.
rows() {
	table | awk -v version="$version" '
		$1 == "version" || (NF == 4 && $4 != version) { next }
		{ print $1, $2 (NF > 2 ? " " $3 : "") }'
}

# Prints each symbol with its object, "OBJECT NAME"; OBJECT has no suffix.
names() {
	"${NM:-nm}" -A "$archive" 2>/dev/null |
		sed -n -e 's/^[^ ]*:\([A-Za-z0-9_]*\)[^ :]*:/\1 /p' |
		awk '{ print $1, $NF }' | sort -u
}

check() {
	names >"$work/names"
	[ -s "$work/names" ] || die "$archive holds no symbols"
	missing=$(rows | awk -v names="$work/names" '
		BEGIN {
			while ((getline line < names) > 0) {
				split(line, part, " ")
				has[part[1], part[2]] = 1
				has["all", part[2]] = has["users", part[2]] = 1
			}
		}
		$1 != "omit" && $2 !~ /\?$/ && !(($1, $2) in has) {
			printf " %s (%s)", $2, $1
		}')
	[ -z "$missing" ] || die "$archive lacks$missing"
}

make() {
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
		"${NM:-nm}" -u "$object" | awk '{ print $NF }' >"$work/uses"
		rows | sed 's/?//' | awk -v name="$name" -v uses="$work/uses" '
			BEGIN { while ((getline symbol < uses) > 0) is_used[symbol] = 1 }
			$1 == name || ($1 == "users" && $2 in is_used) { print $2, $3 }
		' | cat "$work/all" - >"$work/these"
		# Sections for link-time optimization still have the old names.
		"${OBJCOPY:-objcopy}" --remove-section='.gnu.lto_*' \
			--redefine-syms="$work/these" "$object"
	done
	${LD:-ld} -r -o "$1" "$work"/o/*.o
}

# Functions that the library calls are declared twice in this C, by je.h and by jemalloc's
# headers, and the compiler compares the two. SAME compares a function with its replacement.
prototypes() {
	cat <<-'END'
		#include <dlfcn.h>
		#include <pthread.h>
		#include <stdlib.h>
		#include <sys/mman.h>
		#include <unistd.h>
		#include "jemalloc/internal/jemalloc_preamble.h"
		#include "jemalloc/internal/jemalloc_internal_includes.h"
		#include "jemalloc/internal/extent_mmap.h"
		#include "jemalloc/host.h"
		#include "os/os.h"
		#include "pool/pool.h"
		#define SAME(theirs, ours) \
			_Static_assert(__builtin_types_compatible_p( \
			    __typeof__(theirs), __typeof__(ours)), \
			    #ours " has not the prototype of jemalloc's " #theirs)
	END
	rows | sed 's/?//' | awk '$3 ~ /^vmm_/ { printf "SAME(%s, %s);\n", $2, $3 }'
}

command=$1
shift
case $command in
string)
	# Not strings(1), which a cross toolchain may lack.
	LC_ALL=C grep -a -o -m 1 -E '[0-9]+(\.[0-9]+)+-[0-9]+-g[0-9a-f]{7,40}' "$1" | head -n 1
	exit
	;;
esac
syms=$1
shift
case $command in
versions)
	table | awk '$1 == "version" { printf "%s%s", n++ ? ", " : "", $2 } END { print "" }'
	;;
version)
	table | awk -v string="$1" '$1 == "version" && $3 == string { print $2 }'
	;;
prototypes)
	version=$1
	prototypes
	;;
check | make)
	archive=$1 version=$2
	shift 2
	[ -r "$archive" ] || die "no archive $archive"
	# Absolute, because make changes the directory.
	case $archive in /*) ;; *) archive=$PWD/$archive ;; esac
	work=$(mktemp -d "${TMPDIR:-/tmp}/vmmalloc.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	check
	[ "$command" = check ] || make "$@"
	;;
*)
	die "no such command: $command"
	;;
esac
