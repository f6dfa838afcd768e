/* The discriminator in a training step: hinge losses (Lim and Ye 2017), as VQGAN. */
#include <string.h>

#include "rebalance/base/error.h"
#include "train/vae/vae_internal.h"

static int forward(struct ek_vae *v, struct ek_vae_worker *w, int from)
{
	const size_t count = (size_t)v->options.slice * ek_net_elements(v->coder, v->image);

	memcpy(ek_net_data(w->critic, v->critic_image), ek_net_data(w->coder, from), count * sizeof(float));
	return ek_net_forward(w->critic);
}

int ek_vae_please_critic(struct ek_vae *v, struct ek_vae_worker *w, const struct ek_slice *slice)
{
	const size_t patches = ek_net_elements(v->critic, v->logits), elements = ek_net_elements(v->coder, v->image);
	const float *logits = ek_net_data(w->critic, v->logits), *d;
	float *seeds = ek_net_gradient(w->critic, v->logits), *gradient = ek_net_gradient(w->coder, v->decoded);
	int rc;

	EK_TRY(forward(v, w, v->decoded));
	for (int j = 0; j < slice->count; j++) {
		const float seed = -(float)v->options.discriminator_weight * slice->weights[j] / (float)patches;
		double sum = 0;

		for (size_t i = (size_t)j * patches; i < (size_t)(j + 1) * patches; i++) {
			sum += (double)logits[i];
			seeds[i] = seed;
		}
		*ek_vae_part(v, slice, j, v->parts.generator) = -sum / (double)patches;
		slice->losses[j] -= v->options.discriminator_weight * sum / (double)patches;
	}
	EK_TRY(ek_net_backward(w->critic, NULL, 0));
	d = ek_net_gradient(w->critic, v->critic_image);
	for (size_t i = 0; i < (size_t)slice->count * elements; i++)
		gradient[i] += d[i];
out:
	return rc;
}

/* sign 1: real images, whose logits should be above 1; -1: made ones, below -1. */
static int learn_from(struct ek_vae *v, struct ek_vae_worker *w, const struct ek_slice *slice, int from, float sign,
                      struct ek_store *store)
{
	const size_t patches = ek_net_elements(v->critic, v->logits);
	const float *logits = ek_net_data(w->critic, v->logits);
	float *seeds = ek_net_gradient(w->critic, v->logits);
	int rc;

	EK_TRY(forward(v, w, from));
	for (int j = 0; j < slice->count; j++) {
		const float seed = -0.5F * sign * slice->weights[j] / (float)patches;
		double sum = 0;

		for (size_t i = (size_t)j * patches; i < (size_t)(j + 1) * patches; i++) {
			const float short_of = 1 - sign * logits[i];

			sum += short_of > 0 ? (double)short_of : 0;
			seeds[i] = short_of > 0 ? seed : 0;
		}
		*ek_vae_part(v, slice, j, v->parts.discriminator) += 0.5 * sum / (double)patches;
	}
	EK_TRY(ek_net_backward(w->critic, store, 2 * slice->turn + (sign < 0)));
out:
	return rc;
}

int ek_vae_teach_critic(struct ek_vae *v, struct ek_vae_worker *w, const struct ek_slice *slice, struct ek_store *store)
{
	int rc;

	EK_TRY(learn_from(v, w, slice, v->image, 1, store));
	EK_TRY(learn_from(v, w, slice, v->decoded, -1, store));
out:
	return rc;
}
