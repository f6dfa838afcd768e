#include "rebalance/io/run_files.h"
#include "rebalance/pipeline/components.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/components.h"
#include "analysis/embed/views.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/plan/design.h"
#include "rebalance/plan/image_weights.h"

enum { AT_ONCE = 256 };

/* So often what has been summed is kept. */
static const double keep_seconds = 20;

const char *const ek_components_inputs[] = { "embeddings.npy", "embeddings.json", NULL };
const char *const ek_components_outputs[] = { "components/axes.npy", "components/mean.npy", "components/leverage.npy",
	                                      "components/components.json", NULL };

int ek_make_components_json(cJSON **out, const struct ek_make_components *o)
{
	int rc;

	if ((*out = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for options");
	EK_TRY(ek_json_add_u64(*out, "views", (uint64_t)o->views));
	if (o->views > 1)
		EK_TRY(ek_json_add_u64(*out, "seed", o->seed));
	EK_TRY(ek_json_add_double(*out, "ridge", EK_COMPONENTS_RIDGE));
	EK_TRY(ek_json_add_u64(*out, "most", EK_COMPONENTS_MOST));
out:
	return rc;
}

struct work {
	const struct ek_make_components *asked;
	struct ek_npy embeddings;
	struct ek_rows rows;
	struct ek_scatter scatter;
	struct ek_views *views;
	size_t per_image; /* rows */
	float *features;  /* [AT_ONCE, per_image, d] each image, then its views */
	float *others;    /* [AT_ONCE, per_image - 1, d] */
	char *partial;
	double *kept; /* [2 d + 2, d]: the sums, then images done and two halves of the key */
	uint64_t key;
	double saved; /* when */
};

/* Of what the sums are: of other embeddings, views or seeds they are made anew. */
static int make_key(uint64_t *key, const struct ek_run *run, const struct ek_make_components *o)
{
	char *text = NULL, *path = NULL;
	uint64_t file;
	int rc;

	EK_TRY(ek_run_file(&path, run, "embeddings.npy"));
	EK_TRY(ek_hash64_file(&file, path));
	EK_TRY(ek_format(&text, "%016llx %d %llu %d", (unsigned long long)file, o->views, (unsigned long long)o->seed,
	                 EK_COMPONENTS_VERSION));
	*key = ek_hash64(text, strlen(text));
out:
	free(text);
	free(path);
	return rc;
}

static int keep(struct work *w)
{
	const size_t d = w->scatter.d, size = ek_scatter_size(&w->scatter);

	if (w->views == NULL || d < 3 || (!w->asked->keep_every_block && ek_clock() - w->saved < keep_seconds))
		return 0;
	w->saved = ek_clock();
	ek_scatter_keep(w->kept, &w->scatter);
	memset(w->kept + size, 0, d * sizeof *w->kept);
	w->kept[size] = (double)w->scatter.images;
	w->kept[size + 1] = (double)(w->key >> 32);
	w->kept[size + 2] = (double)(w->key & UINT32_MAX);
	return ek_npy_write(w->partial, EK_F64, 2, (const uint64_t[]){ 2 * d + 2, d }, w->kept);
}

/* What a stopped step left, if it is of the same. */
static int take_up(struct work *w)
{
	const size_t d = w->scatter.d, size = ek_scatter_size(&w->scatter);
	struct ek_npy array = { 0 };
	const double *kept;
	int rc = 0;

	if (w->views == NULL || d < 3)
		return 0;
	EK_TRY(ek_alloc(&w->kept, size + d, sizeof *w->kept));
	if (!ek_file_exists(w->partial) ||
	    ek_npy_open_as(&array, w->partial, EK_F64, 2, (const uint64_t[]){ 2 * d + 2, d }) < 0)
		goto out;
	kept = array.data;
	if (kept[size + 1] == (double)(w->key >> 32) && kept[size + 2] == (double)(w->key & UINT32_MAX) &&
	    kept[size] > 0 && kept[size] <= (double)w->rows.count)
		ek_scatter_restore(&w->scatter, kept, (uint64_t)kept[size], (uint64_t)kept[size] * w->per_image);
out:
	ek_npy_close(&array);
	return rc;
}

static int open_work(struct work *w, struct ek_run *run)
{
	const struct ek_make_components *o = w->asked;
	double *mean = NULL;
	int rc;

	EK_TRY(ek_run_npy(&w->embeddings, run, "embeddings.npy"));
	EK_TRY(ek_rows_of(&w->rows, &w->embeddings, 0));
	EK_TRY(ek_alloc(&mean, w->rows.dimensions, sizeof *mean));
	EK_TRY(ek_rows_mean(mean, &w->rows));
	EK_TRY(ek_scatter_init(&w->scatter, mean, w->rows.dimensions));
	w->per_image = o->embed != NULL ? (size_t)o->views : 1;
	EK_TRY(ek_alloc(&w->features, AT_ONCE * w->per_image * w->rows.dimensions, sizeof *w->features));
	EK_TRY(ek_layout_path(&w->partial, run, "components/partial.npy", NULL));
	w->saved = ek_clock();
	if (w->per_image == 1)
		goto out;
	EK_TRY(ek_alloc(&w->others, AT_ONCE * (w->per_image - 1) * w->rows.dimensions, sizeof *w->others));
	ek_device_for(ek_embed_work(o->embed, w->rows.count * (w->per_image - 1)));
	EK_TRY(ek_views_new(&w->views, o->embed, run, o->views - 1, o->seed));
	if (ek_views_dimensions(w->views) != w->rows.dimensions)
		rc = ek_fail(EK_EDATA, "embeddings.npy has %zu dimensions, the encoder %zu", w->rows.dimensions,
		             ek_views_dimensions(w->views));
	EK_TRY(rc);
	EK_TRY(make_key(&w->key, run, o));
	EK_TRY(take_up(w));
out:
	free(mean);
	return rc;
}

static void close_work(struct work *w)
{
	ek_views_free(w->views);
	ek_scatter_release(&w->scatter);
	ek_npy_close(&w->embeddings);
	free(w->features);
	free(w->others);
	free(w->partial);
	free(w->kept);
}

/* The images from `first` on, each with its views. */
static int read_block(struct work *w, uint64_t first, uint64_t count)
{
	const size_t d = w->rows.dimensions, rest = w->per_image - 1;
	uint64_t ids[AT_ONCE];
	int rc = 0;

	for (uint64_t i = 0; i < count; i++) {
		ids[i] = first + i;
		ek_rows_read(w->features + i * w->per_image * d, &w->rows, first + i);
	}
	if (w->views == NULL)
		return 0;
	EK_TRY(ek_views_run(w->views, ids, count, w->others));
	for (uint64_t i = 0; i < count; i++)
		memcpy(w->features + (i * w->per_image + 1) * d, w->others + i * rest * d,
		       rest * d * sizeof *w->features);
out:
	return rc;
}

static int sum_up(struct work *w)
{
	int rc = 0;

	ek_progress_begin(w->views != NULL ? "views" : "components", "images", w->rows.count);
	ek_progress_add(w->scatter.images);
	for (uint64_t first = w->scatter.images; first < w->rows.count; first = w->scatter.images) {
		const uint64_t count = w->rows.count - first < AT_ONCE ? w->rows.count - first : AT_ONCE;

		EK_TRY(ek_check_interrupt());
		EK_TRY(read_block(w, first, count));
		EK_TRY(ek_scatter_add(&w->scatter, w->features, count, w->per_image));
		EK_TRY(keep(w));
		if (w->views == NULL)
			ek_progress_add(count);
	}
out:
	ek_progress_end();
	return rc;
}

/* How far each image lies from all others: what is rare. 0 where there are too few to tell. */
static int save_leverage(const struct work *w, const struct ek_components *c, const struct ek_run *run)
{
	const uint64_t n = w->rows.count, per = EK_IMAGES_PER_COMPONENT, most = n / per;
	size_t k = most < EK_DESIGN_COMPONENTS ? (size_t)most : EK_DESIGN_COMPONENTS;
	double *leverage = NULL;
	float *x = NULL;
	char *path = NULL;
	int rc;

	k = k < c->k ? k : c->k;
	EK_TRY(ek_alloc(&leverage, n, sizeof *leverage));
	EK_TRY(ek_layout_path(&path, run, "components/leverage.npy", NULL));
	EK_TRY(ek_alloc(&x, n * (k > 0 ? k : 1), sizeof *x));
	if (k > 0) {
		EK_TRY(ek_components_project(x, c, &w->rows, k));
		EK_TRY(ek_design_leverage(leverage, x, n, k));
	}
	for (uint64_t i = 0; i < n; i++)
		x[i] = (float)leverage[i];
	EK_TRY(ek_npy_write(path, EK_F32, 1, &n, x));
out:
	free(leverage);
	free(x);
	free(path);
	return rc;
}

static int save(const struct work *w, const struct ek_run *run)
{
	struct ek_components c = { 0 };
	cJSON *json = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_components_of(&c, &w->scatter, EK_COMPONENTS_MOST));
	EK_TRY(ek_json_add_u64(json, "images", w->scatter.images));
	EK_TRY(ek_json_add_u64(json, "views", w->per_image));
	EK_TRY(w->views != NULL ? ek_json_add_u64(json, "seed", w->asked->seed) : ek_json_add_null(json, "seed"));
	EK_TRY(w->views != NULL ? ek_json_add_double(json, "ridge", EK_COMPONENTS_RIDGE)
	                        : ek_json_add_null(json, "ridge"));
	EK_TRY(save_leverage(w, &c, run));
	EK_TRY(ek_components_save(&c, run, json));
out:
	ek_components_release(&c);
	cJSON_Delete(json);
	return rc;
}

int ek_components_views(size_t *views, uint64_t *seed, const struct ek_run *run)
{
	char *path = NULL;
	cJSON *json = NULL;
	uint64_t count;
	int rc;

	EK_TRY(ek_layout_path(&path, run, "components/components.json", NULL));
	EK_TRY(ek_json_load(&json, path));
	EK_TRY(ek_json_get_u64(&count, json, "views", path));
	if (count > 1)
		EK_TRY(ek_json_get_u64(seed, json, "seed", path));
	*views = (size_t)count;
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

int ek_make_components(struct ek_run *run, const struct ek_make_components *o)
{
	struct work w = { .asked = o };
	char *folder = NULL;
	int rc;

	if (o->views > 1 && o->embed == NULL)
		ek_info("the embeddings are your own, and there is nothing to make views of them from: the components "
		        "are whitened by their spread alone");
	EK_TRY(ek_run_file(&folder, run, "components"));
	EK_TRY(ek_make_directories(folder));
	EK_TRY(open_work(&w, run));
	EK_TRY(sum_up(&w));
	EK_TRY(save(&w, run));
	EK_TRY(ek_remove(w.partial));
out:
	close_work(&w);
	free(folder);
	return rc;
}
