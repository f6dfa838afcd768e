#include "rebalance/plan/schemes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/plan/target.h"

enum value_kind { NO_VALUE, NUMBER, NUMBER_OR_AUTO, TEXT };

struct input {
	const struct ek_scheme *scheme;
	const struct ek_units *units;
	const struct ek_run *run;
	int normalise;
};

struct ek_scheme_row {
	const char *name;
	enum value_kind kind;
	double low, high; /* low <= value <= high */
	const char *value;
	/* w: [k] relative weight of an image of each unit; what empty units get is ignored. */
	int (*weigh)(double *w, const struct input *in);
	/* Likewise of each image, for a scheme that counts no units. */
	int (*weigh_images)(double *w, const struct ek_image_input *in);
};

/* n^(-alpha), relative to the largest unit, so that nothing overflows. */
static int by_power(double *w, const struct ek_units *units, double alpha)
{
	uint64_t largest = 1;

	for (uint32_t k = 0; k < units->k; k++)
		largest = units->sizes[k] > largest ? units->sizes[k] : largest;
	for (uint32_t k = 0; k < units->k; k++)
		w[k] = pow((double)largest / (double)units->sizes[k], alpha);
	return 0;
}

static int inverse(double *w, const struct input *in)
{
	return by_power(w, in->units, 1);
}

static int square_root(double *w, const struct input *in)
{
	return by_power(w, in->units, 0.5);
}

static int alpha(double *w, const struct input *in)
{
	return by_power(w, in->units, in->scheme->number);
}

static int effective_number(double *w, const struct input *in)
{
	const double beta = in->scheme->number, rest = isnan(beta) ? 1 / (double)in->units->total : 1 - beta;

	/* 1 - beta^n = -expm1(n log1p(-(1 - beta))): exact where beta^n is near 1. */
	for (uint32_t k = 0; k < in->units->k; k++)
		w[k] = rest / -expm1((double)in->units->sizes[k] * log1p(-rest));
	return 0;
}

static int repeat_factor(double *w, const struct input *in)
{
	for (uint32_t k = 0; k < in->units->k; k++) {
		const double share = (double)in->units->sizes[k] / (double)in->units->total;

		w[k] = fmax(1, sqrt(in->scheme->number / share));
	}
	return 0;
}

static int target(double *w, const struct input *in)
{
	char number[16];
	int rc;

	EK_TRY(ek_target_load(w, in->units, in->scheme->text, in->normalise));
	for (uint32_t k = 0; k < in->units->k; k++) {
		if (w[k] > 0 && in->units->sizes[k] == 0)
			return ek_fail(EK_EDATA, "%s: %s has a share, %g, but no image", in->scheme->text,
			               ek_unit_name(number, in->units, k), w[k]);
		w[k] /= (double)in->units->sizes[k];
	}
out:
	return rc;
}

/* "A,B" cut in two, to be freed; EK_EUSAGE. */
static int cut_names(char **first, char **second, const char *text)
{
	char *comma;
	int rc;

	*first = *second = NULL;
	EK_TRY(ek_copy_string(first, text));
	if ((comma = strchr(*first, ',')) == NULL || comma == *first || comma[1] == 0 || strchr(comma + 1, ','))
		return ek_fail(EK_EUSAGE, "reweigh=%s: expected two attributes, as reweigh=gender,label", text);
	*comma = 0;
	*second = comma + 1;
out:
	return rc;
}

/* The images of the value that each combination has of one attribute: marginal[k]. */
static int add_marginal(double *marginal, const struct input *in, const char *name)
{
	const struct ek_units *units = in->units;
	uint64_t *counts = NULL;
	int32_t *value = NULL;
	struct ek_units one;
	int rc;

	EK_TRY(ek_units_load(&one, in->run, name));
	EK_TRY(ek_alloc(&counts, one.k, sizeof *counts));
	EK_TRY(ek_alloc(&value, units->k, sizeof *value));
	for (uint64_t i = 0; i < units->n; i++)
		if (units->unit[i] >= 0) {
			value[units->unit[i]] = one.unit[i];
			counts[one.unit[i]]++;
		}
	for (uint32_t k = 0; k < units->k; k++)
		marginal[k] *= (double)counts[value[k]];
out:
	ek_units_release(&one);
	free(counts);
	free(value);
	return rc;
}

static int reweigh(double *w, const struct input *in)
{
	char *first = NULL, *second = NULL;
	int rc;

	for (uint32_t k = 0; k < in->units->k; k++)
		w[k] = 1 / (double)in->units->sizes[k];
	EK_TRY(cut_names(&first, &second, in->scheme->text));
	EK_TRY(add_marginal(w, in, first));
	EK_TRY(add_marginal(w, in, second));
out:
	free(first);
	return rc;
}

/* What the caller computes. */
static int by_reference(double *w, const struct ek_image_input *in)
{
	if (in->weigh == NULL)
		return ek_fail(EK_EUSAGE, "the scheme reference needs a reference set");
	return in->weigh(in->context, w, in);
}

static const struct ek_scheme_row rows[] = {
	{ "inverse", NO_VALUE, 0, 0, NULL, inverse, NULL },
	{ "sqrt", NO_VALUE, 0, 0, NULL, square_root, NULL },
	{ "alpha", NUMBER, -10, 10, "a number from -10 to 10", alpha, NULL },
	{ "effective-number", NUMBER_OR_AUTO, 0, 1 - 0x1p-53, "a number from 0 to below 1, or auto", effective_number,
	  NULL },
	{ "repeat-factor", NUMBER, 0x1p-1022, 1, "a number above 0, up to 1", repeat_factor, NULL },
	{ "target", TEXT, 0, 0, "a file of shares", target, NULL },
	{ "design", NO_VALUE, 0, 0, NULL, NULL, ek_image_weights_design },
	{ "vendi", NO_VALUE, 0, 0, NULL, NULL, ek_image_weights_vendi },
	{ "tree", NO_VALUE, 0, 0, NULL, NULL, ek_image_weights_tree },
	{ "blend", NO_VALUE, 0, 0, NULL, NULL, ek_image_weights_blend },
	{ "reference", NO_VALUE, 0, 0, NULL, NULL, by_reference },
	{ "reweigh", TEXT, 0, 0, "two attributes, as gender,label", reweigh, NULL },
};
enum { ROWS = sizeof rows / sizeof *rows };

const char *ek_scheme_name(size_t i)
{
	return i < ROWS ? rows[i].name : NULL;
}

static int parse_value(struct ek_scheme *scheme, const char *whole)
{
	const struct ek_scheme_row *row = scheme->row;
	char *end;

	if ((row->kind == NO_VALUE) != (scheme->text == NULL) || (scheme->text != NULL && *scheme->text == 0))
		return row->kind == NO_VALUE ? ek_fail(EK_EUSAGE, "the scheme %s takes no value, but \"%s\" has one",
		                                       row->name, whole)
		                             : ek_fail(EK_EUSAGE, "the scheme %s needs a value: %s=..., %s", row->name,
		                                       row->name, row->value);
	if (row->kind == NO_VALUE || row->kind == TEXT)
		return 0;
	scheme->number = (double)NAN;
	if (row->kind == NUMBER_OR_AUTO && strcmp(scheme->text, "auto") == 0)
		return 0;
	scheme->number = strtod(scheme->text, &end);
	if (*end != 0 || !(scheme->number >= row->low && scheme->number <= row->high))
		return ek_fail(EK_EUSAGE, "the scheme %s takes %s, not \"%s\"", row->name, row->value, scheme->text);
	return 0;
}

int ek_scheme_parse(struct ek_scheme *scheme, const char *text)
{
	const size_t length = strcspn(text, "=");

	*scheme = (struct ek_scheme){ .text = text[length] == '=' ? text + length + 1 : NULL };
	for (size_t i = 0; i < ROWS; i++)
		if (strlen(rows[i].name) == length && memcmp(rows[i].name, text, length) == 0) {
			scheme->row = &rows[i];
			return parse_value(scheme, text);
		}
	return ek_fail(EK_EUSAGE,
	               "unknown scheme \"%s\"; there is inverse, sqrt, alpha=A, effective-number=B, repeat-factor=T, "
	               "target=FILE, design, vendi, tree, blend, reweigh=A,B",
	               text);
}

int ek_scheme_units(char **out, const struct ek_scheme *scheme, const char *by)
{
	char *first = NULL, *second = NULL;
	int rc;

	*out = NULL;
	if (scheme->row->weigh != reweigh)
		return ek_copy_string(out, by != NULL ? by : "cluster");
	if (by != NULL)
		return ek_fail(EK_EUSAGE, "reweigh=%s says itself what it is by; leave out 'by' %s", scheme->text, by);
	EK_TRY(cut_names(&first, &second, scheme->text));
	EK_TRY(ek_format(out, "%s\xC3\x97%s", first, second));
out:
	free(first);
	return rc;
}

const char *ek_scheme_file(const struct ek_scheme *scheme)
{
	return scheme->row->weigh == target ? scheme->text : NULL;
}

/* Make the mean over images 1. */
static int normalise(double *w, const struct ek_units *units)
{
	double total = 0;

	for (uint32_t k = 0; k < units->k; k++) {
		w[k] = units->sizes[k] > 0 ? w[k] : 0;
		total += w[k] * (double)units->sizes[k];
	}
	if (!(total > 0) || !isfinite(total))
		return ek_fail(EK_EDATA, "the weights of %s sum to %g", units->by, total);
	for (uint32_t k = 0; k < units->k; k++)
		w[k] = w[k] / total * (double)units->total;
	return 0;
}

int ek_scheme_visits(double *visits, const struct ek_scheme *scheme, const struct ek_units *units,
                     const struct ek_run *run, int normalise_shares)
{
	const struct input in = { scheme, units, run, normalise_shares };
	int rc;

	EK_TRY(scheme->row->weigh(visits, &in));
	EK_TRY(normalise(visits, units));
out:
	return rc;
}

int ek_scheme_is_of_images(const struct ek_scheme *scheme)
{
	return scheme->row->weigh_images != NULL;
}

int ek_scheme_weigh_images(double *w, const struct ek_scheme *scheme, const struct ek_image_input *in)
{
	return scheme->row->weigh_images(w, in);
}

struct level {
	double visits;
	uint64_t size;
	double rest; /* visits of this level and all lower ones together */
};

static int by_falling_visits(const void *a, const void *b)
{
	const struct level *x = a, *y = b;

	return (x->visits < y->visits) - (x->visits > y->visits);
}

int ek_scheme_cap(double *visits, const uint64_t *sizes, uint32_t k, double cap)
{
	struct level *levels = NULL;
	double images = 0, shown = 0, room, rest = 0, lambda = 0;
	uint32_t count = 0, capped = 0;
	int rc;

	EK_TRY(ek_alloc(&levels, k, sizeof *levels));
	for (uint32_t i = 0; i < k; i++) {
		images += (double)sizes[i];
		if (visits[i] > 0 && sizes[i] > 0) {
			levels[count++] = (struct level){ visits[i], sizes[i], 0 };
			shown += (double)sizes[i];
		}
	}
	if (!(cap * shown >= images * (1 - 1e-12))) {
		rc = ek_fail(EK_EUSAGE,
		             "a cap of %g cannot be met: %.0f of %.0f images are shown at all, so %g is the least", cap,
		             shown, images, images / shown);
		goto out;
	}
	qsort(levels, count, sizeof *levels, by_falling_visits);
	for (uint32_t i = count; i-- > 0;)
		levels[i].rest = rest += levels[i].visits * (double)levels[i].size;
	room = images;
	for (; capped < count; capped++) {
		lambda = room / levels[capped].rest;
		if (lambda * levels[capped].visits <= cap)
			break;
		room -= cap * (double)levels[capped].size;
	}
	for (uint32_t i = 0; i < k; i++)
		visits[i] = capped == count ? (visits[i] > 0 ? cap : 0) : fmin(cap, lambda * visits[i]);
out:
	free(levels);
	return rc;
}
