/* SPDX-License-Identifier: BSD-3-Clause */
/* kernel.c: fork(2) and the return, while the kernel writes to the heap asynchronously, and
 * when it refuses memory or mappings. Prints TAP.
 * kernel FILE [CASE...]; kernel FILE list
 * The first case that needs FILE makes it. It is removed at the end. Its file system must
 * support O_DIRECT. */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kernel.h"

static const char *path;

/* All words of all pieces differ from each other, and none is 0. */
static uint64_t
word_of(int number, size_t index)
{
	return ((uint64_t)number << 32 | (index + 1)) * 0x9E3779B97F4A7C15U;
}

int
file_is(const unsigned char *data, int number)
{
	const uint64_t *words = (const uint64_t *)data;

	for (size_t i = 0; i < PIECE_BYTES / sizeof(*words); i++) {
		if (words[i] != word_of(number, i))
			return 0;
	}
	return 1;
}

/* The file has another name until it is complete. */
static int
make_file(void)
{
	static uint64_t piece[PIECE_BYTES / sizeof(uint64_t)];
	char name[4096];
	int fd, is_good = 1;

	snprintf(name, sizeof(name), "%s.new", path);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (int number = 0; fd >= 0 && number < NPIECES; number++) {
		for (size_t i = 0; i < PIECE_BYTES / sizeof(*piece); i++)
			piece[i] = word_of(number, i);
		is_good &= write(fd, piece, PIECE_BYTES) == (ssize_t)PIECE_BYTES;
	}
	is_good &= fd >= 0 && fsync(fd) == 0 && rename(name, path) == 0;
	if (!is_good)
		unlink(name);
	close(fd);
	return is_good;
}

int
file_open(void)
{
	if (access(path, R_OK) != 0 && !make_file())
		return -1;
	return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
}

static const struct reads by_aio = { &aio, 0 }, by_aio_thread = { &aio, 1 },
	by_uring = { &uring, 0 }, by_uring_thread = { &uring, 1 };
static const struct reads_at_fork aio_open = { &aio, 0 }, aio_closed = { &aio, 1 },
	uring_open = { &uring, 0 }, uring_closed = { &uring, 1 };
static const int no = 0, yes = 1;
static const int address_space = RLIMIT_AS, data = RLIMIT_DATA;
static const struct test_case cases[] = {
	{ "aio", run_reads, &by_aio, 60 },
	{ "aio_thread", run_reads, &by_aio_thread, 60 },
	{ "uring", run_reads, &by_uring, 60 },
	{ "uring_thread", run_reads, &by_uring_thread, 60 },
	{ "aio_at_fork", run_reads_at_fork, &aio_open, 60 },
	{ "aio_at_fork_closed", run_reads_at_fork, &aio_closed, 60 },
	{ "uring_at_fork", run_reads_at_fork, &uring_open, 60 },
	{ "uring_at_fork_closed", run_reads_at_fork, &uring_closed, 60 },
	{ "device_at_fork_closed", run_device_at_fork, NULL, 60 },
	{ "registered", run_registered, &no, 60 },
	{ "registered_with_child", run_registered, &yes, 60 },
	{ "overcommit_leave", run_overcommit, &no, 60 },
	{ "overcommit_clone", run_overcommit, &yes, 60 },
	{ "mappings", run_mappings, NULL, 60 },
	{ "limit_address_space", run_limit, &address_space, 30 },
	{ "limit_data", run_limit, &data, 30 },
};

int
main(int argc, char **argv)
{
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: kernel FILE [CASE...]\n"
		    "       kernel FILE list\n");
		return 2;
	}
	path = argv[1];
	status = cases_main(argc, argv, 2, cases, sizeof(cases) / sizeof(cases[0]));
	/* Only the process that runs all cases comes here. */
	unlink(path);
	return status;
}
