/* What lies beside an image of a tar: a label, attributes, a text, before it or behind it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/io/dataset_tar_internal.h"

enum { MOST_STEMS = 32 }; /* of one name: dots in it */

/* --- which names lack something: the answer "no" is certain --- */

static uint64_t filter_bits(uint64_t hash, unsigned kinds)
{
	uint64_t bits = UINT64_C(1) << (hash >> 58);

	for (unsigned kind = 0; kind < EK_SIDECAR_KINDS; kind++)
		if (kinds >> kind & 1)
			bits |= UINT64_C(1) << ((hash >> 52 ^ kind * 21) & 63);
	return bits;
}

static int note_lack(struct ek_tars *t, unsigned kinds, const char *stem, size_t size)
{
	const uint64_t hash = ek_hash64(stem, size);
	int rc = 0;

	if (t->filter == NULL)
		EK_TRY(ek_alloc(&t->filter, EK_TARS_FILTER, sizeof *t->filter));
	t->filter[hash % EK_TARS_FILTER] |= filter_bits(hash, kinds);
out:
	return rc;
}

static int may_lack(const struct ek_tars *t, enum ek_sidecar_kind kind, const char *stem, size_t size)
{
	const uint64_t hash = ek_hash64(stem, size), bits = filter_bits(hash, 1u << kind);

	return t->filter != NULL && (t->filter[hash % EK_TARS_FILTER] & bits) == bits;
}

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

const struct ek_sidecar_form ek_sidecar_forms[EK_SIDECAR_KINDS] = {
	[EK_SIDECAR_LABEL] = { "cls", take_class },
	[EK_SIDECAR_ATTRIBUTES] = { "json", take_json },
	[EK_SIDECAR_TEXT] = { "txt", take_text },
};

/* Give the image one sidecar, and note if that cannot be read. */
static int add_sidecar(struct ek_dataset *d, struct ek_tars *t, struct ek_dataset_item *item, size_t i)
{
	const enum ek_sidecar_kind kind = ek_sidecars_kind(t->sidecars, i);
	int rc;

	EK_TRY(ek_sidecars_text(&t->text, t->sidecars, i));
	rc = ek_sidecar_forms[kind].take(item, &t->text);
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
static int is_disputed(struct ek_tars *t, const struct ek_dataset_item *item, size_t stem, size_t found)
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
static int add_sidecars(struct ek_dataset *d, struct ek_tars *t, struct ek_dataset_item *item, size_t stem,
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
			                        ek_sidecar_forms[kind].extension));
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

int ek_tars_complete(struct ek_dataset *d, struct ek_tars *t, struct ek_dataset_item *item)
{
	const char *name = item->name.data;
	const size_t start = ek_tar_last_part(name);
	unsigned lacking = (1u << EK_SIDECAR_KINDS) - 1;
	size_t size = item->name.size;
	int rc = 0;

	for (int i = 0; i < MOST_STEMS && (size = next_stem(name, start, size)) > 0; i++)
		if (size <= EK_TARS_STEM && ek_sidecars_count(t->sidecars) > 0)
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

enum ek_sidecar_kind ek_sidecar_kind_of(const char *name)
{
	const size_t size = ek_tar_stem_size(name);
	int kind = 0;

	while (kind < EK_SIDECAR_KINDS &&
	       (name[size] == 0 || strcasecmp(name + size + 1, ek_sidecar_forms[kind].extension) != 0))
		kind++;
	return (enum ek_sidecar_kind)kind;
}

int ek_tars_find_late(struct ek_tars *t)
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
