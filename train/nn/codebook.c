#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/codebook_internal.h"
#include "train/nn/store_internal.h"

static int place(struct ek_codebook *c)
{
	const size_t codes = (size_t)c->options.codes, width = (size_t)c->options.width,
		     vectors = ek_codebook_vectors(c);
	void *memory;
	int rc;

	c->state_count = EK_CODEBOOK_HEAD + codes + (c->options.averages ? codes * width : 0);
	EK_TRY(c->device->alloc(&memory, c->state_count * sizeof *c->state));
	c->state = memory;
	EK_TRY(c->device->alloc(&memory, vectors * width * sizeof *c->latents));
	c->latents = memory;
	EK_TRY(c->device->alloc(&memory, vectors * sizeof *c->nearest));
	c->nearest = memory;
	EK_TRY(c->device->alloc(&memory, codes * sizeof *c->use));
	c->use = memory;
	EK_TRY(c->device->alloc(&memory, codes * width * sizeof *c->sum));
	c->sum = memory;
out:
	return rc;
}

int ek_codebook_new(struct ek_codebook **out, const struct ek_codebook_options *options)
{
	struct ek_codebook *c = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&c, 1, sizeof *c));
	c->options = *options;
	c->device = ek_device();
	if (c->device->move_codes == NULL)
		EK_TRY(ek_fail(EK_ENOTSUP, "%s: codebooks are not available on it", c->device->name));
	EK_TRY(place(c));
	*out = c;
	c = NULL;
out:
	ek_codebook_free(c);
	return rc;
}

void ek_codebook_free(struct ek_codebook *c)
{
	if (c == NULL)
		return;
	c->device->release(c->state);
	c->device->release(c->latents);
	c->device->release(c->nearest);
	c->device->release(c->use);
	c->device->release(c->sum);
	free(c);
}

static void read_head(struct ek_codebook *c)
{
	c->device->download(c->head, c->state, sizeof c->head);
}

int ek_codebook_step(struct ek_codebook *c, struct ek_store *store, uint64_t step)
{
	const size_t offset = store->params->items[c->options.parameter].offset;
	int rc;

	EK_TRY(c->device->move_codes(c, step, ek_store_data(store, EK_VALUES) + offset,
	                             ek_store_data(store, EK_AVERAGE) + offset));
	read_head(c);
out:
	return rc;
}

size_t ek_codebook_state_count(const struct ek_codebook *c)
{
	return c->state_count;
}

void ek_codebook_read(const struct ek_codebook *c, float *state)
{
	c->device->download(state, c->state, c->state_count * sizeof *state);
}

void ek_codebook_write(struct ek_codebook *c, const float *state)
{
	c->device->upload(c->state, state, c->state_count * sizeof *state);
	read_head(c);
}

double ek_codebook_perplexity(const struct ek_codebook *c)
{
	return (double)c->head[EK_CODEBOOK_PERPLEXITY];
}

double ek_codebook_used(const struct ek_codebook *c)
{
	return (double)c->head[EK_CODEBOOK_USED];
}
