/* SPDX-License-Identifier: BSD-3-Clause */
/* system_calls_seam.c: preloaded before the library, puts functions that can fail into
 * the library's table of system calls (os/linux_sys.h). The environment variable INJECT
 * names a file with a struct inject. */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "system_calls.h"

static struct inject *inject;
static struct vmm_sys original;

/* Counts a call. Returns 0, or the error with which it must fail. */
static int
error_for(enum inject_call call)
{
	unsigned number = __atomic_add_fetch(&inject->counts[call], 1,
	    __ATOMIC_RELAXED);

	if (call != inject->call || inject->nth == 0 || number < inject->nth ||
	    (number > inject->nth && !inject->is_lasting))
		return 0;
	inject->injected++;
	inject->by = original.getpid();
	inject->was_started = inject->is_started;
	return inject->error;
}

/* Returns whether the call must be made. If not, sets errno. */
static bool
may_call(enum inject_call call)
{
	int error = error_for(call);

	if (error != 0)
		errno = error;
	return error == 0;
}

#define WRAP(type, name, parameters, arguments) \
	static type wrap_##name parameters \
	{ \
		return may_call(INJECT_##name) ? original.name arguments : (type)-1; \
	}
VMM_SYS_CALLS(WRAP, WRAP, WRAP)

/* A close(2) that fails has closed the descriptor nevertheless. */
static int
failing_close(int fd)
{
	int result = original.close(fd);

	return may_call(INJECT_close) ? result : -1;
}

/* These may transfer half of the bytes. */
#define SHORT(name, parameters, arguments) \
	static ssize_t short_##name parameters \
	{ \
		int error = error_for(INJECT_##name); \
		if (error == INJECT_SHORT) \
			size = (size + 1) / 2; \
		else if (error != 0) \
			errno = error; \
		return error > 0 ? -1 : original.name arguments; \
	}
SHORT(getrandom, (void *data, size_t size, unsigned flags), (data, size, flags))
SHORT(pread, (int fd, void *data, size_t size, off_t offset), (fd, data, size, offset))
SHORT(pwrite, (int fd, const void *data, size_t size, off_t offset),
    (fd, data, size, offset))
SHORT(read, (int fd, void *data, size_t size), (fd, data, size))
SHORT(write, (int fd, const void *data, size_t size), (fd, data, size))

static int
openat_without_tmpfile(int dir, const char *path, int flags, mode_t mode)
{
	if (inject->has_no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return wrap_openat(dir, path, flags, mode);
}

static void
replace_all(struct vmm_sys *table)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	char *page = (char *)((uintptr_t)table & -page_size);

	/* The dynamic linker has made the table read-only (RELRO). */
	if (mprotect(page, (size_t)((char *)(table + 1) - page),
		PROT_READ | PROT_WRITE) != 0)
		_exit(97);
	original = *table;
#define REPLACE(type, name, parameters, arguments) table->name = wrap_##name;
	VMM_SYS_CALLS(REPLACE, REPLACE, REPLACE)
	table->close = failing_close;
	table->getrandom = short_getrandom;
	table->openat = openat_without_tmpfile;
	table->pread = short_pread;
	table->pwrite = short_pwrite;
	table->read = short_read;
	table->write = short_write;
}

/* Returns the table's address from the symbols of the library; 0 if it is stripped. */
static ElfW(Addr)
table_in(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	const char *file = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	const ElfW(Ehdr) *header = (const void *)file;
	const ElfW(Shdr) *sections;
	ElfW(Addr) address = 0;

	if (file == MAP_FAILED)
		_exit(96);
	close(fd);
	sections = (const void *)(file + header->e_shoff);
	for (int i = 0; i < header->e_shnum; i++) {
		const ElfW(Sym) *symbols = (const void *)(file + sections[i].sh_offset);
		size_t count = sections[i].sh_size / sizeof(*symbols);
		const char *names;

		if (sections[i].sh_type != SHT_SYMTAB)
			continue;
		names = file + sections[sections[i].sh_link].sh_offset;
		for (size_t k = 0; k < count; k++) {
			if (strcmp(names + symbols[k].st_name, "vmm_sys") == 0)
				address = symbols[k].st_value;
		}
	}
	munmap((void *)file, (size_t)size);
	return address;
}

static int
visit(struct dl_phdr_info *info, size_t size, void *argument)
{
	ElfW(Addr) address;

	(void)size;
	if (strstr(info->dlpi_name, "libvmmalloc.so") == NULL)
		return 0;
	address = table_in(info->dlpi_name);
	if (address != 0)
		*(struct vmm_sys **)argument =
		    (struct vmm_sys *)(info->dlpi_addr + address);
	return 1;
}

/* The linker option -z initfirst makes this the first constructor. */
__attribute__((constructor)) static void
begin(int argc, char **argv, char **variables)
{
	struct vmm_sys *table = NULL;
	const char *path = NULL;
	void *map;
	int fd;

	(void)argc;
	(void)argv;
	for (; *variables != NULL; variables++) {
		if (strncmp(*variables, "INJECT=", 7) == 0)
			path = *variables + 7;
	}
	fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*inject), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	dl_iterate_phdr(visit, &table);
	if (map == MAP_FAILED || table == NULL)
		_exit(95);
	inject = map;
	replace_all(table);
}
