#include "analysis/cluster/label_errors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

/* What cleanlab takes for equal. */
static const float near = 1e-6F;

struct dealt {
	uint64_t draw, row;
	uint32_t label;
};

static int by_label(const void *a, const void *b)
{
	const struct dealt *x = a, *y = b;

	if (x->label != y->label)
		return x->label < y->label ? -1 : 1;
	if (x->draw != y->draw)
		return x->draw < y->draw ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* fold: [rows] each class dealt out in an order of the seed. */
static int deal(uint32_t *fold, const struct ek_softmax_data *data, uint32_t folds, uint64_t seed)
{
	const uint64_t n = data->rows->count, stream = ek_random_stream("label errors: folds");
	struct dealt *cards = NULL;
	uint64_t rank = 0;
	int rc;

	EK_TRY(ek_alloc(&cards, n, sizeof *cards));
	for (uint64_t i = 0; i < n; i++)
		cards[i] = (struct dealt){ ek_random_u64(seed, stream, i), i, data->label[i] };
	qsort(cards, n, sizeof *cards, by_label);
	for (uint64_t i = 0; i < n; i++) {
		rank = i > 0 && cards[i].label == cards[i - 1].label ? rank + 1 : 0;
		fold[cards[i].row] = (uint32_t)(rank % folds);
	}
out:
	free(cards);
	return rc;
}

struct crossing {
	const struct ek_softmax_data *data;
	const struct ek_softmax_options *options;
	const uint32_t *fold;
	float *p;
};

static void take(void *context, uint64_t i, float *z)
{
	const struct crossing *c = context;

	ek_softmax(z, c->data->classes);
	memcpy(c->p + i * c->data->classes, z, c->data->classes * sizeof *z);
}

static int cross_fold(void *context, uint64_t fold, int worker)
{
	static const struct ek_softmax_watch nothing;
	struct crossing *c = context;
	const uint64_t n = c->data->rows->count;
	struct ek_softmax_options options = *c->options;
	uint64_t *ids = NULL, learned = 0, left = n;
	float *w = NULL;
	int rc;

	(void)worker;
	options.seed += fold;
	EK_TRY(ek_alloc(&ids, n, sizeof *ids));
	EK_TRY(ek_alloc(&w, c->data->classes * (c->data->rows->dimensions + 1), sizeof *w));
	for (uint64_t i = 0; i < n; i++)
		if (c->fold[i] != fold)
			ids[learned++] = i;
		else
			ids[--left] = i;
	EK_TRY(ek_softmax_train(w, c->data, ids, learned, &options, &nothing));
	EK_TRY(ek_softmax_pass(c->data, w, ids + learned, n - learned, take, c));
out:
	free(ids);
	free(w);
	return rc;
}

int ek_label_errors_cross(float *p, double *accuracy, const struct ek_softmax_data *data, uint32_t folds,
                          const struct ek_softmax_options *options)
{
	struct crossing c = { .data = data, .options = options, .p = p };
	const uint64_t n = data->rows->count;
	uint32_t *fold = NULL;
	uint64_t right = 0;
	int rc;

	EK_TRY(ek_alloc(&fold, n, sizeof *fold));
	EK_TRY(deal(fold, data, folds, options->seed));
	c.fold = fold;
	ek_progress_begin("cross-validation", "visits", n * (folds - 1) * options->epochs);
	rc = ek_parallel(folds, cross_fold, &c);
	ek_progress_end();
	EK_TRY(rc);
	for (uint64_t i = 0; i < n; i++)
		right += ek_label_errors_suggest(p + i * data->classes, data->classes) == data->label[i];
	*accuracy = (double)right / (double)n;
out:
	free(fold);
	return rc;
}

float ek_label_errors_quality(enum ek_label_quality how, const float *p, uint32_t classes, uint32_t label)
{
	return how == EK_LABEL_SELF_CONFIDENCE ? p[label] : (ek_softmax_margin(p, classes, label) + 1) / 2;
}

uint32_t ek_label_errors_suggest(const float *p, uint32_t classes)
{
	uint32_t best = 0;

	for (uint32_t c = 1; c < classes; c++)
		best = p[c] > p[best] ? c : best;
	return best;
}

/* The class that row p is confidently of, or -1. */
static int64_t confident(const float *p, const double *threshold, uint32_t classes)
{
	int64_t first = -1;

	for (uint32_t c = 0; c < classes; c++) {
		if ((double)p[c] < threshold[c] - (double)near)
			continue;
		if (first >= 0)
			return ek_label_errors_suggest(p, classes);
		first = c;
	}
	return first;
}

/* threshold: [classes] the mean of p_k over those labelled k. sizes: [classes] how many those are. */
static void find_thresholds(double *threshold, uint64_t *sizes, const float *p, const uint32_t *label, uint64_t n,
                            uint32_t classes)
{
	memset(threshold, 0, classes * sizeof *threshold);
	memset(sizes, 0, classes * sizeof *sizes);
	for (uint64_t i = 0; i < n; i++) {
		threshold[label[i]] += (double)p[i * classes + label[i]];
		sizes[label[i]]++;
	}
	for (uint32_t c = 0; c < classes; c++)
		threshold[c] = sizes[c] > 0 ? fmax(threshold[c] / (double)sizes[c], 2 * (double)near) : 2;
}

/* Rounding that moves a number up (rising 1) or down the most: which one comes first. */
struct rounded {
	double off; /* number less its rounding */
	uint32_t at;
};

static int by_off(const void *a, const void *b)
{
	const struct rounded *x = a, *y = b;

	if (x->off < y->off || x->off > y->off)
		return x->off < y->off ? -1 : 1;
	return x->at < y->at ? -1 : 1;
}

/* Round to whole numbers that keep the (rounded) sum: the furthest from their rounding are moved by one. */
static void round_row(uint64_t *out, const double *row, struct rounded *room, uint32_t classes)
{
	double sum = 0, whole = 0;

	for (uint32_t c = 0; c < classes; c++) {
		const double r = rint(row[c]);

		sum += row[c];
		whole += r;
		out[c] = (uint64_t)r;
		room[c] = (struct rounded){ row[c] - r, c };
	}
	sum = rint(sum);
	qsort(room, classes, sizeof *room, by_off);
	/* Off by less than one for each number, so one turn is enough; a number that is moved down is not 0. */
	for (uint32_t k = 0; k < classes && whole < sum; k++, whole++)
		out[room[classes - 1 - k].at]++;
	for (uint32_t k = 0; k < classes && whole > sum; k++, whole--)
		out[room[k].at]--;
}

int ek_label_errors_joint(uint64_t *joint, const float *p, const uint32_t *label, uint64_t n, uint32_t classes)
{
	double *threshold = NULL, *row = NULL;
	struct rounded *room = NULL;
	uint64_t *sizes = NULL;
	int rc;

	EK_TRY(ek_alloc(&threshold, classes, sizeof *threshold));
	EK_TRY(ek_alloc(&row, classes, sizeof *row));
	EK_TRY(ek_alloc(&room, classes, sizeof *room));
	EK_TRY(ek_alloc(&sizes, classes, sizeof *sizes));
	memset(joint, 0, (size_t)classes * classes * sizeof *joint);
	find_thresholds(threshold, sizes, p, label, n, classes);
	for (uint64_t i = 0; i < n; i++) {
		const int64_t of = confident(p + i * classes, threshold, classes);

		if (of >= 0)
			joint[(size_t)label[i] * classes + (size_t)of]++;
	}
	for (uint32_t g = 0; g < classes; g++) {
		uint64_t *counts = joint + (size_t)g * classes;
		double sum = 0;

		counts[g] += counts[g] == 0;
		for (uint32_t t = 0; t < classes; t++)
			sum += (double)counts[t];
		for (uint32_t t = 0; t < classes; t++)
			row[t] = (double)counts[t] / sum * (double)sizes[g];
		round_row(counts, row, room, classes);
	}
out:
	free(threshold);
	free(row);
	free(room);
	free(sizes);
	return rc;
}

/* counts: [given, true] how many are to go, from the joint; where it leaves none in a class one stays, taken evenly
 * from those that are to go. */
static void make_counts(uint64_t *counts, const uint64_t *joint, uint32_t classes)
{
	for (uint32_t g = 0; g < classes; g++) {
		const uint64_t *of = joint + (size_t)g * classes;
		double others = -1, less;

		for (uint32_t t = 0; t < classes; t++)
			others += of[t] > 0;
		less = of[g] == 0 ? 1 / fmax(others, 1) : 0;
		for (uint32_t t = 0; t < classes; t++)
			counts[(size_t)g * classes + t] = (uint64_t)fmax((double)of[t] - less, t == g ? 1 : 0);
	}
}

/* The images of a class, to be ordered. */
struct candidate {
	float key;
	uint64_t row;
};

static int by_key(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->key < y->key || x->key > y->key)
		return x->key < y->key ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

struct finding {
	const float *p;
	uint32_t classes;
	const uint64_t *counts; /* [given, true] */
	const uint64_t *rows;   /* those of the class that is looked at */
	uint64_t size;
	struct candidate *room;
};

/* The `count` of smallest keys p_given - p_true, or p_given alone where `true_class` is the given one. */
static void mark(uint8_t *is_error, const struct finding *f, uint32_t given, uint32_t true_class, uint64_t count)
{
	if (count == 0)
		return;
	for (uint64_t k = 0; k < f->size; k++) {
		const float *p = f->p + f->rows[k] * f->classes;

		f->room[k] =
			(struct candidate){ true_class == given ? p[given] : p[given] - p[true_class], f->rows[k] };
	}
	qsort(f->room, f->size, sizeof *f->room, by_key);
	for (uint64_t k = 0; k < count && k < f->size; k++)
		is_error[f->room[k].row] = 1;
}

static void mark_by_rate(uint8_t *is_error, const struct finding *f, uint32_t given)
{
	for (uint32_t t = 0; f->size > 1 && t < f->classes; t++)
		if (t != given)
			mark(is_error, f, given, t, f->counts[(size_t)given * f->classes + t]);
}

static void mark_by_class(uint8_t *is_error, const struct finding *f, uint32_t given)
{
	const uint64_t stay = f->counts[(size_t)given * f->classes + given];

	if (f->size > 1)
		mark(is_error, f, given, given, f->size > stay ? f->size - stay : 0);
}

/* rows: [n] those of each class together; start: [classes + 1]. */
static int sort_rows(uint64_t **rows, uint64_t **start, const uint32_t *label, uint64_t n, uint32_t classes)
{
	uint64_t *next = NULL;
	int rc;

	EK_TRY(ek_alloc(rows, n, sizeof **rows));
	EK_TRY(ek_alloc(start, (size_t)classes + 1, sizeof **start));
	EK_TRY(ek_alloc(&next, (size_t)classes + 1, sizeof *next));
	for (uint64_t i = 0; i < n; i++)
		(*start)[label[i] + 1]++;
	for (uint32_t c = 0; c < classes; c++)
		next[c + 1] = (*start)[c + 1] += (*start)[c];
	for (uint64_t i = 0; i < n; i++)
		(*rows)[next[label[i]]++] = i;
out:
	free(next);
	return rc;
}

/* Those that the joint counts beside its diagonal. */
static int mark_confident(uint8_t *is_error, const float *p, const uint32_t *label, uint64_t n, uint32_t classes)
{
	double *threshold = NULL;
	uint64_t *sizes = NULL;
	int rc;

	EK_TRY(ek_alloc(&threshold, classes, sizeof *threshold));
	EK_TRY(ek_alloc(&sizes, classes, sizeof *sizes));
	find_thresholds(threshold, sizes, p, label, n, classes);
	for (uint64_t i = 0; i < n; i++) {
		const int64_t of = confident(p + i * classes, threshold, classes);

		is_error[i] = of >= 0 && of != label[i];
	}
out:
	free(threshold);
	free(sizes);
	return rc;
}

/* By the counts, of each class. */
static int mark_counted(uint8_t *is_error, enum ek_label_filter filter, const float *p, const uint32_t *label,
                        uint64_t n, uint32_t classes, const uint64_t *joint)
{
	uint64_t *counts = NULL, *rows = NULL, *start = NULL;
	struct finding f = { .p = p, .classes = classes };
	uint8_t *other = NULL;
	int rc;

	EK_TRY(ek_alloc(&counts, (size_t)classes * classes, sizeof *counts));
	EK_TRY(ek_alloc(&f.room, n, sizeof *f.room));
	EK_TRY(ek_alloc(&other, n, 1));
	make_counts(counts, joint, classes);
	EK_TRY(sort_rows(&rows, &start, label, n, classes));
	f.counts = counts;
	for (uint32_t g = 0; g < classes; g++) {
		f.rows = rows + start[g];
		f.size = start[g + 1] - start[g];
		if (filter != EK_LABEL_BY_CLASS)
			mark_by_rate(is_error, &f, g);
		if (filter != EK_LABEL_BY_NOISE_RATE)
			mark_by_class(other, &f, g);
	}
	for (uint64_t i = 0; i < n; i++)
		is_error[i] = filter == EK_LABEL_BY_BOTH ? is_error[i] & other[i] : is_error[i] | other[i];
out:
	free(counts);
	free(rows);
	free(start);
	free(f.room);
	free(other);
	return rc;
}

int ek_label_errors_find(uint8_t *is_error, enum ek_label_filter filter, const float *p, const uint32_t *label,
                         uint64_t n, uint32_t classes, const uint64_t *joint)
{
	int rc;

	memset(is_error, 0, n);
	EK_TRY(filter == EK_LABEL_CONFIDENT ? mark_confident(is_error, p, label, n, classes)
	                                    : mark_counted(is_error, filter, p, label, n, classes, joint));
	/* Not what is predicted as it is labelled. */
	for (uint64_t i = 0; i < n; i++)
		if (ek_softmax_margin(p + i * classes, classes, label[i]) > -near)
			is_error[i] = 0;
out:
	return rc;
}
