# SPDX-License-Identifier: BSD-3-Clause
# work.bash: many kinds of work for bash.
declare -A a
for ((i = 0; i < 20000; i++)); do a[$((i * 7 % 5003))]+=x; done
echo ${#a[@]} ${#a[5]}
s=
for i in {1..3000}; do s+="word$i "; done
set -- $s
echo $# "${s//word1/W}" | md5sum
f() {
	local x=$1
	if ((x > 0)); then f $((x - 1)); else echo deep ${#FUNCNAME[@]}; fi
}
f 500
mapfile -t lines < <(seq 20000)
printf '%s\n' "${lines[@]/#1/one}" | md5sum
coproc sort -rn
# bash closes its own descriptor of the coprocess when it ends: this is a copy.
exec {out}<&"${COPROC[0]}"
seq 100 >&${COPROC[1]}
exec {COPROC[1]}>&-
cat <&$out | head -n 2
wait
[[ $s =~ word29([0-9]+) ]] && echo ${BASH_REMATCH[1]}
for i in {1..60}; do
	echo $( (echo $i; exit 3) | tr 0-9 a-j; echo ${PIPESTATUS[0]})
done
trap 'echo got it' USR1
kill -USR1 $$
eval "$(declare -f f)"
f 20
# Splitting and globbing of words, here documents, arithmetic, redirections.
mkdir d && touch d/{1..200}
for i in {1..50}; do set -- d/*; done
echo $#
for i in {1..300}; do read -r x <<<"$i $s"; done
echo ${#x}
for i in {1..200}; do cat <<END_OF_IT; done | md5sum
$i $((i ** 3 % 1000)) ${a[$i]} $(printf %04d $i)
END_OF_IT
