/*
 * CLIP's tokenizer: byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019, 2021) of text cleaned as
 * in clip_text.h. Tokens are those of OpenAI's simple_tokenizer and of open_clip's SimpleTokenizer, which LAION's and
 * other checkpoints of the same vocabulary use as well.
 *
 * The vocabulary is in the program: its 48,894 merges are those of OpenAI's bpe_simple_vocab_16e6.txt (clip_merges.bin;
 * clip_merges.LICENSE), and all else follows from them.
 */
#ifndef EK_EMBED_CLIP_TOKENIZER_H
#define EK_EMBED_CLIP_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

enum { EK_CLIP_CONTEXT = 77, EK_CLIP_START = 49406, EK_CLIP_END = 49407, EK_CLIP_VOCABULARY = 49408 };

/* May be shared by threads. */
struct ek_clip_tokenizer;

/* EK_ENOMEM. */
int ek_clip_tokenizer_new(struct ek_clip_tokenizer **out);
void ek_clip_tokenizer_free(struct ek_clip_tokenizer *t);

/*
 * text: [size] UTF-8. tokens: the start, the text's, the end, then zeros; a longer text is cut, and the end stays.
 * Returns how many there are with start and end, 2 … EK_CLIP_CONTEXT. `*cut` (may be NULL): 1 if some were left out.
 * EK_EDATA: no UTF-8; EK_ENOMEM. Time grows with the square of the longest word.
 */
int ek_clip_tokenize(int32_t tokens[EK_CLIP_CONTEXT], int *cut, const struct ek_clip_tokenizer *t, const char *text,
                     size_t size);

#endif
