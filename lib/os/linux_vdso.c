/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_vdso.c: finds a function that the kernel maps into each process (vdso(7)). */
#include "config.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>

#include "os/linux_sys.h"

/* The tables of the vDSO that a search needs. */
struct vdso {
	const char *base; /* added to the addresses in the vDSO */
	const ElfW(Sym) *symbols;
	const char *names;
	const ElfW(Word) *hash; /* 32-bit words: number of buckets, number of symbols, ... */
};

/* Unlike in a library, nobody has relocated the addresses of the dynamic section. */
static bool
read_vdso(const ElfW(Ehdr) *header, struct vdso *vdso)
{
	const ElfW(Phdr) *parts = (const void *)((const char *)header + header->e_phoff);
	const ElfW(Dyn) *entry = NULL;

	*vdso = (struct vdso){ .base = NULL };
	for (int i = 0; i < header->e_phnum; i++) {
		const char *at = (const char *)header + parts[i].p_offset;

		if (parts[i].p_type == PT_LOAD && vdso->base == NULL)
			vdso->base = at - parts[i].p_vaddr;
		else if (parts[i].p_type == PT_DYNAMIC)
			entry = (const void *)at;
	}
	if (vdso->base == NULL || entry == NULL)
		return false;
	for (; entry->d_tag != DT_NULL; entry++) {
		const void *at = vdso->base + entry->d_un.d_ptr;

		if (entry->d_tag == DT_SYMTAB)
			vdso->symbols = at;
		else if (entry->d_tag == DT_STRTAB)
			vdso->names = at;
		else if (entry->d_tag == DT_HASH)
			vdso->hash = at;
	}
	return vdso->symbols != NULL && vdso->names != NULL && vdso->hash != NULL;
}

const void *
vmm_os_vdso_find(const char *name)
{
	const ElfW(Ehdr) *header = (const void *)getauxval(AT_SYSINFO_EHDR);
	struct vdso vdso;

	if (header == NULL || !read_vdso(header, &vdso))
		return NULL;
	for (ElfW(Word) i = 0; i < vdso.hash[1]; i++) {
		const ElfW(Sym) *symbol = &vdso.symbols[i];

		if (symbol->st_shndx != SHN_UNDEF &&
		    strcmp(vdso.names + symbol->st_name, name) == 0)
			return vdso.base + symbol->st_value;
	}
	return NULL;
}
