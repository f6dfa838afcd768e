#include "tests/analysis/quality/held.h"

#include "analysis/skew/skew.h"
#include "tests/support/support.h"

enum { RATIO = EK_INEQUALITY_MEASURES + EK_FAIRNESS_MEASURES };

const char *const ek_held_shapes[EK_HELD_SHAPES] = { "equal", "mild", "strong" };

const char *ek_held_name(int measure)
{
	return measure == RATIO ? "ratio"
	       : measure < EK_INEQUALITY_MEASURES
	               ? ek_inequality_names[measure]
	               : ek_fairness_name((enum ek_fairness_measure)(measure - EK_INEQUALITY_MEASURES));
}

/* What is drawn from and what is wanted; arrays [k]. */
struct world {
	const struct ek_held_case *c;
	double *shares, *target, *training, *wanted;
	uint64_t *counts, *made;
	double truth[RATIO];
	double plain[RATIO], squares[RATIO]; /* sums over runs */
};

static double *numbers(size_t k)
{
	double *out = calloc(k, sizeof *out);

	assert_non_null(out);
	return out;
}

/* Multiply by the shape: mild, from 0.8 to 1.25 of an even share in no order; strong, down to a hundredth. */
static void shape(double *shares, size_t k, enum ek_held_shape shape)
{
	double sum = 0;

	for (size_t i = 0; i < k; i++) {
		const double place = (double)i / (double)(k - 1), mixed = (double)(i * 7 % k) / (double)(k - 1);

		shares[i] *= shape == EK_HELD_EQUAL ? 1 : shape == EK_HELD_MILD ? pow(1.5625, mixed) : pow(0.01, place);
		sum += shares[i];
	}
	for (size_t i = 0; i < k; i++)
		shares[i] /= sum;
}

static void open_world(struct world *w, const struct ek_held_case *c)
{
	struct ek_inequality skew;
	struct ek_fairness fairness;
	double *expected = numbers(c->k);

	*w = (struct world){ .c = c,
		             .shares = numbers(c->k),
		             .target = numbers(c->k),
		             .training = numbers(c->k),
		             .wanted = numbers(c->k),
		             .counts = calloc(c->k, sizeof *w->counts),
		             .made = calloc(c->k, sizeof *w->made) };
	for (size_t i = 0; i < c->k; i++) {
		w->shares[i] = w->target[i] = 1 / (double)c->k;
		/* Down to a tenth, in an order that has nothing to do with the shapes'. */
		w->training[i] = pow(0.1, (double)(i * 11 % c->k) / (double)c->k);
	}
	shape(w->training, c->k, EK_HELD_EQUAL);
	shape(w->shares, c->k, c->shape);
	memcpy(w->target, c->as_data ? w->training : w->target, c->k * sizeof *w->target);
	memcpy(w->wanted, w->target, c->k * sizeof *w->wanted);
	shape(w->wanted, c->k, c->shape); /* what is generated */
	for (size_t i = 0; i < c->k; i++)
		expected[i] = (double)c->images * w->wanted[i];
	assert_ok(ek_fairness_expected(&fairness, w->target, w->training, expected, c->k));
	memcpy(w->truth + EK_INEQUALITY_MEASURES, fairness.value, sizeof fairness.value);
	for (size_t i = 0; i < c->k; i++)
		expected[i] = (double)c->images * w->shares[i];
	assert_ok(ek_inequality_expected(&skew, expected, c->k));
	memcpy(w->truth, skew.value, sizeof skew.value);
	free(expected);
}

static void close_world(struct world *w)
{
	free(w->shares);
	free(w->target);
	free(w->training);
	free(w->wanted);
	free(w->counts);
	free(w->made);
}

static void draw(uint64_t *counts, const double *shares, const struct ek_held_case *c, uint64_t run, uint64_t stream)
{
	struct ek_sequence random = { .seed = 20, .stream = stream, .index = run << 32 };
	uint64_t left = c->images;
	double behind = 1;

	for (size_t i = 0; i < c->k; i++) {
		counts[i] = i + 1 < c->k ? ek_binomial(&random, left, fmin(shares[i] / behind, 1)) : left;
		left -= counts[i];
		behind -= shares[i];
	}
}

static void count(struct ek_held *h, const struct ek_estimate *e, double truth, double runs)
{
	const double rounding = 1e-9 * (1 + fabs(truth));

	h->held += (e->interval.low <= truth + rounding && e->interval.high >= truth - rounding) / runs;
	h->unbounded += !isfinite(e->interval.high) / runs;
	h->width += isfinite(e->interval.high) ? e->interval.high - e->interval.low : 0;
	h->corrected += (isnan(e->corrected) ? e->value : e->corrected) / runs;
}

static void run_once(struct ek_held *out, struct world *w, uint64_t run)
{
	const struct ek_held_case *c = w->c;
	const struct ek_bootstrap b = { .resamples = c->resamples, .seed = run, .name = "held" };
	struct ek_estimate fair[EK_FAIRNESS_MEASURES];
	struct ek_skew skew;

	draw(w->counts, w->shares, c, run, 1);
	draw(w->made, w->wanted, c, run, 2);
	assert_ok(ek_skew_measure(&skew, w->counts, c->k, &b));
	assert_ok(ek_fairness_estimate(fair, w->target, w->training, w->made, c->k, &b));
	for (int m = 0; m < RATIO; m++) {
		const struct ek_estimate *e =
			m < EK_INEQUALITY_MEASURES ? &skew.estimates[m] : &fair[m - EK_INEQUALITY_MEASURES];

		count(&out[m], e, w->truth[m], c->runs);
		w->plain[m] += e->value;
		w->squares[m] += e->value * e->value;
	}
	for (size_t i = 0; i < c->k; i++) {
		const struct ek_interval share = ek_wilson(w->made[i], c->images);
		const struct ek_estimate e = { .interval = { share.low / w->target[i], share.high / w->target[i] } };

		count(&out[RATIO], &e, w->wanted[i] / w->target[i], (double)c->runs * (double)c->k);
	}
}

void ek_held_run(struct ek_held out[EK_HELD_MEASURES], const struct ek_held_case *c)
{
	struct world w;

	memset(out, 0, EK_HELD_MEASURES * sizeof *out);
	open_world(&w, c);
	for (uint32_t run = 0; run < c->runs; run++)
		run_once(out, &w, run);
	for (int m = 0; m < EK_HELD_MEASURES; m++) {
		const double runs = c->runs * (m == RATIO ? (double)c->k : 1);
		const double mean = m < RATIO ? w.plain[m] / runs : 0;

		out[m].width /= runs * (1 - out[m].unbounded);
		out[m].has = m == RATIO || isfinite(w.truth[m]);
		if (m == RATIO)
			continue;
		out[m].truth = w.truth[m];
		out[m].normal = 3.92 * sqrt(fmax(w.squares[m] / runs - mean * mean, 0));
	}
	close_world(&w);
}
