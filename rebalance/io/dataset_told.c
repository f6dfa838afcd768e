#include "rebalance/io/dataset_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/text.h"

/* What was left out of a data set or not used: told at its end, and counted. */

static int add_tally(struct ek_buffer *line, const struct ek_tally *tally, const char *one, const char *many)
{
	if (tally->count == 0)
		return 0;
	return ek_buffer_printf(line, "%s%" PRIu64 " %s (%s%s)", line->size > 0 ? ", " : "", tally->count,
	                        tally->count == 1 ? one : many, tally->first, tally->count == 1 ? "" : ", …");
}

static int tell_left_out(struct ek_dataset *d)
{
	static const char *const texts[EK_LEFT_OUT_COUNT][2] = {
		[EK_LEFT_HIDDEN] = { "hidden file or folder", "hidden files and folders" },
		[EK_LEFT_SYSTEM] = { "put there by a system", "put there by a system" },
		[EK_LEFT_EXPORT] = { "export of ours", "exports of ours" },
		[EK_LEFT_RUN] = { "run directory", "run directories" },
		[EK_LEFT_LINK] = { "link to a folder that is reached without it",
		                   "links to folders that are reached without them" },
		[EK_LEFT_MASK] = { "mask or map of another image", "masks and maps of other images" },
		[EK_LEFT_NOT_INCLUDED] = { "that no include pattern matches", "that no include pattern matches" },
		[EK_LEFT_EXCLUDED] = { "that an exclude pattern matches", "that an exclude pattern matches" },
	};
	struct ek_buffer line = { 0 };
	int rc = 0, untold = 0; /* somebody's files, and nobody asked for it */

	for (int i = EK_TAKEN + 1; i < EK_LEFT_OUT_COUNT; i++) {
		EK_TRY(add_tally(&line, &d->left_out[i], texts[i][0], texts[i][1]));
		untold |= i < EK_LEFT_NOT_INCLUDED && i != EK_LEFT_SYSTEM && d->left_out[i].count > 0;
	}
	if (untold)
		ek_dataset_warn(d, "%s: left out: %s", d->paths[0], line.data);
	else if (line.size > 0)
		ek_info("%s: left out: %s", d->paths[0], line.data);
out:
	ek_buffer_release(&line);
	return rc;
}

static int tell_unused(struct ek_dataset *d)
{
	static const char *const texts[EK_UNUSED_COUNT][2] = {
		[EK_UNUSED_ORPHANS] = { "file without an image of its name", "files without an image of their name" },
		[EK_UNUSED_UNREADABLE] = { "that cannot be read", "that cannot be read" },
		[EK_UNUSED_AMBIGUOUS] = { "of which another says otherwise", "of which others say otherwise" },
	};
	const struct ek_tally *repeated = &d->unused[EK_UNUSED_REPEATED];
	struct ek_buffer line = { 0 };
	int rc = 0;

	for (int i = 0; i < EK_UNUSED_REPEATED; i++)
		EK_TRY(add_tally(&line, &d->unused[i], texts[i][0], texts[i][1]));
	if (line.size > 0)
		ek_dataset_warn(d, "%s: of the .cls, .json and .txt beside images, these were not used: %s",
		                d->paths[0], line.data);
	if (repeated->count > 0)
		ek_dataset_warn(d, "%s: %" PRIu64 " %s there again (%s%s); each goes with what lies beside it",
		                d->paths[0], repeated->count, repeated->count == 1 ? "name is" : "names are",
		                repeated->first, repeated->count == 1 ? "" : ", …");
out:
	ek_buffer_release(&line);
	return rc;
}

/* Rows without a file, and files without a row, are told; only a table of something else is wrong. */
static int check_attributes(struct ek_dataset *d)
{
	const uint64_t rows = ek_attributes_rows(d->attributes);
	uint64_t unused, line;
	char *name = NULL;
	int rc = 0;

	EK_TRY(ek_attributes_unused(d->attributes, &unused, &line, &name));
	if (unused == rows)
		rc = ek_fail(EK_EDATA,
		             "%s: none of its %" PRIu64
		             " row%s is for an image of the data set; the first, on line %" PRIu64 ", is for \"%s\"",
		             d->attributes_path, rows, ek_text_s(rows), line, name);
	else if (unused > 0 && d->without_attributes > 0)
		ek_dataset_warn(d,
		                "%s: %" PRIu64 " of %" PRIu64
		                " rows %s for no image of the data set (the first: line %" PRIu64
		                ", \"%s\"), and %" PRIu64 " image%s no row",
		                d->attributes_path, unused, rows, unused == 1 ? "is" : "are", line, name,
		                d->without_attributes, d->without_attributes == 1 ? " has" : "s have");
	else if (unused > 0)
		ek_dataset_warn(d,
		                "%s: %" PRIu64 " of %" PRIu64
		                " rows %s for no image of the data set (the first: line %" PRIu64 ", \"%s\")",
		                d->attributes_path, unused, rows, unused == 1 ? "is" : "are", line, name);
	else if (d->without_attributes > 0)
		ek_dataset_warn(d, "%s: %" PRIu64 " image%s no row", d->attributes_path, d->without_attributes,
		                d->without_attributes == 1 ? " has" : "s have");
out:
	free(name);
	return rc;
}

int ek_dataset_finish(struct ek_dataset *d)
{
	int rc;

	EK_TRY(tell_left_out(d));
	EK_TRY(tell_unused(d));
	if (d->form->finish != NULL)
		EK_TRY(d->form->finish(d));
	if (d->attributes != NULL)
		EK_TRY(check_attributes(d));
	if (d->key != NULL && d->whole == NULL && !d->keyed)
		ek_dataset_warn(d, "'key' %s names no column: no table was read", d->key);
	EK_TRY(ek_dataset_note_siblings(d));
out:
	return rc;
}

static int add_count(cJSON *counts, const char *group, const char *name, uint64_t count)
{
	cJSON *object = cJSON_GetObjectItemCaseSensitive(counts, group);
	int rc = 0;

	if (count == 0)
		return 0;
	if (object == NULL)
		EK_TRY(ek_json_add_object(&object, counts, group));
	EK_TRY(ek_json_add_u64(object, name, count));
out:
	return rc;
}

int ek_dataset_add_counts(cJSON *counts, const struct ek_dataset *d)
{
	static const char *const names[EK_UNUSED_COUNT] = { "orphans", "unreadable", "ambiguous", "repeated" };
	int rc = 0;

	for (int i = 0; i < EK_LEFT_OUT_COUNT; i++)
		EK_TRY(add_count(counts, "left_out", ek_left_out_name((enum ek_left_out)i), d->left_out[i].count));
	for (int i = 0; i < EK_UNUSED_COUNT; i++)
		EK_TRY(add_count(counts, "unused", names[i], d->unused[i].count));
	EK_TRY(ek_dataset_add_tables(counts, d));
	EK_TRY(ek_dataset_add_masks(counts, d));
out:
	return rc;
}
