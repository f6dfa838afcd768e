#include "analysis/skew/exact.h"

#include <math.h>

/* Lentz's method for the continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8), which
 * converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
	enum { MOST = 100000 };
	static const double tiny = 1e-300;
	double c = 1, d = 1 - (a + b) * x / (a + 1), f;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	f = d;
	for (int i = 1; i < MOST; i++) {
		const double m = i, even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
			     odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		f *= c * d;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		step = c * d;
		f *= step;
		if (fabs(step - 1) < 1e-14)
			break;
	}
	return f;
}

/* I_x(a, b), the distribution function of the beta distribution. */
static double incomplete_beta(double a, double b, double x)
{
	double front;

	if (x <= 0 || x >= 1)
		return x <= 0 ? 0 : 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
	                                 : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double ek_binomial_at_most(uint64_t count, uint64_t n, double p)
{
	return count >= n ? 1 : 1 - incomplete_beta((double)count + 1, (double)(n - count), p);
}

/* The chance of at least `count`. */
static double at_least(uint64_t count, uint64_t n, double p)
{
	return count == 0 ? 1 : incomplete_beta((double)count, (double)(n - count) + 1, p);
}

/* Where the chance of at least `count` has risen to `level`: by halving, in the end of the last bit. */
static double share_where(uint64_t count, uint64_t n, double level)
{
	double low = 0, high = 1;

	for (int i = 0; i < 200; i++) {
		const double middle = (low + high) / 2;

		if (middle == low || middle == high)
			break;
		if (at_least(count, n, middle) < level)
			low = middle;
		else
			high = middle;
	}
	return low;
}

double ek_share_above(uint64_t count, uint64_t n, double alpha)
{
	return count == 0 ? 0 : share_where(count, n, alpha);
}

double ek_share_below(uint64_t count, uint64_t n, double alpha)
{
	return count >= n ? 1 : share_where(count + 1, n, 1 - alpha);
}

static double part_of(const struct ek_sample *s, size_t i)
{
	return s->parts != NULL ? s->parts[i] : 1;
}

static int is_left_out(const struct ek_sample *s, size_t i, int seen)
{
	return part_of(s, i) == 0 || (seen && s->counts[i] == 0);
}

static double units_of(const struct ek_sample *s, int seen)
{
	double units = 0;

	for (size_t i = 0; i < s->k; i++)
		units += !is_left_out(s, i, seen);
	return units;
}

/* A limit is looked for only where it is beyond the best so far, which one value of the distribution tells. */
static double least_limit(const struct ek_sample *s, int seen, double alpha, int upper)
{
	double least = INFINITY;

	for (size_t i = 0; i < s->k; i++) {
		const double part = part_of(s, i), at = fmin(least * part, 1);
		const uint64_t x = s->counts[i];

		if (is_left_out(s, i, seen) ||
		    (upper ? ek_binomial_at_most(x, s->n, at) > alpha && at < 1 : at_least(x, s->n, at) < alpha))
			continue;
		least = fmin(least, (upper ? ek_share_below(x, s->n, alpha) : ek_share_above(x, s->n, alpha)) / part);
	}
	return least;
}

static double greatest_limit(const struct ek_sample *s, double alpha, int upper)
{
	double greatest = 0;

	for (size_t i = 0; i < s->k; i++) {
		const double part = part_of(s, i), at = fmin(greatest * part, 1);
		const uint64_t x = s->counts[i];

		if (part == 0 || (upper ? ek_binomial_at_most(x, s->n, at) < alpha : at_least(x, s->n, at) > alpha))
			continue;
		greatest = fmax(greatest,
		                (upper ? ek_share_below(x, s->n, alpha) : ek_share_above(x, s->n, alpha)) / part);
	}
	return greatest;
}

/* All of it: a single unit's share is no matter of chance. */
static struct ek_interval share_of_one(const struct ek_sample *sample)
{
	return (struct ek_interval){ 1 / part_of(sample, 0), 1 / part_of(sample, 0) };
}

struct ek_interval ek_least_share(const struct ek_sample *sample, int seen, double alpha)
{
	if (sample->k == 1)
		return share_of_one(sample);
	return (struct ek_interval){ least_limit(sample, seen, alpha, 0),
		                     least_limit(sample, seen, alpha / units_of(sample, seen), 1) };
}

struct ek_interval ek_greatest_share(const struct ek_sample *sample, double alpha)
{
	if (sample->k == 1)
		return share_of_one(sample);
	return (struct ek_interval){ greatest_limit(sample, alpha / units_of(sample, 0), 0),
		                     greatest_limit(sample, alpha, 1) };
}

/* The chance of a count below its bound in a unit that lies just at it. */
static double seen_below(uint64_t n, double bound)
{
	const double at = ceil((double)n * bound);

	return at < 1 ? 0 : ek_binomial_at_most((uint64_t)at - 1, n, bound);
}

/* What the limits of the single units say of those below. */
struct tally {
	uint64_t seen, surely, maybe;               /* units */
	uint64_t images_surely, images_maybe;       /* of those units */
	double least_chance, most_chance, greatest; /* of being seen below, at the bound; the greatest bound */
};

static struct tally tally_below(const struct ek_sample *s, double fraction, double alpha)
{
	struct tally t = { .least_chance = 1 };
	double chance = 0, of = -1;

	for (size_t i = 0; i < s->k; i++) {
		const double bound = fmin(fraction * part_of(s, i), 1);
		const uint64_t x = s->counts[i];
		const int is_seen = (double)x < bound * (double)s->n;

		if (bound == 0)
			continue;
		if (bound != of)
			chance = seen_below(s->n, of = bound);
		t.least_chance = fmin(t.least_chance, chance);
		t.most_chance = fmax(t.most_chance, chance);
		t.greatest = fmax(t.greatest, bound);
		t.seen += (uint64_t)is_seen;
		if (is_seen && ek_binomial_at_most(x, s->n, bound) < alpha) {
			t.surely++;
			t.images_surely += x;
		}
		if (is_seen || at_least(x, s->n, bound) > alpha) {
			t.maybe++;
			t.images_maybe += x;
		}
	}
	return t;
}

struct ek_below ek_shares_below(const struct ek_sample *sample, double fraction)
{
	static const double alpha = 0.0125; /* of each of four statements */
	const uint64_t units = (uint64_t)units_of(sample, 0);
	const struct tally t = tally_below(sample, fraction, alpha / (double)units);
	uint64_t low = t.seen, high = t.seen;

	while (low > t.surely && at_least(t.seen - low + 1, units - low + 1, t.most_chance) >= alpha)
		low--;
	while (high < t.maybe && ek_binomial_at_most(t.seen, high + 1, t.least_chance) >= alpha)
		high++;
	return (struct ek_below){
		.count = { (double)low, (double)high },
		.share = { ek_share_above(t.images_surely, sample->n, alpha),
		           fmin(ek_share_below(t.images_maybe, sample->n, alpha), (double)high * t.greatest) },
	};
}
