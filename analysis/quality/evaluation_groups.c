/* Of evaluation: by named group, to which every image belongs with a probability. */
#include <math.h>

#include "analysis/quality/evaluation_writers.h"
#include "analysis/skew/skew.h"
#include "rebalance/base/error.h"

/* Of the images of a group: how many they are worth, and the share of them that something is true of. */
struct mean {
	double images, effective, share;
};

/* A share of rows, each of which counts by its probability: Kish's effective number of them is behind the interval. */
static struct mean mean_of(const float *q, uint32_t groups, uint32_t group, uint64_t rows, const uint8_t *is,
                           const uint32_t *balls)
{
	struct mean m = { 0 };
	double squares = 0, yes = 0;

	for (uint64_t i = 0; i < rows; i++) {
		const double p = (double)q[i * groups + group];

		m.images += p;
		squares += p * p;
		yes += (is != NULL ? is[i] : balls != NULL ? balls[i] > 0 : 0) ? p : 0;
	}
	m.effective = squares > 0 ? m.images * m.images / squares : 0;
	m.share = m.images > 0 ? yes / m.images : 0;
	return m;
}

static struct ek_interval interval_of(double share, double rows)
{
	const double n = fmax(round(rows), 1);

	return ek_wilson((uint64_t)round(share * n), (uint64_t)n);
}

/* A share with its interval, or null where hardly an image is of the group, or nothing was measured. */
static int add_share(cJSON *row, cJSON *reasons, const char *name, const struct mean *m, int is_measured,
                     const char *what)
{
	if (!is_measured)
		return ek_evaluation_none(row, reasons, name, "as of all images");
	if (m->images < 0.5)
		return ek_evaluation_none(row, reasons, name, "hardly any %s is of it", what);
	return ek_measure_add(row, name, m->share, interval_of(m->share, m->effective));
}

static int is_measured(const struct ek_evaluating *e)
{
	return e->fidelity.real > 0 && !(e->no_balls & EK_NO_REAL_BALLS);
}

static struct mean coverage_of(const struct ek_evaluating *e, uint32_t group)
{
	const struct ek_evaluation_groups *in = e->in->groups;

	return mean_of(in->reference, in->count, group, in->reference != NULL ? e->in->reference.count : 0,
	               is_measured(e) ? e->fidelity.covered : NULL, NULL);
}

static int add_row(cJSON *list, const struct ek_evaluating *e, uint32_t group)
{
	const struct ek_evaluation_groups *in = e->in->groups;
	const uint64_t rows = e->in->generated.count;
	const struct mean covered = coverage_of(e, group);
	const struct mean precise =
		mean_of(in->generated, in->count, group, rows, NULL, is_measured(e) ? e->fidelity.balls : NULL);
	const double share = precise.images / (double)rows;
	cJSON *row, *reasons = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_object(&row, list, NULL));
	EK_TRY(ek_json_add_string(row, "group", in->names[group]));
	EK_TRY(ek_json_add_double(row, "training_share", in->training[group]));
	EK_TRY(ek_json_add_double(row, "reference_images", covered.images));
	EK_TRY(ek_json_add_double(row, "generated_images", precise.images));
	EK_TRY(ek_measure_add(row, "generated_share", share, interval_of(share, (double)rows)));
	EK_TRY(add_share(row, reasons, "coverage", &covered, is_measured(e), "image of the reference"));
	EK_TRY(add_share(row, reasons, "precision", &precise, is_measured(e), "generated image"));
	EK_TRY(ek_json_add_item(row, "reasons", cJSON_Duplicate(reasons, 1)));
out:
	cJSON_Delete(reasons);
	return rc;
}

/* The mean over groups, and the least covered one. */
static int add_whole(struct ek_evaluating *e)
{
	const struct ek_evaluation_groups *in = e->in->groups;
	struct mean worst = { .share = INFINITY };
	double sum = 0, below = 0, above = 0;
	uint32_t at = 0, count = 0;
	cJSON *object;
	int rc;

	for (uint32_t g = 0; g < in->count && is_measured(e); g++) {
		const struct mean m = coverage_of(e, g);
		const struct ek_interval one = interval_of(m.share, m.effective);

		if (m.images < 0.5)
			continue;
		sum += m.share;
		below += (m.share - one.low) * (m.share - one.low);
		above += (one.high - m.share) * (one.high - m.share);
		at = m.share < worst.share ? g : at;
		worst = m.share < worst.share ? m : worst;
		count++;
	}
	if (count == 0) {
		EK_TRY(ek_evaluation_none(e->json, e->reasons, "group_coverage", "as coverage"));
		EK_TRY(ek_evaluation_none(e->json, e->reasons, "worst_group", "as coverage"));
		goto out;
	}
	sum /= count;
	EK_TRY(ek_measure_add(
		e->json, "group_coverage", sum,
		(struct ek_interval){ fmax(sum - sqrt(below) / count, 0), fmin(sum + sqrt(above) / count, 1) }));
	EK_TRY(ek_json_add_object(&object, e->json, "worst_group"));
	EK_TRY(ek_json_add_string(object, "group", in->names[at]));
	EK_TRY(ek_measure_add(object, "coverage", worst.share, interval_of(worst.share, worst.effective)));
out:
	return rc;
}

int ek_evaluation_write_groups(struct ek_evaluating *e)
{
	cJSON *list;
	int rc;

	if (e->in->groups == NULL)
		return 0;
	EK_TRY(ek_json_add_array(&list, e->json, "per_group"));
	for (uint32_t g = 0; g < e->in->groups->count; g++)
		EK_TRY(add_row(list, e, g));
	EK_TRY(add_whole(e));
out:
	return rc;
}
