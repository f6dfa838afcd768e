/*
 * JSON over cJSON: whole documents as a cJSON tree, with errors that say where.
 *
 * cJSON keeps numbers as double, so integers from 2^53 on are refused on reading, and are written
 * exactly with ek_json_add_u64. Rows of .jsonl files are written with ek_json_append_string.
 */
#ifndef EK_BASE_JSON_H
#define EK_BASE_JSON_H

#include <stdint.h>

#include <cjson/cJSON.h>

#include "rebalance/base/memory.h"

/* Parse `size` bytes; NaN and infinities, as Python writes them, are read as null. `where` (a file name, or
 * "file:line") starts the message on EK_EDATA. Nesting deeper than cJSON's limit (1000) is EK_EDATA. Free with
 * cJSON_Delete. */
int ek_json_parse(cJSON **out, const char *text, size_t size, const char *where);
/* Parse a file of at most 1 GiB. EK_EIO, EK_EDATA. */
int ek_json_load(cJSON **out, const char *path);
/* Write indented with a newline at the end, atomically (file.h). Doubles read back the same. */
int ek_json_save(const cJSON *value, const char *path);

/* Add to an object (name) or, with name NULL, to an array. NaN and infinities become null, bytes
 * that are not UTF-8 become U+FFFD.
 * `*_object` and `*_array` give the new child. EK_ENOMEM. */
int ek_json_add_u64(cJSON *parent, const char *name, uint64_t value);
int ek_json_add_double(cJSON *parent, const char *name, double value);
int ek_json_add_string(cJSON *parent, const char *name, const char *value);
int ek_json_add_bool(cJSON *parent, const char *name, int value);
int ek_json_add_null(cJSON *parent, const char *name);
/* Add null as `name`, and why to "reasons" of the same object, which is made where there is none. */
int ek_json_add_none(cJSON *parent, const char *name, const char *why);
int ek_json_add_item(cJSON *parent, const char *name, cJSON *item); /* takes item, also on failure; NULL is EK_ENOMEM */
int ek_json_add_object(cJSON **child, cJSON *parent, const char *name);
int ek_json_add_array(cJSON **child, cJSON *parent, const char *name);

/* The member called `name` to the letter; NULL where there is none, or `object` is no object. */
const cJSON *ek_json_member(const cJSON *object, const char *name);
/* The number that a member is, or the "value" of a measure {"value", "ci95"}; 0 if it is neither. */
double ek_json_number(const cJSON *object, const char *name);
/* The text that a member is, or "". */
const char *ek_json_text(const cJSON *object, const char *name);
/* Read a member; EK_EDATA naming `where` and the member if it is missing, of another type,
 * negative or fractional (u64) or not below 2^53. The string belongs to the tree. */
int ek_json_get_u64(uint64_t *out, const cJSON *object, const char *name, const char *where);
int ek_json_get_double(double *out, const cJSON *object, const char *name, const char *where);
int ek_json_get_string(const char **out, const cJSON *object, const char *name, const char *where);

/* A number of a document as a count of things: 0 where it is none (negative, not below 2^53, NaN). */
uint64_t ek_whole(double x);
/* The item if it is an object, else NULL: for a loop over members that asks for their names, which those of an array do
 * not have. */
const cJSON *ek_json_object(const cJSON *item);

/* Append a quoted, escaped JSON string of `size` bytes; bytes that are not UTF-8 become U+FFFD. */
int ek_json_append_string(struct ek_buffer *b, const char *bytes, size_t size);
/* Append a number as JSON: shortest text that reads back the same; null if not finite. */
int ek_json_append_double(struct ek_buffer *b, double value);

#endif
