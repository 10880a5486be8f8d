/* SPDX-License-Identifier: BSD-3-Clause */
/* text.h: builds messages in a stack buffer, without stdio, locale or heap. */
#ifndef VMM_TEXT_H
#define VMM_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Long enough for two lines that each quote a value. The rest of a longer text is lost. */
#define VMM_TEXT_SIZE 1024
#define VMM_TEXT_QUOTE_MAX 200

/*
 * A message under construction. `data` is always a C string of `length` bytes. The
 * functions never fail, allocate, take a lock or change errno, and are async-signal-safe:
 * each text belongs to the function that has it on its stack.
 */
struct vmm_text {
	size_t length;
	char data[VMM_TEXT_SIZE];
};

/* Empties `text`. Required before the first append. */
void vmm_text_clear(struct vmm_text *text);

/* Appends a string, or "(null)" for NULL. */
void vmm_text_str(struct vmm_text *text, const char *str);

/*
 * Appends a string that comes from the user: its first VMM_TEXT_QUOTE_MAX bytes, and "..."
 * if it is longer. ASCII control characters become question marks.
 */
void vmm_text_quote(struct vmm_text *text, const char *str);

/* Appends a number in decimal. */
void vmm_text_uint(struct vmm_text *text, uint64_t value);

/* Appends an address in hexadecimal, or "NULL". */
void vmm_text_pointer(struct vmm_text *text, const void *pointer);

/* Appends the English description of the errno value `errnum`, or "errno N" without one. */
void vmm_text_errno(struct vmm_text *text, int errnum);

#endif
