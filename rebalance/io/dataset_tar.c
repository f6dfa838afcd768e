#include "rebalance/io/dataset_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/sidecars.h"
#include "rebalance/io/tar.h"
#include "rebalance/io/tar_index.h"

enum {
	HELD_IMAGES = 16, /* of one sample, until what lies beside them is known */
	LARGEST_SIDECAR = 1 << 24,
	LARGEST_STEM = UINT16_MAX,
	LARGEST_SAMPLE = 4096, /* sidecars, then it is cut between two names */
	MOST_STEMS = 32,       /* of one name: dots in it */
	FILTER_WORDS = 1 << 17 /* of 64 bits: 1 MiB */
};

/* What ends a sample. */
enum boundary { SAME, ANOTHER, REPEAT, CUT, END_OF_TAR };

struct tars {
	size_t next; /* of d->paths */
	struct ek_tar *tar;
	struct ek_tar_member member;
	struct ek_tar_index *index; /* of this tar, where a hard link was met */
	int pending;                /* `member` has not been taken */
	int closing; /* the sample is whole: hand out its images, then begin another: enum boundary, or 0 */
	/* The sample: neighbours whose names agree up to the first dot of the last part. */
	struct ek_buffer key, last; /* and the stem of the last member */
	int open;                   /* it has members */
	int is_repeat;              /* it began because a name was there again */
	unsigned lacking;           /* kinds that an image of it lacked when it was given out, a bit each */
	struct ek_dataset_item images[HELD_IMAGES];
	size_t first, held;          /* a ring */
	uint64_t stems[HELD_IMAGES]; /* hashes, of the last images of the sample; a ring */
	size_t stem_count;
	/* What lies beside images of this tar; from `start` on, of this sample. */
	struct ek_sidecars *sidecars;
	size_t start;
	int complete; /* known from the walk before: nothing is added */
	/* Of each tar, what has no image beside it but one before it: for the second walk. [d->path_count] */
	struct ek_sidecars **kept;
	int is_second;
	uint64_t *filter; /* the names of images that were given and lack something: a Bloom filter, or NULL */
	struct ek_buffer text, name;
};

static int open_tars(struct ek_dataset *d)
{
	struct tars *t;
	int rc;

	EK_TRY(ek_alloc(&t, 1, sizeof *t));
	d->state = t;
	EK_TRY(ek_alloc(&t->kept, d->path_count, sizeof *t->kept));
out:
	return rc;
}

/* --- names --- */

static size_t last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? (size_t)(slash - name) + 1 : 0;
}

static size_t key_size(const char *name)
{
	const size_t start = last_part(name);

	return start + strcspn(name + start, ".");
}

/* Without the last extension. */
static size_t stem_size(const char *name)
{
	const size_t start = last_part(name);
	const char *dot = strrchr(name + start, '.');

	return dot != NULL ? (size_t)(dot - name) : strlen(name);
}

static int is_equal(const struct ek_buffer *b, const char *text, size_t size)
{
	return b->size == size && memcmp(b->data, text, size) == 0;
}

/* The size of NAME if `name` is NAME.WORD.EXT and WORD says that it is a mask; else 0. */
static size_t masked_size(const char *name)
{
	const size_t start = last_part(name), end = stem_size(name);
	size_t dot = end;

	while (dot > start && name[dot - 1] != '.')
		dot--;
	return dot > start + 1 && ek_dataset_is_mask_word(name + dot, end - dot) ? dot - 1 : 0;
}

/* --- which names lack something: the answer "no" is certain --- */

static uint64_t filter_bits(uint64_t hash, unsigned kinds)
{
	uint64_t bits = UINT64_C(1) << (hash >> 58);

	for (unsigned kind = 0; kind < EK_SIDECAR_KINDS; kind++)
		if (kinds >> kind & 1)
			bits |= UINT64_C(1) << ((hash >> 52 ^ kind * 21) & 63);
	return bits;
}

static int note_lack(struct tars *t, unsigned kinds, const char *stem, size_t size)
{
	const uint64_t hash = ek_hash64(stem, size);
	int rc = 0;

	if (t->filter == NULL)
		EK_TRY(ek_alloc(&t->filter, FILTER_WORDS, sizeof *t->filter));
	t->filter[hash % FILTER_WORDS] |= filter_bits(hash, kinds);
out:
	return rc;
}

static int may_lack(const struct tars *t, enum ek_sidecar_kind kind, const char *stem, size_t size)
{
	const uint64_t hash = ek_hash64(stem, size), bits = filter_bits(hash, 1u << kind);

	return t->filter != NULL && (t->filter[hash % FILTER_WORDS] & bits) == bits;
}

/* --- handing out an image with what lies beside it --- */

static int take_class(struct ek_dataset_item *item, struct ek_buffer *text)
{
	const size_t start = strspn(text->data, " \t\r\n");
	size_t end = text->size;

	while (end > start && strchr(" \t\r\n", text->data[end - 1]) != NULL)
		end--;
	item->has_label = end > start;
	return item->has_label ? ek_buffer_append(&item->label, text->data + start, end - start) : 0;
}

static int take_json(struct ek_dataset_item *item, struct ek_buffer *text)
{
	cJSON *object = NULL;
	int rc;

	EK_TRY(ek_json_parse(&object, text->data, text->size, item->name.data));
	if (cJSON_IsObject(object))
		return ek_merge_attributes(&item->attributes, object);
	rc = ek_fail(EK_EDATA, "%s: a .json that is not an object", item->name.data);
	cJSON_Delete(object);
out:
	return rc;
}

static int take_text(struct ek_dataset_item *item, struct ek_buffer *text)
{
	if (item->attributes == NULL && (item->attributes = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	cJSON_DeleteItemFromObjectCaseSensitive(item->attributes, "text");
	return ek_json_add_string(item->attributes, "text", text->data);
}

static const struct sidecar_form {
	const char *extension;
	int (*take)(struct ek_dataset_item *, struct ek_buffer *);
} forms[EK_SIDECAR_KINDS] = {
	[EK_SIDECAR_LABEL] = { "cls", take_class },
	[EK_SIDECAR_ATTRIBUTES] = { "json", take_json },
	[EK_SIDECAR_TEXT] = { "txt", take_text },
};

/* Give the image one sidecar, and note if that cannot be read. */
static int add_sidecar(struct ek_dataset *d, struct tars *t, struct ek_dataset_item *item, size_t i)
{
	const enum ek_sidecar_kind kind = ek_sidecars_kind(t->sidecars, i);
	int rc;

	EK_TRY(ek_sidecars_text(&t->text, t->sidecars, i));
	rc = forms[kind].take(item, &t->text);
	if (rc == EK_EDATA) {
		if (ek_sidecars_state(t->sidecars, i) != EK_SIDECAR_USED)
			ek_dataset_note(&d->unused[EK_UNUSED_UNREADABLE], ek_error_message());
		rc = 0;
	}
	ek_sidecars_set(t->sidecars, i, EK_SIDECAR_USED);
out:
	return rc;
}

static int is_of_others(enum ek_sidecar_state state)
{
	return state == EK_SIDECAR_LATE || state == EK_SIDECAR_BESIDE;
}

/* What lies beside the image is its own, unless the walk before found that it may be of another image of this name.
 * What lay before it, beside no image, and says something else, can then be of none. 1: it is disputed, 0, or a
 * negative code. */
static int is_disputed(struct tars *t, const struct ek_dataset_item *item, size_t stem, size_t found)
{
	const enum ek_sidecar_kind kind = ek_sidecars_kind(t->sidecars, found);
	enum ek_sidecar_state state;
	size_t older;
	int rc = 0;

	if (found < t->start || t->start == 0)
		return 0;
	EK_TRY(ek_sidecars_find_below(&older, t->sidecars, kind, item->name.data, stem, t->start));
	if (rc == 0)
		return 0;
	EK_TRY(ek_sidecars_agree(t->sidecars, found, older));
	state = ek_sidecars_state(t->sidecars, older);
	if (rc == 0 && state == EK_SIDECAR_WAITS && !t->complete)
		ek_sidecars_set(t->sidecars, older, EK_SIDECAR_AMBIGUOUS);
	rc = rc == 1 && state == EK_SIDECAR_DISPUTED;
out:
	return rc;
}

/* Give the image what belongs to this stem of its name, of the kinds that `*lacking` says. */
static int add_sidecars(struct ek_dataset *d, struct tars *t, struct ek_dataset_item *item, size_t stem,
                        unsigned *lacking)
{
	size_t found;
	int rc = 0;

	for (unsigned kind = 0; kind < EK_SIDECAR_KINDS; kind++) {
		if ((*lacking >> kind & 1) == 0)
			continue;
		EK_TRY(ek_sidecars_find(&found, t->sidecars, (enum ek_sidecar_kind)kind, item->name.data, stem));
		/* What an image before wants, too, waits for the second walk: others of its name may come yet. */
		if (rc == 0 || (found < t->start && is_of_others(ek_sidecars_state(t->sidecars, found))))
			continue;
		*lacking &= ~(1u << kind);
		EK_TRY(is_disputed(t, item, stem, found));
		if (rc == 1) {
			ek_sidecars_set(t->sidecars, found, EK_SIDECAR_USED);
			ek_buffer_clear(&t->name);
			EK_TRY(ek_buffer_printf(&t->name, "%.*s.%s", (int)stem, item->name.data,
			                        forms[kind].extension));
			ek_dataset_note(&d->unused[EK_UNUSED_AMBIGUOUS], t->name.data);
			continue;
		}
		if (ek_sidecars_state(t->sidecars, found) != EK_SIDECAR_AMBIGUOUS &&
		    ek_sidecars_state(t->sidecars, found) != EK_SIDECAR_DISPUTED)
			EK_TRY(add_sidecar(d, t, item, found));
	}
out:
	return rc;
}

/* Stems of a name, the longest first: before each dot of its last part. The next one below `size`, or 0. */
static size_t next_stem(const char *name, size_t start, size_t size)
{
	while (size > start && name[--size] != '.')
		;
	return size > start ? size : 0;
}

static int complete_image(struct ek_dataset *d, struct tars *t, struct ek_dataset_item *item)
{
	const char *name = item->name.data;
	const size_t start = last_part(name);
	unsigned lacking = (1u << EK_SIDECAR_KINDS) - 1;
	size_t size = item->name.size;
	int rc = 0;

	for (int i = 0; i < MOST_STEMS && (size = next_stem(name, start, size)) > 0; i++)
		if (size <= LARGEST_STEM && ek_sidecars_count(t->sidecars) > 0)
			EK_TRY(add_sidecars(d, t, item, size, &lacking));
	t->lacking |= lacking;
	size = item->name.size;
	for (int i = 0; i < MOST_STEMS && lacking != 0 && !t->is_second; i++) {
		if ((size = next_stem(name, start, size)) == 0)
			break;
		EK_TRY(note_lack(t, lacking, name, size));
	}
	if (!item->has_label)
		EK_TRY(ek_dataset_label_by_folder(d, item));
	rc = 0;
out:
	return rc;
}

/* Is it a mask of another image of the sample? */
static int is_mask(const struct ek_dataset *d, const struct tars *t, const char *name)
{
	const size_t size = masked_size(name);
	const uint64_t stem = size > 0 ? ek_hash64(name, size) : 0;

	for (size_t i = 0; size > 0 && i < t->stem_count && i < HELD_IMAGES; i++)
		if (t->stems[i] == stem)
			return !ek_patterns_names(&d->patterns, name + last_part(name));
	return 0;
}

/* Hand out the oldest image that is held: 1, or 0 if it is left out. */
static int give(struct ek_dataset *d, struct tars *t, struct ek_dataset_item *item)
{
	struct ek_dataset_item *image = &t->images[t->first];
	const struct ek_dataset_item empty = *item;
	int rc;

	t->first = --t->held > 0 ? (t->first + 1) % HELD_IMAGES : 0;
	if (is_mask(d, t, image->name.data)) {
		ek_dataset_leave_out(d, EK_LEFT_MASK, image->name.data, 0);
		return 0;
	}
	*item = *image;
	*image = empty; /* its buffers are used again */
	EK_TRY(complete_image(d, t, item));
	rc = 1;
out:
	return rc;
}

/* --- taking a member into the sample --- */

/* A hard link is the member that it names. */
static int follow_link(const struct ek_dataset *d, struct tars *t)
{
	int rc;

	if (t->index == NULL)
		EK_TRY(ek_tar_index_open(&t->index, d->paths[t->next - 1]));
	t->member.is_file = ek_tar_index_find(t->index, t->member.target, &t->member.offset, &t->member.size);
	rc = 0;
out:
	return rc;
}

/* Up to `size` more bytes of the member, behind those that `out` has. */
static int read_member(struct tars *t, struct ek_buffer *out, size_t size)
{
	const uint64_t left = t->member.size - out->size;

	if (t->member.target == NULL)
		return ek_tar_read(t->tar, out, size);
	return ek_tar_index_read(t->index, out, t->member.offset + out->size, size < left ? size : (size_t)left);
}

/* Read the member into the sample's next image, if it is one or its name says so. */
static int take_image(struct ek_dataset *d, struct tars *t, const char *name)
{
	struct ek_dataset_item *item = &t->images[(t->first + t->held) % HELD_IMAGES];
	const int named = ek_has_image_extension(name);
	uint64_t stem;
	int rc, is_image = 0;

	ek_dataset_item_clear(item);
	if (t->member.target != NULL)
		EK_TRY(follow_link(d, t));
	if (t->member.is_file && !t->member.is_sparse) {
		EK_TRY(read_member(t, &item->bytes, EK_DATASET_HEAD));
		is_image =
			item->bytes.size > 0 && ek_image_sniff(item->bytes.data, item->bytes.size) != EK_IMAGE_UNKNOWN;
	}
	if (!is_image && !named) {
		d->other_files++;
		return 0;
	}
	stem = ek_hash64(name, stem_size(name));
	EK_TRY(ek_buffer_text(&item->name, name));
	item->source = d->paths[t->next - 1];
	item->offset = t->member.offset;
	item->size = t->member.size;
	t->held++;
	t->stems[t->stem_count++ % HELD_IMAGES] = stem;
	if (t->filter != NULL) /* for note_lack */
		__builtin_prefetch(&t->filter[stem % FILTER_WORDS], 1);
	if (!t->member.is_file)
		item->problem =
			t->member.is_link ? "a link inside the tar, without bytes of its own" : "not a regular file";
	else if (t->member.is_sparse)
		item->problem = "stored as a sparse file";
	else if (is_image && item->size > EK_DATASET_LARGEST)
		item->problem = "larger than 1 GiB";
	else if (is_image && item->size > item->bytes.size)
		EK_TRY(read_member(t, &item->bytes, (size_t)item->size - item->bytes.size));
	if (item->problem == NULL && (is_image ? item->bytes.size < item->size : ek_tar_is_damaged(t->tar)))
		item->problem = "the tar ends inside it";
out:
	return rc;
}

/* The kind of sidecar that the name is of, or EK_SIDECAR_KINDS. */
static enum ek_sidecar_kind kind_of(const char *name)
{
	const size_t size = stem_size(name);
	int kind = 0;

	while (kind < EK_SIDECAR_KINDS && (name[size] == 0 || strcasecmp(name + size + 1, forms[kind].extension) != 0))
		kind++;
	return (enum ek_sidecar_kind)kind;
}

static int take_sidecar(struct ek_dataset *d, struct tars *t, enum ek_sidecar_kind kind, const char *name)
{
	int rc = 0, is_bad = t->member.size > LARGEST_SIDECAR || stem_size(name) > LARGEST_STEM;

	d->other_files++;
	ek_buffer_clear(&t->text);
	EK_TRY(ek_buffer_text(&t->text, ""));
	if (!is_bad)
		EK_TRY(ek_tar_read(t->tar, &t->text, LARGEST_SIDECAR));
	if (is_bad || ek_tar_is_damaged(t->tar))
		ek_dataset_note(&d->unused[EK_UNUSED_UNREADABLE], name);
	else
		EK_TRY(ek_sidecars_add(t->sidecars, kind, name, stem_size(name), t->text.data, t->text.size));
out:
	return rc;
}

static int take_member(struct ek_dataset *d, struct tars *t)
{
	const char *name = ek_plain_name(t->member.name);
	const enum ek_sidecar_kind kind = t->member.is_file ? kind_of(name) : EK_SIDECAR_KINDS;
	int rc;

	if (!t->open) {
		ek_buffer_clear(&t->key);
		EK_TRY(ek_buffer_append(&t->key, name, key_size(name)));
		t->open = 1;
	}
	if (ek_sidecars_count(t->sidecars) - t->start >= LARGEST_SAMPLE) {
		ek_buffer_clear(&t->last);
		EK_TRY(ek_buffer_append(&t->last, name, stem_size(name)));
	}
	EK_TRY(kind != EK_SIDECAR_KINDS ? take_sidecar(d, t, kind, name) : take_image(d, t, name));
out:
	return rc;
}

/* --- from member to member, sample to sample, tar to tar --- */

/* Is the name in the sample already? 1, 0 or a negative code. */
static int is_repeated(struct tars *t, const char *name)
{
	const enum ek_sidecar_kind kind = kind_of(name);
	size_t found = 0;
	int rc = 0;

	if (kind != EK_SIDECAR_KINDS && stem_size(name) <= LARGEST_STEM)
		EK_TRY(ek_sidecars_find(&found, t->sidecars, kind, name, stem_size(name)));
	if (rc == 1)
		return found >= t->start;
	for (size_t i = 0; i < t->held; i++)
		if (strcmp(t->images[(t->first + i) % HELD_IMAGES].name.data, name) == 0)
			return 1;
out:
	return rc;
}

/* What the pending member says of the sample: enum boundary, or a negative code. */
static int judge_member(struct ek_dataset *d, struct tars *t)
{
	const char *name = ek_plain_name(t->member.name);
	int rc;

	if (!t->open)
		return SAME;
	if (!is_equal(&t->key, name, key_size(name)))
		return ANOTHER;
	EK_TRY(is_repeated(t, name));
	if (rc == 1) {
		ek_dataset_note(&d->unused[EK_UNUSED_REPEATED], name);
		return REPEAT;
	}
	rc = SAME;
	if (ek_sidecars_count(t->sidecars) - t->start > LARGEST_SAMPLE && !is_equal(&t->last, name, stem_size(name)))
		rc = CUT;
out:
	return rc;
}

/* Which sidecars of the sample images want that were given out before: in other samples, if none of this one has it
 * (if one has, it is kept in mind); in this one, if it was too large to hold. Not of a repeated name: who can tell
 * which of the two they belong to. */
static int find_late(struct tars *t)
{
	size_t older;
	int rc = 0;

	if (t->is_second || t->is_repeat)
		return 0;
	for (size_t i = t->start; i < ek_sidecars_count(t->sidecars); i++) {
		const enum ek_sidecar_kind kind = ek_sidecars_kind(t->sidecars, i);
		const enum ek_sidecar_state state = ek_sidecars_state(t->sidecars, i);

		EK_TRY(ek_sidecars_stem(&t->name, t->sidecars, i));
		if (!may_lack(t, kind, t->name.data, t->name.size))
			continue;
		if (state != EK_SIDECAR_USED || (t->lacking >> kind & 1) == 1) {
			ek_sidecars_set(t->sidecars, i, EK_SIDECAR_LATE);
			continue;
		}
		EK_TRY(ek_sidecars_find_below(&older, t->sidecars, kind, t->name.data, t->name.size, t->start));
		if (rc == 0)
			ek_sidecars_set(t->sidecars, i, EK_SIDECAR_BESIDE);
		rc = 0;
	}
out:
	return rc;
}

/* All of the tar is known now: is there something that images of it want, or that is not used? */
static int close_tar(struct ek_dataset *d, struct tars *t)
{
	const size_t count = ek_sidecars_count(t->sidecars);
	int rc = 0, is_late = 0;

	for (size_t i = 0; i < count; i++)
		is_late |= !t->is_second && (ek_sidecars_state(t->sidecars, i) == EK_SIDECAR_LATE ||
		                             ek_sidecars_state(t->sidecars, i) == EK_SIDECAR_DISPUTED);
	if (is_late) {
		t->kept[t->next - 1] = t->sidecars;
		t->sidecars = NULL;
	}
	for (size_t i = 0; i < count && !is_late; i++) {
		const enum ek_sidecar_state state = ek_sidecars_state(t->sidecars, i);

		if (state == EK_SIDECAR_USED || state == EK_SIDECAR_BESIDE)
			continue;
		EK_TRY(ek_sidecars_stem(&t->name, t->sidecars, i));
		EK_TRY(ek_buffer_printf(&t->name, ".%s", forms[ek_sidecars_kind(t->sidecars, i)].extension));
		ek_dataset_note(&d->unused[state == EK_SIDECAR_WAITS ? EK_UNUSED_ORPHANS : EK_UNUSED_AMBIGUOUS],
		                t->name.data);
	}
	ek_sidecars_free(t->sidecars);
	t->sidecars = NULL;
	if (t->filter != NULL)
		memset(t->filter, 0, FILTER_WORDS * sizeof *t->filter);
out:
	return rc;
}

/* The sample has given all its images. */
static int close_sample(struct ek_dataset *d, struct tars *t)
{
	const enum boundary boundary = (enum boundary)t->closing;
	uint64_t dropped = 0;
	int rc;

	EK_TRY(find_late(t));
	EK_TRY(ek_sidecars_settle(t->sidecars, t->start, !t->complete && !t->is_repeat,
	                          boundary == CUT ? t->key.size : 0, &dropped));
	if (dropped > 0 && !t->complete) {
		ek_dataset_note(&d->unused[EK_UNUSED_AMBIGUOUS], t->key.data);
		d->unused[EK_UNUSED_AMBIGUOUS].count += dropped - 1;
	}
	t->start = ek_sidecars_count(t->sidecars);
	t->is_repeat = boundary == REPEAT;
	t->lacking = 0;
	t->stem_count = 0;
	t->open = t->closing = 0;
	if (boundary == END_OF_TAR)
		EK_TRY(close_tar(d, t));
out:
	return rc;
}

static int open_next(struct ek_dataset *d, struct tars *t)
{
	int rc;

	EK_TRY(ek_tar_open(&t->tar, d->paths[t->next]));
	if (d->looks)
		ek_tar_be_quiet(t->tar);
	t->sidecars = t->kept[t->next];
	t->complete = t->sidecars != NULL;
	t->kept[t->next++] = NULL;
	if (t->sidecars == NULL)
		EK_TRY(ek_sidecars_new(&t->sidecars));
	t->start = ek_sidecars_count(t->sidecars);
out:
	return rc;
}

/* Is the member taken, as an image or beside one? Include patterns speak of images. 1, 0 or EK_ENOMEM. */
static int is_taken(struct ek_dataset *d, const struct tars *t)
{
	const char *name = ek_plain_name(t->member.name);
	size_t folder;
	const int reason = ek_patterns_of_member(&d->patterns, name, &folder);

	if (reason <= 0)
		return reason < 0 ? reason : 1;
	if (reason == EK_LEFT_NOT_INCLUDED && t->member.is_file && kind_of(name) != EK_SIDECAR_KINDS)
		return 1;
	return ek_dataset_leave_out_member(d, (enum ek_left_out)reason, name, folder);
}

/* Have a member ready, from the next tar if need be: 1, 2 at the end of a tar, or 0 when all are through. */
static int next_member(struct ek_dataset *d, struct tars *t)
{
	int rc;

	for (;;) {
		/* Folders of a tar, and what is no image in it, never reach the scan's own check. */
		EK_TRY(ek_check_interrupt());
		if (t->tar == NULL) {
			if (t->next == d->path_count)
				return 0;
			EK_TRY(open_next(d, t));
		}
		EK_TRY(ek_tar_next(t->tar, &t->member));
		if (rc == 0) {
			d->warnings += (uint64_t)ek_tar_is_damaged(t->tar);
			ek_tar_close(t->tar);
			ek_tar_index_close(t->index);
			t->index = NULL;
			t->tar = NULL;
			return 2;
		}
		/* Folders and the like are no files at all. */
		if (!t->member.is_file && !t->member.is_link && !ek_has_image_extension(t->member.name))
			continue;
		EK_TRY(is_taken(d, t));
		if (rc == 1)
			return 1;
	}
out:
	return rc;
}

/* The name of the next image, or of what may be one. */
static int next_name(struct ek_dataset *d, struct tars *t, struct ek_dataset_item *item)
{
	int rc;

	do {
		EK_TRY(next_member(d, t));
		if (rc == 0)
			return 0;
		if (rc == 2) {
			ek_sidecars_free(t->sidecars);
			t->sidecars = NULL;
		}
	} while (rc == 2 || kind_of(ek_plain_name(t->member.name)) != EK_SIDECAR_KINDS);
	EK_TRY(ek_buffer_text(&item->name, ek_plain_name(t->member.name)));
	rc = 1;
out:
	return rc;
}

static int next_in_tars(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct tars *t = d->state;
	int rc = 0;

	if (d->looks)
		return next_name(d, t, item);
	for (;;) {
		if (t->held == HELD_IMAGES || (t->closing && t->held > 0)) {
			EK_TRY(give(d, t, item));
			if (rc == 1)
				return 1;
			continue;
		}
		if (t->closing)
			EK_TRY(close_sample(d, t));
		if (!t->pending) {
			EK_TRY(next_member(d, t));
			if (rc == 0)
				return 0;
			t->pending = rc == 1;
			/* A sample does not go on in another tar. */
			t->closing = rc == 2 ? END_OF_TAR : 0;
		}
		if (t->pending)
			EK_TRY(t->closing = judge_member(d, t));
		if (t->pending && !t->closing) {
			t->pending = 0;
			EK_TRY(take_member(d, t));
		}
	}
out:
	return rc;
}

static int again_in_tars(struct ek_dataset *d)
{
	struct tars *t = d->state;
	int is_late = 0;

	for (size_t i = 0; i < d->path_count && !t->is_second; i++) {
		const size_t count = t->kept[i] != NULL ? ek_sidecars_count(t->kept[i]) : 0;

		is_late |= count > 0;
		for (size_t j = 0; j < count; j++)
			if (ek_sidecars_state(t->kept[i], j) == EK_SIDECAR_LATE)
				ek_sidecars_set(t->kept[i], j, EK_SIDECAR_WAITS);
	}
	if (!is_late)
		return 0;
	ek_info("%s: labels or attributes lie behind their images; it is read once more", d->paths[0]);
	t->is_second = 1;
	t->next = 0;
	free(t->filter);
	t->filter = NULL;
	return 1;
}

static void close_tars(struct ek_dataset *d)
{
	struct tars *t = d->state;

	if (t == NULL)
		return;
	ek_tar_index_close(t->index);
	ek_tar_close(t->tar);
	for (size_t i = 0; i < HELD_IMAGES; i++)
		ek_dataset_item_release(&t->images[i]);
	for (size_t i = 0; i < d->path_count && t->kept != NULL; i++)
		ek_sidecars_free(t->kept[i]);
	ek_sidecars_free(t->sidecars);
	ek_buffer_release(&t->key);
	ek_buffer_release(&t->last);
	ek_buffer_release(&t->text);
	ek_buffer_release(&t->name);
	free(t->kept);
	free(t->filter);
	free(t);
}

const struct ek_dataset_form ek_dataset_tar = { .name = "tar",
	                                        .open = open_tars,
	                                        .next = next_in_tars,
	                                        .close = close_tars,
	                                        .again = again_in_tars,
	                                        .selects = 1 };
