#include "analysis/embed/model.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/embed/preprocess.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nets/weights.h"
#include "train/nn/net.h"

enum { CHANNELS = 3, PERIOD = 16 * CHANNELS };

struct ek_model {
	struct ek_weights weights;
	struct ek_net *net; /* NULL: the pixels are the features */
	int image, features;
	size_t dimensions;
	int bytes; /* of pixels, else floats as the network sees them */
	float scale[PERIOD], shift[PERIOD];
};

struct ek_model_state {
	struct ek_net_state *state;
};

/* A byte x is seen as x · scale + shift, a float as it is. */
static void note_pixels(struct ek_model *m, const struct ek_preprocessing *p)
{
	m->bytes = p->interpolation == EK_INTERPOLATION_PILLOW;
	for (int i = 0; i < PERIOD; i++) {
		m->scale[i] = (float)(1 / (255 * p->deviation[i % CHANNELS]));
		m->shift[i] = (float)(-p->mean[i % CHANNELS] / p->deviation[i % CHANNELS]);
	}
}

int ek_model_new(struct ek_model **out, const struct ek_encoder *encoder, const struct ek_preprocessing *p,
                 const char *weights, enum ek_nn_precision precision, int batch)
{
	struct ek_tensor_file file = { 0 };
	struct ek_model *m;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&m, 1, sizeof *m));
	*out = m;
	m->dimensions = ek_encoder_dimensions(encoder, p);
	if (encoder->build == NULL)
		goto out;
	note_pixels(m, p);
	EK_TRY(ek_tensor_file_open(&file, weights));
	EK_TRY(ek_weights_init(&m->weights, &file));
	EK_TRY(ek_net_new(&m->net, &m->weights.params, precision, batch));
	EK_TRY(m->image = ek_net_input(m->net, (struct ek_net_shape){ p->side, p->side, CHANNELS }));
	EK_TRY(m->features = encoder->build(m->net, &m->weights, m->image, encoder));
	EK_TRY(ek_net_output(m->net, m->features));
	EK_TRY(ek_net_finish(m->net, EK_NET_FORWARD));
	EK_TRY(ek_net_load(m->net, m->weights.values));
out:
	ek_tensor_file_close(&file);
	if (rc < 0) {
		ek_model_free(*out);
		*out = NULL;
	}
	return rc < 0 ? rc : 0;
}

void ek_model_free(struct ek_model *m)
{
	if (m == NULL)
		return;
	ek_net_free(m->net);
	ek_weights_release(&m->weights);
	free(m);
}

int ek_model_state_new(struct ek_model_state **out, const struct ek_model *m)
{
	int rc;

	EK_TRY(ek_alloc(out, 1, sizeof **out));
	if (m->net != NULL)
		EK_TRY(ek_net_state_new(&(*out)->state, m->net));
out:
	if (rc < 0) {
		ek_model_state_free(*out);
		*out = NULL;
	}
	return rc;
}

void ek_model_state_free(struct ek_model_state *s)
{
	if (s != NULL)
		ek_net_state_free(s->state);
	free(s);
}

int ek_model_batch(const struct ek_preprocessing *p)
{
	/* Pixels of a batch: larger ones outgrow the cache (bench_embed: 3 to 25 % less per core). */
	enum { PIXELS = 2 * 224 * 224, MOST = 64 };
	const int count = PIXELS / (p->side * p->side);

	return count > MOST ? MOST : count < 1 ? 1 : count;
}

/* Bytes are in the net's order already; in whole periods, so that the loop is one of vectors. */
static void fill_from_bytes(float *out, const struct ek_model *m, const uint8_t *x, size_t count)
{
	const size_t whole = count - count % PERIOD;

	for (size_t i = 0; i < whole; i += PERIOD)
		for (size_t j = 0; j < PERIOD; j++)
			out[i + j] = (float)x[i + j] * m->scale[j] + m->shift[j];
	for (size_t i = whole; i < count; i++)
		out[i] = (float)x[i] * m->scale[i - whole] + m->shift[i - whole];
}

int ek_model_run(const struct ek_model *m, struct ek_model_state *s, const void *images, int count, float *features)
{
	const uint8_t *bytes = images;
	size_t image;
	int rc;

	for (size_t i = 0; i < (size_t)count * m->dimensions && m->net == NULL; i++)
		features[i] = (float)bytes[i] / 255;
	if (m->net == NULL)
		return 0;
	if (count < 1 || count > ek_net_batch(m->net))
		return ek_fail(EK_EUSAGE, "%d images for a batch of %d", count, ek_net_batch(m->net));
	image = ek_net_elements(m->net, m->image);
	if (m->bytes)
		fill_from_bytes(ek_net_stage(s->state, m->image), m, bytes, (size_t)count * image);
	else
		memcpy(ek_net_stage(s->state, m->image), images, (size_t)count * image * sizeof(float));
	ek_net_clear_inputs(s->state, count);
	EK_TRY(ek_net_forward(s->state));
	memcpy(features, ek_net_view(s->state, m->features), (size_t)count * m->dimensions * sizeof *features);
out:
	return rc;
}
