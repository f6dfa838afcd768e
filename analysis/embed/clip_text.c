#include "analysis/embed/clip_text.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/embed/clip_text_tables.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/utf8.h"

enum { FIRST_MARK = 0x300 }; /* nothing below composes with what is before it */
enum { REPLACEMENT = 0xfffd, CAPITAL_SIGMA = 0x3a3, FINAL_SIGMA = 0x3c2, SMALL_SIGMA = 0x3c3, LARGEST = 0x10ffff };

static int push(struct ek_clip_text *t, uint32_t c)
{
	int rc = 0;

	if (t->count == t->room) {
		t->room = t->room > 0 ? 2 * t->room : 64;
		EK_TRY(ek_resize(&t->at, t->room, sizeof *t->at));
	}
	t->at[t->count++] = c;
out:
	return rc;
}

static int push_utf8(struct ek_clip_text *t, const char *text, size_t size)
{
	size_t length;
	int rc = 0;

	for (size_t i = 0; i < size; i += length) {
		const unsigned char *p = (const unsigned char *)text + i;
		uint32_t c = *p;

		if ((length = ek_utf8_length(text + i, size - i)) == 0)
			return ek_fail(EK_EDATA, "byte %zu is not UTF-8", i + 1);
		if (length > 1)
			c &= 0x7fu >> length;
		for (size_t j = 1; j < length; j++)
			c = c << 6 | (p[j] & 0x3fu);
		EK_TRY(push(t, c));
	}
out:
	return rc;
}

static int push_all(struct ek_clip_text *t, const uint32_t *c, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count; i++)
		EK_TRY(push(t, c[i]));
out:
	return rc;
}

void ek_clip_text_release(struct ek_clip_text *t)
{
	free(t->at);
	*t = (struct ek_clip_text){ 0 };
}

size_t ek_clip_text_encode(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* The row of a table, whose rows begin with the first and last character they are of, or NULL. */
static const void *find_range(const void *table, size_t count, size_t size, uint32_t c)
{
	size_t low = 0, high = count;

	while (low < high) {
		const size_t middle = (low + high) / 2;
		const uint32_t *row = (const void *)((const char *)table + middle * size);

		if (c < row[0])
			high = middle;
		else if (c > row[1])
			low = middle + 1;
		else
			return row;
	}
	return NULL;
}

#define FIND(table, c) find_range(table, table##_count, sizeof *(table), c)

int ek_clip_text_is_letter(uint32_t c)
{
	return FIND(ek_clip_text_letters, c) != NULL;
}

int ek_clip_text_is_number(uint32_t c)
{
	return FIND(ek_clip_text_numbers, c) != NULL;
}

/* Python's str.isspace. */
static int is_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Entities. A reference is `&`, then `size` characters. */

static int digit_of(uint32_t c, uint32_t base)
{
	const uint32_t low = c | 0x20;

	if (c >= '0' && c <= '9')
		return (int)(c - '0');
	return base == 16 && low >= 'a' && low <= 'f' ? (int)(low - 'a' + 10) : -1;
}

static int is_alphanumeric(uint32_t c)
{
	return digit_of(c, 10) >= 0 || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* What browsers read &#128; to &#159; as; those without a meaning there stay. */
static uint32_t windows_1252(uint32_t c)
{
	static const uint16_t table[32] = { 0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
		                            0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d,   0x017d, 0x8f,
		                            0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		                            0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178 };

	return c >= 0x80 && c <= 0x9f ? table[c - 0x80] : c;
}

/* html.unescape of a number: what it says, or nothing. */
static int push_number(struct ek_clip_text *out, uint32_t number)
{
	const int noncharacter = (number >= 0xfdd0 && number <= 0xfdef) || (number & 0xfffe) == 0xfffe;
	const int control =
		(number >= 1 && number <= 8) || number == 0xb || (number >= 0xe && number <= 0x1f) || number == 0x7f;

	if (number == 0 || number > LARGEST || (number >= 0xd800 && number <= 0xdfff))
		return push(out, REPLACEMENT);
	if (number >= 0x80 && number <= 0x9f)
		return push(out, windows_1252(number));
	return noncharacter || control ? 0 : push(out, number);
}

/* `#12` or `#x1f` at `c`: its length, without a semicolon, or 0. */
static size_t read_number(uint32_t *number, const uint32_t *c, size_t left)
{
	const uint32_t base = left > 1 && (c[1] | 0x20) == 'x' ? 16 : 10;
	const size_t first = base == 16 ? 2 : 1;
	size_t i = first;

	if (left == 0 || c[0] != '#')
		return 0;
	*number = 0;
	for (; i < left && digit_of(c[i], base) >= 0; i++)
		*number = *number > LARGEST ? *number : *number * base + (uint32_t)digit_of(c[i], base);
	return i > first ? i : 0;
}

static const struct ek_clip_text_entity *find_entity(const uint32_t *c, size_t size)
{
	size_t low = 0, high = ek_clip_text_entities_count;

	while (low < high) {
		const size_t middle = (low + high) / 2;
		const char *name = ek_clip_text_entities[middle].name;
		int order = 0;

		for (size_t i = 0; order == 0 && i < size; i++)
			order = c[i] < (unsigned char)name[i] ? -1 : c[i] > (unsigned char)name[i];
		if (order == 0 && name[size] == 0)
			return &ek_clip_text_entities[middle];
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* ftfy's: only what ends in a semicolon. Returns how many characters behind the & it took, 0: none. */
static int unescape_strictly(struct ek_clip_text *out, const uint32_t *c, size_t left)
{
	enum { LONGEST = 24 };
	const struct ek_clip_text_entity *entity;
	const size_t hash = left > 0 && c[0] == '#';
	size_t size = hash, digits;
	uint32_t number;
	int rc;

	while (size < left && size < hash + LONGEST && is_alphanumeric(c[size]))
		size++;
	if (size == hash || size == left || c[size] != ';')
		return 0;
	if (hash) {
		digits = read_number(&number, c, size);
		if (digits != size || number == ';')
			return 0;
		EK_TRY(push_number(out, number));
	} else {
		if ((entity = find_entity(c, size)) == NULL)
			return 0;
		EK_TRY(push_utf8(out, entity->text, strlen(entity->text)));
	}
	rc = (int)size + 1;
out:
	return rc;
}

static int is_in_name(uint32_t c)
{
	return c != '\t' && c != '\n' && c != '\f' && c != ' ' && c != '<' && c != '&' && c != '#' && c != ';';
}

/* html.unescape's: also without a semicolon, and the longest known beginning of a name. */
static int unescape_loosely(struct ek_clip_text *out, const uint32_t *c, size_t left)
{
	enum { LONGEST = 32 };
	const struct ek_clip_text_entity *entity;
	uint32_t number;
	size_t size = read_number(&number, c, left), whole;
	int rc;

	if (size > 0) {
		EK_TRY(push_number(out, number));
		return (int)(size + (size < left && c[size] == ';'));
	}
	while (size < left && size < LONGEST && is_in_name(c[size]))
		size++;
	whole = size;
	if (whole < left && c[whole] == ';' && (entity = find_entity(c, whole)) != NULL && entity->kind < 2) {
		EK_TRY(push_utf8(out, entity->text, strlen(entity->text)));
		return (int)whole + 1;
	}
	for (; size > 1; size--)
		if ((entity = find_entity(c, size)) != NULL && entity->kind == 1) {
			EK_TRY(push_utf8(out, entity->text, strlen(entity->text)));
			return (int)size;
		}
	return 0;
out:
	return rc;
}

static int unescape(struct ek_clip_text *out, const struct ek_clip_text *in,
                    int (*one)(struct ek_clip_text *, const uint32_t *, size_t))
{
	int rc = 0;

	out->count = 0;
	for (size_t i = 0; i < in->count; i++) {
		if (in->at[i] == '&') {
			EK_TRY(one(out, in->at + i + 1, in->count - i - 1));
			i += (size_t)rc;
			if (rc > 0)
				continue;
		}
		EK_TRY(push(out, in->at[i]));
	}
	rc = 0;
out:
	return rc;
}

/* What ftfy replaces one by one, and line breaks. */
static int replace(struct ek_clip_text *out, const struct ek_clip_text *in)
{
	int rc = 0;

	out->count = 0;
	for (size_t i = 0; i < in->count; i++) {
		const uint32_t c = windows_1252(in->at[i]);
		const struct ek_clip_text_replacement *r =
			bsearch(&c, ek_clip_text_replacements, ek_clip_text_replacements_count,
		                sizeof *ek_clip_text_replacements, ek_compare_u32);

		if (c == '\r' && i + 1 < in->count && in->at[i + 1] == '\n')
			continue;
		if (r == NULL)
			EK_TRY(push(out, c == '\r' || c == 0x2028 || c == 0x2029 ? '\n' : c));
		if (r != NULL)
			EK_TRY(push(out, r->a));
		if (r != NULL && r->b != 0)
			EK_TRY(push(out, r->b));
		if (r != NULL && r->c != 0)
			EK_TRY(push(out, r->c));
	}
out:
	return rc;
}

/* ESC [ digits and semicolons letter: its length, or 0. */
static size_t terminal_escape(const uint32_t *c, size_t left)
{
	size_t i = 2;

	if (left < 3 || c[0] != 0x1b || c[1] != '[')
		return 0;
	while (i < left && (digit_of(c[i], 10) >= 0 || c[i] == ';'))
		i++;
	return i < left && (c[i] | 0x20) >= 'a' && (c[i] | 0x20) <= 'z' ? i + 1 : 0;
}

static int remove_controls(struct ek_clip_text *out, const struct ek_clip_text *in)
{
	struct ek_clip_text plain = { 0 };
	int rc = 0;

	for (size_t i = 0, size; i<in->count; i += size> 0 ? size : 1)
		if ((size = terminal_escape(in->at + i, in->count - i)) == 0)
			EK_TRY(push(&plain, in->at[i]));
	out->count = 0;
	for (size_t i = 0; i < plain.count; i++)
		if (FIND(ek_clip_text_removed, plain.at[i]) == NULL)
			EK_TRY(push(out, plain.at[i]));
out:
	ek_clip_text_release(&plain);
	return rc;
}

/* Normalization form C (Unicode Standard Annex 15). */

enum { L_FIRST = 0x1100, V_FIRST = 0x1161, T_FIRST = 0x11a7, S_FIRST = 0xac00 };
enum { L_COUNT = 19, V_COUNT = 21, T_COUNT = 28, S_COUNT = L_COUNT * V_COUNT * T_COUNT };

static uint32_t class_of(uint32_t c)
{
	const struct ek_clip_text_class *row = FIND(ek_clip_text_classes, c);

	return row != NULL ? row->number : 0;
}

static int decompose(struct ek_clip_text *out, uint32_t c)
{
	const struct ek_clip_text_decomposition *row =
		bsearch(&c, ek_clip_text_decompositions, ek_clip_text_decompositions_count,
	                sizeof *ek_clip_text_decompositions, ek_compare_u32);
	int rc;

	if (c >= S_FIRST && c < S_FIRST + S_COUNT) {
		const uint32_t s = c - S_FIRST, t = s % T_COUNT;

		EK_TRY(push(out, L_FIRST + s / (V_COUNT * T_COUNT)));
		EK_TRY(push(out, V_FIRST + s / T_COUNT % V_COUNT));
		return t > 0 ? push(out, T_FIRST + t) : 0;
	}
	if (row == NULL)
		return push(out, c);
	EK_TRY(decompose(out, row->a)); /* as deep as the table: a few levels */
	if (row->b != 0)
		EK_TRY(decompose(out, row->b));
out:
	return rc;
}

static void sort_marks(struct ek_clip_text *t)
{
	for (size_t i = 1; i < t->count; i++) {
		const uint32_t c = t->at[i], k = class_of(c);
		size_t j = i;

		for (; k > 0 && j > 0 && class_of(t->at[j - 1]) > k; j--)
			t->at[j] = t->at[j - 1];
		t->at[j] = c;
	}
}

/* What two characters compose to, or 0. */
static uint32_t compose_two(uint32_t a, uint32_t b)
{
	if (a >= L_FIRST && a < L_FIRST + L_COUNT && b >= V_FIRST && b < V_FIRST + V_COUNT)
		return S_FIRST + ((a - L_FIRST) * V_COUNT + (b - V_FIRST)) * T_COUNT;
	if (a >= S_FIRST && a < S_FIRST + S_COUNT && (a - S_FIRST) % T_COUNT == 0 && b > T_FIRST &&
	    b < T_FIRST + T_COUNT)
		return a + (b - T_FIRST);
	if (b < FIRST_MARK)
		return 0;
	for (size_t i = 0; i < ek_clip_text_decompositions_count; i++) {
		const struct ek_clip_text_decomposition *d = &ek_clip_text_decompositions[i];

		if (d->composes && d->a == a && d->b == b)
			return d->character;
	}
	return 0;
}

static void compose(struct ek_clip_text *t)
{
	size_t starter = SIZE_MAX, count = 0;
	uint32_t last = 0; /* class of the character kept before this one, since the starter */

	for (size_t i = 0; i < t->count; i++) {
		const uint32_t c = t->at[i], k = class_of(c);
		const int blocked = starter == SIZE_MAX || (count > starter + 1 && last >= k);
		const uint32_t both = blocked ? 0 : compose_two(t->at[starter], c);

		if (both != 0) {
			t->at[starter] = both;
			continue;
		}
		if (k == 0)
			starter = count;
		last = k;
		t->at[count++] = c;
	}
	t->count = count;
}

static int normalise(struct ek_clip_text *out, const struct ek_clip_text *in)
{
	int rc = 0;

	out->count = 0;
	for (size_t i = 0; i < in->count; i++)
		EK_TRY(decompose(out, in->at[i]));
	sort_marks(out);
	compose(out);
out:
	return rc;
}

static int is_equal(const struct ek_clip_text *a, const struct ek_clip_text *b)
{
	return a->count == b->count && (a->count == 0 || memcmp(a->at, b->at, a->count * sizeof *a->at) == 0);
}

/* ftfy's fixes over and over, until they change nothing: each pass makes the text shorter or plainer. */
static int fix_line(struct ek_clip_text *line, int entities)
{
	struct ek_clip_text before = { 0 }, other = { 0 };
	int rc;

	do {
		before.count = 0;
		EK_TRY(push_all(&before, line->at, line->count));
		if (entities)
			EK_TRY(unescape(&other, &before, unescape_strictly));
		EK_TRY(replace(line, entities ? &other : &before));
		EK_TRY(remove_controls(&other, line));
		EK_TRY(normalise(line, &other));
	} while (!is_equal(line, &before));
out:
	ek_clip_text_release(&before);
	ek_clip_text_release(&other);
	return rc;
}

static int contains(const struct ek_clip_text *t, uint32_t c)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->at[i] == c)
			return 1;
	return 0;
}

/* Line after line. From the first < on, the text is taken for HTML, whose entities are meant. */
static int fix(struct ek_clip_text *out, const struct ek_clip_text *in)
{
	struct ek_clip_text line = { 0 };
	int entities = 1, rc = 0;

	for (size_t i = 0; i < in->count; i++) {
		EK_TRY(push(&line, in->at[i]));
		if (in->at[i] != '\n' && i + 1 < in->count)
			continue;
		entities &= !contains(&line, '<');
		EK_TRY(fix_line(&line, entities));
		EK_TRY(push_all(out, line.at, line.count));
		line.count = 0;
	}
out:
	ek_clip_text_release(&line);
	return rc;
}

/* The next character from `i` on, by `step`, that is not passed over has a case. */
static int has_case(const struct ek_clip_text *t, size_t i, size_t step)
{
	while (i < t->count && FIND(ek_clip_text_passed, t->at[i]) != NULL)
		i += step;
	return i < t->count && FIND(ek_clip_text_cased, t->at[i]) != NULL;
}

static int push_lower(struct ek_clip_text *out, const struct ek_clip_text *in, size_t i)
{
	const uint32_t c = in->at[i];
	const struct ek_clip_text_lower *row = FIND(ek_clip_text_lowers, c);
	int rc;

	if (c == CAPITAL_SIGMA)
		return push(out, has_case(in, i - 1, SIZE_MAX) && !has_case(in, i + 1, 1) ? FINAL_SIGMA : SMALL_SIGMA);
	if (c == 0x130) {
		EK_TRY(push(out, 'i'));
		return push(out, 0x307);
	}
	return push(out, row != NULL && (c - row->first) % row->step == 0 ? (uint32_t)((int32_t)c + row->add) : c);
out:
	return rc;
}

/* Words with a space between them. */
static int squeeze(struct ek_clip_text *out, const struct ek_clip_text *in)
{
	int rc = 0;

	out->count = 0;
	for (size_t i = 0; i < in->count; i++) {
		if (is_space(in->at[i]))
			continue;
		if (i > 0 && is_space(in->at[i - 1]) && out->count > 0)
			EK_TRY(push(out, ' '));
		EK_TRY(push(out, in->at[i]));
	}
out:
	return rc;
}

int ek_clip_text_clean(struct ek_clip_text *out, const char *text, size_t size)
{
	struct ek_clip_text a = { 0 }, b = { 0 };
	int rc;

	*out = (struct ek_clip_text){ 0 };
	EK_TRY(push_utf8(&a, text, size));
	EK_TRY(fix(&b, &a));
	EK_TRY(unescape(&a, &b, unescape_loosely));
	EK_TRY(unescape(&b, &a, unescape_loosely));
	EK_TRY(squeeze(&a, &b));
	for (size_t i = 0; i < a.count; i++)
		EK_TRY(push_lower(out, &a, i));
out:
	ek_clip_text_release(&a);
	ek_clip_text_release(&b);
	return rc;
}
