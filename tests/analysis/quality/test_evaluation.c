#include "tests/support/support.h"

#include "analysis/quality/evaluation.h"
#include "rebalance/base/random.h"

/* Three clusters far apart in 8 dimensions, of 300, 200 and 100 training images; a tenth as many are held out. */
enum { D = 8, K = 3 };
static const uint64_t training_counts[K] = { 300, 200, 100 };

struct rows {
	float *data;
	int32_t *cluster;
	struct ek_npy array;
	struct ek_rows rows;
};

static void fill(struct rows *r, const uint64_t counts[K], const char *stream)
{
	uint64_t total = counts[0] + counts[1] + counts[2], at = 0;

	r->data = calloc((size_t)total * D, sizeof *r->data);
	r->cluster = calloc((size_t)total, sizeof *r->cluster);
	assert_true(r->data != NULL && r->cluster != NULL);
	for (int32_t c = 0; c < K; c++)
		for (uint64_t i = 0; i < counts[c]; i++, at++) {
			r->cluster[at] = c;
			for (uint64_t j = 0; j < D; j++)
				r->data[at * D + j] =
					(float)(ek_random_normal(7, ek_random_stream(stream), at * D + j) +
				                (j == (uint64_t)c ? 100 : 0));
		}
	r->array = ek_rows_memory(r->data, total, D);
	assert_ok(ek_rows_of(&r->rows, &r->array, 0));
}

static void release(struct rows *r)
{
	free(r->data);
	free(r->cluster);
}

struct fixture {
	struct rows training, held_out, generated;
	struct ek_evaluation_set set;
	double target[K];
	struct ek_evaluation_input in;
	struct ek_evaluation_options o;
	cJSON *json;
};

static void set_up(struct fixture *f, const uint64_t held_out[K], const uint64_t generated[K])
{
	const struct ek_evaluation_options defaults = EK_EVALUATION_DEFAULT;

	*f = (struct fixture){ .o = defaults, .target = { 0.5, 1.0 / 3, 1.0 / 6 } };
	f->o.subsets = 5;
	fill(&f->training, training_counts, "training");
	fill(&f->held_out, held_out, "held out");
	fill(&f->generated, generated, "generated");
	f->set = (struct ek_evaluation_set){ "s", 0, f->generated.rows.count };
	f->in = (struct ek_evaluation_input){ .generated = f->generated.rows,
		                              .generated_cluster = f->generated.cluster,
		                              .sets = &f->set,
		                              .set_count = 1,
		                              .reference = f->held_out.rows,
		                              .reference_cluster = f->held_out.cluster,
		                              .training = f->training.rows,
		                              .held_out = f->held_out.rows,
		                              .no_logits = "none here",
		                              .clusters = K,
		                              .target = f->target,
		                              .training_counts = training_counts };
}

static int has_reason(const cJSON *object, const char *group, const char *name)
{
	const cJSON *reasons = cJSON_GetObjectItemCaseSensitive(object, "reasons");
	char whole[80];

	(void)snprintf(whole, sizeof whole, "%s_%s", group, name);
	return cJSON_HasObjectItem(reasons, name) || cJSON_HasObjectItem(reasons, whole);
}

/* Every null below `item`, called `group`, has its reason beside it or in the whole. */
static void check_reasons(const cJSON *whole, const cJSON *item, const char *group)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, item)
	{
		if (cJSON_IsNull(member) && !has_reason(item, "", member->string) &&
		    !has_reason(whole, group, member->string))
			fail_msg("%s of %s is null without a reason", member->string, group);
		check_reasons(whole, member, member->string != NULL ? member->string : group);
	}
}

static void evaluate(struct fixture *f)
{
	cJSON *made = cJSON_CreateObject();
	char *text;

	assert_ok(ek_evaluate(made, &f->in, &f->o));
	/* As a reader of the file sees it. */
	text = cJSON_PrintUnformatted(made);
	assert_non_null(text);
	cJSON_Delete(f->json);
	assert_ok(ek_json_parse(&f->json, text, strlen(text), "evaluation"));
	cJSON_free(text);
	cJSON_Delete(made);
	check_reasons(f->json, f->json, "");
}

static void tear_down(struct fixture *f)
{
	release(&f->training);
	release(&f->held_out);
	release(&f->generated);
	cJSON_Delete(f->json);
}

static const cJSON *get(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (item == NULL)
		fail_msg("there is no member %s", name);
	return item;
}

static double value(const cJSON *object, const char *name)
{
	const cJSON *item = get(object, name);

	return cJSON_IsObject(item)   ? get(item, "value")->valuedouble
	       : cJSON_IsNumber(item) ? item->valuedouble
	                              : (double)NAN;
}

static const cJSON *row(const struct fixture *f, int cluster)
{
	return cJSON_GetArrayItem(get(f->json, "per_cluster"), cluster);
}

/* `name` is null and its reason, in the same object, contains `text`. */
static void check_null(const cJSON *object, const char *name, const char *text)
{
	const char *why = cJSON_GetStringValue(get(get(object, "reasons"), name));

	if (!cJSON_IsNull(get(object, name)) || why == NULL || strstr(why, text) == NULL)
		fail_msg("%s is not null because of \"%s\" but \"%s\"", name, text, why != NULL ? why : "(no reason)");
}

static void check_interval(const cJSON *object, double truth)
{
	const cJSON *bounds = get(object, "ci95");

	assert_true(cJSON_GetArrayItem(bounds, 0)->valuedouble <= truth);
	assert_true(cJSON_GetArrayItem(bounds, 1)->valuedouble >= truth);
}

static void fresh_images_are_good_and_no_copies(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 100 }, generated[K] = { 300, 200, 100 };
	struct fixture f;

	set_up(&f, held_out, generated);
	evaluate(&f);
	/* Three standard errors of a share of 600. */
	assert_close(value(f.json, "coverage"), value(f.json, "coverage_expected"), 0.022);
	check_interval(get(f.json, "coverage"), value(f.json, "coverage_expected"));
	assert_true(value(f.json, "precision") > 0.9 && value(f.json, "recall") > 0.9);
	assert_true(value(f.json, "mass_coverage") == 1 && value(f.json, "hit_coverage") == 1);
	assert_true(value(get(f.json, "fairness"), "total_variation") < 1e-12);
	assert_close(value(get(f.json, "fairness"), "bias_amplification"), 1, 1e-12);
	assert_close(value(get(f.json, "memorisation"), "ratio"), 1, 0.1);
	assert_string_equal(get(get(f.json, "worst_cluster"), "by")->valuestring, "coverage");
	check_null(f.json, "inception_score", "none here");
	tear_down(&f);
}

static void a_missing_and_a_halved_cluster_are_named(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 100 }, missing[K] = { 300, 200, 0 },
			      half[K] = { 300, 100, 100 };
	struct fixture f;

	set_up(&f, held_out, missing);
	evaluate(&f);
	assert_int_equal(get(get(f.json, "worst_cluster"), "cluster")->valueint, 2);
	assert_string_equal(get(get(f.json, "worst_cluster"), "by")->valuestring, "ratio");
	assert_true(value(row(&f, 2), "coverage") == 0);
	assert_close(value(f.json, "mass_coverage"), 2.0 / 3, 1e-15);
	check_null(row(&f, 2), "precision", "no generated image");
	check_null(row(&f, 2), "kid", "0 generated images and 100 of the reference");
	tear_down(&f);

	set_up(&f, held_out, half);
	evaluate(&f);
	assert_int_equal(get(get(f.json, "worst_cluster"), "cluster")->valueint, 1);
	assert_close(value(row(&f, 1), "generated_share"), 0.2, 1e-15);
	check_interval(row(&f, 1), 0.2);
	assert_true(cJSON_GetArrayItem(get(row(&f, 1), "ci95"), 1)->valuedouble < value(row(&f, 1), "target_share"));
	tear_down(&f);
}

static void the_small_clusters_are_told_of_together(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 100 }, generated[K] = { 300, 200, 10 },
			      tail[K] = { 501, 50, 49 }, even[K] = { 200, 200, 200 };
	const cJSON *t;
	struct fixture f;

	set_up(&f, held_out, generated);
	f.in.training_counts = tail;
	f.in.sets = (const struct ek_evaluation_set[]){ { "a", 0, 255 }, { "b", 255, 255 } };
	f.in.set_count = 2;
	evaluate(&f);
	t = get(f.json, "tail");
	assert_int_equal(cJSON_GetArraySize(get(t, "clusters")), 2);
	assert_int_equal(cJSON_GetArrayItem(get(t, "clusters"), 0)->valueint, 1);
	assert_int_equal(value(t, "reference_images"), 300);
	assert_close(value(t, "training_share"), 99.0 / 600, 1e-15);
	assert_close(value(t, "generated_share"), 210.0 / 510, 1e-15);
	check_interval(get(t, "generated_share"), 210.0 / 510);
	assert_close(value(t, "coverage"),
	             (200 * value(row(&f, 1), "coverage") + 100 * value(row(&f, 2), "coverage")) / 300, 1e-12);
	assert_close(value(t, "precision"),
	             (200 * value(row(&f, 1), "precision") + 10 * value(row(&f, 2), "precision")) / 210, 1e-12);
	assert_close(value(get(get(f.json, "spread"), "tail_share"), "mean"), 210.0 / 510, 1e-15);
	assert_true(value(cJSON_GetArrayItem(get(f.json, "seeds"), 0), "tail_share") == 0);
	assert_true(value(cJSON_GetArrayItem(get(f.json, "seeds"), 0), "tail_coverage") < 0.1);
	assert_true(value(cJSON_GetArrayItem(get(f.json, "seeds"), 1), "tail_coverage") > value(t, "coverage") - 0.1);
	f.in.training_counts = even;
	evaluate(&f);
	assert_int_equal(cJSON_GetArraySize(get(get(f.json, "tail"), "clusters")), 0);
	tear_down(&f);
}

static void copies_are_flagged_where_they_are(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 100 }, generated[K] = { 300, 200, 100 };
	const uint64_t first = 500; /* of cluster 2 */
	const cJSON *copies;
	struct fixture f;

	set_up(&f, held_out, generated);
	memcpy(f.generated.data + first * D, f.training.data + first * D, (size_t)100 * D * sizeof(float));
	evaluate(&f);
	copies = get(get(f.json, "memorisation"), "copies");
	assert_int_equal(cJSON_GetArraySize(copies), EK_EVALUATION_COPIES_MOST);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(get(cJSON_GetArrayItem(copies, i), "index")->valueint, 500 + i);
		assert_int_equal(get(cJSON_GetArrayItem(copies, i), "image")->valueint, 500 + i);
		assert_true(value(cJSON_GetArrayItem(copies, i), "distance") == 0);
	}
	assert_true(value(row(&f, 2), "copies") == 100 && value(row(&f, 2), "nearest_train") == 0);
	assert_int_equal(get(get(get(f.json, "memorisation"), "worst_cluster"), "cluster")->valueint, 2);
	assert_true(value(get(f.json, "memorisation"), "copies_share") >= 1.0 / 6);
	assert_true(value(get(f.json, "memorisation"), "held_out_copies_share") < 0.05);
	tear_down(&f);
}

static void too_few_images_are_null_with_a_reason(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 0 }, few[K] = { 3, 1, 1 }, one[K] = { 1, 0, 0 };
	struct fixture f;

	set_up(&f, held_out, few);
	evaluate(&f);
	check_null(f.json, "precision", "more than k = 5 of each");
	check_null(f.json, "coverage", "5 generated images and 500 of the reference");
	check_null(f.json, "realism", "more than k");
	assert_true(isfinite(value(f.json, "frechet_distance")));
	check_null(row(&f, 2), "coverage", "no reference image");
	check_null(row(&f, 0), "precision", "as of all images");
	tear_down(&f);

	set_up(&f, held_out, one);
	evaluate(&f);
	check_null(f.json, "frechet_distance", "1 generated images");
	check_null(f.json, "kid", "at least 2 of each");
	check_null(f.json, "frechet_infinity", "at least 4 of each");
	assert_close(value(f.json, "vendi"), 1, 1e-12);
	tear_down(&f);
}

static void a_cluster_without_reference_images_has_no_coverage(void **state)
{
	static const uint64_t held_out[K] = { 60, 40, 0 }, generated[K] = { 60, 40, 20 };
	struct fixture f;

	set_up(&f, held_out, generated);
	evaluate(&f);
	check_null(row(&f, 2), "coverage", "it has no reference image");
	check_null(row(&f, 2), "kid", "50 of each are wanted");
	check_null(row(&f, 1), "kid", "it has 40 generated images and 40 of the reference");
	assert_true(value(row(&f, 2), "precision") == 0); /* nothing real is near */
	assert_close(value(f.json, "coverage_macro"),
	             (value(row(&f, 0), "coverage") + value(row(&f, 1), "coverage")) / 2, 1e-12);
	tear_down(&f);
}

static void one_image_repeated_has_no_balls(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 100 }, generated[K] = { 40, 0, 0 };
	struct fixture f;

	set_up(&f, held_out, generated);
	for (size_t i = 1; i < 40; i++)
		memcpy(f.generated.data + i * D, f.generated.data, D * sizeof(float));
	evaluate(&f);
	check_null(f.json, "recall", "all the same one");
	assert_true(isfinite(value(f.json, "precision")) && isfinite(value(f.json, "frechet_distance")));
	assert_close(value(f.json, "vendi"), 1, 1e-9);
	tear_down(&f);

	set_up(&f, generated, held_out);
	for (size_t i = 1; i < 40; i++)
		memcpy(f.held_out.data + i * D, f.held_out.data, D * sizeof(float));
	evaluate(&f);
	check_null(f.json, "precision", "the images of the reference are all the same one");
	check_null(f.json, "coverage", "all the same one");
	check_null(row(&f, 0), "coverage", "as of all images");
	assert_true(isfinite(value(f.json, "recall")));
	tear_down(&f);
}

/* The names of "tail" and "memorisation" that others have, too, are told apart. */
static void what_is_null_in_a_group_is_told_of_by_its_name(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 0 }, generated[K] = { 300, 200, 0 }, data[K] = { 501, 99, 9 };
	static const struct ek_evaluation_set sets[] = { { "a", 0, 496 }, { "b", 496, 4 } };
	int32_t asked[500];
	const cJSON *tail;
	struct fixture f;

	set_up(&f, held_out, generated);
	f.in.training_counts = data;
	f.in.sets = sets;
	f.in.set_count = 2;
	for (size_t i = 0; i < (size_t)500 * D; i++)
		f.generated.data[i] += 100; /* so far away that none is a copy */
	evaluate(&f);
	tail = get(f.json, "tail");
	assert_true(isfinite(value(tail, "coverage")) && isfinite(value(tail, "precision")));
	assert_true(cJSON_IsNull(get(tail, "in_own")) && cJSON_IsNull(get(row(&f, 0), "in_own")));
	assert_string_equal(get(get(f.json, "reasons"), "tail_in_own")->valuestring, "nothing was made for a cluster");
	check_null(row(&f, 0), "in_own", "nothing was made for a cluster");
	check_null(cJSON_GetArrayItem(get(f.json, "seeds"), 1), "precision", "4 generated images, more than k = 5");
	assert_int_equal(cJSON_GetArraySize(get(cJSON_GetArrayItem(get(f.json, "seeds"), 0), "reasons")), 0);
	assert_true(cJSON_IsNull(get(get(f.json, "memorisation"), "worst_cluster")));
	assert_string_equal(get(get(f.json, "reasons"), "memorisation_worst_cluster")->valuestring,
	                    "no image is flagged as a copy");
	for (size_t i = 0; i < 500; i++)
		asked[i] = 0;
	f.in.asked = asked;
	f.in.reference.count = 0;
	f.in.no_reference = "none";
	evaluate(&f);
	tail = get(f.json, "tail");
	assert_true(cJSON_IsNull(get(tail, "coverage")) && cJSON_IsNull(get(tail, "precision")));
	assert_string_equal(get(get(f.json, "reasons"), "tail_coverage")->valuestring, "as coverage");
	assert_string_equal(get(get(f.json, "reasons"), "tail_in_own")->valuestring,
	                    "none was made for a small cluster");
	check_null(row(&f, 1), "in_own", "none was made for it");
	tear_down(&f);
}

static void rows_that_are_no_numbers_are_named(void **state)
{
	static const uint64_t held_out[K] = { 30, 20, 10 }, generated[K] = { 30, 20, 10 };
	struct fixture f;
	cJSON *json = cJSON_CreateObject();

	set_up(&f, held_out, generated);
	f.generated.data[17 * D + 3] = NAN;
	assert_fails(ek_evaluate(json, &f.in, &f.o), EK_EDATA, "the generated images: row 17");
	f.generated.data[17 * D + 3] = 0;
	f.in.reference.dimensions = D - 1;
	assert_fails(ek_evaluate(json, &f.in, &f.o), EK_EDATA, "the reference: embeddings of 7 dimensions");
	cJSON_Delete(json);
	tear_down(&f);
}

static void statistics_give_the_distance_alone(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 100 }, generated[K] = { 300, 200, 100 };
	struct ek_gaussian statistics;
	struct fixture f;
	double distance;

	set_up(&f, held_out, generated);
	evaluate(&f);
	distance = value(f.json, "frechet_distance");
	assert_ok(ek_gaussian_of(&statistics, &f.held_out.rows));
	f.in.reference.count = 0;
	f.in.no_reference = "statistics";
	f.in.statistics = &statistics;
	evaluate(&f);
	/* The same formula of the same numbers. */
	assert_close(value(f.json, "frechet_distance"), distance, 1e-9);
	check_null(f.json, "kid", "statistics");
	check_null(f.json, "coverage", "statistics");
	check_null(f.json, "coverage_worst", "statistics");
	check_null(f.json, "frechet_infinity", "stored statistics");
	assert_true(isfinite(value(get(f.json, "fairness"), "total_variation")));
	assert_string_equal(get(get(f.json, "worst_cluster"), "by")->valuestring, "ratio");
	ek_gaussian_release(&statistics);
	tear_down(&f);
}

static void several_seeds_have_a_spread(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 100 }, generated[K] = { 300, 200, 100 };
	static const struct ek_evaluation_set sets[] = { { "a", 0, 200 }, { "b", 200, 200 }, { "c", 400, 200 } };
	const cJSON *seeds, *spread;
	struct fixture f;
	double mean = 0, squares = 0;

	set_up(&f, held_out, generated);
	f.in.sets = sets;
	f.in.set_count = 3;
	evaluate(&f);
	seeds = get(f.json, "seeds");
	assert_int_equal(cJSON_GetArraySize(seeds), 3);
	for (int i = 0; i < 3; i++)
		mean += value(cJSON_GetArrayItem(seeds, i), "frechet_distance") / 3;
	for (int i = 0; i < 3; i++)
		squares += pow(value(cJSON_GetArrayItem(seeds, i), "frechet_distance") - mean, 2);
	spread = get(get(f.json, "spread"), "frechet_distance");
	assert_close(value(spread, "mean"), mean, 1e-12);
	assert_close(value(spread, "std"), sqrt(squares / 2), 1e-12);
	assert_true(value(cJSON_GetArrayItem(seeds, 1), "worst_ratio") == 0);
	assert_string_equal(get(cJSON_GetArrayItem(seeds, 2), "samples")->valuestring, "c");
	tear_down(&f);
}

/* Certain probabilities give the numbers of the clusters that they are of. Halves of two of them mix: of 300 + 200
 * images of the reference, the covered ones of the 300 and none of the 200, in a group of both halves, which is worth
 * Kish's 250² / (500 / 4) = 500 images. */
static void groups_count_by_probability(void **state)
{
	static const uint64_t held_out[K] = { 300, 200, 100 }, generated[K] = { 300, 0, 100 };
	static char a[] = "a", b[] = "b", c[] = "c";
	static char *const names[K] = { a, b, c };
	static const double shares[K] = { 0.5, 0.3, 0.2 };
	float q[2][600 * K];
	struct fixture f;

	set_up(&f, held_out, generated);
	for (int soft = 0; soft < 2; soft++) {
		struct rows *all[2] = { &f.generated, &f.held_out };
		const struct ek_evaluation_groups groups = { K, names, q[0], q[1], shares };
		const cJSON *list, *worst;

		for (int s = 0; s < 2; s++)
			for (uint64_t i = 0; i < all[s]->rows.count; i++)
				for (int g = 0; g < K; g++) {
					const int32_t own = all[s]->cluster[i];

					q[s][i * K + (uint64_t)g] =
						soft && own < 2 ? (g < 2 ? 0.5F : 0) : (float)(own == g);
				}
		f.in.groups = &groups;
		evaluate(&f);
		list = get(f.json, "per_group");
		worst = get(f.json, "worst_group");
		for (int g = 0; g < K && !soft; g++) {
			const cJSON *group = cJSON_GetArrayItem(list, g);

			assert_string_equal(get(group, "group")->valuestring, names[g]);
			assert_close(value(group, "training_share"), shares[g], 1e-15);
			assert_close(value(group, "coverage"), value(row(&f, g), "coverage"), 1e-12);
			assert_close(value(group, "generated_share"), value(row(&f, g), "generated_share"), 1e-12);
			assert_close(value(group, "reference_images"), (double)held_out[g], 1e-9);
			if (g == 1)
				check_null(group, "precision", "hardly any generated image");
			else
				assert_close(value(group, "precision"), value(row(&f, g), "precision"), 1e-12);
		}
		if (soft) {
			const double covered = value(row(&f, 0), "coverage") * 300;
			const cJSON *group = cJSON_GetArrayItem(list, 0), *bounds;

			assert_close(value(group, "coverage"), covered / 500, 1e-12);
			assert_close(value(group, "reference_images"), 250, 1e-9);
			bounds = get(get(group, "coverage"), "ci95");
			/* Wilson's of 500 images, not of 250. */
			assert_close(cJSON_GetArrayItem(bounds, 1)->valuedouble -
			                     cJSON_GetArrayItem(bounds, 0)->valuedouble,
			             2 * 1.96 * sqrt(covered / 500 * (1 - covered / 500) / 500), 2e-3);
		} else {
			assert_string_equal(get(worst, "group")->valuestring, "b");
			assert_true(value(worst, "coverage") == 0);
			assert_close(value(f.json, "group_coverage"), value(f.json, "coverage_macro"), 1e-12);
		}
	}
	f.in.groups = NULL;
	evaluate(&f);
	assert_false(cJSON_HasObjectItem(f.json, "per_group"));
	tear_down(&f);
}

EK_TEST_MAIN(cmocka_unit_test(fresh_images_are_good_and_no_copies),
             cmocka_unit_test(a_missing_and_a_halved_cluster_are_named),
             cmocka_unit_test(the_small_clusters_are_told_of_together),
             cmocka_unit_test(copies_are_flagged_where_they_are),
             cmocka_unit_test(too_few_images_are_null_with_a_reason),
             cmocka_unit_test(a_cluster_without_reference_images_has_no_coverage),
             cmocka_unit_test(one_image_repeated_has_no_balls),
             cmocka_unit_test(what_is_null_in_a_group_is_told_of_by_its_name),
             cmocka_unit_test(rows_that_are_no_numbers_are_named), cmocka_unit_test(statistics_give_the_distance_alone),
             cmocka_unit_test(several_seeds_have_a_spread), cmocka_unit_test(groups_count_by_probability))
