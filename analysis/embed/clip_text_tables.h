/* What clip_text.c has to know about characters; each table is sorted by its first member. Made by
 * tests/golden/make_clip_tokenizer.py from Python's packages. */
#ifndef EK_EMBED_CLIP_TEXT_TABLES_H
#define EK_EMBED_CLIP_TEXT_TABLES_H

#include <stddef.h>
#include <stdint.h>

struct ek_clip_text_range {
	uint32_t first, last;
};

/* \p{L}; \p{N}. */
extern const struct ek_clip_text_range ek_clip_text_letters[], ek_clip_text_numbers[];
/* Of what Σ becomes at the end of a word: letters with a case, and what is passed over. */
extern const struct ek_clip_text_range ek_clip_text_cased[], ek_clip_text_passed[];
/* Control characters that ftfy takes out. */
extern const struct ek_clip_text_range ek_clip_text_removed[];
extern const size_t ek_clip_text_letters_count, ek_clip_text_numbers_count, ek_clip_text_cased_count,
	ek_clip_text_passed_count, ek_clip_text_removed_count;

/* Every step-th of these becomes itself + add; İ and Σ are not among them. */
struct ek_clip_text_lower {
	uint32_t first, last, step;
	int32_t add;
};
extern const struct ek_clip_text_lower ek_clip_text_lowers[];
extern const size_t ek_clip_text_lowers_count;

/* Canonical combining class. */
struct ek_clip_text_class {
	uint32_t first, last, number;
};
extern const struct ek_clip_text_class ek_clip_text_classes[];
extern const size_t ek_clip_text_classes_count;

/* Canonical decomposition into one part (b is 0) or two, which compose to it again or not. */
struct ek_clip_text_decomposition {
	uint32_t character, a, b, composes;
};
extern const struct ek_clip_text_decomposition ek_clip_text_decompositions[];
extern const size_t ek_clip_text_decompositions_count;

/* Ligatures, full and half widths and quotes, as ftfy has them replaced: by one to three, the rest is 0. */
struct ek_clip_text_replacement {
	uint32_t character, a, b, c;
};
extern const struct ek_clip_text_replacement ek_clip_text_replacements[];
extern const size_t ek_clip_text_replacements_count;

/* &NAME; in the order of the bytes of their names. */
struct ek_clip_text_entity {
	const char *name, *text;
	int kind; /* 1: also without the semicolon; 2: known to ftfy alone */
};
extern const struct ek_clip_text_entity ek_clip_text_entities[];
extern const size_t ek_clip_text_entities_count;

#endif
