/* SPDX-License-Identifier: BSD-3-Clause */
/* text.h: messages put together in a stack buffer, without stdio, locale or heap. */
#ifndef VMM_TEXT_H
#define VMM_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Long enough for two lines that both quote; what is longer is cut. */
#define VMM_TEXT_SIZE 1024
#define VMM_TEXT_QUOTE_MAX 200

/*
 * A message under construction. `data` is always a C string of `length` bytes;
 * what does not fit is dropped. Nothing here fails, allocates, touches errno or
 * needs a lock: each text belongs to the function that has it on its stack.
 */
struct vmm_text {
	size_t length;
	char data[VMM_TEXT_SIZE];
};

/* Empties `text`; needed once before the first append. */
void vmm_text_clear(struct vmm_text *text);

/* Appends a string; NULL reads as "(null)". */
void vmm_text_str(struct vmm_text *text, const char *str);

/*
 * Appends a string that a user gave, of any length: of a long one the beginning, and a
 * question mark for each control character.
 */
void vmm_text_quote(struct vmm_text *text, const char *str);

/* Appends a number in decimal. */
void vmm_text_uint(struct vmm_text *text, uint64_t value);

/* Appends an address in hexadecimal, or "NULL". */
void vmm_text_pointer(struct vmm_text *text, const void *pointer);

/* Appends what `errnum` (an errno value) means, in English whatever the locale is. */
void vmm_text_errno(struct vmm_text *text, int errnum);

#endif
