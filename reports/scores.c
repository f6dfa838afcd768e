#include "reports/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/csv.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/run_files.h"

int ek_score_is_falling(const struct ek_score_set *set)
{
	return strcmp(ek_text_of(set->json, "hard", "high"), "high") == 0;
}

struct place {
	float value;
	uint64_t id;
};

static int rising(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->value < y->value || x->value > y->value)
		return x->value < y->value ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int ek_score_order(uint64_t *order, float *rank, uint64_t *count, const float *values, uint64_t n, int falling)
{
	struct place *places = NULL;
	uint64_t end;
	int rc;

	*count = 0;
	EK_TRY(ek_alloc(&places, n, sizeof *places));
	for (uint64_t i = 0; i < n; i++) {
		rank[i] = (float)NAN;
		if (!isnan(values[i]))
			places[(*count)++] = (struct place){ falling ? -values[i] : values[i], i };
	}
	qsort(places, *count, sizeof *places, rising);
	for (uint64_t i = 0; i < *count; i = end) {
		for (end = i; end < *count && !(places[end].value > places[i].value); end++)
			order[end] = places[end].id;
		for (uint64_t j = i; j < end; j++)
			rank[places[j].id] = (float)((double)(i + end - 1) / 2);
	}
out:
	free(places);
	return rc;
}

static double pearson(const float *a, const float *b, uint64_t n)
{
	double count = 0, mean[2] = { 0, 0 }, xx = 0, yy = 0, xy = 0;

	for (uint64_t i = 0; i < n; i++)
		if (!isnan(a[i]) && !isnan(b[i])) {
			count++;
			mean[0] += (double)a[i];
			mean[1] += (double)b[i];
		}
	for (uint64_t i = 0; i < n; i++)
		if (!isnan(a[i]) && !isnan(b[i])) {
			const double x = (double)a[i] - mean[0] / count, y = (double)b[i] - mean[1] / count;

			xx += x * x;
			yy += y * y;
			xy += x * y;
		}
	return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : (double)NAN;
}

/* out: [n] the ranks of `a` among what has both. */
static int rank_common(float *out, const float *a, const float *b, uint64_t n)
{
	uint64_t *order = NULL, count;
	float *common = NULL;
	int rc;

	EK_TRY(ek_alloc(&order, n, sizeof *order));
	EK_TRY(ek_alloc(&common, n, sizeof *common));
	for (uint64_t i = 0; i < n; i++)
		common[i] = isnan(b[i]) ? (float)NAN : a[i];
	EK_TRY(ek_score_order(order, out, &count, common, n, 0));
out:
	free(order);
	free(common);
	return rc;
}

int ek_score_correlation(double *r, const float *a, const float *b, uint64_t n)
{
	float *x = NULL, *y = NULL;
	int differ = 0, rc = 0;

	for (uint64_t i = 0; i < n && !differ; i++)
		differ = (isnan(a[i]) != 0) != (isnan(b[i]) != 0);
	if (!differ) {
		*r = pearson(a, b, n);
		return 0;
	}
	EK_TRY(ek_alloc(&x, n, sizeof *x));
	EK_TRY(ek_alloc(&y, n, sizeof *y));
	EK_TRY(rank_common(x, a, b, n));
	EK_TRY(rank_common(y, b, a, n));
	*r = pearson(x, y, n);
out:
	free(x);
	free(y);
	return rc;
}

/* An array that is not of these images is as none. */
static int load_values(struct ek_score_set *set, const struct ek_run *run, uint64_t images)
{
	struct ek_npy values = { 0 };
	char *name = NULL;
	int rc;

	EK_TRY(ek_format(&name, "scores/%s.npy", set->name));
	if (!ek_run_has(run, name))
		goto out;
	EK_TRY(ek_run_npy_open(&values, run, name, EK_F32, 1, (const uint64_t[]){ UINT64_MAX }));
	if (values.shape[0] != images || images == 0)
		goto out;
	EK_TRY(ek_alloc(&set->order, images, sizeof *set->order));
	EK_TRY(ek_alloc(&set->rank, images, sizeof *set->rank));
	EK_TRY(ek_score_order(set->order, set->rank, &set->count, values.data, images, ek_score_is_falling(set)));
out:
	ek_npy_close(&values);
	free(name);
	return rc;
}

/* The columns that are shown; -1: not there. */
struct columns {
	int id, label, suggested, probability, of_label;
};

static struct columns find_columns(const struct ek_csv *csv)
{
	struct columns c = { -1, -1, -1, -1, -1 };
	const struct {
		const char *name;
		int *at;
	} all[] = { { "id", &c.id },
		    { "label", &c.label },
		    { "suggested", &c.suggested },
		    { "probability", &c.probability },
		    { "probability_of_label", &c.of_label } };

	for (size_t i = 0; i < csv->count; i++)
		for (size_t k = 0; k < sizeof all / sizeof *all; k++)
			if (strcmp(ek_csv_field(csv, i), all[k].name) == 0)
				*all[k].at = (int)i;
	return c;
}

static int read_suspect(struct ek_suspect *s, const struct ek_csv *csv, const struct columns *c)
{
	int rc;

	s->id = strtoull(ek_csv_field(csv, (size_t)c->id), NULL, 10);
	s->probability = strtod(ek_csv_field(csv, (size_t)c->probability), NULL);
	s->of_label = c->of_label < 0 ? (double)NAN : strtod(ek_csv_field(csv, (size_t)c->of_label), NULL);
	EK_TRY(ek_copy_string(&s->label, ek_csv_field(csv, (size_t)c->label)));
	EK_TRY(ek_copy_string(&s->suggested, ek_csv_field(csv, (size_t)c->suggested)));
out:
	return rc;
}

int ek_suspects_load(struct ek_suspect **suspects, size_t *count, const struct ek_run *run, const char *score,
                     uint64_t images, size_t most)
{
	struct ek_csv csv = { 0 };
	char *name = NULL, *path = NULL;
	struct columns c;
	size_t columns;
	int rc;

	EK_TRY(ek_format(&name, "scores/%s.csv", score));
	EK_TRY(ek_run_file(&path, run, name));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_csv_open(&csv, path));
	EK_TRY(ek_csv_next(&csv));
	c = find_columns(&csv);
	columns = csv.count;
	if (c.id < 0 || c.label < 0 || c.suggested < 0 || c.probability < 0)
		goto out;
	while (*count < most && (rc = ek_csv_next(&csv)) > 0) {
		struct ek_suspect *s;

		if (csv.count != columns)
			continue;
		if ((*count & (*count - 1)) == 0)
			EK_TRY(ek_resize(suspects, *count == 0 ? 1 : 2 * *count, sizeof **suspects));
		s = &(*suspects)[(*count)++];
		*s = (struct ek_suspect){ 0 };
		EK_TRY(read_suspect(s, &csv, &c));
		if (s->id >= images)
			rc = ek_fail(EK_EDATA, "%s: there is no image %llu", path, (unsigned long long)s->id);
		EK_TRY(rc);
	}
out:
	ek_csv_close(&csv);
	free(name);
	free(path);
	return rc < 0 ? rc : 0;
}

void ek_suspects_release(struct ek_suspect *suspects, size_t count)
{
	for (size_t k = 0; k < count; k++) {
		free(suspects[k].label);
		free(suspects[k].suggested);
	}
	free(suspects);
}

static int find_stale(struct ek_score_set *set, struct ek_run *run)
{
	const char *reason;
	char *step = NULL;
	int unchanged, rc;

	EK_TRY(ek_format(&step, "scores %s", set->name));
	EK_TRY(ek_run_is_unchanged(&unchanged, &reason, run, step, 1));
	if (!unchanged)
		EK_TRY(ek_copy_string(&set->stale, reason));
out:
	free(step);
	return rc;
}

static int load_set(struct ek_score_set *set, struct ek_run *run, const char *path, uint64_t images, int full)
{
	int rc;

	EK_TRY(ek_file_stem(&set->name, path));
	EK_TRY(ek_load_object(&set->json, path));
	if (!full)
		goto out;
	EK_TRY(find_stale(set, run));
	EK_TRY(load_values(set, run, images));
	EK_TRY(ek_suspects_load(&set->suspects, &set->suspect_count, run, set->name, images, EK_SUSPECTS));
out:
	return rc;
}

static void release_set(struct ek_score_set *set)
{
	ek_suspects_release(set->suspects, set->suspect_count);
	free(set->name);
	free(set->stale);
	free(set->order);
	free(set->rank);
	cJSON_Delete(set->json);
	*set = (struct ek_score_set){ 0 };
}

int ek_scores_load(struct ek_scores *scores, struct ek_buffer *left_out, struct ek_run *run, uint64_t images,
                   size_t full)
{
	glob_t found = { 0 };
	int rc;

	*scores = (struct ek_scores){ 0 };
	EK_TRY(ek_find_named(&found, run, "scores/*.json"));
	EK_TRY(ek_alloc(&scores->items, found.gl_pathc, sizeof *scores->items));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct ek_score_set *set = &scores->items[scores->count++];

		EK_TRY(ek_leave_out(left_out, load_set(set, run, found.gl_pathv[i], images, scores->count <= full),
		                    found.gl_pathv[i]));
		if (rc > 0)
			release_set(&scores->items[--scores->count]);
	}
	rc = 0;
out:
	globfree(&found);
	return rc;
}

void ek_scores_release(struct ek_scores *scores)
{
	for (size_t i = 0; i < scores->count; i++)
		release_set(&scores->items[i]);
	free(scores->items);
	*scores = (struct ek_scores){ 0 };
}
