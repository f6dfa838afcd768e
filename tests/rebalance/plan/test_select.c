#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/npy.h"
#include "rebalance/plan/prune.h"
#include "tests/rebalance/plan/made_run.h"

struct data {
	uint64_t n, d;
	uint32_t k;
	int32_t *unit;
	float *distance, *embeddings, *centroids;
	struct ek_run *run;
};

static float *floats(const cJSON *one, const char *name)
{
	size_t count;
	double *wide = ek_golden_doubles(one, name, &count);
	float *out = calloc(count, sizeof *out);

	assert_non_null(out);
	for (size_t i = 0; i < count; i++)
		out[i] = (float)wide[i];
	free(wide);
	return out;
}

static void load(struct data *d, const cJSON *one, const char *const *rows)
{
	size_t n;
	double *unit = ek_golden_doubles(one, "unit", &n);

	*d = (struct data){ .n = n,
		            .d = (uint64_t)cJSON_GetObjectItem(one, "d")->valueint,
		            .k = (uint32_t)cJSON_GetObjectItem(one, "k")->valueint,
		            .embeddings = floats(one, "embeddings"),
		            .centroids = floats(one, "centroids") };
	d->unit = calloc(n, sizeof *d->unit);
	d->distance = calloc(n, sizeof *d->distance);
	assert_non_null(d->unit);
	assert_non_null(d->distance);
	for (size_t i = 0; i < n; i++)
		d->unit[i] = (int32_t)unit[i];
	d->run = ek_make_run(&(struct ek_made_run){ .n = n,
	                                            .k = d->k,
	                                            .d = d->d,
	                                            .assignment = d->unit,
	                                            .distance = d->distance,
	                                            .embeddings = d->embeddings,
	                                            .centroids = d->centroids,
	                                            .rows = rows });
	free(unit);
}

static void unload(struct data *d)
{
	ek_run_close(d->run);
	free(d->unit);
	free(d->distance);
	free(d->embeddings);
	free(d->centroids);
}

static double number_of(const cJSON *wanted, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(wanted, name);

	return item != NULL ? item->valuedouble : 0;
}

static struct ek_prune_options options_of(const cJSON *wanted)
{
	const cJSON *rule = cJSON_GetObjectItem(wanted, "rule");
	struct ek_prune_options o = { .name = "x",
		                      .method = cJSON_GetObjectItem(wanted, "method")->valuestring,
		                      .by = cJSON_GetObjectItem(wanted, "by")->valuestring,
		                      .keep = { .fraction = number_of(wanted, "keep") },
		                      .eps = number_of(wanted, "eps"),
		                      .dedup = number_of(wanted, "dedup"),
		                      .order = EK_PRUNE_NO_ORDER };

	while (rule != NULL && strcmp(ek_dedup_rule_names[o.rule], rule->valuestring) != 0)
		o.rule++;
	return o;
}

static void selections_equal_the_reference(void **state)
{
	cJSON *golden = ek_golden("select");
	const cJSON *one, *wanted, *id;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "data"))
	{
		struct data d;

		load(&d, one, NULL);
		cJSON_ArrayForEach(wanted, cJSON_GetObjectItem(one, "cases"))
		{
			const struct ek_prune_options o = options_of(wanted);
			const cJSON *ids = cJSON_GetObjectItem(wanted, "ids");
			uint64_t at = 0;

			struct ek_selection got;
			int64_t *kept;

			ek_threads_set(1 + done % 3);
			assert_ok(ek_prune_select(&got, d.run, &o));
			assert_int_equal(got.kept, cJSON_GetArraySize(ids));
			kept = ek_kept_ids(&got);
			cJSON_ArrayForEach(id, ids)
			{
				if (kept[at] != id->valueint)
					fail_msg("%s by %s, keep %g: place %d", o.method, o.by, o.keep.fraction,
					         (int)at);
				at++;
			}
			free(kept);
			ek_selection_release(&got);
			done++;
		}
		unload(&d);
	}
	ek_threads_set(0);
	print_message("%d selections\n", done);
	assert_true(done >= 444);
	cJSON_Delete(golden);
}

static void bad_embeddings_are_named(void **state)
{
	static const char *const methods[] = { "ssp-hard", "density", "semdedup", "k-centre", "herding", "d4" };
	cJSON *golden = ek_golden("select");
	struct ek_prune_options o = { .name = "x", .keep = { .fraction = 0.5 }, .order = EK_PRUNE_NO_ORDER };
	struct ek_selection got;
	struct data d;
	uint64_t shape[2];

	load(&d, cJSON_GetArrayItem(cJSON_GetObjectItem(golden, "data"), 0), NULL);
	o.method = "density";
	o.by = "all";
	assert_fails(ek_prune_select(&got, d.run, &o), EK_EUSAGE, "counts by cluster");
	o.by = NULL;
	d.embeddings[5 * d.d + 1] = NAN;
	shape[0] = d.n;
	shape[1] = d.d;
	assert_ok(ek_npy_write(ek_join(ek_run_path(d.run), "embeddings.npy"), EK_F32, 2, shape, d.embeddings));
	for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
		o.method = methods[m];
		assert_fails(ek_prune_select(&got, d.run, &o), EK_EDATA, "row 5 ");
	}
	shape[0]--;
	assert_ok(ek_npy_write(ek_join(ek_run_path(d.run), "embeddings.npy"), EK_F32, 2, shape, d.embeddings));
	for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
		o.method = methods[m];
		assert_fails(ek_prune_select(&got, d.run, &o), EK_EDATA, "embeddings and");
	}
	unload(&d);
	cJSON_Delete(golden);
}

/* The last image is a copy of the first, which is held out: nobody kept is like it. */
static void held_out_images_have_no_part(void **state)
{
	static const float x[] = { 1, 0, 0, 1, -1, 1, 1, 0 };
	static const char *const rows[] = { ", \"held_out\": true", "", "", "" };
	static const int32_t unit[4];
	const struct ek_made_run made = { .n = 4,
		                          .k = 1,
		                          .d = 2,
		                          .assignment = unit,
		                          .embeddings = x,
		                          .centroids = x + 2,
		                          .rows = rows,
		                          .held_out = 1 };
	const struct ek_prune_options o = {
		.name = "x", .method = "semdedup", .keep = { .count = 2 }, .order = EK_PRUNE_NO_ORDER
	};
	struct ek_run *run = ek_make_run(&made);
	struct ek_selection got;

	assert_ok(ek_prune_select(&got, run, &o));
	assert_int_equal(got.kept, 2);
	assert_int_equal(ek_selection_copies(&got, 1), 1);
	assert_int_equal(ek_selection_copies(&got, 3), 1);
	ek_selection_release(&got);
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(selections_equal_the_reference), cmocka_unit_test(bad_embeddings_are_named),
             cmocka_unit_test(held_out_images_have_no_part))
