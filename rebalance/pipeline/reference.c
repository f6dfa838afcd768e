#include "rebalance/pipeline/reference.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/components.h"
#include "analysis/cluster/ratio.h"
#include "analysis/embed/views.h"
#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/components.h"
#include "rebalance/pipeline/device.h"

int ek_reference_open(struct ek_reference *out, struct ek_run *run, const char *dataset, uint64_t seed)
{
	struct ek_feature_source source = { .dataset = dataset };
	struct ek_features features = { 0 };
	int rc;

	*out = (struct ek_reference){ .run = run, .dataset = dataset, .seed = seed };
	EK_TRY(ek_format(&out->place, "reference-%016llx", (unsigned long long)ek_hash64(dataset, strlen(dataset))));
	EK_TRY(ek_format(&out->array, "cache/features/%s/embeddings.npy", out->place));
	EK_TRY(ek_feature_maker_of_run(&out->maker, run));
	source.place = out->place;
	source.array = out->array;
	EK_TRY(ek_features_of_dataset(&features, run, &out->maker, &source));
out:
	ek_features_release(&features);
	return rc;
}

void ek_reference_release(struct ek_reference *r)
{
	free(r->place);
	free(r->array);
	ek_feature_maker_release(&r->maker);
	*r = (struct ek_reference){ 0 };
}

/* What is told apart: reference images, then images of the run. */
struct work {
	struct ek_reference *reference;
	const struct ek_image_input *in;
	struct ek_components components;
	size_t views;             /* of each image, itself among them */
	uint64_t views_seed, own; /* own: images of the run among the rows */
	struct ek_features features, all;
	uint64_t *numbers; /* [own] of the images of `in` */
	uint64_t *ids;     /* [rows] as ek_ratio takes them */
	uint32_t *group;
	double *weight;
	float *x, *learned; /* [in->count, k], [rows, views, k] */
};

/* Which images of the run, by the seed: all if there are no more. */
static int draw(struct work *w)
{
	const uint64_t count = w->in->count, asked = w->features.rows.count;
	const uint64_t want = asked > EK_RATIO_RUN ? asked : EK_RATIO_RUN;
	int rc;

	w->own = want < count ? want : count;
	EK_TRY(ek_alloc(&w->numbers, w->own, sizeof *w->numbers));
	ek_rows_sample(w->numbers, w->own, count, w->reference->seed, ek_random_stream("reference"));
out:
	return rc;
}

/* The components of `rows` to where each image's own are. */
static int put_own(float *to, const struct work *w, const struct ek_rows *rows)
{
	const size_t k = w->components.k;
	float *projected = NULL;
	int rc;

	EK_TRY(ek_alloc(&projected, rows->count * k, sizeof *projected));
	EK_TRY(ek_components_project(projected, &w->components, rows, k));
	for (uint64_t i = 0; i < rows->count; i++)
		memcpy(to + i * w->views * k, projected + i * k, k * sizeof *projected);
out:
	free(projected);
	return rc;
}

/* Those of the views of images of `images`, behind each one's own. */
static int put_views(float *to, const struct work *w, struct ek_run *images, const uint64_t *ids, uint64_t count)
{
	const size_t k = w->components.k, others = w->views - 1;
	float *raw = NULL, *projected = NULL;
	struct ek_embed *embed = NULL;
	struct ek_views *views = NULL;
	struct ek_npy array;
	struct ek_rows rows;
	int rc;

	EK_TRY(ek_feature_maker_prepare(&embed, &w->reference->maker, images));
	ek_device_for(ek_embed_work(embed, count * others));
	EK_TRY(ek_views_new(&views, embed, images, (int)others, w->views_seed));
	EK_TRY(ek_alloc(&raw, count * others * w->components.d, sizeof *raw));
	EK_TRY(ek_alloc(&projected, count * others * k, sizeof *projected));
	EK_TRY(ek_views_run(views, ids, count, raw));
	array = ek_rows_memory(raw, count * others, w->components.d);
	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_components_project(projected, &w->components, &rows, k));
	for (uint64_t i = 0; i < count; i++)
		memcpy(to + (i * w->views + 1) * k, projected + i * others * k, others * k * sizeof *projected);
out:
	ek_views_free(views);
	ek_embed_free(embed);
	free(raw);
	free(projected);
	return rc;
}

static int add_views(struct work *w)
{
	const uint64_t asked = w->features.rows.count, most = asked > w->own ? asked : w->own;
	uint64_t *ids = NULL;
	struct ek_run *list = NULL;
	char *folder = NULL;
	int rc;

	EK_TRY(ek_alloc(&ids, most, sizeof *ids));
	EK_TRY(ek_layout_path(&folder, w->reference->run, "cache/features/*", w->reference->place));
	EK_TRY(ek_run_open(&list, folder, EK_RUN_READ));
	ek_progress_begin("views of the reference", "images", asked + w->own);
	for (uint64_t i = 0; i < asked; i++)
		ids[i] = i;
	EK_TRY(put_views(w->learned, w, list, ids, asked));
	for (uint64_t i = 0; i < w->own; i++)
		ids[i] = w->in->ids[w->numbers[i]];
	EK_TRY(put_views(w->learned + asked * w->views * w->components.k, w, w->reference->run, ids, w->own));
out:
	ek_progress_end();
	ek_run_close(list);
	free(ids);
	free(folder);
	return rc;
}

static int prepare(struct work *w)
{
	const struct ek_image_input *in = w->in;
	struct ek_rows own;
	uint64_t asked, rows;
	char *path = NULL;
	int rc;

	EK_TRY(ek_components_load(&w->components, in->run));
	if (w->components.k > EK_RATIO_COMPONENTS)
		w->components.k = EK_RATIO_COMPONENTS;
	EK_TRY(ek_components_views(&w->views, &w->views_seed, w->reference->run));
	EK_TRY(ek_run_file(&path, w->reference->run, w->reference->array));
	EK_TRY(ek_features_open(&w->features, path, 0));
	EK_TRY(ek_features_of_run(&w->all, w->reference->run, &w->reference->maker));
	EK_TRY(draw(w));
	asked = w->features.rows.count;
	rows = asked + w->own;
	EK_TRY(ek_alloc(&w->ids, rows, sizeof *w->ids));
	EK_TRY(ek_alloc(&w->group, rows, sizeof *w->group));
	EK_TRY(ek_alloc(&w->weight, rows, sizeof *w->weight));
	EK_TRY(ek_alloc(&w->x, in->count * w->components.k, sizeof *w->x));
	EK_TRY(ek_alloc(&w->learned, rows * w->views * w->components.k, sizeof *w->learned));
	for (uint64_t i = 0; i < rows; i++) {
		w->group[i] = i >= asked;
		w->ids[i] = i < asked ? in->count : w->numbers[i - asked];
	}
	ek_ratio_balance(w->weight, w->group, rows);
	own = w->all.rows;
	own.ids = in->ids;
	own.count = in->count;
	EK_TRY(ek_components_project(w->x, &w->components, &own, w->components.k));
	EK_TRY(put_own(w->learned, w, &w->features.rows));
	for (uint64_t i = 0; i < w->own; i++)
		memcpy(w->learned + (asked + i) * w->views * w->components.k, w->x + w->numbers[i] * w->components.k,
		       w->components.k * sizeof *w->x);
	if (w->views > 1)
		EK_TRY(add_views(w));
out:
	free(path);
	return rc;
}

int ek_reference_weigh(void *context, double *out, const struct ek_image_input *in)
{
	struct work w = { .reference = context, .in = in };
	struct ek_probe_rows rows = { .groups = 2 };
	int rc;

	EK_TRY(prepare(&w));
	rows.x = w.learned;
	rows.stride = w.components.k;
	rows.views = w.views;
	rows.group = w.group;
	rows.weight = w.weight;
	rows.images = w.features.rows.count + w.own;
	EK_TRY(ek_ratio(out, &rows, w.ids, w.x, in->count, w.reference->seed));
out:
	ek_components_release(&w.components);
	ek_features_release(&w.features);
	ek_features_release(&w.all);
	free(w.numbers);
	free(w.ids);
	free(w.group);
	free(w.weight);
	free(w.x);
	free(w.learned);
	return rc;
}
