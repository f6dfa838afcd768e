#include "tests/analysis/cluster/blobs.h"
#include "tests/support/support.h"

#include <sys/wait.h>

#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"

static struct ek_rows view(struct ek_npy *array, const float *x, uint64_t n, size_t d)
{
	struct ek_rows rows;

	*array = ek_rows_memory(x, n, d);
	assert_ok(ek_rows_of(&rows, array, 0));
	return rows;
}

/* The definition, by brute force. */
static int32_t nearest_of(const float *row, const float *centroids, uint32_t k, size_t d)
{
	int32_t best = 0;

	for (uint32_t j = 1; j < k; j++)
		if (ek_vector_distance2(row, centroids + j * d, d) <
		    ek_vector_distance2(row, centroids + (size_t)best * d, d))
			best = (int32_t)j;
	return best;
}

static void assert_same(const struct ek_kmeans_result *a, const struct ek_kmeans_result *b)
{
	assert_int_equal(a->k, b->k);
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->iterations, b->iterations);
	assert_memory_equal(a->assignment, b->assignment, a->n * sizeof *a->assignment);
	assert_memory_equal(a->distance, b->distance, a->n * sizeof *a->distance);
	assert_memory_equal(a->centroids, b->centroids, a->k * a->dimensions * sizeof *a->centroids);
	assert_memory_equal(a->objective, b->objective, (size_t)a->iterations * sizeof *a->objective);
	assert_memory_equal(&a->inertia, &b->inertia, sizeof a->inertia);
}

static void screens_find_the_exact_nearest(void **state)
{
	static const struct {
		uint64_t n;
		size_t d;
		uint32_t k;
		double offset; /* far from the origin float32 sums lose digits */
	} cases[] = { { 700, 1, 7, 0 },    { 650, 2, 65, 0 },     { 5000, 5, 3, 0 },     { 900, 31, 64, 0 },
		      { 900, 33, 13, 50 }, { 1500, 100, 200, 0 }, { 1000, 384, 70, 30 }, { 1100, 64, 1100, 0 } };
	static const enum ek_screen screens[] = { EK_SCREEN_FAISS, EK_SCREEN_BFLOAT16 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_npy array;

	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		float *x = ek_blobs(cases[c].n, cases[c].d, 9, 1, cases[c].offset, NULL);
		const struct ek_rows rows = view(&array, x, cases[c].n, cases[c].d);
		struct ek_kmeans_result want, got;

		o.k = cases[c].k;
		o.iterations = 4;
		o.screen = EK_SCREEN_NONE;
		assert_ok(ek_kmeans(&want, &rows, &o));
		for (uint64_t i = 0; i < rows.count; i++)
			assert_int_equal(want.assignment[i],
			                 nearest_of(x + i * cases[c].d, want.centroids, o.k, cases[c].d));
		for (size_t s = 0; s < sizeof screens / sizeof *screens; s++) {
			o.screen = screens[s];
			assert_ok(ek_kmeans(&got, &rows, &o));
			assert_same(&got, &want);
			ek_kmeans_release(&got);
		}
		ek_kmeans_release(&want);
		free(x);
	}
}

/* Lloyd's iteration as it is written down, without bounds: the twin of everything that leaves work out. */
static void plain_step(float *centroids, const int32_t *assignment, const float *x, uint64_t n, size_t d, uint32_t k)
{
	for (uint32_t c = 0; c < k; c++) {
		double *sum = calloc(d, sizeof *sum);
		uint64_t size = 0;

		assert_non_null(sum);
		for (uint64_t i = 0; i < n; i++)
			if (assignment[i] == (int32_t)c) {
				ek_vector_add(sum, x + i * d, d);
				size++;
			}
		for (size_t j = 0; size > 0 && j < d; j++)
			centroids[c * d + j] = (float)(sum[j] / (double)size);
		free(sum);
	}
}

static void skipping_changes_nothing(void **state)
{
	enum { N = 1500, D = 70, K = 60 };
	static const enum ek_screen screens[] = { EK_SCREEN_FAISS, EK_SCREEN_BFLOAT16, EK_SCREEN_NONE };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_npy array;

	for (size_t s = 0; s < sizeof screens / sizeof *screens; s++) {
		float *x = ek_blobs(N, D, 9, 1, 0, NULL), centroids[K * D];
		const struct ek_rows rows = view(&array, x, N, D);
		struct ek_kmeans_result r;
		int32_t assignment[N];

		for (size_t i = 0; s > 0 && i < (size_t)N * D; i++)
			x[i] = (float)(int)x[i]; /* whole numbers: ties */
		memcpy(centroids, x, sizeof centroids);
		o.k = K;
		o.tolerance = 0;
		o.start = x;
		o.screen = screens[s];
		assert_ok(ek_kmeans(&r, &rows, &o));
		for (int t = 0; t <= r.iterations; t++) {
			for (uint64_t i = 0; i < N; i++)
				assignment[i] = nearest_of(x + i * D, centroids, K, D);
			if (t < r.iterations)
				plain_step(centroids, assignment, x, N, D, K);
		}
		assert_true(r.iterations >= 5);
		assert_memory_equal(r.centroids, centroids, sizeof centroids);
		assert_memory_equal(r.assignment, assignment, sizeof assignment);
		ek_kmeans_release(&r);
		free(x);
	}
}

static void threads_do_not_change_a_bit(void **state)
{
	enum { N = 9000, D = 240 }; /* enough for every part to use threads (pieces.h) */
	static const int threads[] = { 1, 2, 16 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result results[3];
	struct ek_npy array;
	float *x = ek_blobs(N, D, 12, 1, 0, NULL);
	const struct ek_rows rows = view(&array, x, N, D);

	o.k = 12;
	o.redo = 2;
	o.iterations = 5;
	for (int t = 0; t < 3; t++) {
		ek_threads_set(threads[t]);
		assert_ok(ek_kmeans(&results[t], &rows, &o));
		assert_same(&results[t], &results[0]);
	}
	ek_threads_set(0);
	for (int t = 0; t < 3; t++)
		ek_kmeans_release(&results[t]);
	free(x);
}

static void planted_clusters_are_found(void **state)
{
	enum { N = 3000, D = 16, K = 8 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r;
	struct ek_npy array;
	int32_t *truth = calloc(N, sizeof *truth), name[K];
	float *x = ek_blobs(N, D, K, 0.05, 0, truth);
	const struct ek_rows rows = view(&array, x, N, D);

	o.k = K;
	o.redo = 3;
	assert_ok(ek_kmeans(&r, &rows, &o));
	memset(name, -1, sizeof name);
	for (int i = 0; i < N; i++) {
		if (name[truth[i]] < 0)
			name[truth[i]] = r.assignment[i];
		assert_int_equal(r.assignment[i], name[truth[i]]);
	}
	assert_int_equal(r.empty, 0);
	assert_true(r.converged);
	ek_kmeans_release(&r);
	free(x);
	free(truth);
}

static void objective_equals_scikit_learn_and_faiss(void **state)
{
	cJSON *golden = ek_golden("kmeans");
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r;
	struct ek_npy array;
	size_t sizes[6];
	double *x64 = ek_golden_doubles(golden, "x", &sizes[0]);
	double *start64 = ek_golden_doubles(golden, "start", &sizes[1]);
	double *sklearn = ek_golden_doubles(golden, "sklearn_objective", &sizes[2]);
	double *faiss = ek_golden_doubles(golden, "faiss_objective", &sizes[3]);
	double *labels = ek_golden_doubles(golden, "sklearn_labels", &sizes[4]);
	uint64_t n, d, k;
	double converged;
	float *x = calloc(sizes[0], sizeof *x), *start = calloc(sizes[1], sizeof *start);
	struct ek_rows rows;

	assert_ok(ek_json_get_u64(&n, golden, "n", "golden"));
	assert_ok(ek_json_get_u64(&d, golden, "d", "golden"));
	assert_ok(ek_json_get_u64(&k, golden, "k", "golden"));
	assert_ok(ek_json_get_double(&converged, golden, "sklearn_converged", "golden"));
	for (size_t i = 0; i < sizes[0]; i++)
		x[i] = (float)x64[i];
	for (size_t i = 0; i < sizes[1]; i++)
		start[i] = (float)start64[i];
	rows = view(&array, x, n, (size_t)d);
	o.k = (uint32_t)k;
	o.start = start;
	o.tolerance = 0;
	assert_ok(ek_kmeans(&r, &rows, &o));
	assert_true(r.converged);
	assert_true((size_t)r.iterations >= sizes[2]);
	for (size_t i = 0; i < sizes[2]; i++) {
		/* Our centroids are float32: each distance moves by 2^-24 of the coordinates, under 1e-6 in all. */
		assert_close(r.objective[i], sklearn[i], 1e-6);
		/* faiss sums float32 distances in float32: n 2^-24 = 2e-5. It reports before each move. */
		assert_close(r.objective[i], faiss[i + 1], 2e-5);
	}
	assert_close(r.inertia, converged, 1e-6);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(r.assignment[i], (int32_t)labels[i]);
	ek_kmeans_release(&r);
	free(x);
	free(start);
	free(x64);
	free(start64);
	free(sklearn);
	free(faiss);
	free(labels);
	cJSON_Delete(golden);
}

static void ties_go_to_the_lower_index(void **state)
{
	static const float x[] = { 0, 1, 2, 3, 4 }, start[] = { 4, 0 };
	static const enum ek_screen screens[] = { EK_SCREEN_FAISS, EK_SCREEN_BFLOAT16, EK_SCREEN_NONE };
	struct ek_nearest_state s;
	struct ek_nearest *finder;
	struct ek_npy array;
	const struct ek_rows rows = view(&array, x, 5, 1);
	const double mean = 2;
	int32_t assignment[5];
	double distance2[5];

	for (size_t screen = 0; screen < 3; screen++) {
		for (int i = 0; i < 5; i++) {
			assignment[i] = -1;
			distance2[i] = (double)INFINITY;
		}
		s = (struct ek_nearest_state){ .assignment = assignment, .distance2 = distance2 };
		assert_ok(ek_nearest_new(&finder, &rows, &mean, screens[screen]));
		assert_ok(ek_nearest_search(finder, &s, start, 2, 0, NULL));
		assert_int_equal(assignment[1], 1);
		assert_int_equal(assignment[2], 0); /* 2 away from both */
		assert_int_equal(assignment[3], 0);
		ek_nearest_free(finder);
	}
}

static void smallest_and_largest_k(void **state)
{
	enum { N = 60, D = 3 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r;
	struct ek_npy array;
	double mean[D], total = 0;
	float *x = ek_blobs(N, D, 5, 1, 0, NULL);
	const struct ek_rows rows = view(&array, x, N, D);

	o.k = N;
	assert_ok(ek_kmeans(&r, &rows, &o));
	assert_true(r.inertia == 0);
	for (uint32_t c = 0; c < N; c++)
		assert_int_equal(r.sizes[c], 1);
	ek_kmeans_release(&r);

	o.k = 1;
	assert_ok(ek_kmeans(&r, &rows, &o));
	assert_ok(ek_rows_mean(mean, &rows));
	for (size_t j = 0; j < D; j++)
		assert_close(r.centroids[j], mean[j], 0x1p-24);
	for (int i = 0; i < N; i++)
		for (size_t j = 0; j < D; j++)
			total += pow((double)x[i * D + (int)j] - mean[j], 2);
	assert_close(r.inertia, total, 1e-9); /* the centroid is the mean rounded to float32, second order */
	ek_kmeans_release(&r);

	o.k = N + 1;
	assert_fails(ek_kmeans(&r, &rows, &o), EK_EDATA, "only 60 images");
	ek_kmeans_release(&r);
	free(x);
}

static void too_few_distinct_images(void **state)
{
	static const float x[] = { 1, 1, 2, 2, 1, 1, 3, 3, 2, 2, 1, 1 };
	uint32_t most;
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r;
	struct ek_npy array;
	const struct ek_rows rows = view(&array, x, 6, 2);

	o.k = 4;
	assert_fails(ek_kmeans(&r, &rows, &o), EK_EDATA, "only 3 different images");
	ek_kmeans_release(&r);
	assert_ok(ek_kmeans_most(&most, &rows, &o));
	assert_int_equal(most, 3);
	o.spherical = 1; /* all point the same way */
	assert_ok(ek_kmeans_most(&most, &rows, &o));
	assert_int_equal(most, 1);
	o.spherical = 0;
	o.subsample = 2;
	assert_ok(ek_kmeans_most(&most, &rows, &o));
	assert_in_range(most, 1, 2);
	o.subsample = 0;
	o.k = 2;
	assert_ok(ek_kmeans_most(&most, &rows, &o));
	assert_int_equal(most, 2);
	o.k = 3;
	assert_ok(ek_kmeans(&r, &rows, &o));
	assert_true(r.inertia == 0);
	assert_int_equal(r.empty, 0);
	ek_kmeans_release(&r);
}

static void empty_clusters_are_reported(void **state)
{
	enum { N = 100 };
	static const float start[] = { 0, 0, 1000, 1000, 1000, 1000 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r;
	struct ek_npy array;
	float *x = ek_blobs(N, 2, 3, 1, 0, NULL);
	const struct ek_rows rows = view(&array, x, N, 2);

	o.k = 3;
	o.start = start;
	assert_ok(ek_kmeans(&r, &rows, &o));
	assert_int_equal(r.empty, 2);
	assert_int_equal(r.sizes[0], N);
	assert_true(r.centroids[4] == 1000.0f);
	ek_kmeans_release(&r);
	free(x);
}

static void float16_rows_are_read_as_they_are(void **state)
{
	enum { N = 500, D = 24 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result want, got;
	struct ek_npy array;
	float *x = ek_blobs(N, D, 6, 1, 0, NULL);
	uint16_t *half = calloc(N * D, sizeof *half);
	struct ek_rows rows;

	for (int i = 0; i < N * D; i++) {
		half[i] = ek_float_to_half(x[i]);
		x[i] = ek_half_to_float(half[i]);
	}
	rows = view(&array, x, N, D);
	o.k = 6;
	assert_ok(ek_kmeans(&want, &rows, &o));
	array.type = EK_F16;
	array.data = half;
	assert_ok(ek_kmeans(&got, &rows, &o));
	assert_same(&got, &want);
	ek_kmeans_release(&want);
	ek_kmeans_release(&got);
	free(x);
	free(half);
}

static void spherical_ignores_length(void **state)
{
	enum { N = 800, D = 10 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result a, b;
	struct ek_npy array;
	float *x = ek_blobs(N, D, 5, 0.3, 0, NULL);
	struct ek_rows rows = view(&array, x, N, D);

	o.k = 5;
	o.spherical = 1;
	assert_ok(ek_kmeans(&a, &rows, &o));
	for (int i = 0; i < N; i++) {
		const float *centroid = a.centroids + a.assignment[i] * D;

		/* Unit vectors in float32: (D + 2) 2^-24 on each side. */
		assert_close(a.distance[i], 1 - ek_cosine(x + i * D, centroid, D), 2e-6);
		assert_close(ek_vector_dot(centroid, centroid, D), 1, 2e-6);
		for (int j = 0; j < D; j++)
			x[i * D + j] *= (float)(1 << (i % 5)); /* powers of two: the same unit vectors, bit by bit */
	}
	assert_ok(ek_kmeans(&b, &rows, &o));
	assert_same(&a, &b);
	ek_kmeans_release(&a);
	ek_kmeans_release(&b);
	free(x);
}

static void a_subsample_trains_and_all_are_assigned(void **state)
{
	enum { N = 4000, D = 8 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r;
	struct ek_npy array;
	float *x = ek_blobs(N, D, 6, 0.5, 0, NULL);
	const struct ek_rows rows = view(&array, x, N, D);
	double inertia = 0;

	o.k = 6;
	o.subsample = 500;
	assert_ok(ek_kmeans(&r, &rows, &o));
	assert_int_equal(r.trained, 500);
	for (int i = 0; i < N; i++) {
		assert_int_equal(r.assignment[i], nearest_of(x + i * D, r.centroids, r.k, D));
		inertia += (double)r.distance[i] * (double)r.distance[i];
	}
	assert_close(r.inertia, inertia, 1e-6);
	assert_true(r.objective[r.iterations - 1] < r.inertia); /* that is of the 500 */
	ek_kmeans_release(&r);
	free(x);
}

static void redo_keeps_the_best(void **state)
{
	enum { N = 1000, D = 4 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result one, many;
	struct ek_npy array;
	float *x = ek_blobs(N, D, 20, 0.2, 0, NULL);
	const struct ek_rows rows = view(&array, x, N, D);

	o.k = 20;
	assert_ok(ek_kmeans(&one, &rows, &o));
	o.redo = 8;
	assert_ok(ek_kmeans(&many, &rows, &o));
	assert_true(many.inertia < one.inertia);
	assert_true(many.start > 0);
	ek_kmeans_release(&one);
	ek_kmeans_release(&many);
	free(x);
}

static void huge_and_broken_numbers(void **state)
{
	enum { N = 50, D = 3 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r;
	struct ek_npy array;
	float *x = ek_blobs(N, D, 3, 1, 0, NULL);
	const struct ek_rows rows = view(&array, x, N, D);

	o.k = 3;
	for (int i = 0; i < N * D; i++)
		x[i] *= 1e30f; /* squares overflow float32 */
	assert_ok(ek_kmeans(&r, &rows, &o));
	for (int i = 0; i < N; i++)
		assert_int_equal(r.assignment[i], nearest_of(x + i * D, r.centroids, 3, D));
	ek_kmeans_release(&r);
	x[7 * D + 1] = NAN;
	assert_fails(ek_kmeans(&r, &rows, &o), EK_EDATA, "row 7 ");
	ek_kmeans_release(&r);
	free(x);
}

static void options_out_of_range(void **state)
{
	static const float x[] = { 1, 2 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r;
	struct ek_npy array;
	const struct ek_rows rows = view(&array, x, 2, 1);

	o.k = 0;
	assert_fails(ek_kmeans(&r, &rows, &o), EK_EUSAGE, "0 clusters");
	o.k = 1;
	o.iterations = 0;
	assert_fails(ek_kmeans(&r, &rows, &o), EK_EUSAGE, "at least 1");
	o.iterations = 1;
	o.tolerance = (double)NAN;
	assert_fails(ek_kmeans(&r, &rows, &o), EK_EUSAGE, "tolerance");
}

static void an_interrupt_stops_it(void **state)
{
	static const float x[] = { 1, 2, 3, 4 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r;
	struct ek_npy array;
	const struct ek_rows rows = view(&array, x, 4, 1);
	const pid_t child = fork(); /* the wish to stop stays with the process */
	int status;

	o.k = 2;
	if (child == 0) {
		ek_interrupt();
		_exit(ek_kmeans(&r, &rows, &o) == EK_EINTERRUPTED ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

EK_TEST_MAIN(cmocka_unit_test(an_interrupt_stops_it), cmocka_unit_test(screens_find_the_exact_nearest),
             cmocka_unit_test(skipping_changes_nothing), cmocka_unit_test(threads_do_not_change_a_bit),
             cmocka_unit_test(planted_clusters_are_found), cmocka_unit_test(objective_equals_scikit_learn_and_faiss),
             cmocka_unit_test(ties_go_to_the_lower_index), cmocka_unit_test(smallest_and_largest_k),
             cmocka_unit_test(too_few_distinct_images), cmocka_unit_test(empty_clusters_are_reported),
             cmocka_unit_test(float16_rows_are_read_as_they_are), cmocka_unit_test(spherical_ignores_length),
             cmocka_unit_test(a_subsample_trains_and_all_are_assigned), cmocka_unit_test(redo_keeps_the_best),
             cmocka_unit_test(huge_and_broken_numbers), cmocka_unit_test(options_out_of_range))
