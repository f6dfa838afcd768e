#include "train/vae/codebook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

enum { BEGUN, PERPLEXITY, USED, HEAD };

static size_t vectors(const struct ek_codebook *c)
{
	return (size_t)c->options.slices * (size_t)c->options.rows;
}

static float *uses(const struct ek_codebook *c)
{
	return c->state + HEAD;
}

/* Latents times use. */
static float *totals(const struct ek_codebook *c)
{
	return c->state + HEAD + c->options.codes;
}

int ek_codebook_init(struct ek_codebook *c, const struct ek_codebook_options *options)
{
	const size_t codes = (size_t)options->codes, width = (size_t)options->width;
	int rc;

	*c = (struct ek_codebook){ .options = *options };
	c->state_count = HEAD + codes + (options->averages ? codes * width : 0);
	EK_TRY(ek_alloc(&c->state, c->state_count, sizeof *c->state));
	EK_TRY(ek_alloc(&c->latents, vectors(c) * width, sizeof *c->latents));
	EK_TRY(ek_alloc(&c->nearest, vectors(c), sizeof *c->nearest));
	EK_TRY(ek_alloc(&c->use, codes, sizeof *c->use));
	EK_TRY(ek_alloc(&c->sum, codes * width, sizeof *c->sum));
out:
	if (rc < 0)
		ek_codebook_release(c);
	return rc;
}

void ek_codebook_release(struct ek_codebook *c)
{
	free(c->state);
	free(c->latents);
	free(c->nearest);
	free(c->use);
	free(c->sum);
	*c = (struct ek_codebook){ 0 };
}

void ek_codebook_note(struct ek_codebook *c, int slice, const float *latents, const int32_t *nearest)
{
	const size_t rows = (size_t)c->options.rows, width = (size_t)c->options.width, first = (size_t)slice * rows;

	memcpy(c->latents + first * width, latents, rows * width * sizeof *latents);
	memcpy(c->nearest + first, nearest, rows * sizeof *nearest);
}

static void count(struct ek_codebook *c)
{
	const size_t codes = (size_t)c->options.codes, width = (size_t)c->options.width;
	double entropy = 0, used = 0;

	memset(c->use, 0, codes * sizeof *c->use);
	memset(c->sum, 0, codes * width * sizeof *c->sum);
	for (size_t i = 0; i < vectors(c); i++) {
		const size_t code = (size_t)c->nearest[i];

		c->use[code]++;
		for (size_t j = 0; j < width; j++)
			c->sum[code * width + j] += (double)c->latents[i * width + j];
	}
	for (size_t k = 0; k < codes; k++) {
		const double share = c->use[k] / (double)vectors(c);

		used += c->use[k] > 0;
		entropy -= share > 0 ? share * log(share) : 0;
	}
	c->state[PERPLEXITY] = (float)exp(entropy);
	c->state[USED] = (float)(used / (double)codes);
}

/* Code k becomes a latent of this batch, as if it had been used evenly. */
static void restart(struct ek_codebook *c, uint64_t step, size_t k, float *codes, float *average)
{
	const size_t width = (size_t)c->options.width;
	const float even = (float)((double)vectors(c) / c->options.codes);
	const uint64_t at = ek_random_below(c->options.seed, ek_random_stream("codebook"),
	                                    step * (uint64_t)c->options.codes + k, vectors(c));
	const float *latent = c->latents + at * width;

	memcpy(codes + k * width, latent, width * sizeof *codes);
	if (average != NULL)
		memcpy(average + k * width, latent, width * sizeof *average);
	uses(c)[k] = even;
	for (size_t j = 0; c->options.averages && j < width; j++)
		totals(c)[k * width + j] = even * latent[j];
}

/* Averages start as if every code, where it is, had been used evenly. */
static void begin(struct ek_codebook *c, const float *codes)
{
	const size_t width = (size_t)c->options.width;
	const float even = (float)((double)vectors(c) / c->options.codes);

	for (size_t k = 0; k < (size_t)c->options.codes; k++) {
		uses(c)[k] = even;
		for (size_t j = 0; c->options.averages && j < width; j++)
			totals(c)[k * width + j] = even * codes[k * width + j];
	}
	c->state[BEGUN] = 1;
}

/* A code that was not used keeps its place: use and total shrink alike. */
static void follow(struct ek_codebook *c, size_t k, float *codes, float *average)
{
	const size_t width = (size_t)c->options.width;
	const double old = c->options.decay, fresh = 1 - c->options.decay;
	float *use = &uses(c)[k];

	*use = (float)(old * (double)*use + fresh * c->use[k]);
	for (size_t j = k * width; c->options.averages && j < (k + 1) * width; j++) {
		totals(c)[j] = (float)(old * (double)totals(c)[j] + fresh * c->sum[j]);
		if (c->use[k] > 0)
			codes[j] = totals(c)[j] / *use;
		if (average != NULL)
			average[j] = codes[j];
	}
}

void ek_codebook_step(struct ek_codebook *c, uint64_t step, float *codes, float *average)
{
	const double least = c->options.revive * (double)vectors(c) / c->options.codes;
	const int first = c->state[BEGUN] == 0;

	count(c);
	if (first)
		begin(c, codes);
	for (size_t k = 0; k < (size_t)c->options.codes; k++) {
		follow(c, k, codes, average);
		if ((first && c->options.from_data) || (double)uses(c)[k] < least)
			restart(c, step, k, codes, average);
	}
}

double ek_codebook_perplexity(const struct ek_codebook *c)
{
	return (double)c->state[PERPLEXITY];
}

double ek_codebook_used(const struct ek_codebook *c)
{
	return (double)c->state[USED];
}
