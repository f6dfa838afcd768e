/* Tokens against open_clip's, of tests/golden/make_clip_tokenizer.py. */

#include "analysis/embed/clip_text.h"
#include "analysis/embed/clip_tokenizer.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/memory.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"

enum { PIECES = 64, PER_PIECE = 8 };

static void add_character(struct ek_buffer *text, uint32_t c)
{
	char bytes[4];

	assert_ok(ek_buffer_append(text, bytes, ek_clip_text_encode(bytes, c)));
}

/* One piece by its eight numbers: a fragment, letters, digits, or characters of one range. */
static void add_piece(struct ek_buffer *text, const cJSON *golden, const int32_t *p)
{
	const cJSON *fragments = ek_golden_member(golden, "fragments"), *ranges = ek_golden_member(golden, "ranges"),
		    *range;
	int32_t low, high, power = 1;

	if (p[0] % 8 < 4) {
		assert_ok(ek_buffer_text(
			text, cJSON_GetArrayItem(fragments, p[1] % cJSON_GetArraySize(fragments))->valuestring));
	} else if (p[0] % 8 == 4) {
		for (int j = 0; j < 1 + p[1] % 10; j++)
			add_character(text, (uint32_t)((p[2] >> j & 1 ? 'a' : 'A') + (p[3] >> 2 * j) % 26));
	} else if (p[0] % 8 == 5) {
		for (int j = 0; j < p[2] % 8; j++)
			power *= 10;
		assert_ok(ek_buffer_printf(text, "%d", p[1] % power));
	} else {
		range = cJSON_GetArrayItem(ranges, p[1] % cJSON_GetArraySize(ranges));
		low = cJSON_GetArrayItem(range, 0)->valueint;
		high = cJSON_GetArrayItem(range, 1)->valueint;
		for (int j = 0; j < 1 + p[2] % 3; j++)
			add_character(text, (uint32_t)(low + p[3 + j] % (high - low + 1)));
	}
	assert_ok(ek_buffer_text(text, p[7] % 3 == 0 ? "" : " "));
}

static void make(struct ek_buffer *text, const cJSON *golden, int number)
{
	int32_t r[1 + PIECES * PER_PIECE];
	char name[32];

	(void)snprintf(name, sizeof name, "string %d", number);
	ek_random_bits(r, name, sizeof r / sizeof *r);
	ek_buffer_clear(text);
	for (int k = 0; k < 1 + r[0] % (number % 16 == 15 ? 64 : 10); k++)
		add_piece(text, golden, r + 1 + k * PER_PIECE);
}

static void hex_of(char out[EK_SHA256_HEX], const void *bytes, size_t size)
{
	uint8_t digest[EK_SHA256_SIZE];

	assert_ok(ek_sha256(digest, bytes, size));
	ek_hex(out, digest, sizeof digest);
}

static void ten_thousand_strings_are_open_clips(void **state)
{
	cJSON *golden = ek_golden("clip_tokenizer");
	const int count = ek_golden_member(golden, "count")->valueint,
		  block = ek_golden_member(golden, "block")->valueint;
	const cJSON *left_out = ek_golden_member(golden, "left_out")->child,
		    *blocks = ek_golden_member(golden, "blocks");
	struct ek_clip_tokenizer *t = NULL;
	struct ek_buffer text = { 0 };
	int32_t *tokens = NULL;
	char hex[EK_SHA256_HEX];
	int taken = 0;

	assert_ok(ek_clip_tokenizer_new(&t));
	assert_ok(ek_alloc(&tokens, (size_t)count * EK_CLIP_CONTEXT, sizeof *tokens));
	for (int number = 0; taken < count; number++) {
		if (left_out != NULL && left_out->valueint == number) {
			left_out = left_out->next;
			continue;
		}
		make(&text, golden, number);
		assert_ok(ek_clip_tokenize(tokens + (size_t)taken * EK_CLIP_CONTEXT, NULL, t, text.data, text.size));
		if (++taken % block != 0)
			continue;
		hex_of(hex, tokens + (size_t)(taken - block) * EK_CLIP_CONTEXT,
		       (size_t)block * EK_CLIP_CONTEXT * sizeof *tokens);
		hex[16] = 0;
		if (strcmp(hex, cJSON_GetArrayItem(blocks, taken / block - 1)->valuestring) != 0)
			fail_msg("one of the %d strings before number %d has other tokens", block, number + 1);
	}
	hex_of(hex, tokens, (size_t)count * EK_CLIP_CONTEXT * sizeof *tokens);
	assert_int_equal(count, 10000);
	assert_string_equal(hex, ek_golden_member(golden, "sha256")->valuestring);
	ek_clip_tokenizer_free(t);
	ek_buffer_release(&text);
	free(tokens);
	cJSON_Delete(golden);
}

static void each_string_has_its_tokens(void **state)
{
	cJSON *golden = ek_golden("clip_tokenizer");
	const cJSON *strings = ek_golden_member(golden, "strings"), *row, *token;
	struct ek_clip_tokenizer *t = NULL;
	int32_t got[EK_CLIP_CONTEXT];
	int wrong = 0;

	assert_ok(ek_clip_tokenizer_new(&t));
	assert_true(cJSON_GetArraySize(strings) > 400);
	cJSON_ArrayForEach(row, strings)
	{
		const char *text = row->child->valuestring;
		const cJSON *want = row->child->next;
		int i = 0, count, different;

		assert_ok(count = ek_clip_tokenize(got, NULL, t, text, strlen(text)));
		different = count != cJSON_GetArraySize(want);
		cJSON_ArrayForEach(token, want) different |= got[i++] != token->valueint;
		if (different)
			print_error("other tokens: \"%s\"\n", text);
		wrong += different;
	}
	assert_int_equal(wrong, 0);
	ek_clip_tokenizer_free(t);
	cJSON_Delete(golden);
}

/* Expected: open_clip 3.3.0, by hand. */
static void what_does_not_fit_is_cut(void **state)
{
	enum { WORDS = 100 };
	char text[2 * WORDS + 1];
	struct ek_clip_tokenizer *t = NULL;
	int32_t tokens[EK_CLIP_CONTEXT];
	int cut;

	for (int i = 0; i < WORDS; i++)
		memcpy(text + 2 * i, "a ", 3);
	assert_ok(ek_clip_tokenizer_new(&t));
	assert_int_equal(ek_clip_tokenize(tokens, &cut, t, text, 2 * 75), EK_CLIP_CONTEXT);
	assert_int_equal(cut, 0);
	assert_int_equal(tokens[75], 320);
	assert_int_equal(ek_clip_tokenize(tokens, &cut, t, text, 2 * 76), EK_CLIP_CONTEXT);
	assert_int_equal(cut, 1);
	assert_int_equal(tokens[75], 320);
	assert_int_equal(tokens[76], EK_CLIP_END);
	assert_int_equal(ek_clip_tokenize(tokens, &cut, t, text, 0), 2);
	assert_int_equal(tokens[0], EK_CLIP_START);
	assert_int_equal(tokens[1], EK_CLIP_END);
	assert_int_equal(tokens[2], 0);
	assert_int_equal(ek_clip_tokenize(tokens, &cut, t, "a\0a", 3), 3); /* ftfy drops the NUL */
	assert_int_equal(tokens[1], 3894);
	ek_clip_tokenizer_free(t);
}

static void other_bytes_are_refused(void **state)
{
	struct ek_clip_tokenizer *t = NULL;
	int32_t tokens[EK_CLIP_CONTEXT];

	assert_ok(ek_clip_tokenizer_new(&t));
	assert_fails(ek_clip_tokenize(tokens, NULL, t, "caf\xe9", 4), EK_EDATA, "byte 4");
	assert_fails(ek_clip_tokenize(tokens, NULL, t, "\xc3", 1), EK_EDATA, "byte 1");
	ek_clip_tokenizer_free(t);
}

EK_TEST_MAIN(cmocka_unit_test(each_string_has_its_tokens), cmocka_unit_test(ten_thousand_strings_are_open_clips),
             cmocka_unit_test(what_does_not_fit_is_cut), cmocka_unit_test(other_bytes_are_refused))
