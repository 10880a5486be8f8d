# SPDX-License-Identifier: BSD-3-Clause
# work.gdb: gdb stops a program, inspects it and lets it continue.
set pagination off
set confirm off
set print address off
break count
run 5
bt
info args
finish
next
print table[1]@3
ptype struct node
watch table[2].count
continue
delete
python print([s for s in gdb.lookup_type("struct node").keys()])
python print(sum(i * i for i in range(100000)))
print count(table, 3)
print table[1].name
print (int)strlen(table[1].name)
list 1,5
info line count
continue
