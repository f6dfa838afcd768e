/* The net of a training step: autoencoder and losses, with the discriminator or without. */
#include "rebalance/base/error.h"
#include "train/vae/vae_task_internal.h"

/* The latent between encoder and decoder, and the part of the loss that comes with it. */
static int add_latent(struct ek_task_net *n, const struct ek_vae *v, int encoded, int *extra)
{
	const struct ek_vae_options *o = &v->options;
	const struct ek_net_shape shape = ek_autoencoder_latent_shape(&o->model);
	const struct ek_net_quantise q = { .codebook = v->codebook_parameter,
		                           .commitment = (float)o->commitment,
		                           .codebook_weight = o->codebook_averages ? 0 : (float)o->codebook_weight,
		                           .follows = v->codebook };
	int latent, codes, rc;

	if (o->model.kind == EK_AUTOENCODER_VQ) {
		EK_TRY(latent = ek_net_quantise(n->net, encoded, &q, extra, &codes));
		n->parts[v->parts.quantisation] = *extra;
	} else {
		EK_TRY(latent = ek_net_sample(n->net, encoded, ek_net_noise(n->net, v->keys, shape)));
		EK_TRY(*extra = ek_net_kl(n->net, encoded));
		n->parts[v->parts.kl] = *extra;
		*extra = ek_net_affine(n->net, *extra, (float)o->kl_weight, 0);
	}
	rc = latent;
out:
	return rc;
}

static int criticise(struct ek_task_net *n, const struct ek_vae *v, int image)
{
	return ek_discriminator_layers(n->net, &v->params, &v->critic, image);
}

/* Hinge losses (Lim and Ye 2017), as VQGAN: the decoder learns by a discriminator that does not, the discriminator from
 * images and from decoded ones through which nothing comes back. */
static int add_critic(struct ek_task_net *n, const struct ek_vae *v, int decoded)
{
	struct ek_net *net = n->net;
	int rc, generator, made, real;

	EK_TRY(ek_net_constants(net, &v->params, NULL));
	EK_TRY(generator = ek_net_affine(net, ek_net_mean(net, criticise(n, v, decoded)), -1, 0));
	EK_TRY(ek_net_constants(net, NULL, NULL));
	n->parts[v->parts.generator] = generator;
	EK_TRY(n->loss = ek_net_add(net, n->loss,
	                            ek_net_affine(net, generator, (float)v->options.discriminator_weight, 0)));
	EK_TRY(made = ek_net_hinge(net, criticise(n, v, ek_net_detach(net, decoded)), -1));
	EK_TRY(real = ek_net_hinge(net, criticise(n, v, v->image), 1));
	EK_TRY(made = ek_net_affine(net, ek_net_add(net, made, real), 0.5F, 0));
	n->parts[v->parts.discriminator] = made;
	EK_TRY(n->learned = ek_net_add(net, n->loss, made));
out:
	return rc;
}

static int add_losses(struct ek_task_net *n, const struct ek_vae *v, int decoded, int extra, int critic)
{
	const struct ek_vae_options *o = &v->options;
	const int error = o->absolute ? ek_net_absolute_error(n->net, decoded, v->image)
	                              : ek_net_squared_error(n->net, decoded, v->image);
	int rc;

	n->parts[0] = error;
	EK_TRY(n->loss = ek_net_add(n->net, error, extra));
	if (v->perceptual != NULL) {
		const int loss = ek_perceptual_loss(v->perceptual, n->net, decoded, v->image);

		n->parts[v->parts.perceptual] = loss;
		EK_TRY(n->loss = ek_net_add(n->net, n->loss,
		                            ek_net_affine(n->net, loss, (float)o->perceptual_weight, 0)));
	}
	n->learned = n->loss;
	if (critic)
		EK_TRY(add_critic(n, v, decoded));
out:
	return rc;
}

int ek_vae_net_init(struct ek_task_net *n, struct ek_vae *v, int critic, enum ek_net_mode mode)
{
	const struct ek_autoencoder_config *c = &v->options.model;
	int encoded, latent, decoded, extra, rc;

	EK_TRY(ek_net_new(&n->net, &v->params, v->options.precision, v->options.slice));
	EK_TRY(v->image = ek_net_input(n->net, (struct ek_net_shape){ c->side, c->side, c->channels }));
	if (c->kind == EK_AUTOENCODER_KL)
		EK_TRY(v->keys = ek_net_input_keys(n->net));
	EK_TRY(encoded = ek_autoencoder_encode(n->net, &v->params, c, v->image));
	EK_TRY(latent = add_latent(n, v, encoded, &extra));
	EK_TRY(decoded = ek_autoencoder_decode(n->net, &v->params, c, latent));
	EK_TRY(add_losses(n, v, decoded, extra, critic));
	EK_TRY(ek_net_keep(n->net, n->loss));
	EK_TRY(ek_net_output(n->net, n->learned));
	for (int i = 0; i < v->parts.count; i++)
		if (n->parts[i] > 0)
			EK_TRY(ek_net_keep(n->net, n->parts[i]));
	EK_TRY(ek_net_finish(n->net, mode));
	n->from = critic ? v->options.discriminator_start : 0;
out:
	return rc;
}

int ek_vae_net_share(struct ek_task_net *nets)
{
	const int larger = nets[1].net != NULL && ek_net_state_bytes(nets[1].net) > ek_net_state_bytes(nets[0].net);
	int rc;

	EK_TRY(ek_runner_init(&nets[larger].runner, nets[larger].net));
	if (nets[1].net != NULL)
		EK_TRY(ek_runner_share(&nets[!larger].runner, nets[!larger].net, &nets[larger].runner));
out:
	return rc;
}
