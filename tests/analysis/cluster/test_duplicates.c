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

static double cosine_of(const struct ek_rows *rows, uint32_t i, uint32_t j)
{
	enum { MOST = 128 };
	float u[MOST], v[MOST];
	const size_t d = rows->dimensions;
	double norms;

	assert_true(d <= MOST);
	ek_rows_read(u, rows, i);
	ek_rows_read(v, rows, j);
	norms = sqrt(ek_vector_dot(u, u, d) * ek_vector_dot(v, v, d));
	return norms > 0 ? fmin(ek_vector_dot(u, v, d) / norms, 1) : 0;
}

struct searched {
	struct ek_rows rows;
	const uint32_t *order;
	const uint64_t *segments;
	size_t segment_count;
};

/* The lowest rows of components, by passing them on until nothing changes. */
static void pass_lowest(uint32_t *lowest, const char *counts, const struct searched *of)
{
	const uint64_t n = of->rows.count;
	int changed = 1;

	for (uint32_t i = 0; i < n; i++)
		lowest[i] = i;
	while (changed) {
		changed = 0;
		for (uint64_t b = 0; b < n; b++)
			for (uint64_t a = 0; a < b; a++) {
				uint32_t *i = &lowest[of->order[a]], *j = &lowest[of->order[b]];

				if (!counts[b * n + a] || *i == *j)
					continue;
				*i = *j = *i < *j ? *i : *j;
				changed = 1;
			}
	}
}

/* What is counted at one eps, against plain loops over the cosines [n, n] by place. */
static void check_eps(const struct ek_near *near, size_t e, const double *cosines, const struct searched *of)
{
	const uint64_t n = near->n;
	char *counts = calloc(n * n, 1);
	uint32_t *lowest = calloc(n, sizeof *lowest);
	uint64_t pairs = 0, one_pass = 0, greedy = 0;

	for (size_t g = 0; g < of->segment_count; g++)
		for (uint64_t b = of->segments[g]; b < of->segments[g + 1]; b++) {
			const uint32_t j = of->order[b];
			float weakest = 2;
			int kept = 1;

			for (uint64_t a = of->segments[g]; a < b; a++) {
				if (!(cosines[b * n + a] > 1 - near->eps[e].eps))
					continue;
				counts[b * n + a] = 1;
				pairs++;
				weakest = fminf(weakest, (float)cosines[b * n + a]);
				kept &= (near->kept[of->order[a]] >> e & 1) == 0;
			}
			one_pass += weakest < 2;
			greedy += !kept;
			assert_int_equal(near->kept[j] >> e & 1, kept);
			assert_true(near->weakest[e * n + j] == weakest);
		}
	pass_lowest(lowest, counts, of);
	assert_memory_equal(near->component + e * n, lowest, n * sizeof *lowest);
	assert_int_equal(near->eps[e].pairs, pairs);
	assert_int_equal(near->eps[e].one_pass_removed, one_pass);
	assert_int_equal(near->eps[e].greedy_removed, greedy);
	free(counts);
	free(lowest);
}

/* On one thread and on several, with partners that are not near and without, against plain loops. */
static void equals_plain_loops(const struct searched *of, const double *eps, size_t eps_count)
{
	static const int threads[] = { 1, 2, 16 };
	const uint64_t n = of->rows.count;
	double *cosines = calloc(n * n, sizeof *cosines), least = 1;
	struct ek_near near;

	for (size_t e = 0; e < eps_count; e++)
		least = fmin(least, 1 - eps[e]);
	for (size_t g = 0; g < of->segment_count; g++)
		for (uint64_t b = of->segments[g]; b < of->segments[g + 1]; b++)
			for (uint64_t a = of->segments[g]; a < b; a++)
				cosines[b * n + a] = cosine_of(&of->rows, of->order[a], of->order[b]);
	for (int t = 0; t < 6; t++) {
		const int near_only = t % 2;

		ek_threads_set(threads[t / 2]);
		assert_ok(ek_near_find(&near, &of->rows, of->order, of->segments, of->segment_count, eps, eps_count,
		                       near_only));
		for (size_t g = 0; g < of->segment_count; g++)
			for (uint64_t b = of->segments[g]; b < of->segments[g + 1]; b++) {
				const uint32_t j = of->order[b];
				double best = near_only ? least : -2;
				int64_t partner = -1;

				for (uint64_t a = of->segments[g]; a < b; a++)
					if (cosines[b * n + a] > best) {
						best = cosines[b * n + a];
						partner = of->order[a];
					}
				assert_int_equal(near.partner[j], partner);
				assert_true(near.similarity[j] == (partner < 0 ? -1 : (float)best));
			}
		for (size_t e = 0; e < eps_count; e++)
			check_eps(&near, e, cosines, of);
		ek_near_release(&near);
	}
	ek_threads_set(0);
	free(cosines);
}

static uint32_t *mixed_order(uint64_t n)
{
	uint32_t *order = calloc(n, sizeof *order);

	assert_non_null(order);
	for (uint64_t i = 0; i < n; i++)
		order[i] = (uint32_t)(i * 1009 % n);
	return order;
}

/* Several blocks of columns, segments and a mixed order. */
static void blocks_and_segments_equal_plain_loops(void **state)
{
	enum { N = 2700, D = 12 };
	static const double eps[] = { 0.002, 0.02 };
	static const uint64_t segments[] = { 0, 1, 400, N };
	float *x = ek_blobs(N, D, 40, 0.12, 0, NULL);
	uint32_t *order = mixed_order(N);
	struct ek_npy array;
	const struct searched of = { view(&array, x, N, D), order, segments, 3 };

	equals_plain_loops(&of, eps, 2);
	free(x);
	free(order);
}

/* Nearly every pair counts. Copies make cosines equal to the last bit, a few of them are the limit itself, and rows
 * close to each other differ by less than products can tell. Rows of zeros are among them. */
static void rows_that_are_all_alike_equal_plain_loops(void **state)
{
	enum { N = 2300, D = 96, EPS = 6 };
	static const uint64_t segments[] = { 0, 90, N };
	float *x = calloc(N * D, sizeof *x);
	double eps[EPS] = { 0.001, 0, 0.03, 0, 0, 0.001 + 1e-9 };
	uint32_t *order = mixed_order(N);
	struct ek_npy array;
	struct searched of = { .order = order, .segments = segments, .segment_count = 2 };

	for (uint64_t i = 0; i < N; i++)
		for (size_t j = 0; j < D; j++) {
			const double noise = i % 5 == 1 ? 1e-7 : 0.1 * (double)(i % 11) / 11;

			x[i * D + j] = i % 4 == 3
			                       ? x[(i / 2) * D + j]
			                       : (float)(ek_random_normal(1, 0, j) + noise * ek_random_normal(2, i, j));
		}
	memset(x + 777 * D, 0, D * sizeof *x);
	memset(x + 778 * D, 0, D * sizeof *x);
	of.rows = view(&array, x, N, D);
	eps[1] = 1 - cosine_of(&of.rows, 130, 1200);
	eps[3] = 1 - cosine_of(&of.rows, 5, 1502);
	eps[4] = nextafter(eps[3], 1);
	equals_plain_loops(&of, eps, EPS);
	free(x);
	free(order);
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
	static const double eps[] = { 0.01, 1.5 };
	static const uint64_t segments[] = { 0, N };
	uint32_t order[N];
	struct ek_near near;
	struct ek_npy array;
	const struct ek_rows rows = view(&array, x, N, 2);

	for (uint32_t i = 0; i < N; i++)
		order[i] = i;
	for (int near_only = 0; near_only < 2; near_only++) {
		assert_ok(ek_near_find(&near, &rows, order, segments, 1, eps, 2, near_only));
		assert_int_equal(near.eps[0].pairs, 15); /* six of one direction */
		assert_int_equal(near.eps[1].pairs, 30); /* all but the opposite row's with those */
		assert_int_equal(near.eps[0].greedy_removed, 5);
		assert_int_equal(near.eps[0].groups, 1);
		assert_int_equal(near.partner[8], 0); /* the earliest of equals */
		assert_true(near.similarity[8] == 1);
		assert_true(near.similarity[4] == 0); /* zeros are like nothing, not even each other */
		assert_true(near.similarity[5] == 0); /* but that is more than opposites are */
		assert_int_equal(near.partner[5], 2);
		ek_near_release(&near);
	}
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

EK_TEST_MAIN(cmocka_unit_test(counts_equal_numpys), cmocka_unit_test(blocks_and_segments_equal_plain_loops),
             cmocka_unit_test(rows_that_are_all_alike_equal_plain_loops),
             cmocka_unit_test(a_screen_of_few_numbers_misses_no_pair), cmocka_unit_test(equal_and_zero_rows),
             cmocka_unit_test(wrong_eps), cmocka_unit_test(the_step_writes_its_files))
