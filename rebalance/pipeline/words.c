#include "rebalance/pipeline/words.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/clip_tokenizer.h"
#include "analysis/embed/clip_tower.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/pipeline/device.h"

/* tokens: [words->prompts, EK_CLIP_CONTEXT], to be freed. */
static int tokenize(int32_t **tokens, const struct ek_group_words *words, const char *path)
{
	struct ek_clip_tokenizer *t = NULL;
	int32_t *at;
	int cut, rc;

	EK_TRY(ek_alloc(tokens, words->prompts * EK_CLIP_CONTEXT, sizeof **tokens));
	at = *tokens;
	EK_TRY(ek_clip_tokenizer_new(&t));
	for (uint32_t g = 0; g < words->groups + (uint32_t)words->none; g++)
		for (size_t i = 0; i < words->rows[g].count; i++, at += EK_CLIP_CONTEXT) {
			const char *prompt = words->rows[g].prompts[i];

			EK_TRY(ek_clip_tokenize(at, &cut, t, prompt, strlen(prompt)));
			if (cut)
				ek_warn("%s:%" PRIu64 ": prompt %zu is longer than the %d tokens that CLIP reads; the "
				        "rest of it does not count",
				        path, words->rows[g].line, i + 1, EK_CLIP_CONTEXT);
		}
	rc = 0;
out:
	ek_clip_tokenizer_free(t);
	return rc;
}

/* sum [d] += x / |x| */
static void add_unit(double *sum, const float *x, size_t d)
{
	double squares = 0;

	for (size_t j = 0; j < d; j++)
		squares += (double)x[j] * (double)x[j];
	for (size_t j = 0; j < d && squares > 0; j++)
		sum[j] += (double)x[j] / sqrt(squares);
}

/* Each row's w: the mean of its prompts' unit features, of unit length; b is 0. */
static void take_directions(struct ek_probe *probe, const struct ek_group_words *words, const float *features)
{
	const size_t d = probe->k;

	for (uint32_t g = 0; g < probe->groups; g++) {
		double *w = probe->w + g * (d + 1), squares = 0;

		for (size_t i = 0; i < words->rows[g].count; i++, features += d)
			add_unit(w, features, d);
		for (size_t j = 0; j < d; j++)
			squares += w[j] * w[j];
		for (size_t j = 0; j < d && squares > 0; j++)
			w[j] /= sqrt(squares);
		probe->train[g] = 1.0 / probe->groups;
	}
}

int ek_words_probe(struct ek_probe *probe, const struct ek_group_words *words, const char *path, const char *weights,
                   size_t dimensions)
{
	const struct ek_device *before = ek_device_without("reading words");
	struct ek_clip_tower *tower = NULL;
	float *features = NULL;
	int32_t *tokens = NULL;
	int rc;

	*probe = (struct ek_probe){ .groups = words->groups + (uint32_t)words->none, .k = dimensions };
	EK_TRY(ek_clip_tower_open(&tower, weights));
	if ((size_t)ek_clip_tower_features(tower) != dimensions) {
		rc = ek_fail(EK_EDATA, "%s gives texts %d features, and the images have %zu: another CLIP's", weights,
		             ek_clip_tower_features(tower), dimensions);
		goto out;
	}
	probe->temperature = 1 / ek_clip_tower_scale(tower);
	EK_TRY(tokenize(&tokens, words, path));
	EK_TRY(ek_alloc(&features, words->prompts * dimensions, sizeof *features));
	EK_TRY(ek_clip_tower_encode(tower, features, tokens, words->prompts));
	EK_TRY(ek_alloc(&probe->w, probe->groups * (dimensions + 1), sizeof *probe->w));
	EK_TRY(ek_alloc(&probe->train, probe->groups, sizeof *probe->train));
	take_directions(probe, words, features);
out:
	ek_clip_tower_close(tower);
	free(tokens);
	free(features);
	ek_device_back(before);
	return rc;
}

/* Mean of -ln q of the labelled at scale s. cosines: [count, groups]. */
static double loss_at(double s, const double *cosines, const uint32_t *row, uint64_t count, uint32_t groups)
{
	double loss = 0;

	for (uint64_t i = 0; i < count; i++, cosines += groups) {
		double most = -INFINITY, sum = 0;

		for (uint32_t g = 0; g < groups; g++)
			most = fmax(most, s * cosines[g]);
		for (uint32_t g = 0; g < groups; g++)
			sum += exp(s * cosines[g] - most);
		loss += log(sum) + most - s * cosines[row[i]];
	}
	return loss / (double)count;
}

/* The loss is convex in s, so it has one valley: golden sections of ln s. */
static double best_scale(double s, const double *cosines, const uint32_t *row, uint64_t count, uint32_t groups)
{
	const double golden = (sqrt(5) - 1) / 2, widest = log(100.0);
	double low = log(s) - widest, high = log(s) + widest;

	for (int i = 0; i < 60; i++) {
		const double left = high - golden * (high - low), right = low + golden * (high - low);

		if (loss_at(exp(left), cosines, row, count, groups) <= loss_at(exp(right), cosines, row, count, groups))
			high = right;
		else
			low = left;
	}
	return exp((low + high) / 2);
}

int ek_words_calibrate(struct ek_probe *probe, const struct ek_rows *all, const uint64_t *ids, const uint32_t *row,
                       uint64_t count)
{
	const size_t d = probe->k;
	struct ek_rows unit = *all;
	double *cosines = NULL;
	float *x = NULL;
	int rc;

	unit.unit = 1;
	EK_TRY(ek_alloc(&cosines, count * probe->groups, sizeof *cosines));
	EK_TRY(ek_alloc(&x, d, sizeof *x));
	for (uint64_t i = 0; i < count; i++) {
		ek_rows_read(x, &unit, ids[i]);
		for (uint32_t g = 0; g < probe->groups; g++)
			for (size_t j = 0; j < d; j++)
				cosines[i * probe->groups + g] += (double)x[j] * probe->w[g * (d + 1) + j];
	}
	probe->temperature = 1 / best_scale(1 / probe->temperature, cosines, row, count, probe->groups);
out:
	free(cosines);
	free(x);
	return rc;
}

int ek_words_predict(float *q, const struct ek_probe *probe, const struct ek_rows *all, uint32_t groups)
{
	enum { BLOCK = 4096 };
	struct ek_rows unit = *all;
	float *x = NULL, *all_rows = NULL;
	int rc;

	unit.unit = 1;
	EK_TRY(ek_alloc(&x, BLOCK * probe->k, sizeof *x));
	EK_TRY(ek_alloc(&all_rows, (size_t)BLOCK * probe->groups, sizeof *all_rows));
	for (uint64_t first = 0; first < all->count; first += BLOCK) {
		const uint64_t left = all->count - first, count = left < BLOCK ? left : BLOCK;

		EK_TRY(ek_check_interrupt());
		for (uint64_t i = 0; i < count; i++)
			ek_rows_read(x + i * probe->k, &unit, first + i);
		EK_TRY(ek_probe_predict_all(all_rows, probe, x, count, probe->k));
		for (uint64_t i = 0; i < count; i++)
			memcpy(q + (first + i) * groups, all_rows + i * probe->groups, groups * sizeof *q);
	}
out:
	free(x);
	free(all_rows);
	return rc;
}
