/* SPDX-License-Identifier: BSD-3-Clause */
/* program.c: finds the file of COMMAND, and checks that it obeys LD_PRELOAD. */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "command.h"
#include "run.h"

/* Where `name` has no slash, execvp(3) looks for it in the directories of PATH. */
char *
find_program(const char *name)
{
	const char *dirs = getenv("PATH");
	const char *end;
	char *path;
	int error = ENOENT;

	if (dirs == NULL)
		dirs = "/bin:/usr/bin";
	if (name[0] == '\0')
		fail(STATUS_NOT_FOUND, "the name of the command is empty");
	if (strchr(name, '/') != NULL)
		dirs = "";
	for (;; dirs = end + 1) {
		struct stat file;
		int length;

		end = dirs + strcspn(dirs, ":");
		length = (int)(end - dirs);
		if (asprintf(&path, "%.*s%s%s", length, dirs,
			length > 0 ? "/" : "", name) < 0)
			fail(STATUS_OURS, "%s: %s", name, strerror(errno));
		if (stat(path, &file) == 0) {
			if (S_ISREG(file.st_mode) && access(path, X_OK) == 0)
				return path;
			error = EACCES;
		}
		free(path);
		if (*end == '\0')
			break;
	}
	if (error == ENOENT)
		fail(STATUS_NOT_FOUND, "%s: command not found", name);
	fail(STATUS_CANNOT, "%s: not a file that this user may execute", name);
}

/* Whether execve(2) gives the program privileges; ld.so(8) then ignores LD_PRELOAD. */
static bool
gains_privileges(const char *path, const struct stat *file)
{
	struct statvfs fs;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return false;
	if (statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0)
		return false;
	if ((file->st_mode & S_ISUID) != 0 && file->st_uid != getuid())
		return true;
	if ((file->st_mode & S_ISGID) != 0 && (file->st_mode & S_IXGRP) != 0 &&
	    file->st_gid != getgid())
		return true;
	return getuid() != 0 &&
	    getxattr(path, "security.capability", NULL, 0) > 0;
}

/* The beginning of an ELF file (elf(5)), which is the same in both classes. */
struct elf {
	unsigned char ident[EI_NIDENT];
	uint16_t type;
	uint16_t machine;
};

/* Whether the ELF file names a dynamic linker. Its class must be that of vmmalloc. */
static bool
is_dynamic(int fd)
{
#if __SIZEOF_POINTER__ == 8
	Elf64_Ehdr header;
	Elf64_Phdr segment;
#else
	Elf32_Ehdr header;
	Elf32_Phdr segment;
#endif

	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return false;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		off_t at = (off_t)(header.e_phoff +
		    (size_t)i * header.e_phentsize);

		if (pread(fd, &segment, sizeof(segment), at) ==
			(ssize_t)sizeof(segment) && segment.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* Whether the program is a dynamic linker: as a command it obeys LD_PRELOAD, too. */
static bool
is_linker(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;

	return (strncmp(name, "ld-", 3) == 0 || strncmp(name, "ld64", 4) == 0 ||
	    strncmp(name, "ld.so", 5) == 0) && strstr(name, ".so") != NULL;
}

/* Whether the program has the architecture of this program, and thus of the library. */
static bool
has_our_architecture(const struct elf *elf)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct elf own;
	bool is_same = fd < 0 ||
	    pread(fd, &own, sizeof(own), 0) != (ssize_t)sizeof(own) ||
	    (own.machine == elf->machine &&
		own.ident[EI_CLASS] == elf->ident[EI_CLASS] &&
		own.ident[EI_DATA] == elf->ident[EI_DATA]);

	if (fd >= 0)
		close(fd);
	return is_same;
}

/* Refuses an ELF program that gains privileges, has another architecture, or is static. */
static void
check_elf(const char *path, int fd, const struct elf *elf)
{
	struct stat file;

	if (fstat(fd, &file) == 0 && gains_privileges(path, &file))
		fail(STATUS_CANNOT, "%s: gains privileges (set-user-ID, set-group-ID or"
		    " capabilities); the dynamic linker ignores LD_PRELOAD for it",
		    path);
	if (!has_our_architecture(elf))
		fail(STATUS_CANNOT, "%s: is for another architecture than %s", path,
		    installed_library(false));
	if (!is_dynamic(fd) && !is_linker(path))
		fail(STATUS_CANNOT, "%s: is statically linked; LD_PRELOAD works for"
		    " dynamically linked programs only", path);
}

/*
 * Checks a program or, for a script, its interpreter, whose privileges the kernel uses
 * (execve(2)). Does not refuse a file that it cannot read: execve(2) decides. `depth`
 * bounds the chain of interpreters that are scripts.
 */
static void
check_file(const char *path, int depth)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	union {
		struct elf elf;
		char text[256];
	} head = { .text = "" };

	if (fd < 0)
		return;
	if (pread(fd, &head, sizeof(head) - 1, 0) > 0 &&
	    memcmp(head.text, "#!", 2) == 0 && depth < 4) {
		char *interpreter = head.text + 2 + strspn(head.text + 2, " \t");

		interpreter[strcspn(interpreter, " \t\n")] = '\0';
		check_file(interpreter, depth + 1);
	} else if (memcmp(head.elf.ident, ELFMAG, SELFMAG) == 0) {
		check_elf(path, fd, &head.elf);
	}
	close(fd);
}

void
check_program(const char *path)
{
	check_file(path, 0);
}
