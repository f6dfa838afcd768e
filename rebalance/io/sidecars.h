/*
 * Texts that lie beside images in a tar, by name: a .cls, .json or .txt is kept from where it is read until the images
 * that it belongs to have been given out. 32 to 40 bytes of memory each; the texts beyond a few MiB lie in an unlinked
 * file in TMPDIR or /tmp.
 */
#ifndef EK_IO_SIDECARS_H
#define EK_IO_SIDECARS_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/memory.h"

enum ek_sidecar_kind {
	EK_SIDECAR_LABEL,      /* .cls */
	EK_SIDECAR_ATTRIBUTES, /* .json */
	EK_SIDECAR_TEXT,       /* .txt */
	EK_SIDECAR_KINDS
};

enum ek_sidecar_state {
	EK_SIDECAR_WAITS,
	EK_SIDECAR_LATE,      /* an image that came before may want it */
	EK_SIDECAR_USED,      /* an image has it */
	EK_SIDECAR_AMBIGUOUS, /* another one of this name says something else: it is not used */
	EK_SIDECAR_BESIDE,    /* used by an image beside it; one that came before has none: another may come */
	EK_SIDECAR_DISPUTED   /* it did, and says something else: neither is used */
};

struct ek_sidecars;

int ek_sidecars_new(struct ek_sidecars **out);
/* `stem`: the name without the extension. At most 65,535 bytes, and as many sidecars as a uint32_t counts. */
int ek_sidecars_add(struct ek_sidecars *s, enum ek_sidecar_kind kind, const char *stem, size_t stem_size,
                    const void *text, size_t text_size);
/* 1 and the number of the last one added of this kind and stem, or 0. EK_EIO. */
int ek_sidecars_find(size_t *i, struct ek_sidecars *s, enum ek_sidecar_kind kind, const char *stem, size_t stem_size);
/* The same of those before number `below`. */
int ek_sidecars_find_below(size_t *i, struct ek_sidecars *s, enum ek_sidecar_kind kind, const char *stem,
                           size_t stem_size, size_t below);
/* Do two say the same? 1, 0 or EK_EIO. */
int ek_sidecars_agree(struct ek_sidecars *s, size_t i, size_t j);
size_t ek_sidecars_count(const struct ek_sidecars *s);
enum ek_sidecar_kind ek_sidecars_kind(const struct ek_sidecars *s, size_t i);
enum ek_sidecar_state ek_sidecars_state(const struct ek_sidecars *s, size_t i);
void ek_sidecars_set(struct ek_sidecars *s, size_t i, enum ek_sidecar_state state);
/* Replace `out` by the stem or the text of one. */
int ek_sidecars_stem(struct ek_buffer *out, struct ek_sidecars *s, size_t i);
int ek_sidecars_text(struct ek_buffer *out, struct ek_sidecars *s, size_t i);
/*
 * The sample that began when there were `count` is over. Of those added since, these stay: the late ones; those that
 * wait, if `keep` is 1; those beside; and used ones with a stem of `used_stem` bytes (0: none). The others are
 * forgotten. If one that stays has the name of one that does already, the two are one if they say the same; else it is
 * forgotten, and the other, if it was not used yet, is ambiguous, or if it was beside, disputed. `*dropped` grows by
 * those that were not used and are forgotten now.
 */
int ek_sidecars_settle(struct ek_sidecars *s, size_t count, int keep, size_t used_stem, uint64_t *dropped);
void ek_sidecars_free(struct ek_sidecars *s);

#endif
