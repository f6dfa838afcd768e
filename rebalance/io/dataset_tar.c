#include "rebalance/io/dataset_tar_internal.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"

enum {
	LARGEST_SIDECAR = 1 << 24,
	LARGEST_SAMPLE = 4096, /* sidecars, then it is cut between two names */
};

/* What ends a sample. */
enum boundary { SAME, ANOTHER, REPEAT, CUT, END_OF_TAR };

static int open_tars(struct ek_dataset *d)
{
	struct ek_tars *t;
	int rc;

	EK_TRY(ek_alloc(&t, 1, sizeof *t));
	d->state = t;
	EK_TRY(ek_alloc(&t->kept, d->path_count, sizeof *t->kept));
out:
	return rc;
}

/* --- names --- */

static size_t key_size(const char *name)
{
	const size_t start = ek_tar_last_part(name);

	return start + strcspn(name + start, ".");
}

static int is_equal(const struct ek_buffer *b, const char *text, size_t size)
{
	return b->size == size && memcmp(b->data, text, size) == 0;
}

/* The size of NAME if `name` is NAME.WORD.EXT and WORD says that it is a mask; else 0. */
static size_t masked_size(const char *name)
{
	const size_t start = ek_tar_last_part(name), end = ek_tar_stem_size(name);
	size_t dot = end;

	while (dot > start && name[dot - 1] != '.')
		dot--;
	return dot > start + 1 && ek_dataset_is_mask_word(name + dot, end - dot) ? dot - 1 : 0;
}

/* Is it a mask of another image of the sample? */
static int is_mask(const struct ek_dataset *d, const struct ek_tars *t, const char *name)
{
	const size_t size = masked_size(name);
	const uint64_t stem = size > 0 ? ek_hash64(name, size) : 0;

	for (size_t i = 0; size > 0 && i < t->stem_count && i < EK_TARS_HELD; i++)
		if (t->stems[i] == stem)
			return !ek_patterns_names(&d->patterns, name + ek_tar_last_part(name));
	return 0;
}

/* Hand out the oldest image that is held: 1, or 0 if it is left out. */
static int give(struct ek_dataset *d, struct ek_tars *t, struct ek_dataset_item *item)
{
	struct ek_dataset_item *image = &t->images[t->first];
	const struct ek_dataset_item empty = *item;
	int rc;

	t->first = --t->held > 0 ? (t->first + 1) % EK_TARS_HELD : 0;
	if (is_mask(d, t, image->name.data)) {
		ek_dataset_leave_out(d, EK_LEFT_MASK, image->name.data, 0);
		return 0;
	}
	*item = *image;
	*image = empty; /* its buffers are used again */
	EK_TRY(ek_tars_complete(d, t, item));
	rc = 1;
out:
	return rc;
}

/* --- taking a member into the sample --- */

/* A hard link is the member that it names. */
static int follow_link(const struct ek_dataset *d, struct ek_tars *t)
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
static int read_member(struct ek_tars *t, struct ek_buffer *out, size_t size)
{
	const uint64_t left = t->member.size - out->size;

	if (t->member.target == NULL)
		return ek_tar_read(t->tar, out, size);
	return ek_tar_index_read(t->index, out, t->member.offset + out->size, size < left ? size : (size_t)left);
}

/* Read the member into the sample's next image, if it is one or its name says so. */
static int take_image(struct ek_dataset *d, struct ek_tars *t, const char *name)
{
	struct ek_dataset_item *item = &t->images[(t->first + t->held) % EK_TARS_HELD];
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
	stem = ek_hash64(name, ek_tar_stem_size(name));
	EK_TRY(ek_buffer_text(&item->name, name));
	item->source = d->paths[t->next - 1];
	item->offset = t->member.offset;
	item->size = t->member.size;
	t->held++;
	t->stems[t->stem_count++ % EK_TARS_HELD] = stem;
	if (t->filter != NULL) /* for note_lack */
		__builtin_prefetch(&t->filter[stem % EK_TARS_FILTER], 1);
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

static int take_sidecar(struct ek_dataset *d, struct ek_tars *t, enum ek_sidecar_kind kind, const char *name)
{
	int rc = 0, is_bad = t->member.size > LARGEST_SIDECAR || ek_tar_stem_size(name) > EK_TARS_STEM;

	d->other_files++;
	ek_buffer_clear(&t->text);
	EK_TRY(ek_buffer_text(&t->text, ""));
	if (!is_bad)
		EK_TRY(ek_tar_read(t->tar, &t->text, LARGEST_SIDECAR));
	if (is_bad || ek_tar_is_damaged(t->tar))
		ek_dataset_note(&d->unused[EK_UNUSED_UNREADABLE], name);
	else
		EK_TRY(ek_sidecars_add(t->sidecars, kind, name, ek_tar_stem_size(name), t->text.data, t->text.size));
out:
	return rc;
}

static int take_member(struct ek_dataset *d, struct ek_tars *t)
{
	const char *name = ek_plain_name(t->member.name);
	const enum ek_sidecar_kind kind = t->member.is_file ? ek_sidecar_kind_of(name) : EK_SIDECAR_KINDS;
	int rc;

	if (!t->open) {
		ek_buffer_clear(&t->key);
		EK_TRY(ek_buffer_append(&t->key, name, key_size(name)));
		t->open = 1;
	}
	if (ek_sidecars_count(t->sidecars) - t->start >= LARGEST_SAMPLE) {
		ek_buffer_clear(&t->last);
		EK_TRY(ek_buffer_append(&t->last, name, ek_tar_stem_size(name)));
	}
	EK_TRY(kind != EK_SIDECAR_KINDS ? take_sidecar(d, t, kind, name) : take_image(d, t, name));
out:
	return rc;
}

/* --- from member to member, sample to sample, tar to tar --- */

/* Is the name in the sample already? 1, 0 or a negative code. */
static int is_repeated(struct ek_tars *t, const char *name)
{
	const enum ek_sidecar_kind kind = ek_sidecar_kind_of(name);
	size_t found = 0;
	int rc = 0;

	if (kind != EK_SIDECAR_KINDS && ek_tar_stem_size(name) <= EK_TARS_STEM)
		EK_TRY(ek_sidecars_find(&found, t->sidecars, kind, name, ek_tar_stem_size(name)));
	if (rc == 1)
		return found >= t->start;
	for (size_t i = 0; i < t->held; i++)
		if (strcmp(t->images[(t->first + i) % EK_TARS_HELD].name.data, name) == 0)
			return 1;
out:
	return rc;
}

/* What the pending member says of the sample: enum boundary, or a negative code. */
static int judge_member(struct ek_dataset *d, struct ek_tars *t)
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
	if (ek_sidecars_count(t->sidecars) - t->start > LARGEST_SAMPLE &&
	    !is_equal(&t->last, name, ek_tar_stem_size(name)))
		rc = CUT;
out:
	return rc;
}

/* All of the tar is known now: is there something that images of it want, or that is not used? */
static int close_tar(struct ek_dataset *d, struct ek_tars *t)
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
		EK_TRY(ek_buffer_printf(&t->name, ".%s", ek_sidecar_forms[ek_sidecars_kind(t->sidecars, i)].extension));
		ek_dataset_note(&d->unused[state == EK_SIDECAR_WAITS ? EK_UNUSED_ORPHANS : EK_UNUSED_AMBIGUOUS],
		                t->name.data);
	}
	ek_sidecars_free(t->sidecars);
	t->sidecars = NULL;
	if (t->filter != NULL)
		memset(t->filter, 0, EK_TARS_FILTER * sizeof *t->filter);
out:
	return rc;
}

/* The sample has given all its images. */
static int close_sample(struct ek_dataset *d, struct ek_tars *t)
{
	const enum boundary boundary = (enum boundary)t->closing;
	uint64_t dropped = 0;
	int rc;

	EK_TRY(ek_tars_find_late(t));
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

static int open_next(struct ek_dataset *d, struct ek_tars *t)
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
static int is_taken(struct ek_dataset *d, const struct ek_tars *t)
{
	const char *name = ek_plain_name(t->member.name);
	size_t folder;
	const int reason = ek_patterns_of_member(&d->patterns, name, &folder);

	if (reason <= 0)
		return reason < 0 ? reason : 1;
	if (reason == EK_LEFT_NOT_INCLUDED && t->member.is_file && ek_sidecar_kind_of(name) != EK_SIDECAR_KINDS)
		return 1;
	return ek_dataset_leave_out_member(d, (enum ek_left_out)reason, name, folder);
}

/* Have a member ready, from the next tar if need be: 1, 2 at the end of a tar, or 0 when all are through. */
static int next_member(struct ek_dataset *d, struct ek_tars *t)
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
static int next_name(struct ek_dataset *d, struct ek_tars *t, struct ek_dataset_item *item)
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
	} while (rc == 2 || ek_sidecar_kind_of(ek_plain_name(t->member.name)) != EK_SIDECAR_KINDS);
	EK_TRY(ek_buffer_text(&item->name, ek_plain_name(t->member.name)));
	rc = 1;
out:
	return rc;
}

static int next_in_tars(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct ek_tars *t = d->state;
	int rc = 0;

	if (d->looks)
		return next_name(d, t, item);
	for (;;) {
		if (t->held == EK_TARS_HELD || (t->closing && t->held > 0)) {
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
	struct ek_tars *t = d->state;
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
	struct ek_tars *t = d->state;

	if (t == NULL)
		return;
	ek_tar_index_close(t->index);
	ek_tar_close(t->tar);
	for (size_t i = 0; i < EK_TARS_HELD; i++)
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
