#include "tests/rebalance/plan/made_run.h"

#include <inttypes.h>

#include "rebalance/base/file.h"
#include "rebalance/io/npy.h"
#include "tests/support/support.h"

static void put_array(const char *folder, const char *name, enum ek_dtype type, uint64_t rows, uint64_t columns,
                      const void *data)
{
	const uint64_t shape[] = { rows, columns };

	if (data != NULL)
		assert_ok(ek_npy_write(ek_join(folder, name), type, columns > 0 ? 2 : 1, shape, data));
}

static void put_clusters(const char *folder, const struct ek_made_run *made)
{
	struct ek_buffer text = { 0 };

	if (made->k > 0 && made->clusters_json == NULL)
		assert_ok(ek_buffer_printf(&text, "{\"k\": %" PRIu32 ", \"images\": %" PRIu64 "}", made->k, made->n));
	else if (made->k > 0)
		assert_ok(ek_buffer_text(&text, made->clusters_json));
	if (text.size > 0)
		ek_write_file(ek_join(folder, "clusters/clusters.json"), text.data, text.size);
	ek_buffer_release(&text);
}

static void put_images(struct ek_run *run, const struct ek_made_run *made)
{
	static const char *const none[] = { NULL };
	static const char *const outputs[] = { "images.jsonl", NULL };
	struct ek_buffer lines = { 0 };
	cJSON *counts = cJSON_CreateObject(), *options = cJSON_CreateObject();
	const struct ek_step step = {
		.name = "scan", .version = 1, .options = options, .inputs = none, .outputs = outputs
	};

	for (uint64_t i = 0; i < made->n; i++) {
		assert_ok(ek_buffer_printf(&lines, "{\"id\": %" PRIu64 ", \"file_name\": ", i));
		if (made->names != NULL)
			assert_ok(ek_buffer_text(&lines, made->names[i]));
		else
			assert_ok(ek_buffer_printf(&lines, "\"%05" PRIu64 ".jpg\"", i));
		assert_ok(ek_buffer_printf(
			&lines,
			", \"bytes\": 1, \"width\": 1, \"height\": 1, \"format\": \"jpeg\", \"sha256\": \"%064" PRIx64
			"\"%s}\n",
			i, made->rows[i]));
	}
	ek_write_file(ek_join(ek_run_path(run), "images.jsonl"), lines.data, lines.size);
	assert_ok(ek_json_add_u64(counts, "images", made->n));
	assert_ok(ek_json_add_u64(counts, "held_out", made->held_out));
	assert_ok(ek_run_record(run, &step, 0, 0, counts));
	cJSON_Delete(counts);
	cJSON_Delete(options);
	ek_buffer_release(&lines);
}

struct ek_run *ek_make_run(const struct ek_made_run *made)
{
	const char *folder = ek_scratch();
	struct ek_run *run;

	assert_ok(ek_run_open(&run, folder, EK_RUN_CREATE));
	assert_ok(ek_make_directories(ek_join(folder, "clusters")));
	put_array(folder, "clusters/assignment.npy", EK_I32, made->n, 0, made->assignment);
	put_array(folder, "clusters/distance.npy", EK_F32, made->n, 0, made->distance);
	put_array(folder, "clusters/centroids.npy", EK_F32, made->k, made->d, made->centroids);
	put_array(folder, "embeddings.npy", EK_F32, made->n, made->d, made->embeddings);
	put_clusters(folder, made);
	if (made->rows != NULL)
		put_images(run, made);
	return run;
}

int64_t *ek_kept_ids(const struct ek_selection *selection)
{
	int64_t *ids = calloc(selection->kept + 1, sizeof *ids);
	uint64_t at = 0;

	assert_non_null(ids);
	for (uint64_t i = 0; i < selection->n; i++)
		for (uint64_t copies = ek_selection_copies(selection, i); copies > 0; copies--) {
			assert_true(at < selection->kept);
			ids[at++] = (int64_t)i;
		}
	assert_int_equal(at, selection->kept);
	return ids;
}
