/*
 * UTF-8, told from other bytes: no surrogates, no overlong forms.
 */
#ifndef EK_BASE_UTF8_H
#define EK_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the character that the `left` bytes begin with (1 … 4); 0: there is none. */
size_t ek_utf8_length(const char *bytes, size_t left);
/* The length of the longest prefix that is valid. */
size_t ek_utf8_valid_prefix(const char *bytes, size_t size);

#endif
