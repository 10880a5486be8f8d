#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_includes.sh: a file of lib/ includes only headers of its own folder and of
# folders below it. No source file has more than 400 lines. At least nine of ten
# functions of lib/ and bin/ have at most 40 lines.
. "${top_srcdir:-..}/tests/support/lib.sh"

cd "$top_srcdir" || exit 99
# The folders, from the top down.
rooms="entry jemalloc heap pool trace os base"

below=
for room in base os trace pool heap jemalloc entry; do
	below="$below $room"
	grep -H '^#include "[a-z]*/' lib/"$room"/*.[ch] |
		sed 's/:#include "\([a-z]*\)\/.*/ \1/' | while read -r file includes; do
		case " $below " in
		*" $includes "*) ;;
		*) echo "$file includes $includes/" ;;
		esac
	done >"$work/upwards"
	expect "lib/$room includes nothing above it" test ! -s "$work/upwards"
	comment "$work/upwards"
done
expect "the order has all folders of lib/" test "$(cd lib && echo */ | tr -d / | tr ' ' '\n' | sort)" = \
	"$(echo "$rooms" | tr ' ' '\n' | sort)"

git ls-files 2>/dev/null | grep -E '\.(c|h|cc|sh|py|awk|inc)$|^quickstart$|^bench/run$' |
	grep -v '^bench/recorded\.h$' >"$work/files"
if [ -s "$work/files" ]; then
	tr '\n' '\0' <"$work/files" | xargs -0 wc -l |
		awk '$2 != "total" && $1 > 400' >"$work/long"
	expect "no file has more than 400 lines" test ! -s "$work/long"
	comment "$work/long"
else
	skip "no file has more than 400 lines" "needs a git clone"
fi

# The body of a function begins and ends with a brace in the first column.
awk '
	FNR == 1 { begin = 0 }
	/^{/ { begin = FNR }
	/^}$/ && begin > 0 {
		count++
		if (FNR - begin - 1 > 40) {
			long++
			print FILENAME ":" begin ": " FNR - begin - 1 " lines"
		}
		begin = 0
	}
	END { print count, long + 0 >"/dev/stderr" }' lib/*/*.c bin/*.c \
	>"$work/functions" 2>"$work/numbers"
expect "nine of ten functions have at most 40 lines" \
	awk '{ exit !($1 > 500 && 10 * $2 <= $1) }' "$work/numbers"
comment "$work/numbers" "$work/functions"
plan
