#include "analysis/cluster/teach.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

static const double temperature = 0.1;

void ek_teach_prepare(float *x, size_t count, size_t d)
{
	for (size_t j = 0; j < d; j++) {
		double mean = 0;

		for (size_t i = 0; i < count; i++)
			mean += x[i * d + j];
		mean /= (double)count;
		for (size_t i = 0; i < count; i++)
			x[i * d + j] = (float)(x[i * d + j] - mean);
	}
	for (size_t i = 0; i < count; i++) {
		double squares = 0;

		for (size_t j = 0; j < d; j++)
			squares += (double)x[i * d + j] * x[i * d + j];
		for (size_t j = 0; squares > 0 && j < d; j++)
			x[i * d + j] = (float)(x[i * d + j] / sqrt(squares));
	}
}

struct place {
	float distance;
	int32_t cluster;
	uint32_t rank, row; /* rank: within the cluster */
};

static int by_cluster(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->cluster != y->cluster)
		return x->cluster < y->cluster ? -1 : 1;
	if (x->distance < y->distance || x->distance > y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->row < y->row ? -1 : 1;
}

static int by_rank(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->cluster < y->cluster ? -1 : 1;
}

int ek_teach_typical(uint32_t *typical, const int32_t *cluster, const float *distance, size_t count)
{
	struct place *places = NULL;
	int rc;

	EK_TRY(ek_alloc(&places, count, sizeof *places));
	for (size_t i = 0; i < count; i++)
		places[i] = (struct place){ .distance = distance[i], .cluster = cluster[i], .row = (uint32_t)i };
	qsort(places, count, sizeof *places, by_cluster);
	for (size_t i = 1; i < count; i++)
		places[i].rank = places[i].cluster == places[i - 1].cluster ? places[i - 1].rank + 1 : 0;
	qsort(places, count, sizeof *places, by_rank);
	for (size_t i = 0; i < count; i++)
		typical[i] = places[i].row;
out:
	free(places);
	return rc;
}

/* What is known of an open row. */
struct guess {
	int32_t group;
	float sure, margin;
	float even; /* entropy */
};

/* means [groups, d] of unit length, sizes [groups]; returns how many groups have labels. */
static size_t find_means(double *means, size_t *sizes, const float *x, size_t count, size_t d, const int32_t *said,
                         size_t groups)
{
	size_t known = 0;

	for (size_t i = 0; i < count; i++)
		if (said[i] >= 0) {
			sizes[said[i]]++;
			for (size_t j = 0; j < d; j++)
				means[(size_t)said[i] * d + j] += x[i * d + j];
		}
	for (size_t g = 0; g < groups; g++) {
		double squares = 0;

		known += sizes[g] > 0;
		for (size_t j = 0; j < d; j++)
			squares += means[g * d + j] * means[g * d + j];
		for (size_t j = 0; squares > 0 && j < d; j++)
			means[g * d + j] /= sqrt(squares);
	}
	return known;
}

static struct guess guess_of(const float *x, size_t d, const double *means, const size_t *sizes, size_t groups)
{
	struct guess guess = { .group = -1 };
	double first = -2, second = -2, all = 0, mean = 0; /* mean: of the exponents */

	for (size_t g = 0; g < groups; g++) {
		double cosine = 0;

		if (sizes[g] == 0)
			continue;
		for (size_t j = 0; j < d; j++)
			cosine += x[j] * means[g * d + j];
		all += exp(cosine / temperature);
		mean += exp(cosine / temperature) * cosine / temperature;
		if (cosine > first) {
			second = first;
			first = cosine;
			guess.group = (int32_t)g;
		} else if (cosine > second) {
			second = cosine;
		}
	}
	guess.even = (float)(log(all) - mean / all);
	guess.sure = (float)(exp(first / temperature) / all);
	guess.margin = (float)((exp(first / temperature) - exp(second / temperature)) / all);
	return guess;
}

enum kind { SURE, HARD, UNLIKE };

/* The open row that is best: most surely of `group`, hardest to tell, or most unlike all groups; count: none. */
static size_t find_best(const struct guess *guesses, size_t count, const int32_t *said, const char *taken,
                        enum kind kind, int32_t group)
{
	size_t best = count;
	float most = 0;

	for (size_t i = 0; i < count; i++) {
		const struct guess *g = &guesses[i];
		const float value = kind == SURE ? g->sure : kind == HARD ? -g->margin : g->even;

		if (said[i] != EK_TEACH_OPEN || taken[i] || (kind == SURE && g->group != group))
			continue;
		if (best == count || value > most) {
			best = i;
			most = value;
		}
	}
	return best;
}

/* So many labels a group are given, and a group that has none is not looked for any more: it may not be there. */
enum { UNMET_LABELS = 20 };

static int is_unmet(const size_t *sizes, size_t groups)
{
	size_t unmet = 0, labels = 0;

	for (size_t g = 0; g < groups; g++) {
		unmet += sizes[g] == 0;
		labels += sizes[g];
	}
	return unmet > 0 && labels < UNMET_LABELS * groups;
}

/* With labels: sizes [groups] grows by what is picked. */
static size_t pick_taught(struct ek_teach_pick *out, size_t most, const struct guess *guesses, size_t count,
                          const int32_t *said, char *taken, size_t *sizes, size_t groups)
{
	static const enum kind turns[] = { SURE, HARD }, seek[] = { UNLIKE, HARD, SURE };
	const int unmet = is_unmet(sizes, groups);
	size_t found = 0;

	while (found < most) {
		const enum kind kind = unmet ? seek[found % 3] : turns[found % 2];
		size_t smallest = groups, row;

		for (size_t g = 0; g < groups; g++)
			if (sizes[g] > 0 && (smallest == groups || sizes[g] < sizes[smallest]))
				smallest = g;
		if (kind == SURE)
			sizes[smallest]++;
		row = find_best(guesses, count, said, taken, kind, (int32_t)smallest);
		if (row == count && kind == SURE)
			row = find_best(guesses, count, said, taken, HARD, -1);
		if (row == count)
			break;
		taken[row] = 1;
		out[found++] = (struct ek_teach_pick){ row, guesses[row].group, guesses[row].sure };
	}
	return found;
}

int ek_teach(struct ek_teach_pick *out, size_t most, size_t *found, const float *x, size_t count, size_t d,
             const int32_t *said, size_t groups, const uint32_t *typical)
{
	struct guess *guesses = NULL;
	double *means = NULL;
	size_t *sizes = NULL;
	char *taken = NULL;
	int rc;

	*found = 0;
	EK_TRY(ek_alloc(&means, groups * d + 1, sizeof *means));
	EK_TRY(ek_alloc(&sizes, groups + 1, sizeof *sizes));
	EK_TRY(ek_alloc(&guesses, count + 1, sizeof *guesses));
	EK_TRY(ek_alloc(&taken, count + 1, sizeof *taken));
	if (find_means(means, sizes, x, count, d, said, groups) < 2) {
		for (size_t i = 0; i < count && *found < most; i++)
			if (said[typical[i]] == EK_TEACH_OPEN)
				out[(*found)++] = (struct ek_teach_pick){ typical[i], -1, 0 };
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		if (said[i] == EK_TEACH_OPEN)
			guesses[i] = guess_of(x + i * d, d, means, sizes, groups);
	*found = pick_taught(out, most, guesses, count, said, taken, sizes, groups);
out:
	free(guesses);
	free(means);
	free(sizes);
	free(taken);
	return rc;
}

/* How likely a row is of the group by cosines with means [groups + 1], of what was passed over the last, or, while it
 * has no mean, how evenly likely of all others; and what it is taken for. */
static double likely(struct ek_teach_pick *pick, const float *x, size_t d, const double *means, const size_t *sizes,
                     size_t groups, size_t group)
{
	double all = 0, wanted = 0, best = 0, mean = 0; /* mean: of the exponents */

	pick->group = -1;
	for (size_t g = 0; g <= groups; g++) {
		double cosine = 0, part;

		if (sizes[g] == 0)
			continue;
		for (size_t j = 0; j < d; j++)
			cosine += x[j] * means[g * d + j];
		part = exp(cosine / temperature);
		all += part;
		mean += part * cosine / temperature;
		wanted = g == group ? part : wanted;
		if (g < groups && part > best) {
			best = part;
			pick->group = (int32_t)g;
		}
	}
	if (all == 0)
		return 0;
	pick->sure = best / all;
	return sizes[group] > 0 ? wanted / all : log(all) - mean / all;
}

/* The largest cosine of the row with one of those that were passed over, by their numbers; 0: there are none. */
static double find_nearest(const float *x, size_t d, size_t row, const size_t *numbers, size_t count)
{
	double nearest = count > 0 ? -1 : 0;

	for (size_t i = 0; i < count; i++)
		nearest = fmax(nearest, ek_vector_dot(x + row * d, x + numbers[i] * d, d));
	return nearest;
}

/* A row that was found, and how likely it is. */
struct find {
	struct ek_teach_pick pick;
	double likely;
};

static int by_likely(const void *a, const void *b)
{
	const struct find *x = a, *y = b;

	if (x->likely < y->likely || x->likely > y->likely)
		return x->likely > y->likely ? -1 : 1;
	return x->pick.row < y->pick.row ? -1 : x->pick.row > y->pick.row;
}

int ek_teach_search(struct ek_teach_pick *out, size_t most, size_t *found, const float *x, size_t count, size_t d,
                    const int32_t *said, size_t groups, size_t group, const uint8_t *passed)
{
	struct find *finds = NULL;
	double *means = NULL;
	size_t *sizes = NULL, *away = NULL, open = 0, over = 0;
	int32_t *lessons = NULL; /* as said, what was passed over being a group more */
	int rc;

	*found = 0;
	EK_TRY(ek_alloc(&means, (groups + 1) * d, sizeof *means));
	EK_TRY(ek_alloc(&sizes, groups + 1, sizeof *sizes));
	EK_TRY(ek_alloc(&lessons, count, sizeof *lessons));
	EK_TRY(ek_alloc(&finds, count, sizeof *finds));
	EK_TRY(ek_alloc(&away, count, sizeof *away));
	for (size_t i = 0; i < count; i++) {
		lessons[i] = said[i] == EK_TEACH_OPEN && passed[i] ? (int32_t)groups : said[i];
		if (lessons[i] == (int32_t)groups)
			away[over++] = i;
	}
	(void)find_means(means, sizes, x, count, d, lessons, groups + 1);
	if (sizes[group] == 0)
		sizes[groups] = 0; /* each row that was passed over counts by itself */
	for (size_t i = 0; i < count; i++)
		if (lessons[i] == EK_TEACH_OPEN) {
			struct find *f = &finds[open++];

			f->pick.row = i;
			f->likely = likely(&f->pick, x + i * d, d, means, sizes, groups, group);
			if (sizes[group] == 0)
				f->likely -= 2 * find_nearest(x, d, i, away, over);
		}
	qsort(finds, open, sizeof *finds, by_likely);
	for (; *found < most && *found < open; ++*found)
		out[*found] = finds[*found].pick;
out:
	free(finds);
	free(means);
	free(sizes);
	free(away);
	free(lessons);
	return rc;
}
