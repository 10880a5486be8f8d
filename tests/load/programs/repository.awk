# SPDX-License-Identifier: BSD-3-Clause
# repository.awk: prints a repository for git fast-import, with `files` files, `commits`
# commits, and some branches.
function content(n, version,	text, i) {
	text = "file " n "\n"
	for (i = 0; i < 5 + n % 60; i++)
		text = text "line " i " of " n " is " (i * n * 7919) % 100003 "\n"
	for (i = 0; i < version % 40; i++)
		text = text "change " i " in version " version "\n"
	return text
}
function put(n, version,	text) {
	text = content(n, version)
	printf "M 100644 inline dir%d/sub%d/file%d\ndata %d\n%s\n", n % 23, n % 7, n,
		length(text), text
}
function head(branch, c, what) {
	printf "commit refs/heads/%s\nmark :%d\n", branch, c
	printf "committer Some One <some@example.org> %d +0000\n", 1500000000 + c * 600
	printf "data %d\n%s\n", length(what), what
}
BEGIN {
	head("main", 1, "All files")
	for (n = 1; n <= files; n++)
		put(n, 0)
	for (c = 2; c <= commits; c++) {
		branch = c % 10 == 0 ? "topic" c % 50 : "main"
		head(branch, c, "Change " c " to what it is")
		if (branch != "main" && !seen[branch]++)
			printf "from :%d\n", c - 1
		if (branch == "main" && c % 10 == 2 && c > 20)
			printf "merge :%d\n", c - 2
		for (i = 0; i < 4; i++)
			put((c * 31 + i * 17) % files + 1, c)
		if (c == int(commits * 2 / 3))
			print "M 100644 inline bad\ndata 4\nbad\n"
	}
}
