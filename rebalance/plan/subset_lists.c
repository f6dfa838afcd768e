#include "rebalance/io/run_files.h"
#include "rebalance/plan/subset_lists.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/images.h"

enum { IMAGES_BETWEEN_CHECKS = 4096 };

static int append_name(struct ek_buffer *out, const char *name)
{
	int rc;

	if (name[0] != '\\' && strpbrk(name, "\n\r") == NULL) {
		EK_TRY(ek_buffer_text(out, name));
		return ek_buffer_text(out, "\n");
	}
	EK_TRY(ek_buffer_text(out, "\\"));
	for (; *name != 0; name++) {
		const char *escape = *name == '\n' ? "\\n" : *name == '\r' ? "\\r" : *name == '\\' ? "\\\\" : NULL;

		EK_TRY(escape != NULL ? ek_buffer_text(out, escape) : ek_buffer_append(out, name, 1));
	}
	EK_TRY(ek_buffer_text(out, "\n"));
out:
	return rc;
}

/* Members of an image's row that say where it is and what it looks like; the others are attributes. */
static int is_of_file(const char *name)
{
	static const char *const members[] = { "id",           "file_name", "file_name_bytes", "source",
		                               "source_bytes", "offset",    "bytes",           "width",
		                               "height",       "format",    "sha256",          "held_out" };

	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (strcmp(name, members[i]) == 0)
			return 1;
	return 0;
}

static int is_ours(const char *name)
{
	static const char *const members[] = { "cluster", "distance", "rank", "weight", "repeat" };

	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (strcmp(name, members[i]) == 0)
			return 1;
	return 0;
}

struct lists {
	const struct ek_selection *selection;
	const struct ek_units *clusters;
	struct ek_npy distance; /* data NULL: none */
	struct ek_atomic_file metadata, kept, removed;
	struct ek_buffer line;
};

static int append_row(struct lists *l, const struct ek_image_record *r, uint64_t repeat)
{
	const uint32_t rank = l->selection->rank[r->id];
	const cJSON *member;
	int rc;

	EK_TRY(ek_buffer_text(&l->line, "{"));
	EK_TRY(ek_filename_append(&l->line, "file_name", r->file_name));
	EK_TRY(ek_buffer_printf(&l->line, ", \"id\": %" PRIu64, r->id));
	if (l->clusters->k > 0)
		EK_TRY(ek_buffer_printf(&l->line, ", \"cluster\": %" PRId32, l->clusters->unit[r->id]));
	if (l->distance.data != NULL) {
		EK_TRY(ek_buffer_text(&l->line, ", \"distance\": "));
		EK_TRY(ek_json_append_double(&l->line, (double)((const float *)l->distance.data)[r->id]));
	}
	if (rank != EK_NO_RANK)
		EK_TRY(ek_buffer_printf(&l->line, ", \"rank\": %" PRIu32, rank));
	EK_TRY(ek_buffer_printf(&l->line, ", \"weight\": %" PRIu64 ", \"repeat\": %" PRIu64, repeat, repeat));
	cJSON_ArrayForEach(member, r->row)
	{
		char *value;

		if (is_of_file(member->string))
			continue;
		EK_TRY(ek_buffer_text(&l->line, ", "));
		EK_TRY(ek_json_append_string(&l->line, member->string, strlen(member->string)));
		if (is_ours(member->string)) {
			l->line.size--;
			EK_TRY(ek_buffer_text(&l->line, "_\""));
		}
		if ((value = cJSON_PrintUnformatted(member)) == NULL) {
			rc = ek_fail(EK_ENOMEM, "no memory for a row");
			goto out;
		}
		rc = ek_buffer_printf(&l->line, ": %s", value);
		cJSON_free(value);
		EK_TRY(rc);
	}
	EK_TRY(ek_buffer_text(&l->line, "}\n"));
	EK_TRY(ek_atomic_write(&l->metadata, l->line.data, l->line.size));
out:
	return rc;
}

static int take(struct lists *l, const struct ek_image_record *r)
{
	const struct ek_selection *s = l->selection;
	const uint64_t repeat = ek_selection_copies(s, r->id);
	int rc;

	ek_buffer_clear(&l->line);
	if (repeat > 0)
		EK_TRY(append_row(l, r, repeat));
	if (ek_selection_decision(s, r->id) == EK_DECISION_HELD_OUT)
		return 0;
	ek_buffer_clear(&l->line);
	EK_TRY(append_name(&l->line, r->file_name));
	EK_TRY(ek_atomic_write(repeat > 0 ? &l->kept : &l->removed, l->line.data, l->line.size));
out:
	return rc;
}

static int read_rows(struct lists *l, const struct ek_run *run)
{
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	uint64_t id = 0;
	int rc;

	EK_TRY(ek_images_open(&images, run));
	for (;; id++) {
		EK_TRY(ek_images_next(images, &record));
		if (rc == 0 || id == l->selection->n)
			break;
		EK_TRY(take(l, &record));
		ek_image_record_release(&record);
		if (id % IMAGES_BETWEEN_CHECKS == 0)
			EK_TRY(ek_check_interrupt());
	}
	rc = id == l->selection->n && rc == 0
	             ? 0
	             : ek_fail(EK_EDATA, "images.jsonl has not the %" PRIu64 " rows of the plan", l->selection->n);
out:
	ek_image_record_release(&record);
	ek_images_close(images);
	return rc;
}

static int open_one(struct ek_atomic_file *f, const char *folder, const char *name)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/%s", folder, name));
	EK_TRY(ek_atomic_open(f, path));
out:
	free(path);
	return rc;
}

int ek_subset_write_lists(const struct ek_run *run, const char *folder, const struct ek_selection *selection,
                          const struct ek_units *clusters)
{
	struct lists l = { .selection = selection, .clusters = clusters };
	int rc;

	EK_TRY(ek_run_has(run, "clusters/distance.npy"));
	if (rc > 0)
		EK_TRY(ek_run_npy_open(&l.distance, run, "clusters/distance.npy", EK_F32, 1, &selection->n));
	EK_TRY(open_one(&l.metadata, folder, "metadata.jsonl"));
	EK_TRY(open_one(&l.kept, folder, "kept.txt"));
	EK_TRY(open_one(&l.removed, folder, "removed.txt"));
	EK_TRY(read_rows(&l, run));
	EK_TRY(ek_atomic_commit(&l.metadata));
	EK_TRY(ek_atomic_commit(&l.kept));
	EK_TRY(ek_atomic_commit(&l.removed));
out:
	ek_atomic_discard(&l.metadata);
	ek_atomic_discard(&l.kept);
	ek_atomic_discard(&l.removed);
	ek_buffer_release(&l.line);
	ek_npy_close(&l.distance);
	return rc;
}
