/*
 * File names in JSON. A name is bytes; one that is not UTF-8 shows U+FFFD in the member NAME, and its bytes, in hex,
 * in the member NAME_bytes.
 */
#ifndef EK_IO_FILENAME_H
#define EK_IO_FILENAME_H

#include "rebalance/base/json.h"

/* Append `"member": "…"` and, where needed, `, "member_bytes": "…"`. */
int ek_filename_append(struct ek_buffer *b, const char *member, const char *name);
/* Add the same to an object. */
int ek_filename_add(cJSON *object, const char *member, const char *name);
/* `*out` = the true bytes (to be freed). EK_EDATA starts with `where`. */
int ek_filename_get(char **out, const cJSON *object, const char *member, const char *where);

#endif
