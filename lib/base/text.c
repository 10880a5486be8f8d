/* SPDX-License-Identifier: BSD-3-Clause */
/* text.c: builds messages in a stack buffer, without stdio, locale or heap. */
#include "config.h"

#include <string.h>

#include "base/text.h"

void
vmm_text_clear(struct vmm_text *text)
{
	text->length = 0;
	text->data[0] = '\0';
}

static void
append(struct vmm_text *text, const char *str, size_t length)
{
	size_t room = sizeof(text->data) - 1 - text->length;

	if (length > room)
		length = room;
	memcpy(text->data + text->length, str, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void
vmm_text_str(struct vmm_text *text, const char *str)
{
	if (str == NULL)
		str = "(null)";
	append(text, str, strlen(str));
}

void
vmm_text_quote(struct vmm_text *text, const char *str)
{
	size_t length = strnlen(str, VMM_TEXT_QUOTE_MAX);
	size_t at = text->length;

	append(text, str, length);
	/* A value must neither add lines to a message nor control a terminal. */
	for (; at < text->length; at++) {
		if ((unsigned char)text->data[at] < ' ' || text->data[at] == 0x7f)
			text->data[at] = '?';
	}
	if (str[length] != '\0')
		vmm_text_str(text, "...");
}

void
vmm_text_uint(struct vmm_text *text, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	append(text, digits + at, sizeof(digits) - at);
}

void
vmm_text_pointer(struct vmm_text *text, const void *pointer)
{
	char digits[2 + 2 * sizeof(pointer)];
	size_t at = sizeof(digits);
	uintptr_t value = (uintptr_t)pointer;

	if (pointer == NULL) {
		vmm_text_str(text, "NULL");
		return;
	}
	for (; value != 0; value /= 16)
		digits[--at] = "0123456789abcdef"[value % 16];
	digits[--at] = 'x';
	digits[--at] = '0';
	append(text, digits + at, sizeof(digits) - at);
}

void
vmm_text_errno(struct vmm_text *text, int errnum)
{
	const char *description = NULL;

#ifdef HAVE_STRERRORDESC_NP
	/* strerror(3) may allocate to translate; strerrordesc_np never does. */
	description = strerrordesc_np(errnum);
#endif
	if (description != NULL) {
		vmm_text_str(text, description);
	} else {
		vmm_text_str(text, "errno ");
		vmm_text_uint(text, (uint64_t)errnum);
	}
}
