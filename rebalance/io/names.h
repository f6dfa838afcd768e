/*
 * Names in byte order, in bounded memory: what does not fit is sorted in runs on disk (an unlinked file in TMPDIR or
 * /tmp) and merged while it is read. For directories of any size.
 */
#ifndef EK_IO_NAMES_H
#define EK_IO_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/memory.h"

/* Bytes of names kept in memory unless told otherwise. */
enum { EK_NAMES_MEMORY = 4 << 20 };

struct ek_names;

/* `memory`: bytes of names to keep before a run goes to disk; 0: EK_NAMES_MEMORY. */
int ek_names_new(struct ek_names **out, size_t memory);
/* Any bytes, at most 65,535 of them. All are added before the first is read. EK_ENOMEM, EK_EIO. */
int ek_names_add(struct ek_names *names, const void *bytes, size_t size);
/* 1 and the next name in the order of memcmp (a prefix before what it starts), NUL-terminated, valid until the next
 * call; 0 at the end. */
int ek_names_next(struct ek_names *names, const char **bytes, size_t *size);
void ek_names_free(struct ek_names *names);

#endif
