#include "analysis/embed/model.h"

#include <stdlib.h>

#include "analysis/embed/efficientnet.h"
#include "analysis/embed/inception.h"
#include "analysis/embed/preprocess.h"
#include "analysis/embed/vit.h"
#include "rebalance/base/error.h"

struct ek_model {
	struct ek_nn_graph *graph; /* NULL: the pixels are the features */
	size_t dimensions;
	float scale[3], shift[3];
};

struct ek_model_state {
	struct ek_nn_state *state;
};

static int add_image(struct ek_model *m, const struct ek_preprocessing *p)
{
	const int bytes = p->interpolation == EK_INTERPOLATION_PILLOW;

	for (int c = 0; c < 3; c++) {
		m->scale[c] = (float)(1 / (255 * p->deviation[c]));
		m->shift[c] = (float)(-p->mean[c] / p->deviation[c]);
	}
	return ek_nn_image(m->graph,
	                   &(struct ek_nn_image){ .channels = 3,
	                                          .height = p->side,
	                                          .width = p->side,
	                                          .pixels = bytes ? EK_NN_PIXELS_U8_NHWC : EK_NN_PIXELS_F32_NCHW,
	                                          .scale = bytes ? m->scale : NULL,
	                                          .shift = bytes ? m->shift : NULL });
}

static int build(struct ek_network *n, const struct ek_encoder *encoder, int image)
{
	switch (encoder->family) {
	case EK_FAMILY_EFFICIENTNET:
		return ek_efficientnet_build(n, image);
	case EK_FAMILY_INCEPTION:
		return ek_inception_build(n, image);
	case EK_FAMILY_VIT:
		return ek_vit_build(n, image, encoder);
	case EK_FAMILY_PIXELS:
		break;
	}
	return ek_fail(EK_ENOTSUP, "%s is no network", encoder->name);
}

int ek_model_new(struct ek_model **out, const struct ek_encoder *encoder, const struct ek_preprocessing *p,
                 const char *weights, enum ek_nn_precision precision, int batch)
{
	struct ek_tensor_file file = { 0 };
	struct ek_network network = { 0 };
	struct ek_model *m;
	int x, rc;

	*out = NULL;
	EK_TRY(ek_alloc(&m, 1, sizeof *m));
	*out = m;
	m->dimensions = ek_encoder_dimensions(encoder, p);
	if (encoder->family == EK_FAMILY_PIXELS)
		goto out;
	EK_TRY(ek_tensor_file_open(&file, weights));
	EK_TRY(ek_nn_graph_new(&m->graph, precision, batch));
	EK_TRY(ek_network_init(&network, m->graph, &file));
	EK_TRY(x = add_image(m, p));
	EK_TRY(x = build(&network, encoder, x));
	EK_TRY(ek_nn_graph_finish(m->graph, x));
out:
	ek_network_release(&network);
	ek_tensor_file_close(&file);
	if (rc < 0) {
		ek_model_free(*out);
		*out = NULL;
	}
	return rc < 0 ? rc : 0;
}

void ek_model_free(struct ek_model *m)
{
	if (m != NULL)
		ek_nn_graph_free(m->graph);
	free(m);
}

int ek_model_state_new(struct ek_model_state **out, const struct ek_model *m)
{
	int rc;

	EK_TRY(ek_alloc(out, 1, sizeof **out));
	if (m->graph != NULL)
		EK_TRY(ek_nn_state_new(&(*out)->state, m->graph));
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
		ek_nn_state_free(s->state);
	free(s);
}

int ek_model_batch(const struct ek_preprocessing *p)
{
	/* Pixels of a batch: larger ones outgrow the cache (bench_embed: 3 to 25 % less per core). */
	enum { PIXELS = 2 * 224 * 224, MOST = 64 };
	const int count = PIXELS / (p->side * p->side);

	return count > MOST ? MOST : count < 1 ? 1 : count;
}

int ek_model_run(const struct ek_model *m, struct ek_model_state *s, const void *images, int count, float *features)
{
	const uint8_t *bytes = images;

	if (m->graph != NULL)
		return ek_nn_run(m->graph, s->state, images, count, features);
	for (size_t i = 0; i < (size_t)count * m->dimensions; i++)
		features[i] = (float)bytes[i] / 255;
	return 0;
}
