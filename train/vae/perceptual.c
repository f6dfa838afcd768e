#include "train/vae/perceptual.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nets/efficientnet.h"

enum { STAGES = 3 };

struct ek_perceptual {
	struct ek_weights weights;
	struct ek_efficientnet network;
};

/* The network takes (pixel - 127) / 128; we have x = pixel / 127.5 - 1. Padded with 0 before, not after, that: a
 * difference of half a level of grey outside the image. */
static void see_images(struct ek_perceptual *p)
{
	const int stem = p->network.weights[0];
	const size_t outputs = (size_t)p->weights.params.items[stem].dims[0];
	const size_t window = p->weights.params.items[stem].count / outputs;
	float *weights = ek_weights_values(&p->weights, stem), *biases = ek_weights_values(&p->weights, stem + 1);

	for (size_t i = 0; i < outputs; i++) {
		double sum = 0;

		for (size_t j = 0; j < window; j++) {
			sum += (double)weights[i * window + j];
			weights[i * window + j] *= 127.5F / 128;
		}
		biases[i] += (float)(sum * 0.5 / 128);
	}
}

int ek_perceptual_new(struct ek_perceptual **out, const char *weights)
{
	struct ek_tensor_file file = { 0 };
	struct ek_perceptual *p = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&p, 1, sizeof *p));
	p->network.stages = STAGES;
	EK_TRY(ek_tensor_file_open(&file, weights));
	EK_TRY(ek_weights_init(&p->weights, &file));
	EK_TRY(ek_efficientnet_take(&p->network, &p->weights, 0));
	see_images(p);
	*out = p;
	p = NULL;
out:
	ek_tensor_file_close(&file);
	ek_perceptual_free(p);
	return rc;
}

void ek_perceptual_free(struct ek_perceptual *p)
{
	if (p != NULL)
		ek_weights_release(&p->weights);
	free(p);
}

int ek_perceptual_loss(const struct ek_perceptual *p, struct ek_net *net, int made, int wanted)
{
	int a[STAGES], b[STAGES], rc, loss = 0;

	EK_TRY(made);
	if (ek_net_shape(net, made).height < 8)
		return ek_fail(EK_EUSAGE, "perceptual loss: images of side %d, must be at least 8",
		               ek_net_shape(net, made).height);
	EK_TRY(ek_net_constants(net, &p->weights.params, p->weights.values));
	EK_TRY(ek_efficientnet_layers(&p->network, net, made, a));
	EK_TRY(ek_efficientnet_layers(&p->network, net, wanted, b));
	for (int s = 0; s < STAGES; s++) {
		const float factor = (float)(1 / (STAGES * p->network.variances[s]));
		const int part = ek_net_affine(net, ek_net_squared_error(net, a[s], b[s]), factor, 0);

		loss = s == 0 ? part : ek_net_add(net, loss, part);
	}
	EK_TRY(ek_net_constants(net, NULL, NULL));
	rc = loss;
out:
	return rc;
}
