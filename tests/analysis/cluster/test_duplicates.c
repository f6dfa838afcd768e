#include "tests/analysis/cluster/blobs.h"
#include "tests/support/support.h"

#include "analysis/cluster/cluster.h"
#include "analysis/cluster/duplicates.h"
#include "analysis/cluster/near.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/npy.h"

static struct ek_rows view(struct ek_npy *array, const float *x, uint64_t n, size_t d)
{
	struct ek_rows rows;

	*array = ek_rows_memory(x, n, d);
	assert_ok(ek_rows_of(&rows, array, 1));
	return rows;
}

static void counts_equal_numpys(void **state)
{
	cJSON *golden = ek_golden("duplicates");
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(golden, "eps"), *row;
	struct ek_near near;
	struct ek_npy array;
	size_t size, count, e = 0;
	double eps[8], *x64 = ek_golden_doubles(golden, "x", &size);
	double *similarity = ek_golden_doubles(golden, "similarity", &count);
	float *x = calloc(size, sizeof *x);
	uint32_t *order = calloc(count, sizeof *order);
	const uint64_t segments[] = { 0, count };
	struct ek_rows rows;

	for (size_t i = 0; i < size; i++)
		x[i] = (float)x64[i];
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	cJSON_ArrayForEach(row, list) assert_ok(ek_json_get_double(&eps[e++], row, "eps", "golden"));
	rows = view(&array, x, count, size / count);
	assert_ok(ek_near_find(&near, &rows, order, segments, 1, eps, e, 0));
	for (size_t i = 0; i < count; i++)
		assert_close(near.similarity[i], similarity[i], 0x1p-24); /* stored as float32 */
	e = 0;
	cJSON_ArrayForEach(row, list)
	{
		const struct ek_near_eps *got = &near.eps[e++];
		const struct {
			const char *name;
			uint64_t got;
		} wanted[] = { { "pairs", got->pairs },
			       { "one_pass_removed", got->one_pass_removed },
			       { "greedy_removed", got->greedy_removed },
			       { "groups", got->groups },
			       { "component_removed", got->component_removed } };

		for (size_t i = 0; i < 5; i++) {
			uint64_t want;

			assert_ok(ek_json_get_u64(&want, row, wanted[i].name, "golden"));
			assert_int_equal(wanted[i].got, want);
		}
	}
	ek_near_release(&near);
	free(x);
	free(x64);
	free(similarity);
	free(order);
	cJSON_Delete(golden);
}

/* Several blocks of columns, segments and a mixed order, against plain loops. */
static void blocks_and_segments_equal_brute_force(void **state)
{
	enum { N = 2700, D = 12 };
	static const double eps[] = { 0.002, 0.02 };
	static const uint64_t segments[] = { 0, 1, 400, 2700 };
	static const int threads[] = { 1, 2, 16 };
	float *x = ek_blobs(N, D, 40, 0.12, 0, NULL), *unit = calloc(N * D, sizeof *unit);
	uint32_t *order = calloc(N, sizeof *order);
	char *kept = calloc(N, 1);
	struct ek_near near[3];
	struct ek_npy array;
	const struct ek_rows rows = view(&array, x, N, D);

	for (uint32_t i = 0; i < N; i++) {
		order[i] = (uint32_t)((uint64_t)i * 1009 % N);
		ek_rows_read(unit + i * D, &rows, i);
	}
	for (int t = 0; t < 3; t++) {
		ek_threads_set(threads[t]);
		assert_ok(ek_near_find(&near[t], &rows, order, segments, 3, eps, 2, 0));
		assert_memory_equal(near[t].similarity, near[0].similarity, N * sizeof(float));
		assert_memory_equal(near[t].partner, near[0].partner, N * sizeof(int64_t));
		assert_memory_equal(near[t].eps, near[0].eps, sizeof near[0].eps);
		assert_memory_equal(near[t].component, near[0].component, 2 * N * sizeof(uint32_t));
	}
	ek_threads_set(0);
	for (int e = 0; e < 2; e++) {
		uint64_t pairs = 0, removed = 0;

		for (int g = 0; g < 3; g++)
			for (uint64_t b = segments[g]; b < segments[g + 1]; b++) {
				const uint32_t j = order[b];
				double best = -2;

				kept[j] = 1;
				for (uint64_t a = segments[g]; a < b; a++) {
					const uint32_t i = order[a];
					const float *u = unit + i * D, *v = unit + j * D;
					const double cosine = ek_vector_dot(u, v, D) /
					                      sqrt(ek_vector_dot(u, u, D) * ek_vector_dot(v, v, D));

					best = fmax(best, cosine);
					pairs += cosine > 1 - eps[e];
					if (cosine > 1 - eps[e] && kept[i])
						kept[j] = 0;
				}
				removed += !kept[j];
				assert_true(near[0].similarity[j] == (float)(best < -1 ? -1 : best));
				assert_true((near[0].partner[j] < 0) == (b == segments[g]));
			}
		assert_true(pairs > 0);
		assert_int_equal(near[0].eps[e].pairs, pairs);
		assert_int_equal(near[0].eps[e].greedy_removed, removed);
	}
	for (int t = 0; t < 3; t++)
		ek_near_release(&near[t]);
	free(x);
	free(unit);
	free(order);
	free(kept);
}

/* Rows of falling variances about a mean; a third of them others with noise, so that cosines lie about 1 - eps; a
 * thousand that are the same, which the screen cannot tell apart; and one of zeros. */
static float *many_alike(uint64_t n, size_t d)
{
	float *x = calloc(n * d, sizeof *x);

	assert_non_null(x);
	for (uint64_t i = 0; i < n; i++)
		for (size_t j = 0; j < d; j++) {
			const uint64_t from = i / 2 * d + j;

			if (i % 3 == 1)
				x[i * d + j] = x[from] + (float)(0.1 * (double)(i % 7) * ek_random_normal(2, i, j) /
				                                 sqrt((double)d));
			else if (i % 18 == 2 && i > 2)
				x[i * d + j] = x[2 * d + j];
			else
				x[i * d + j] = (float)(0.1 + ek_random_normal(1, i, j) / sqrt((double)j + 1));
		}
	memset(x + 5000 * d, 0, d * sizeof *x);
	return x;
}

static void a_screen_of_few_numbers_misses_no_pair(void **state)
{
	enum { N = 18000, D = 70, EPS = 3 };
	static const double eps[EPS] = { 0.001, 0.03, 0.01 };
	static const uint64_t segments[] = { 0, 500, N };
	float *x = many_alike(N, D);
	uint32_t *order = calloc(N, sizeof *order);
	struct ek_near all, near;
	struct ek_npy array;
	const struct ek_rows rows = view(&array, x, N, D);

	for (uint32_t i = 0; i < N; i++)
		order[i] = (uint32_t)((uint64_t)i * 1009 % N);
	assert_ok(ek_near_find(&all, &rows, order, segments, 2, eps, EPS, 0));
	assert_ok(ek_near_find(&near, &rows, order, segments, 2, eps, EPS, 1));
	for (uint64_t i = 0; i < N; i++) {
		const int is_near = all.weakest[N + i] < 2;

		assert_true(near.similarity[i] == (is_near ? all.similarity[i] : -1));
		assert_int_equal(near.partner[i], is_near ? all.partner[i] : -1);
	}
	assert_true(all.eps[1].pairs > 400000 && all.eps[1].pairs > all.eps[2].pairs + 500);
	assert_memory_equal(near.eps, all.eps, sizeof all.eps);
	assert_memory_equal(near.kept, all.kept, N * sizeof *all.kept);
	assert_memory_equal(near.component, all.component, EPS * N * sizeof *all.component);
	assert_memory_equal(near.weakest, all.weakest, EPS * N * sizeof *all.weakest);
	ek_near_release(&all);
	ek_near_release(&near);
	free(x);
	free(order);
}

static void equal_and_zero_rows(void **state)
{
	enum { N = 9 };
	static const float x[N * 2] = { 1, 2, 2, 4, 0, 0, 1, 2, 0, 0, -1, -2, 3, 6, 5, 10, 1, 2 };
	static const double eps[] = { 0.01 };
	static const uint64_t segments[] = { 0, N };
	uint32_t order[N];
	struct ek_near near;
	struct ek_npy array;
	const struct ek_rows rows = view(&array, x, N, 2);

	for (uint32_t i = 0; i < N; i++)
		order[i] = i;
	assert_ok(ek_near_find(&near, &rows, order, segments, 1, eps, 1, 0));
	assert_int_equal(near.eps[0].pairs, 15); /* six of one direction */
	assert_int_equal(near.eps[0].greedy_removed, 5);
	assert_int_equal(near.eps[0].groups, 1);
	assert_int_equal(near.partner[8], 0); /* the earliest of equals */
	assert_true(near.similarity[8] == 1);
	assert_true(near.similarity[4] == 0); /* zeros are like nothing, not even each other */
	ek_near_release(&near);
}

static void wrong_eps(void **state)
{
	static const float x[] = { 1, 2 };
	static const double wrong[] = { 0 };
	static const uint64_t segments[] = { 0, 1 };
	static const uint32_t order[] = { 0 };
	struct ek_near near;
	struct ek_npy array;
	const struct ek_rows rows = view(&array, x, 1, 2);

	assert_fails(ek_near_find(&near, &rows, order, segments, 1, wrong, 1, 0), EK_EUSAGE, "above 0");
	ek_near_release(&near);
}

static void the_step_writes_its_files(void **state)
{
	enum { N = 500, D = 8 };
	struct ek_cluster_options co = EK_CLUSTER_OPTIONS_DEFAULT;
	struct ek_duplicates_options o = EK_DUPLICATES_OPTIONS_DEFAULT;
	const uint64_t shape[] = { N };
	float *x = ek_blobs(N, D, 6, 0.5, 0, NULL);
	struct ek_run *run;
	struct ek_npy similarity, partner;
	const cJSON *group, *ids;
	cJSON *json;
	const char *path;

	memcpy(x + 123 * D, x + 45 * D, D * sizeof *x);
	memcpy(x + 321 * D, x + 45 * D, D * sizeof *x);
	run = ek_blobs_run(x, N, D);
	co.clusters = 4;
	assert_fails(ek_duplicates(run, &o), EK_EIO, "assignment.npy");
	assert_ok(ek_cluster(run, &co));
	for (int within = 0; within < 2; within++) {
		o.scope = within ? EK_DUPLICATES_WITHIN : EK_DUPLICATES_AUTO;
		assert_ok(ek_duplicates(run, &o));
		path = ek_run_path(run);
		assert_ok(ek_npy_open_as(&similarity, ek_join(path, "clusters/duplicate_similarity.npy"), EK_F32, 1,
		                         shape));
		assert_ok(ek_npy_open_as(&partner, ek_join(path, "clusters/duplicate_partner.npy"), EK_I64, 1, shape));
		assert_true(((const float *)similarity.data)[321] == 1);
		assert_int_equal(((const int64_t *)partner.data)[321], 45);
		assert_ok(ek_json_load(&json, ek_join(path, "clusters/duplicates.json")));
		assert_string_equal(cJSON_GetObjectItemCaseSensitive(json, "scope")->valuestring,
		                    within ? "within clusters" : "all images");
		group = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "groups"), 0);
		ids = cJSON_GetObjectItemCaseSensitive(group, "ids");
		assert_int_equal(cJSON_GetArraySize(ids), 3);
		assert_int_equal(cJSON_GetArrayItem(ids, 2)->valueint, 321);
		cJSON_Delete(json);
		ek_npy_close(&similarity);
		ek_npy_close(&partner);
	}
	ek_run_close(run);
	free(x);
}

EK_TEST_MAIN(cmocka_unit_test(counts_equal_numpys), cmocka_unit_test(blocks_and_segments_equal_brute_force),
             cmocka_unit_test(a_screen_of_few_numbers_misses_no_pair), cmocka_unit_test(equal_and_zero_rows),
             cmocka_unit_test(wrong_eps), cmocka_unit_test(the_step_writes_its_files))
