#include "reports/models.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"

enum { LOG_LIMIT = 1 << 30, READ_LINES = 8 * EK_LOG_POINTS };

size_t ek_log_thin(struct ek_log_point *points, size_t count, size_t most)
{
	const size_t group = (count + most - 1) / most;
	size_t left = 0;

	for (size_t first = 0; first < count; first += group) {
		struct ek_log_point p = { .held_out = NAN };
		size_t i = first;

		for (; i < count && i < first + group; i++) {
			p.step = points[i].step;
			p.loss += points[i].loss;
			p.held_out = isfinite(points[i].held_out) ? points[i].held_out : p.held_out;
		}
		p.loss /= (double)(i - first);
		points[left++] = p;
	}
	return left;
}

/* The lines of log.jsonl that are whole. */
struct lines {
	struct ek_buffer text;
	size_t *starts; /* [count + 1], the last where the next one would be */
	size_t count;
};

static int read_lines(struct lines *lines, const char *path)
{
	size_t count = 0;
	int rc;

	EK_TRY(ek_file_read(&lines->text, path, LOG_LIMIT));
	for (size_t i = 0; i < lines->text.size; i++)
		count += lines->text.data[i] == '\n';
	EK_TRY(ek_alloc(&lines->starts, count + 1, sizeof *lines->starts));
	for (size_t i = 0; i < lines->text.size; i++)
		if (lines->text.data[i] == '\n')
			lines->starts[++lines->count] = i + 1;
out:
	return rc;
}

static int is_judged(const struct lines *lines, size_t i)
{
	return memmem(lines->text.data + lines->starts[i], lines->starts[i + 1] - lines->starts[i], "\"held_out_loss\"",
	              15) != NULL;
}

/* Keep a line; it becomes the model's. */
static void take_line(struct ek_model *model, cJSON *line)
{
	const struct ek_log_point p = { ek_number_of(line, "step"), ek_number_of(line, "loss"),
		                        ek_number_of(line, "held_out_loss") };

	if (model->last != model->judged)
		cJSON_Delete(model->last);
	model->last = line;
	if (isfinite(p.held_out)) {
		cJSON_Delete(model->judged);
		model->judged = line;
	}
	if (isfinite(p.step) && isfinite(p.loss))
		model->points[model->point_count++] = p;
}

/* Lines can hold a number for each cluster: of a long log so many suffice, and of a model that gets no curve the last
 * and the last that was judged. */
static int load_log(struct ek_model *model, const char *path, int full)
{
	struct lines lines = { 0 };
	size_t stride, last_judged = 0;
	char *where = NULL;
	cJSON *line = NULL;
	int rc;

	EK_TRY(read_lines(&lines, path));
	EK_TRY(ek_alloc(&model->points, lines.count, sizeof *model->points));
	stride = full ? 1 + lines.count / READ_LINES : lines.count;
	for (size_t i = 0; i < lines.count; i++)
		if (is_judged(&lines, i))
			last_judged = i;
	for (size_t i = 0; i < lines.count; i++) {
		if (i + 1 < lines.count && i % stride != stride - 1 && i != last_judged &&
		    !(full && is_judged(&lines, i)))
			continue;
		free(where);
		where = NULL;
		EK_TRY(ek_format(&where, "%s:%zu", path, i + 1));
		EK_TRY(ek_json_parse(&line, lines.text.data + lines.starts[i],
		                     lines.starts[i + 1] - lines.starts[i] - 1, where));
		take_line(model, line);
	}
	model->point_count = ek_log_thin(model->points, model->point_count, EK_LOG_POINTS);
out:
	ek_buffer_release(&lines.text);
	free(lines.starts);
	free(where);
	return rc;
}

/* The steps in the names of previews have leading zeros: the last by name is the newest. */
static int find_preview(struct ek_model *model, const struct ek_run *run)
{
	char *pattern = NULL;
	glob_t found = { 0 };
	int rc;

	EK_TRY(ek_format(&pattern, "models/%s/preview-*.png", model->name));
	EK_TRY(ek_run_glob(&found, run, pattern));
	if (found.gl_pathc > 0)
		EK_TRY(ek_copy_string(&model->preview, found.gl_pathv[found.gl_pathc - 1]));
out:
	globfree(&found);
	free(pattern);
	return rc;
}

static int load_model(struct ek_model *model, const struct ek_run *run, const char *path, int full)
{
	char *name = NULL, *log = NULL;
	int rc;

	EK_TRY(ek_folder_name(&model->name, path));
	EK_TRY(ek_load_object(&model->json, path));
	EK_TRY(ek_format(&name, "models/%s/log.jsonl", model->name));
	EK_TRY(ek_run_file(&log, run, name));
	if (ek_file_exists(log))
		EK_TRY(load_log(model, log, full));
	EK_TRY(find_preview(model, run));
out:
	free(name);
	free(log);
	return rc;
}

static void release_model(struct ek_model *model)
{
	if (model->judged != model->last)
		cJSON_Delete(model->judged);
	cJSON_Delete(model->last);
	cJSON_Delete(model->json);
	free(model->name);
	free(model->points);
	free(model->preview);
	*model = (struct ek_model){ 0 };
}

int ek_models_load(struct ek_models *models, struct ek_buffer *left_out, const struct ek_run *run, size_t full)
{
	glob_t found = { 0 };
	int rc;

	*models = (struct ek_models){ 0 };
	EK_TRY(ek_find_named(&found, run, "models/*/config.json"));
	EK_TRY(ek_alloc(&models->items, found.gl_pathc, sizeof *models->items));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct ek_model *model = &models->items[models->count++];

		EK_TRY(ek_leave_out(left_out, load_model(model, run, found.gl_pathv[i], models->count <= full),
		                    found.gl_pathv[i]));
		if (rc > 0)
			release_model(&models->items[--models->count]);
	}
	rc = 0;
out:
	globfree(&found);
	return rc;
}

void ek_models_release(struct ek_models *models)
{
	for (size_t i = 0; i < models->count; i++)
		release_model(&models->items[i]);
	free(models->items);
	*models = (struct ek_models){ 0 };
}

const struct ek_model *ek_models_find(const struct ek_models *models, const char *name)
{
	for (size_t i = 0; name != NULL && i < models->count; i++)
		if (strcmp(models->items[i].name, name) == 0)
			return &models->items[i];
	return NULL;
}

int ek_model_is_generator(const struct ek_model *model)
{
	return strcmp(ek_text_of(model->json, "evenkeel", ""), "flow") == 0;
}

const char *ek_model_subset(const struct ek_model *model)
{
	return ek_text_of(ek_json_member(model->json, "training"), "subset", NULL);
}

const char *ek_model_weights(const struct ek_model *model)
{
	const cJSON *training = ek_json_member(model->json, "training");

	return ek_text_of(training, "weights", ek_text_of(training, "loss_weights", NULL));
}
