#include "analysis/embed/clip_tokenizer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/clip_merges.h"
#include "analysis/embed/clip_text.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { BYTES = 256, FIRST_MERGE = 2 * BYTES, MERGES = EK_CLIP_START - FIRST_MERGE };
enum { SLOTS = 1 << 17, NO_MERGE = MERGES }; /* of the hash table: less than half are taken */
enum { LONG_S = 0x17f, IOTA_BELOW = 0x345 };

struct ek_clip_tokenizer {
	uint16_t byte[BYTES]; /* the token of each; at the end of a word, BYTES more */
	struct {
		uint16_t a, b;
		uint32_t merge; /* + 1; 0: free */
	} slots[SLOTS];
};

static size_t slot_of(uint32_t a, uint32_t b)
{
	return (size_t)((a * 0x9e3779b1u ^ b * 0x85ebca77u) >> 15);
}

/* Bytes that are characters of Latin-1 come first, then the others. */
static void number_bytes(uint16_t byte[BYTES])
{
	uint16_t next = 0;

	for (int printable = 1; printable >= 0; printable--)
		for (int b = 0; b < BYTES; b++)
			if (((b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae) == printable)
				byte[b] = next++;
}

int ek_clip_tokenizer_new(struct ek_clip_tokenizer **out)
{
	struct ek_clip_tokenizer *t;
	int rc;

	assert(ek_clip_merges_size == (size_t)MERGES * 4);
	EK_TRY(ek_alloc(out, 1, sizeof **out));
	t = *out;
	number_bytes(t->byte);
	for (uint32_t m = 0; m < MERGES; m++) {
		const unsigned char *p = ek_clip_merges + (size_t)m * 4;
		const uint16_t a = (uint16_t)(p[0] | p[1] << 8), b = (uint16_t)(p[2] | p[3] << 8);
		size_t s = slot_of(a, b);

		while (t->slots[s].merge != 0)
			s = (s + 1) % SLOTS;
		t->slots[s].a = a;
		t->slots[s].b = b;
		t->slots[s].merge = m + 1;
	}
out:
	return rc;
}

void ek_clip_tokenizer_free(struct ek_clip_tokenizer *t)
{
	free(t);
}

static uint32_t merge_of(const struct ek_clip_tokenizer *t, uint16_t a, uint16_t b)
{
	for (size_t s = slot_of(a, b); t->slots[s].merge != 0; s = (s + 1) % SLOTS)
		if (t->slots[s].a == a && t->slots[s].b == b)
			return t->slots[s].merge - 1;
	return NO_MERGE;
}

/* The tokens of a text so far. */
struct tokens {
	int32_t *at; /* [EK_CLIP_CONTEXT] */
	int count, cut;
};

static void put(struct tokens *out, int32_t token)
{
	if (out->count < EK_CLIP_CONTEXT)
		out->at[out->count++] = token;
	else
		out->cut = 1;
}

/* Join the pairs of the lowest merge that there is, from left to right, until there is none. merge: [count] room. */
static size_t join(const struct ek_clip_tokenizer *t, uint16_t *word, uint32_t *merge, size_t count)
{
	for (size_t i = 0; i + 1 < count; i++)
		merge[i] = merge_of(t, word[i], word[i + 1]);
	for (;;) {
		uint32_t least = NO_MERGE;
		size_t kept = 0;

		for (size_t i = 0; i + 1 < count; i++)
			least = merge[i] < least ? merge[i] : least;
		if (least == NO_MERGE)
			return count;
		for (size_t i = 0; i < count; i++) {
			const int joined = i + 1 < count && merge[i] == least;

			word[kept++] = joined ? (uint16_t)(FIRST_MERGE + least) : word[i];
			i += (size_t)joined;
		}
		count = kept;
		for (size_t i = 0; i + 1 < count; i++)
			merge[i] = merge_of(t, word[i], word[i + 1]);
	}
}

static int add_word(struct tokens *out, const struct ek_clip_tokenizer *t, const uint32_t *c, size_t size)
{
	uint16_t *word = NULL;
	uint32_t *merge = NULL;
	size_t count = 0;
	char bytes[4];
	int rc;

	if (out->count == EK_CLIP_CONTEXT) {
		out->cut = 1;
		return 0;
	}
	EK_TRY(ek_alloc(&word, 4 * size, sizeof *word));
	EK_TRY(ek_alloc(&merge, 4 * size, sizeof *merge));
	for (size_t i = 0; i < size; i++) {
		const size_t length = ek_clip_text_encode(bytes, c[i]);

		for (size_t j = 0; j < length; j++)
			word[count++] = t->byte[(unsigned char)bytes[j]];
	}
	word[count - 1] = (uint16_t)(word[count - 1] + BYTES);
	count = join(t, word, merge, count);
	for (size_t i = 0; i < count; i++)
		put(out, word[i]);
out:
	free(word);
	free(merge);
	return rc;
}

/* Does the text go on with this one? By simple case folding: of lower case, only ſ folds to another. */
static size_t begins(const uint32_t *c, size_t left, const char *with)
{
	size_t i = 0;

	for (; with[i] != 0; i++)
		if (i == left || (c[i] == LONG_S ? 's' : c[i]) != (unsigned char)with[i])
			return 0;
	return i;
}

static size_t run_of(const uint32_t *c, size_t left, int (*holds)(uint32_t))
{
	size_t i = 0;

	while (i < left && holds(c[i]))
		i++;
	return i;
}

/* U+0345 is of no word and parts two: without regard to case it is ι, and neither a set nor its complement has it. */
static int is_other(uint32_t c)
{
	return c != ' ' && c != IOTA_BELOW && !ek_clip_text_is_letter(c) && !ek_clip_text_is_number(c);
}

/* The length of the word that the text begins with; 0: there is none, but a space. */
static size_t next_word(const uint32_t *c, size_t left)
{
	static const char *const first[] = {
		"<start_of_text>", "<end_of_text>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"
	};

	size_t length = 0;

	for (size_t i = 0; length == 0 && i < sizeof first / sizeof *first; i++)
		length = begins(c, left, first[i]);
	if (length > 0)
		return length;
	if (ek_clip_text_is_number(*c))
		return 1;
	return run_of(c, left, ek_clip_text_is_letter(*c) ? ek_clip_text_is_letter : is_other);
}

/* The tokens that stand for themselves in a text, too. */
static int32_t special_token(const uint32_t *c, size_t size)
{
	static const struct {
		const char *text;
		int32_t token;
	} rows[] = { { "<start_of_text>", EK_CLIP_START }, { "<end_of_text>", EK_CLIP_END } };

	for (size_t r = 0; r < 2; r++) {
		size_t i = 0;

		while (i < size && c[i] == (unsigned char)rows[r].text[i])
			i++;
		if (i == size && rows[r].text[i] == 0)
			return rows[r].token;
	}
	return -1;
}

int ek_clip_tokenize(int32_t tokens[EK_CLIP_CONTEXT], int *cut, const struct ek_clip_tokenizer *t, const char *text,
                     size_t size)
{
	struct tokens out = { .at = tokens };
	struct ek_clip_text clean = { 0 };
	int rc;

	memset(tokens, 0, EK_CLIP_CONTEXT * sizeof *tokens);
	EK_TRY(ek_clip_text_clean(&clean, text, size));
	put(&out, EK_CLIP_START);
	for (size_t i = 0, length; i<clean.count; i += length> 0 ? length : 1) {
		const int32_t special = (length = next_word(clean.at + i, clean.count - i)) == 0
		                                ? -1
		                                : special_token(clean.at + i, length);

		if (special >= 0)
			put(&out, special);
		else if (length > 0)
			EK_TRY(add_word(&out, t, clean.at + i, length));
	}
	put(&out, EK_CLIP_END);
	tokens[out.count - 1] = EK_CLIP_END;
	if (cut != NULL)
		*cut = out.cut;
	rc = out.count;
out:
	ek_clip_text_release(&clean);
	return rc;
}
