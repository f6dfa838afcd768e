/*
 * Text as CLIP's tokenizer wants it: what open_clip's _clean_lower makes of a string, which is ftfy's fix_text,
 * html.unescape twice, runs of white space to single spaces, and lower case. Unlike ftfy, text that looks as if it had
 * been decoded in a wrong encoding ("sÃ³" for "só") is taken as it is; all else is the same, character by character, as
 * Python 3.11 (Unicode 14) has it.
 */
#ifndef EK_EMBED_CLIP_TEXT_H
#define EK_EMBED_CLIP_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Characters, owned. */
struct ek_clip_text {
	uint32_t *at;
	size_t count, room;
};

/* text: [size] UTF-8. EK_EDATA: it is not; EK_ENOMEM. Release in any case. */
int ek_clip_text_clean(struct ek_clip_text *out, const char *text, size_t size);
void ek_clip_text_release(struct ek_clip_text *t);

int ek_clip_text_is_letter(uint32_t c); /* \p{L} */
int ek_clip_text_is_number(uint32_t c); /* \p{N} */

/* The UTF-8 of one character. Returns its length, 1 ... 4. */
size_t ek_clip_text_encode(char out[4], uint32_t c);

#endif
