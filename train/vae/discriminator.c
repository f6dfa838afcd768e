#include "train/vae/discriminator.h"

#include <assert.h>
#include <stdio.h>

#include "rebalance/base/error.h"

enum { LAYERS_MAX = 6, WIDTH_MAX = 1024, NAME_SIZE = 64, KERNEL = 4, GROUP = 4 };
/* Two layers without a stride follow, each of which takes a row away. */
enum { LEAST_AFTER_STRIDES = 3 };

/* Layer i of layers + 2: its channels, stride, and whether a norm follows. */
struct layer {
	int in, out, stride, norm;
};

static int width_after(const struct ek_discriminator_options *o, int i)
{
	return o->width << (i < 3 ? i : 3);
}

static struct layer layer_of(const struct ek_discriminator_options *o, int i)
{
	return (struct layer){ .in = i == 0 ? o->channels : width_after(o, i - 1),
		               .out = i == o->layers + 1 ? 1 : width_after(o, i),
		               .stride = i < o->layers ? 2 : 1,
		               .norm = i > 0 && i <= o->layers };
}

static int add_layer(struct ek_params *params, int i, struct layer l)
{
	const int64_t dims[4] = { l.out, l.in, KERNEL, KERNEL };
	const struct {
		const char *part;
		int rank, wanted;
		struct ek_init init;
	} parts[] = {
		{ "weight", 4, 1, { EK_INIT_NORMAL, 0.02F } },
		{ "bias", 1, 1, { EK_INIT_CONSTANT, 0 } },
		{ "norm.weight", 1, l.norm, { EK_INIT_CONSTANT, 1 } },
		{ "norm.bias", 1, l.norm, { EK_INIT_CONSTANT, 0 } },
	};
	char name[NAME_SIZE];
	int rc = 0;

	for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
		if (!parts[p].wanted)
			continue;
		(void)snprintf(name, sizeof name, "discriminator.%d.%s", i, parts[p].part);
		EK_TRY(ek_params_add(params, name, parts[p].rank, dims, parts[p].init));
	}
out:
	return rc < 0 ? rc : 0;
}

int ek_discriminator_params(struct ek_params *params, const struct ek_discriminator_options *o)
{
	int rc = 0;

	if (o->layers < 1 || o->layers > LAYERS_MAX || o->width < GROUP || o->width > WIDTH_MAX ||
	    o->width % GROUP != 0)
		return ek_fail(EK_EUSAGE,
		               "discriminator: %d layers of width %d; must be 1 to %d, and a multiple of %d up to %d",
		               o->layers, o->width, LAYERS_MAX, GROUP, WIDTH_MAX);
	for (int i = 0; i < o->layers + 2; i++)
		EK_TRY(add_layer(params, i, layer_of(o, i)));
out:
	return rc;
}

static int number_of(const struct ek_params *params, int i, const char *part)
{
	char name[NAME_SIZE];
	int number;

	(void)snprintf(name, sizeof name, "discriminator.%d.%s", i, part);
	number = ek_params_find(params, name);
	assert(number >= 0);
	return number;
}

int ek_discriminator_layers(struct ek_net *net, const struct ek_params *params,
                            const struct ek_discriminator_options *o, int image)
{
	const int least = LEAST_AFTER_STRIDES << o->layers;
	int x = image;

	if (image > 0 && (ek_net_shape(net, image).height < least || ek_net_shape(net, image).width < least))
		return ek_fail(EK_EUSAGE, "a discriminator of %d layers needs images of side %d or more, not %d",
		               o->layers, least, ek_net_shape(net, image).height);
	for (int i = 0; i < o->layers + 2; i++) {
		const struct layer l = layer_of(o, i);
		const struct ek_net_conv conv = { .weight = number_of(params, i, "weight"),
			                          .bias = number_of(params, i, "bias"),
			                          .outputs = l.out,
			                          .kernel = { KERNEL, KERNEL },
			                          .stride = { l.stride, l.stride },
			                          .pad = { 1, 1, 1, 1 },
			                          .float32 = i == o->layers + 1 };

		x = ek_net_conv(net, x, &conv);
		if (l.norm)
			x = ek_net_group_norm(
				net, x,
				&(struct ek_net_group_norm){ .weight = number_of(params, i, "norm.weight"),
			                                     .bias = number_of(params, i, "norm.bias"),
			                                     .groups = l.out / GROUP,
			                                     .epsilon = 1e-5F });
		if (i <= o->layers)
			x = ek_net_leaky_relu(net, x, 0.2F);
	}
	return x;
}
