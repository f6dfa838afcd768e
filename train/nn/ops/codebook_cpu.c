/* Codebooks on the CPU: sums in double, in the order of the batch. */
#include <math.h>
#include <string.h>

#include "rebalance/base/random.h"
#include "train/nn/ops/codebook_cpu.h"

static float *uses(const struct ek_codebook *c)
{
	return c->state + EK_CODEBOOK_HEAD;
}

/* Latents times use. */
static float *totals(const struct ek_codebook *c)
{
	return c->state + EK_CODEBOOK_HEAD + c->options.codes;
}

void ek_cpu_note_latents(struct ek_codebook *c, uint64_t slice, const float *latents, const int32_t *nearest)
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
	for (size_t i = 0; i < ek_codebook_vectors(c); i++) {
		const size_t code = (size_t)c->nearest[i];

		c->use[code]++;
		for (size_t j = 0; j < width; j++)
			c->sum[code * width + j] += (double)c->latents[i * width + j];
	}
	for (size_t k = 0; k < codes; k++) {
		const double share = c->use[k] / (double)ek_codebook_vectors(c);

		used += c->use[k] > 0;
		entropy -= share > 0 ? share * log(share) : 0;
	}
	c->state[EK_CODEBOOK_PERPLEXITY] = (float)exp(entropy);
	c->state[EK_CODEBOOK_USED] = (float)(used / (double)codes);
}

/* Code k becomes a latent of this batch, as if it had been used evenly. */
static void restart(struct ek_codebook *c, uint64_t step, size_t k, float *codes, float *average)
{
	const size_t width = (size_t)c->options.width;
	const float even = (float)((double)ek_codebook_vectors(c) / c->options.codes);
	const uint64_t at = ek_random_below(c->options.seed, ek_random_stream("codebook"),
	                                    step * (uint64_t)c->options.codes + k, ek_codebook_vectors(c));
	const float *latent = c->latents + at * width;

	memcpy(codes + k * width, latent, width * sizeof *codes);
	memcpy(average + k * width, latent, width * sizeof *average);
	uses(c)[k] = even;
	for (size_t j = 0; c->options.averages && j < width; j++)
		totals(c)[k * width + j] = even * latent[j];
}

/* Averages start as if every code, where it is, had been used evenly. */
static void begin(struct ek_codebook *c, const float *codes)
{
	const size_t width = (size_t)c->options.width;
	const float even = (float)((double)ek_codebook_vectors(c) / c->options.codes);

	for (size_t k = 0; k < (size_t)c->options.codes; k++) {
		uses(c)[k] = even;
		for (size_t j = 0; c->options.averages && j < width; j++)
			totals(c)[k * width + j] = even * codes[k * width + j];
	}
	c->state[EK_CODEBOOK_BEGUN] = 1;
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
		average[j] = codes[j];
	}
}

int ek_cpu_move_codes(struct ek_codebook *c, uint64_t step, float *codes, float *average)
{
	const double least = c->options.revive * (double)ek_codebook_vectors(c) / c->options.codes;
	const int first = c->state[EK_CODEBOOK_BEGUN] == 0;

	count(c);
	if (first)
		begin(c, codes);
	for (size_t k = 0; k < (size_t)c->options.codes; k++) {
		follow(c, k, codes, average);
		if ((first && c->options.from_data) || (double)uses(c)[k] < least)
			restart(c, step, k, codes, average);
	}
	return 0;
}
