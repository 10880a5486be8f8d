# SPDX-License-Identifier: BSD-3-Clause
# functions.awk: makes trace_functions.c, the names of the functions that level 3 of the
# trace reports: those of the given sources that other files can call.
#
# A function's name stands at the beginning of a line, below its type (CONTRIBUTING.md).

BEGIN {
	print "/* Made by lib/trace/functions.awk. */"
	print "#include \"config.h\"\n#include \"trace/functions.h\"\n"
}
FNR == 1 {
	file = FILENAME
	sub(/.*\//, "", file)
}
/^vmm_[a-z_0-9]+\(/ && previous !~ /^static/ {
	name = substr($0, 1, index($0, "(") - 1)
	# Weak: some exist in one of the variants alone.
	if (!(name in seen))
		print "extern char " name "[] __attribute__((weak, visibility(\"hidden\")));"
	seen[name] = 1
	row[++count] = "\t{ " name ", { \"" file "\", " FNR ", \"" name "\" } },"
}
{ previous = $0 }
END {
	print "\nconst struct vmm_traced_function vmm_traced_functions[] = {"
	for (i = 1; i <= count; i++)
		print row[i]
	print "};\nconst size_t vmm_traced_count = " count ";"
}
