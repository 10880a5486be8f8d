" SPDX-License-Identifier: BSD-3-Clause
" work.vim: many kinds of work for vim.
call setline(1, map(range(1, 20000), '"line " . v:val . " of many " . (v:val * 7919 % 20011)'))
%s/\(\d\+\) of \(many\)/\2 <\1>/
g/7>/m0
v/1/d
%sort! n
w! sorted
undo
w! undone
1,500!sort -r
%s/many/\=submatch(0) . strlen(getline('.'))/g
for i in range(200)
	normal! Gyyp0iinserted 
endfor
new
0read !seq 1000 | tr 0-9 a-j
%join
w! joined
quit!
let d = {}
for i in range(20000)
	let d['key ' . i % 3001] = repeat('x', i % 100)
endfor
let values = [string(len(d)), join(sort(keys(d))[0:20]), json_encode({'a': range(10)})]
call writefile(values, 'values')
w! text
qall!
