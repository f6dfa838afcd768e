#include "train/vae/autoencoder.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "rebalance/base/error.h"

enum { NAME_SIZE = 128 };

static const float epsilon = 1e-6F;

/* A name of a part of the network; longer than NAME_SIZE is a programming error. */
static const char *named(char out[NAME_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *named(char out[NAME_SIZE], const char *format, ...)
{
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(out, NAME_SIZE, format, args);
	va_end(args);
	assert(size >= 0 && size < NAME_SIZE);
	return out;
}

/*
 * One walk through the architecture, done twice: without a net it adds the parameters to the table, with one it finds
 * them and adds the layers. Values are then dummies (1).
 */
struct walk {
	struct ek_params *add;
	const struct ek_params *params;
	struct ek_net *net;
	const struct ek_autoencoder_config *config;
};

static int parameter(const struct walk *w, const char *prefix, const char *part, int rank, const int64_t *dims,
                     struct ek_init init)
{
	char name[NAME_SIZE];
	int number;

	(void)named(name, "%s%s", prefix, part);
	if (w->net == NULL)
		return ek_params_add(w->add, name, rank, dims, init);
	number = ek_params_find(w->params, name);
	assert(number >= 0);
	return number;
}

/* PyTorch starts weights and biases of linear layers and convolutions within ±1 / sqrt(inputs). */
static int weight_and_bias(const struct walk *w, const char *prefix, int rank, const int64_t *dims, int numbers[2])
{
	const int64_t inputs = dims[1] * (rank == 4 ? dims[2] * dims[3] : 1);
	const struct ek_init init = { EK_INIT_UNIFORM, (float)(1 / sqrt((double)inputs)) };
	int rc;

	EK_TRY(numbers[0] = parameter(w, prefix, ".weight", rank, dims, init));
	EK_TRY(numbers[1] = parameter(w, prefix, ".bias", 1, dims, init));
out:
	return rc;
}

struct size {
	int in, out, kernel, stride;
};

/* Padded to keep the sides; with stride 2 after the end alone, as diffusers pads. */
static int conv(const struct walk *w, int x, const char *prefix, struct size s, int float32)
{
	const int64_t dims[4] = { s.out, s.in, s.kernel, s.kernel };
	const int low = s.stride == 1 ? s.kernel / 2 : 0, high = s.kernel / 2;
	int numbers[2], rc;

	EK_TRY(x);
	EK_TRY(weight_and_bias(w, prefix, 4, dims, numbers));
	if (w->net == NULL)
		return 1;
	rc = ek_net_conv(w->net, x,
	                 &(struct ek_net_conv){ .weight = numbers[0],
	                                        .bias = numbers[1],
	                                        .outputs = s.out,
	                                        .kernel = { s.kernel, s.kernel },
	                                        .stride = { s.stride, s.stride },
	                                        .pad = { low, high, low, high },
	                                        .float32 = float32 });
out:
	return rc;
}

static int norm(const struct walk *w, int x, const char *prefix, int channels, enum ek_nn_activation activation)
{
	const int64_t dims[1] = { channels };
	int weight, bias, rc;

	EK_TRY(x);
	EK_TRY(weight = parameter(w, prefix, ".weight", 1, dims, (struct ek_init){ EK_INIT_CONSTANT, 1 }));
	EK_TRY(bias = parameter(w, prefix, ".bias", 1, dims, (struct ek_init){ EK_INIT_CONSTANT, 0 }));
	if (w->net == NULL)
		return 1;
	rc = ek_net_group_norm(w->net, x,
	                       &(struct ek_net_group_norm){ .weight = weight,
	                                                    .bias = bias,
	                                                    .groups = w->config->groups,
	                                                    .epsilon = epsilon,
	                                                    .activation = activation });
out:
	return rc;
}

static int add(const struct walk *w, int a, int b)
{
	return a < 0 || w->net == NULL ? a : ek_net_add(w->net, a, b);
}

static int resnet(const struct walk *w, int x, const char *prefix, int number, int in, int out)
{
	static const char *const parts[] = { "norm1", "conv1", "norm2", "conv2", "conv_shortcut" };
	char names[5][NAME_SIZE];
	int y;

	if (w->net != NULL)
		(void)ek_net_segment(w->net);
	for (int i = 0; i < 5; i++)
		(void)named(names[i], "%s.resnets.%d.%s", prefix, number, parts[i]);
	y = norm(w, x, names[0], in, EK_NN_SILU);
	y = conv(w, y, names[1], (struct size){ in, out, 3, 1 }, 0);
	y = norm(w, y, names[2], out, EK_NN_SILU);
	y = conv(w, y, names[3], (struct size){ out, out, 3, 1 }, 0);
	if (y > 0 && in != out)
		x = conv(w, x, names[4], (struct size){ in, out, 1, 1 }, 0);
	return y < 0 ? y : add(w, x, y);
}

/* One head. The three projections are neighbours in the table, first the weights, then the biases: one product. */
static int attention_projections(const struct walk *w, int x, const char *prefix, int channels)
{
	static const char *const parts[] = { "to_q", "to_k", "to_v" };
	const int64_t dims[2] = { channels, channels };
	const struct ek_init init = { EK_INIT_UNIFORM, (float)(1 / sqrt(channels)) };
	int numbers[2][3], rc;

	for (int kind = 0; kind < 2; kind++)
		for (int i = 0; i < 3; i++) {
			char part[NAME_SIZE];

			(void)named(part, ".%s.%s", parts[i], kind == 0 ? "weight" : "bias");
			EK_TRY(numbers[kind][i] = parameter(w, prefix, part, 2 - kind, dims, init));
		}
	if (w->net == NULL)
		return 1;
	rc = ek_net_linear(
		w->net, x,
		&(struct ek_net_linear){ .weight = numbers[0][0], .bias = numbers[1][0], .outputs = 3 * channels });
out:
	return rc;
}

static int attention(const struct walk *w, int x, const char *prefix, int number, int channels)
{
	const int64_t dims[2] = { channels, channels };
	char names[3][NAME_SIZE];
	int y, numbers[2], rc;

	(void)named(names[0], "%s.attentions.%d", prefix, number);
	(void)named(names[1], "%s.attentions.%d.group_norm", prefix, number);
	(void)named(names[2], "%s.attentions.%d.to_out.0", prefix, number);
	EK_TRY(y = norm(w, x, names[1], channels, EK_NN_LINEAR));
	EK_TRY(y = attention_projections(w, y, names[0], channels));
	EK_TRY(weight_and_bias(w, names[2], 2, dims, numbers));
	if (w->net == NULL)
		return 1;
	EK_TRY(y = ek_net_attention(w->net, y, 1));
	EK_TRY(y = ek_net_linear(
		       w->net, y,
		       &(struct ek_net_linear){ .weight = numbers[0], .bias = numbers[1], .outputs = channels }));
	rc = add(w, x, y);
out:
	return rc;
}

static int middle(const struct walk *w, int x, const char *coder)
{
	const int channels = w->config->widths[w->config->levels - 1];
	char prefix[NAME_SIZE];

	(void)named(prefix, "%s.mid_block", coder);
	x = resnet(w, x, prefix, 0, channels, channels);
	x = attention(w, x, prefix, 0, channels);
	return resnet(w, x, prefix, 1, channels, channels);
}

/* A level: `blocks` residual blocks, with attention after each if wanted. */
static int level(const struct walk *w, int x, const char *prefix, int blocks, int in, int out, int attend)
{
	for (int i = 0; i < blocks; i++) {
		x = resnet(w, x, prefix, i, i == 0 ? in : out, out);
		if (attend)
			x = attention(w, x, prefix, i, out);
	}
	return x;
}

static int walk_encoder(const struct walk *w, int x)
{
	const struct ek_autoencoder_config *c = w->config;
	const int last = c->levels - 1, encoded = ek_autoencoder_encoded_shape(c).channels;
	const int given = c->kind == EK_AUTOENCODER_KL ? 2 * c->latent_channels : c->latent_channels;
	char prefix[NAME_SIZE], name[NAME_SIZE];

	x = conv(w, x, "encoder.conv_in", (struct size){ c->channels, c->widths[0], 3, 1 }, 0);
	for (int i = 0; i <= last; i++) {
		(void)named(prefix, "encoder.down_blocks.%d", i);
		x = level(w, x, prefix, c->blocks, c->widths[i > 0 ? i - 1 : 0], c->widths[i],
		          i == last && c->attention);
		(void)named(name, "%s.downsamplers.0.conv", prefix);
		if (i < last)
			x = conv(w, x, name, (struct size){ c->widths[i], c->widths[i], 3, 2 }, 0);
	}
	x = middle(w, x, "encoder");
	x = norm(w, x, "encoder.conv_norm_out", c->widths[last], EK_NN_SILU);
	x = conv(w, x, "encoder.conv_out", (struct size){ c->widths[last], given, 3, 1 }, c->no_quant);
	return c->no_quant ? x : conv(w, x, "quant_conv", (struct size){ given, encoded, 1, 1 }, 1);
}

static int walk_decoder(const struct walk *w, int x)
{
	const struct ek_autoencoder_config *c = w->config;
	const int last = c->levels - 1, given = ek_autoencoder_latent_shape(c).channels;
	char prefix[NAME_SIZE], name[NAME_SIZE];

	if (!c->no_post_quant)
		x = conv(w, x, "post_quant_conv", (struct size){ given, c->latent_channels, 1, 1 }, 0);
	x = conv(w, x, "decoder.conv_in", (struct size){ c->latent_channels, c->widths[last], 3, 1 }, 0);
	x = middle(w, x, "decoder");
	for (int i = 0; i <= last; i++) {
		const int width = c->widths[last - i];

		(void)named(prefix, "decoder.up_blocks.%d", i);
		x = level(w, x, prefix, c->blocks + 1, i > 0 ? c->widths[last - i + 1] : width, width,
		          i == 0 && c->attention);
		(void)named(name, "%s.upsamplers.0.conv", prefix);
		if (i == last)
			break;
		x = x > 0 && w->net != NULL ? ek_net_upsample(w->net, x) : x;
		x = conv(w, x, name, (struct size){ width, width, 3, 1 }, 0);
	}
	x = norm(w, x, "decoder.conv_norm_out", c->widths[0], EK_NN_SILU);
	return conv(w, x, "decoder.conv_out", (struct size){ c->widths[0], c->channels, 3, 1 }, 1);
}

int ek_autoencoder_params(struct ek_params *params, const struct ek_autoencoder_config *config)
{
	const struct walk w = { .add = params, .params = params, .config = config };
	const int64_t book[2] = { config->codes, config->code_width };
	int rc;

	EK_TRY(ek_autoencoder_config_check(config));
	EK_TRY(walk_encoder(&w, 1));
	if (config->kind == EK_AUTOENCODER_VQ)
		EK_TRY(parameter(&w, "quantize.embedding", ".weight", 2, book,
		                 (struct ek_init){ EK_INIT_UNIFORM, 1 / (float)config->codes }));
	EK_TRY(walk_decoder(&w, 1));
	rc = 0;
out:
	return rc;
}

int ek_autoencoder_encode(struct ek_net *net, const struct ek_params *params,
                          const struct ek_autoencoder_config *config, int image)
{
	return walk_encoder(&(struct walk){ .params = params, .net = net, .config = config }, image);
}

int ek_autoencoder_decode(struct ek_net *net, const struct ek_params *params,
                          const struct ek_autoencoder_config *config, int latent)
{
	return walk_decoder(&(struct walk){ .params = params, .net = net, .config = config }, latent);
}

int ek_autoencoder_codebook(const struct ek_params *params)
{
	return ek_params_find(params, "quantize.embedding.weight");
}
