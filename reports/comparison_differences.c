/* Of comparison.h: baselines, differences and what they are worth. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "reports/comparison.h"
#include "reports/documents.h"
#include "reports/html.h"

static int order_rows(const void *a, const void *b)
{
	const struct ek_comparison_row *x = a, *y = b;
	int order = strcmp(x->run, y->run);

	if (order == 0)
		order = (x->trained > y->trained) - (x->trained < y->trained);
	if (order == 0)
		order = strcmp(x->series, y->series);
	if (order == 0) /* the larger part first */
		order = (x->keep < y->keep) - (x->keep > y->keep);
	return order != 0 ? order : strcmp(x->name, y->name);
}

int ek_comparison_alike(const struct ek_comparison_row *a, const struct ek_comparison_row *b)
{
	for (size_t i = 0; i < EK_CMP_KEYS; i++)
		if (strcmp(a->keys[i], b->keys[i]) != 0)
			return 0;
	return 1;
}

int ek_comparison_unequal(const struct ek_comparison_row *a, const struct ek_comparison_row *b)
{
	return a->steps < b->steps || a->steps > b->steps;
}

/* How much a natural evaluation is like `row`: what makes it comparable counts most, then the run, then how it was
 * made. */
static int likeness(const struct ek_comparison_row *row, const struct ek_comparison_row *other)
{
	int score = (ek_comparison_alike(row, other) ? 64 : 0) + (strcmp(row->run, other->run) == 0 ? 32 : 0);
	const cJSON *item;

	score += isfinite(row->steps) && !ek_comparison_unequal(row, other);
	cJSON_ArrayForEach(item, row->how) score += cJSON_Compare(item, ek_json_member(other->how, item->string), 1);
	return score;
}

int ek_comparison_together(const struct ek_comparison_row *a, const struct ek_comparison_row *b)
{
	return ek_comparison_alike(a, b) && a->baseline == b->baseline && a->note == NULL && b->note == NULL;
}

static const struct ek_comparison_row *find_baseline(const struct ek_comparison *c, const struct ek_comparison_row *row,
                                                     const char *name)
{
	const struct ek_comparison_row *best = NULL;
	int most = -1;

	if (name == NULL && row->trained == EK_TRAINED_NATURAL)
		return row;
	for (size_t i = 0; i < c->count; i++) {
		const struct ek_comparison_row *other = &c->rows[i];

		if (name != NULL ? strcmp(other->name, name) != 0 : other->trained != EK_TRAINED_NATURAL)
			continue;
		if (likeness(row, other) > most) {
			most = likeness(row, other);
			best = other;
		}
	}
	return best;
}

/* Two-sided 95 % quantiles of Student's t for 1 … 30 degrees of freedom (tests/golden/make_comparison.py); beyond, that
 * of 30, which is a little wide. */
static double t_quantile(double freedom)
{
	static const double table[] = { 12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004,
		                        2.262157,  2.228139, 2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905,
		                        2.109816,  2.100922, 2.093024, 2.085963, 2.079614, 2.073873, 2.068658, 2.063899,
		                        2.059539,  2.055529, 2.051831, 2.048407, 2.045230, 2.042272 };

	return table[freedom >= 30 ? 29 : freedom >= 1 ? (size_t)freedom - 1 : 0];
}

int ek_comparison_reach(double *below, double *above, const struct ek_compared *v)
{
	if (v->seeds >= 2) {
		*below = *above = t_quantile((double)v->seeds - 1) * v->deviation / sqrt((double)v->seeds);
		return 1;
	}
	/* A bootstrap's interval, corrected for bias, may leave the value outside. */
	*below = fmax(0, v->value - v->low);
	*above = fmax(0, v->high - v->value);
	return v->low <= v->high;
}

int ek_comparison_interval(double *low, double *high, const struct ek_compared *a, const struct ek_compared *b)
{
	const double d = a->value - b->value;
	double below_a, above_a, below_b, above_b;

	if (!isfinite(d))
		return 0;
	if (a->seeds >= 2 && b->seeds >= 2) {
		const double n = (double)a->seeds, m = (double)b->seeds;
		const double u = a->deviation * a->deviation / n, v = b->deviation * b->deviation / m;
		const double freedom = (u + v) * (u + v) / (u * u / (n - 1) + v * v / (m - 1));
		/* No deviation at all leaves the freedom 0/0, and the quantile does not matter. */
		const double reach = t_quantile(freedom) * sqrt(u + v);

		*low = d - reach;
		*high = d + reach;
		return 1;
	}
	if (!ek_comparison_reach(&below_a, &above_a, a) || !ek_comparison_reach(&below_b, &above_b, b))
		return 0;
	*low = d - hypot(below_a, above_b);
	*high = d + hypot(above_a, below_b);
	return 1;
}

enum ek_difference ek_comparison_verdict(const struct ek_compared *a, const struct ek_compared *b)
{
	double low, high;

	if (!isfinite(a->value - b->value))
		return EK_DIFFERENCE_NONE;
	if (!ek_comparison_interval(&low, &high, a, b))
		return EK_DIFFERENCE_UNKNOWN;
	return low > 0 || high < 0 ? EK_DIFFERENCE_BEYOND : EK_DIFFERENCE_WITHIN;
}

static int same_targets(const struct ek_comparison_row *a, const struct ek_comparison_row *b)
{
	const cJSON *x = ek_json_member(a->json, "per_cluster"), *y = ek_json_member(b->json, "per_cluster");

	if (cJSON_GetArraySize(x) != cJSON_GetArraySize(y))
		return 0;
	x = x == NULL ? NULL : x->child;
	for (y = y == NULL ? NULL : y->child; x != NULL && y != NULL; x = x->next, y = y->next)
		if (!cJSON_Compare(ek_json_member(x, "target_share"), ek_json_member(y, "target_share"), 1))
			return 0;
	return 1;
}

static void compare_values(struct ek_comparison_row *row)
{
	const struct ek_comparison_row *base = row->baseline;
	const int unlike = (strcmp(row->clusters, base->clusters) != 0 ? EK_OF_CLUSTERS : 0) |
	                   (same_targets(row, base) ? 0 : EK_OF_TARGET);

	for (size_t m = 0; m < EK_CMP_MEASURES; m++) {
		struct ek_compared *v = &row->values[m];

		if (row == base || !isfinite(v->value - base->values[m].value))
			continue;
		if (ek_comparison_measures[m].depends & unlike) {
			v->verdict = EK_DIFFERENCE_UNLIKE;
			continue;
		}
		v->difference = v->value - base->values[m].value;
		v->verdict = ek_comparison_verdict(v, &base->values[m]);
	}
}

/* What was made in another way. */
static int add_note(struct ek_comparison_row *row)
{
	struct ek_buffer note = { 0 };
	const cJSON *item;
	int rc = 0;

	if (ek_comparison_unequal(row, row->baseline))
		EK_TRY(ek_buffer_printf(&note,
		                        "trained for %s steps, not %s: not comparable as two ways to choose images",
		                        ek_count(ek_whole(row->steps)).s, ek_count(ek_whole(row->baseline->steps)).s));
	cJSON_ArrayForEach(item, row->how)
	{
		const cJSON *other = ek_json_member(row->baseline->how, item->string);
		char *x, *y;

		if (other == NULL || cJSON_Compare(item, other, 1))
			continue;
		if (cJSON_IsObject(item) || cJSON_IsObject(other)) {
			EK_TRY(ek_buffer_printf(&note, "%sanother %s", note.size > 0 ? "; " : "", item->string));
			continue;
		}
		x = cJSON_PrintUnformatted(item);
		y = cJSON_PrintUnformatted(other);
		rc = x == NULL || y == NULL ? ek_fail(EK_ENOMEM, "no memory for a comparison")
		                            : ek_buffer_printf(&note, "%s%s %s, not %s", note.size > 0 ? "; " : "",
		                                               item->string, x, y);
		free(x);
		free(y);
		EK_TRY(rc);
	}
	if (note.size > 0)
		EK_TRY(ek_copy_string(&row->note, note.data));
out:
	ek_buffer_release(&note);
	return rc;
}

int ek_comparison_against(struct ek_comparison_row *row, const struct ek_comparison_row *base)
{
	int rc = 0;

	row->baseline = base;
	if (base == NULL)
		return ek_copy_string(&row->unlike, "there is no evaluation of a model of all images as they come");
	if (!isfinite(row->keep) && row->trained != EK_TRAINED_ELSEWHERE && base->training_images > 0 &&
	    row->training_images <= base->training_images && strcmp(row->run, base->run) == 0)
		row->keep = (double)row->training_images / (double)base->training_images;
	for (size_t i = 0; i < EK_CMP_KEYS; i++)
		if (strcmp(row->keys[i], base->keys[i]) != 0)
			return i + 1 == EK_CMP_KEYS
			               ? ek_copy_string(&row->unlike, "the images of the runs are not the same")
			               : ek_format(&row->unlike, "%s, not %s", row->keys[i], base->keys[i]);
	if (row != base)
		EK_TRY(add_note(row));
	compare_values(row);
out:
	return rc;
}

int ek_comparison_finish(struct ek_comparison *c, const char *baseline)
{
	int rc = 0;

	if (c->count > 0)
		qsort(c->rows, c->count, sizeof *c->rows, order_rows);
	for (size_t i = 0; i < c->count; i++) {
		c->rows[i].baseline = find_baseline(c, &c->rows[i], baseline);
		if (baseline != NULL && c->rows[i].baseline == NULL)
			return ek_fail(EK_EUSAGE, "'baseline': there is no evaluation %s", baseline);
	}
	for (size_t i = 0; i < c->count; i++)
		EK_TRY(ek_comparison_against(&c->rows[i], c->rows[i].baseline));
out:
	return rc;
}
