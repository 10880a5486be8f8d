# SPDX-License-Identifier: BSD-3-Clause
# configure.bash: 200 checks like those of a configure script: subshells, pipes, here
# documents, files that are written and read again.
exec 5>config.log
nl='
'

# One check of a configure script, for one name.
check() {
	printf '%s' "checking for $1... "
	(
		set -- "$1" "$(expr "X$1" : 'X\(.*\)_[0-9]*$')"
		cat >conftest.c <<EOF
/* $1 of $2 */
int main (void) { return $1; }
EOF
		sed -n "s/^int main (void) { return \(.*\); }\$/\1/p" conftest.c >&5
		exit $((${#1} % 3))
	)
	local status=$?
	case $(while read -r line; do echo "$line"; done <conftest.c) in
	*[02468]";"*) answer=yes ;;
	*) answer=no ;;
	esac
	echo "$answer ($status)"
	printf '%s\n' "$1=$answer" |
		sed 's/^/#define HAVE_/; s/=yes$/ 1/; s/=no$/ 0/' |
		tr a-z A-Z >>confdefs.h
	cache=$cache$nl$1=$answer
}

: >confdefs.h
cache=
for i in {1..200}; do
	check "$(printf 'function_%d' $((i * i)))"
done
(set; (echo "$cache") | sort) | grep '^function_' | sort -u | cksum
sort confdefs.h | cksum
cat >config.status <<EOF
cat <<END | sed 's/@name@/value/g'
$(head -n 20 confdefs.h)
@name@
END
EOF
sh ./config.status | { read -r first; echo "$first"; tail -n 2; }
grep -c function config.log
