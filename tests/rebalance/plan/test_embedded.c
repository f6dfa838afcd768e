#include "tests/support/support.h"

#include "analysis/cluster/pieces.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "rebalance/plan/prune.h"
#include "tests/rebalance/plan/made_run.h"

/* Large enough for threads wherever there are any: a pass over the first cluster alone has the work, and takes many
 * pieces; and small clusters, which are done side by side. */
enum { N = 30000, D = 600, K = 20, LARGE = N / 5 * 3, CHOSEN = 12 };

struct data {
	float *embeddings, centroids[K * D];
	int32_t unit[N];
};

static struct data *make_data(void)
{
	struct data *d = calloc(1, sizeof *d);

	assert_non_null(d);
	d->embeddings = calloc((size_t)N * D, sizeof *d->embeddings);
	assert_non_null(d->embeddings);
	for (int i = 0; i < N; i++) {
		const int c = i % 5 < 3 ? 0 : 1 + i / 5 % (K - 1);
		/* Every seventh image is nearly the one 700 before it. */
		const int like = i % 7 == 0 && i >= 700 ? i - 700 : i;

		d->unit[i] = c;
		for (int j = 0; j < D; j++) {
			const uint64_t at = (uint64_t)like * D + (uint64_t)j, own = (uint64_t)i * D + (uint64_t)j;

			d->embeddings[own] = (float)(ek_random_double(1, 1, at) + (double)c * 0.1 +
			                             (like != i ? 0.01 * ek_random_double(1, 2, own) : 0));
			d->centroids[c * D + j] += d->embeddings[own] / (float)(c == 0 ? LARGE : N / 5 * 2 / (K - 1));
		}
	}
	return d;
}

static void free_data(struct data *d)
{
	free(d->embeddings);
	free(d);
}

static struct ek_run *open_run(const struct data *d, const char *clusters_json)
{
	return ek_make_run(&(struct ek_made_run){ .n = N,
	                                          .k = K,
	                                          .d = D,
	                                          .assignment = d->unit,
	                                          .embeddings = d->embeddings,
	                                          .centroids = d->centroids,
	                                          .clusters_json = clusters_json });
}

static void choose(struct ek_selection *out, struct ek_run *run, const char *method, const char *by, uint64_t keep)
{
	const struct ek_prune_options o = {
		.name = "x", .method = method, .by = by, .keep = { .count = keep }, .order = EK_PRUNE_NO_ORDER
	};

	assert_ok(ek_prune_select(out, run, &o));
	assert_int_equal(out->kept, keep);
}

static void results_do_not_depend_on_threads(void **state)
{
	static const struct {
		const char *method, *by;
		uint64_t keep;
	} cases[] = { { "ssp-hard", "cluster", N / 2 },      { "ssp-easy", "cluster", N / 3 },
		      { "density", "cluster", N / 2 },       { "semdedup", "cluster", N / 2 },
		      { "k-centre", "all", CHOSEN },         { "herding", "all", CHOSEN },
		      { "k-centre", "cluster", 5 * CHOSEN }, { "herding", "cluster", 5 * CHOSEN } };
	struct data *d = make_data();
	struct ek_run *run = open_run(d, NULL);

	assert_true(2.0 * LARGE * D >= EK_PIECES_WORK);
	assert_true(2.0 * (N - LARGE) / (K - 1) * D < EK_PIECES_WORK);
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		struct ek_selection first, other;

		ek_threads_set(1);
		choose(&first, run, cases[c].method, cases[c].by, cases[c].keep);
		for (int threads = 2; threads <= 3; threads++) {
			ek_threads_set(threads);
			choose(&other, run, cases[c].method, cases[c].by, cases[c].keep);
			assert_memory_equal(other.rank, first.rank, N * sizeof *first.rank);
			assert_memory_equal(other.takes, first.takes, first.units.k * sizeof *first.takes);
			ek_selection_release(&other);
		}
		ek_selection_release(&first);
	}
	ek_threads_set(0);
	ek_run_close(run);
	free_data(d);
}

static double distance2(const float *a, const double *b)
{
	double sum = 0;

	for (int j = 0; j < D; j++)
		sum += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
	return sum;
}

/* The methods as their papers put them, of all images. */
static void choose_plainly(int *chosen, const float *x, int k_centre)
{
	double *nearest2 = calloc(N, sizeof *nearest2), mean[D] = { 0 }, sum[D] = { 0 };

	assert_non_null(nearest2);
	for (int i = 0; i < N; i++) {
		nearest2[i] = INFINITY;
		for (int j = 0; j < D; j++)
			mean[j] += (double)x[(size_t)i * D + (size_t)j] / N;
	}
	for (int t = 0; t < CHOSEN; t++) {
		double target[D], best = k_centre && t > 0 ? -1 : INFINITY;

		for (int j = 0; j < D; j++)
			target[j] = k_centre && t > 0 ? (double)x[(size_t)chosen[t - 1] * D + (size_t)j]
			                              : (t + 1) * mean[j] - sum[j];
		for (int i = 0; i < N; i++) {
			const double to = distance2(x + (size_t)i * D, target);
			int taken = 0;

			for (int s = 0; s < t; s++)
				taken |= chosen[s] == i;
			nearest2[i] = k_centre && t > 0 ? fmin(nearest2[i], to) : nearest2[i];
			if (!taken && (k_centre && t > 0 ? nearest2[i] > best : to < best)) {
				best = k_centre && t > 0 ? nearest2[i] : to;
				chosen[t] = i;
			}
		}
		for (int j = 0; j < D; j++)
			sum[j] += (double)x[(size_t)chosen[t] * D + (size_t)j];
	}
	free(nearest2);
}

static void many_images_are_chosen_as_in_the_papers(void **state)
{
	struct data *d = make_data();
	struct ek_run *run = open_run(d, NULL);

	for (int k_centre = 0; k_centre < 2; k_centre++) {
		struct ek_selection got;
		int want[CHOSEN] = { 0 };

		choose_plainly(want, d->embeddings, k_centre);
		ek_threads_set(3);
		choose(&got, run, k_centre ? "k-centre" : "herding", "all", CHOSEN);
		for (int t = 0; t < CHOSEN; t++)
			assert_int_equal(got.rank[want[t]], t);
		ek_selection_release(&got);
	}
	ek_threads_set(0);
	ek_run_close(run);
	free_data(d);
}

/* Clusters of embeddings scaled to unit length: the greedy methods scale them, too. */
static void embeddings_are_taken_as_they_were_clustered(void **state)
{
	static const char *const methods[] = { "k-centre", "herding" };
	static const char scaled[] = "{\"k\": 20, \"images\": 30000, \"normalise\": \"l2\"}";
	static const char plain[] = "{\"k\": 20, \"images\": 30000, \"normalise\": \"none\"}";
	struct data *d = make_data();
	struct ek_run *as_clustered = open_run(d, scaled), *as_is = open_run(d, plain), *by_hand;
	struct ek_selection a, b, c;

	for (size_t i = 0; i < N; i++) {
		double norm2 = 0;

		for (size_t j = 0; j < D; j++)
			norm2 += (double)d->embeddings[i * D + j] * (double)d->embeddings[i * D + j];
		for (size_t j = 0; j < D; j++)
			d->embeddings[i * D + j] = (float)((double)d->embeddings[i * D + j] / sqrt(norm2));
	}
	by_hand = open_run(d, plain);
	for (int m = 0; m < 2; m++) {
		choose(&a, as_clustered, methods[m], "cluster", 5 * CHOSEN);
		choose(&b, by_hand, methods[m], "cluster", 5 * CHOSEN);
		choose(&c, as_is, methods[m], "cluster", 5 * CHOSEN);
		assert_memory_equal(a.rank, b.rank, N * sizeof *a.rank);
		assert_memory_not_equal(a.rank, c.rank, N * sizeof *a.rank);
		ek_selection_release(&a);
		ek_selection_release(&b);
		ek_selection_release(&c);
	}
	ek_run_close(as_clustered);
	ek_run_close(as_is);
	ek_run_close(by_hand);
	as_is = open_run(d, "{\"k\": 20, \"images\": 30000, \"normalise\": \"twice\"}");
	assert_fails(ek_prune_select(&a, as_is,
	                             &(struct ek_prune_options){ .name = "x",
	                                                         .method = "herding",
	                                                         .keep = { .count = 2 },
	                                                         .order = EK_PRUNE_NO_ORDER }),
	             EK_EDATA, "normalise is \"twice\"");
	ek_run_close(as_is);
	free_data(d);
}

EK_TEST_MAIN(cmocka_unit_test(results_do_not_depend_on_threads),
             cmocka_unit_test(many_images_are_chosen_as_in_the_papers),
             cmocka_unit_test(embeddings_are_taken_as_they_were_clustered))
