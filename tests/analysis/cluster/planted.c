#include "tests/analysis/cluster/planted.h"

#include "analysis/cluster/choose.h"
#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/null.h"
#include "analysis/cluster/overlap.h"
#include "analysis/cluster/probe.h"
#include "analysis/skew/inequality.h"
#include "rebalance/base/random.h"
#include "tests/support/support.h"

enum { D = 64, SEEDS = 5, GROUPS_MOST = 32, LABELS = 10 };

static double draw(enum ek_planted_shape shape, uint64_t seed, uint64_t index)
{
	const double u = ek_random_double(seed, 11, index) + 0x1p-54;

	switch (shape) {
	case EK_PLANTED_LAPLACE:
		return (u < 0.5 ? log(2 * u) : -log(2 - 2 * u)) / sqrt(2);
	case EK_PLANTED_EXPONENTIAL:
		return -log(u) - 1;
	default:
		return ek_random_normal(seed, 12, index);
	}
}

static int group_of(const struct ek_planted *p, double u)
{
	double total = 0, sum = 0;
	int g = 0;

	for (int i = 0; i < p->groups; i++)
		total += pow(p->ratio, -(double)i / (p->groups > 1 ? p->groups - 1 : 1));
	for (; g < p->groups - 1; g++) {
		sum += pow(p->ratio, -(double)g / (p->groups > 1 ? p->groups - 1 : 1));
		if (u * total < sum)
			break;
	}
	return g;
}

static uint64_t planted_group(const struct ek_planted *p, uint64_t seed, uint64_t image)
{
	return (uint64_t)group_of(p, ek_random_double(seed, 13, image));
}

static float *plant(const struct ek_planted *p, uint64_t seed)
{
	const double spread = p->shape == EK_PLANTED_HEAVY ? 0.4 : p->shape == EK_PLANTED_GAUSSIAN ? 0.13 : 0;
	float *x = calloc(p->n * D, sizeof *x);

	assert_non_null(x);
	for (uint64_t i = 0; i < p->n; i++) {
		const uint64_t g = planted_group(p, seed, i);
		const double radius = exp(spread * ek_random_normal(seed, 14, i));

		for (uint64_t j = 0; j < D; j++) {
			const double deviation = pow((double)j + 1, p->slope / 2);

			x[i * D + j] =
				(float)(deviation * (sqrt(p->separation) * ek_random_normal(seed, 15, g * D + j) +
			                             radius * draw(p->shape, seed, i * D + j)));
		}
	}
	return x;
}

static double repeat(const struct ek_rows *rows, const struct ek_kmeans_result *own, const struct ek_kmeans_options *o)
{
	struct ek_kmeans_result results[SEEDS + 1] = { [SEEDS] = *own };
	double sum = 0;

	for (int s = 0; s < SEEDS; s++) {
		struct ek_kmeans_options other = *o;

		other.seed = o->seed + (uint64_t)s + 1;
		assert_ok(ek_kmeans(&results[s], rows, &other));
	}
	for (int a = 0; a <= SEEDS; a++)
		for (int b = a + 1; b <= SEEDS; b++) {
			struct ek_agreement agreement;

			assert_ok(ek_overlap_agreement(&agreement, results[a].assignment, o->k, results[b].assignment,
			                               o->k, rows->count));
			sum += agreement.value[EK_ARI];
		}
	for (int s = 0; s < SEEDS; s++)
		ek_kmeans_release(&results[s]);
	return sum / ((SEEDS + 1) * SEEDS / 2.0);
}

void ek_planted_find(struct ek_planted_finding *out, const struct ek_planted *planted, uint64_t seed)
{
	float *x = plant(planted, seed);
	const struct ek_npy array = ek_rows_memory(x, planted->n, D);
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_choice_of_k choice;
	struct ek_kmeans_result own;
	struct ek_inequality measured;
	struct ek_null null;
	struct ek_rows rows;

	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_ok(ek_choose_default_k(&choice, &rows, 0, seed));
	o.k = choice.chosen;
	o.redo = 3;
	o.quiet = 1;
	o.seed = seed;
	assert_ok(ek_kmeans(&own, &rows, &o));
	assert_ok(ek_inequality_measure(&measured, own.sizes, own.k));
	assert_ok(ek_null_measure(&null, &rows, o.k, seed));
	*out = (struct ek_planted_finding){ .k = o.k,
		                            .stability = repeat(&rows, &own, &o),
		                            .gini = measured.value[EK_GINI],
		                            .excess = null.populations.excess,
		                            .interval = null.populations.interval,
		                            .agreement = null.agreement,
		                            .populations = null.count,
		                            .chance = null.clusters.permuted };
	out->finding = ek_finding_of(out->agreement, out->populations, out->excess, out->interval);
	ek_kmeans_release(&own);
	free(x);
}

/* The first ten images of each group; returns how many. */
static uint64_t label(uint64_t *ids, uint32_t *group, const struct ek_planted *p, uint64_t seed)
{
	uint64_t got[GROUPS_MOST] = { 0 }, count = 0;

	for (uint64_t i = 0; i < p->n; i++) {
		const uint64_t g = planted_group(p, seed, i);

		if (got[g]++ < LABELS) {
			group[count] = (uint32_t)g;
			ids[count++] = i;
		}
	}
	for (int g = 0; g < p->groups; g++)
		assert_true(got[g] > 0);
	return count;
}

/* The variances are known as they are planted. */
static void whiten(float *x, const struct ek_planted *p)
{
	for (uint64_t i = 0; i < p->n; i++)
		for (uint64_t j = 0; j < D; j++)
			x[i * D + j] /= (float)(pow((double)j + 1, p->slope / 2) * sqrt(1 + p->separation));
}

double ek_planted_by_labels(const struct ek_planted *planted, uint64_t seed)
{
	uint64_t ids[LABELS * GROUPS_MOST], sizes[GROUPS_MOST];
	uint32_t group[LABELS * GROUPS_MOST];
	static float labelled[LABELS * GROUPS_MOST * D];
	const uint32_t groups = (uint32_t)planted->groups;
	struct ek_probe_rows rows = { .x = labelled, .stride = D, .views = 1, .group = group, .groups = groups };
	float *x = plant(planted, seed), *q = calloc(planted->n * groups, sizeof *q);
	struct ek_inequality measured;
	struct ek_probe_choice choice;
	double prior[GROUPS_MOST];
	struct ek_probe probe;

	assert_non_null(q);
	whiten(x, planted);
	rows.images = label(ids, group, planted, seed);
	for (uint64_t i = 0; i < rows.images; i++)
		memcpy(labelled + i * D, x + ids[i] * D, D * sizeof *x);
	assert_ok(ek_probe_choose(&probe, &choice, &rows, seed));
	assert_ok(ek_probe_predict_all(q, &probe, x, planted->n, D));
	(void)ek_probe_correct(q, prior, probe.train, EK_PROBE_EVEN, planted->n, groups);
	for (uint32_t g = 0; g < groups; g++)
		sizes[g] = (uint64_t)(prior[g] * (double)planted->n + 0.5);
	assert_ok(ek_inequality_measure(&measured, sizes, groups));
	ek_probe_release(&probe);
	free(x);
	free(q);
	return measured.value[EK_GINI];
}
