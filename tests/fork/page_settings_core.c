/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_core.c: part of the program page_settings: a core dump contains the
 * heap, also after a fork, when most pages were not written since. */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page_settings.h"
#include "../support/heap_return.h"

#define NBLOCKS 8
#define BLOCK_BYTES ((size_t)8 << 20)
#define MARK_BYTES 64
/* Each piece ends with a mark. The core dump must have the marks of blocks still in use. */
#define PIECE_BYTES ((size_t)1 << 20)
#define NPIECES (BLOCK_BYTES / PIECE_BYTES)
/* More than any of these processes needs. The limit keeps a mistake from filling the disk. */
#define CORE_BYTES ((rlim_t)1 << 30)

/* Marks are computed, so that they exist in the heap only. */
static void
write_mark(char *mark, int block, size_t piece)
{
	unsigned state = (unsigned)block * 31 + (unsigned)piece + 1;

	for (int i = 0; i < MARK_BYTES; i++) {
		state = state * 1103515245 + 12345;
		mark[i] = (char)(1 + (state >> 16) % 255);
	}
}

/*
 * The process that aborts
 */

static int
always(void *argument)
{
	(void)argument;
	return 1;
}

static void
make_blocks(void)
{
	static char *block[NBLOCKS];

	for (int i = 0; i < NBLOCKS; i++) {
		if (posix_memalign((void **)&block[i], 4096, BLOCK_BYTES) != 0)
			_exit(99);
		memset(block[i], 'a' + i, BLOCK_BYTES);
		for (size_t piece = 0; piece < NPIECES; piece++)
			write_mark(block[i] + (piece + 1) * PIECE_BYTES -
			    MARK_BYTES, i, piece);
	}
	for (int i = 1; i < NBLOCKS; i += 2)
		free(block[i]);
	malloc_trim(0);
}

/* The child of heap_child_start waits on a pipe, and ends when its parent ends. */
void
core_main(const char *process)
{
	struct heap_child child;
	struct rlimit limit = { CORE_BYTES, CORE_BYTES };

	setrlimit(RLIMIT_CORE, &limit);
	/* The output of the case must not stay open in children of this process. */
	close(STDOUT_FILENO);
	make_blocks();
	filler_write(1);
	if (strcmp(process, "child") == 0) {
		pid_t pid = fork();

		if (pid == 0)
			abort();
		filler_write(2);
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	if (!heap_child_start(&child, always, NULL))
		_exit(1);
	filler_write(2);
	if (strcmp(process, "returned") == 0) {
		heap_child_end(&child);
		heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	}
	abort();
}

/*
 * The process that reads the dump
 */

/* Opens and unlinks the only file in the directory. Returns -1 if there is none. */
static int
open_core(const char *dir)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;
	char path[512];
	int fd = -1;

	while (fd < 0 && entries != NULL && (entry = readdir(entries)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] == '.')
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		unlink(path);
	}
	if (entries != NULL)
		closedir(entries);
	return fd;
}

/* Pages of the heap are pages of the dump, and a mark lies at the end of a page. */
static int
find_marks(int fd, int found[NBLOCKS])
{
	static char page[4096];
	char mark[MARK_BYTES];
	int pages = 0;

	memset(found, 0, NBLOCKS * sizeof(*found));
	while (read(fd, page, sizeof(page)) == (ssize_t)sizeof(page)) {
		pages++;
		for (int i = 0; i < NBLOCKS; i++) {
			if (page[0] != 'a' + i)
				continue;
			for (size_t piece = 0; piece < NPIECES; piece++) {
				write_mark(mark, i, piece);
				found[i] += memcmp(page + sizeof(page) -
				    MARK_BYTES, mark, MARK_BYTES) == 0;
			}
		}
	}
	return pages;
}

/* The reason why no core dump appears in the current directory, or NULL. */
static const char *
why_no_core(void)
{
	static char text[200], pattern[128];
	struct rlimit limit;
	int fd, is_read;

	if (prctl(PR_GET_DUMPABLE) != 1 || getenv("TEST_NOT_DUMPABLE") != NULL)
		return "this process is not dumpable";
	getrlimit(RLIMIT_CORE, &limit);
	if (limit.rlim_max < CORE_BYTES && geteuid() != 0)
		return "core dumps are limited here (ulimit -c)";
	fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	is_read = fd >= 0 && read(fd, pattern, sizeof(pattern) - 1) > 0;
	close(fd);
	if (!is_read)
		return "there is no /proc/sys/kernel/core_pattern";
	pattern[strcspn(pattern, "\n")] = '\0';
	snprintf(text, sizeof(text), "core dumps go elsewhere here (%s)", pattern);
	return pattern[0] == '|' || strchr(pattern, '/') != NULL ? text : NULL;
}

static int
make_dump(const char *dir, const char *process)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (chdir(dir) != 0)
			_exit(1);
		execl("/proc/self/exe", "page_settings", "abort", process,
		    (char *)NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	return strcmp(process, "child") == 0
	    ? status == 0
	    : WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void
run_core(const struct test_case *self)
{
	const char *temporary = getenv("TMPDIR"), *why_not = why_no_core();
	char dir[4096];
	int found[NBLOCKS];
	int core, is_good = 1;

	snprintf(dir, sizeof(dir), "%s/fork_pagesXXXXXX",
	    temporary != NULL ? temporary : "/tmp");
	if (why_not == NULL && mkdtemp(dir) == NULL)
		why_not = "there is no directory for temporary files";
	if (why_not != NULL) {
		cases_skip("the core dump contains the heap", why_not);
		return;
	}
	cases_stage("dumping");
	cases_result(make_dump(dir, self->with), "the process aborts (case %s)",
	    (const char *)self->with);
	core = open_core(dir);
	rmdir(dir);
	cases_comment("%d pages in the dump", find_marks(core, found));
	for (int i = 0; i < NBLOCKS; i += 2) {
		cases_comment("block %d: %d of %d marks", i, found[i],
		    (int)NPIECES);
		is_good &= found[i] == (int)NPIECES;
	}
	cases_result(is_good, "the core dump contains the heap");
	close(core);
}
