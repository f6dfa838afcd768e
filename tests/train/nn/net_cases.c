#include "tests/train/nn/net_cases.h"

#include "tests/support/support.h"
#include "train/nn/net_internal.h"

/* A parameter of these dimensions (0: not there) with normal values of deviation `scale`. */
static int parameter(struct net_subject *s, int a, int b, int c, int d, double scale)
{
	const int64_t dims[4] = { a, b, c, d };
	char name[16];
	int rank = 0;

	while (rank < 4 && dims[rank] > 0)
		rank++;
	(void)snprintf(name, sizeof name, "p%d", s->params.count);
	return ek_params_add(&s->params, name, rank, dims, (struct ek_init){ EK_INIT_NORMAL, (float)scale });
}

static int added_input(struct net_subject *s, int x)
{
	s->inputs[s->input_count++] = x;
	return s->low && x > 0 ? ek_net_cast(s->net, x, s->net->type) : x;
}

static int with_gradient(struct net_subject *s, int height, int width, int channels)
{
	return added_input(s, ek_net_input_with_gradient(s->net, (struct ek_net_shape){ height, width, channels }));
}

static int plain_input(struct net_subject *s, int height, int width, int channels)
{
	return added_input(s, ek_net_input(s->net, (struct ek_net_shape){ height, width, channels }));
}

/* Never in a low type. */
static int factors_input(struct net_subject *s, int count)
{
	const int x = ek_net_input(s->net, (struct ek_net_shape){ 1, 1, count });

	s->inputs[s->input_count++] = x;
	return x;
}

static int ids_input(struct net_subject *s, int count)
{
	s->ids = ek_net_input_ids(s->net);
	s->id_count = count;
	return s->ids;
}

static int output(struct net_subject *s, int value)
{
	s->outputs[s->output_count++] = value;
	return ek_net_output(s->net, value);
}

static int dense(struct net_subject *s, int x, int outputs, int float32)
{
	const int inputs = x > 0 ? ek_net_shape(s->net, x).channels : 1;
	const int weight = parameter(s, outputs, inputs, 0, 0, 1 / sqrt(inputs));

	return ek_net_linear(s->net, x,
	                     &(struct ek_net_linear){ .weight = weight,
	                                              .bias = parameter(s, outputs, 0, 0, 0, 1),
	                                              .outputs = outputs,
	                                              .float32 = float32 });
}

/* height, width, inputs, outputs, no bias, float32 */
static int linear(struct net_subject *s, const int *n)
{
	const int weight = parameter(s, n[3], n[2], 0, 0, 1 / sqrt(n[2]));

	return output(s, ek_net_linear(s->net, with_gradient(s, n[0], n[1], n[2]),
	                               &(struct ek_net_linear){ .weight = weight,
	                                                        .bias = n[4] ? -1 : parameter(s, n[3], 0, 0, 0, 1),
	                                                        .outputs = n[3],
	                                                        .float32 = n[5] }));
}

/* Queries, keys and values as three neighbours: height, width, inputs, outputs of each */
static int neighbours(struct net_subject *s, const int *n)
{
	const int weight = parameter(s, n[3], n[2], 0, 0, 1 / sqrt(n[2]));
	int bias;

	(void)parameter(s, n[3], n[2], 0, 0, 1 / sqrt(n[2]));
	(void)parameter(s, n[3], n[2], 0, 0, 1 / sqrt(n[2]));
	bias = parameter(s, n[3], 0, 0, 0, 1);
	(void)parameter(s, n[3], 0, 0, 0, 1);
	(void)parameter(s, n[3], 0, 0, 0, 1);
	return output(s, ek_net_linear(s->net, with_gradient(s, n[0], n[1], n[2]),
	                               &(struct ek_net_linear){ .weight = weight, .bias = bias, .outputs = 3 * n[3] }));
}

static int convolve(struct net_subject *s, int x, const struct ek_net_conv *given)
{
	struct ek_net_conv c = *given;
	const int groups = c.groups > 0 ? c.groups : 1;
	const int inputs = (x > 0 ? ek_net_shape(s->net, x).channels : 1) / groups;

	c.weight =
		parameter(s, c.outputs, inputs, c.kernel[0], c.kernel[1], 1 / sqrt(c.kernel[0] * c.kernel[1] * inputs));
	c.bias = c.bias < 0 ? -1 : parameter(s, c.outputs, 0, 0, 0, 1);
	return ek_net_conv(s->net, x, &c);
}

/* height, width, inputs, outputs, kernel, stride, pad top and left, pad bottom and right, groups */
static int conv(struct net_subject *s, const int *n)
{
	return output(s, convolve(s, with_gradient(s, n[0], n[1], n[2]),
	                          &(struct ek_net_conv){ .outputs = n[3],
	                                                 .kernel = { n[4], n[4] },
	                                                 .stride = { n[5], n[5] },
	                                                 .pad = { n[6], n[7], n[6], n[7] },
	                                                 .groups = n[8],
	                                                 .bias = n[8] > 1 ? -1 : 0,
	                                                 .kept = n[3] == 13,
	                                                 .float32 = n[6] != n[7] }));
}

/* height, width, inputs, outputs, kernel, stride, groups */
static int rectangle(struct net_subject *s, const int *n)
{
	return output(s, convolve(s, with_gradient(s, n[0], n[1], n[2]),
	                          &(struct ek_net_conv){ .outputs = n[3],
	                                                 .kernel = { n[4], n[5] },
	                                                 .stride = { n[6], n[7] },
	                                                 .pad = { 1, 0, 2, 1 },
	                                                 .groups = n[8] }));
}

static int normalise(struct net_subject *s, int x, int groups, enum ek_nn_activation activation)
{
	const int channels = x > 0 ? ek_net_shape(s->net, x).channels : 1;
	const int weight = parameter(s, channels, 0, 0, 0, 1);

	return ek_net_group_norm(s->net, x,
	                         &(struct ek_net_group_norm){ .weight = weight,
	                                                      .bias = parameter(s, channels, 0, 0, 0, 1),
	                                                      .groups = groups,
	                                                      .epsilon = 1e-6F,
	                                                      .activation = activation });
}

/* height, width, channels, groups, activation */
static int group_norm(struct net_subject *s, const int *n)
{
	return output(s, normalise(s, with_gradient(s, n[0], n[1], n[2]), n[3], (enum ek_nn_activation)n[4]));
}

/* height, width, channels, no weight, no bias */
static int layer_norm(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], n[1], n[2]), weight = n[3] ? -1 : parameter(s, n[2], 0, 0, 0, 1);
	const struct ek_net_layer_norm norm = { weight, n[4] ? -1 : parameter(s, n[2], 0, 0, 0, 1), 1e-5F, n[5] };

	return output(s, ek_net_layer_norm(s->net, x, &norm));
}

/* tokens, features, with a branch, stream is an output, normal is one, nothing is between the parts of the vector, a
 * narrow stream */
static int modulate(struct net_subject *s, const int *n)
{
	const int gap = !n[5], x = with_gradient(s, n[0], 1, n[1]), vector = with_gradient(s, 1, 1, 3 * n[1] + 2 * gap);
	int rc, stream, normal;

	if (n[6])
		ek_net_narrow_stream(s->net);
	EK_TRY(ek_net_modulate(s->net, x,
	                       &(struct ek_net_modulate){ .branch = n[2] ? with_gradient(s, n[0], 1, n[1]) : 0,
	                                                  .vector = vector,
	                                                  .gate = 0,
	                                                  .shift = n[1] + gap,
	                                                  .scale = 2 * (n[1] + gap),
	                                                  .epsilon = 1e-6F },
	                       &stream, n[4] ? &normal : NULL));
	if (n[3])
		EK_TRY(output(s, stream));
	if (n[4])
		EK_TRY(output(s, normal));
out:
	return rc;
}

/* height, width, heads, features of a head */
static int attention(struct net_subject *s, const int *n)
{
	return output(s, ek_net_attention(s->net, with_gradient(s, n[0], n[1], 3 * n[2] * n[3]), n[2]));
}

/* Behind a linear layer, whose bias's gradient backward may sum up: height, width, heads, their width, inputs */
static int biased_attention(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], n[1], n[4]);

	return output(s, ek_net_attention(s->net, dense(s, x, 3 * n[2] * n[3], 0), n[2]));
}

static int causal_attention(struct net_subject *s, const int *n)
{
	return output(s, ek_net_causal_attention(s->net, with_gradient(s, n[0], n[1], 3 * n[2] * n[3]), n[2]));
}

/* rows, channels, kind, slope in hundredths */
static int activation(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], 1, n[1]);

	return output(s, n[3] > 0 ? ek_net_leaky_relu(s->net, x, (float)n[3] / 100)
	                          : ek_net_activation(s->net, x, (enum ek_nn_activation)n[2]));
}

/* rows, channels, both the same, behind a linear layer (whose gradient may be shared) */
static int add(struct net_subject *s, const int *n)
{
	int a = with_gradient(s, n[0], 1, n[1]), b = n[2] ? a : with_gradient(s, n[0], 1, n[1]);

	if (n[3])
		a = dense(s, a, n[1], 1);
	return output(s, ek_net_add(s->net, a, n[2] ? a : b));
}

/* rows, channels, a narrow stream */
static int positions(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], 1, n[1]);

	if (n[2])
		ek_net_narrow_stream(s->net);

	return output(s, ek_net_positions(s->net, x, parameter(s, 1, n[0], n[1], 0, 1)));
}

static int embedding(struct net_subject *s, const int *n)
{
	return output(s, ek_net_embedding(s->net, ids_input(s, n[0]), parameter(s, n[0], n[1], 0, 0, 1)));
}

static int times(struct net_subject *s, const int *n)
{
	return output(s, ek_net_times(s->net, plain_input(s, 1, 1, 1), n[0], (float)n[1]));
}

/* height, width, channels */
static int upsample(struct net_subject *s, const int *n)
{
	return output(s, ek_net_upsample(s->net, with_gradient(s, n[0], n[1], n[2])));
}

/* height, width, channels of a pixel, side of a patch */
static int unpatch(struct net_subject *s, const int *n)
{
	return output(s, ek_net_unpatch(s->net, with_gradient(s, n[0], n[1], n[2] * n[3] * n[3]), n[3]));
}

/* rows, channels, first, count; twice, overlapping, so that the second adds */
static int channels(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], 1, n[1]);
	int rc;

	EK_TRY(output(s, ek_net_channels(s->net, x, n[2], n[3])));
	EK_TRY(output(s, ek_net_channels(s->net, x, 0, n[2] + 1)));
out:
	return rc;
}

static int sample(struct net_subject *s, const int *n)
{
	const int moments = with_gradient(s, n[0], n[1], 2 * n[2]);

	return output(s, ek_net_sample(s->net, moments, with_gradient(s, n[0], n[1], n[2])));
}

static int kl(struct net_subject *s, const int *n)
{
	return output(s, ek_net_kl(s->net, with_gradient(s, n[0], n[1], 2 * n[2])));
}

/* height, width, channels, power, the target has no gradient */
static int difference(struct net_subject *s, const int *n)
{
	const int a = with_gradient(s, n[0], n[1], n[2]);
	const int b = n[4] ? plain_input(s, n[0], n[1], n[2]) : with_gradient(s, n[0], n[1], n[2]);

	return output(s, n[3] == 2 ? ek_net_squared_error(s->net, a, b) : ek_net_absolute_error(s->net, a, b));
}

/* height, width, channels, sign of a hinge or 0; twice, so that the second gradient adds */
static int mean(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], n[1], n[2]);
	int rc;

	EK_TRY(output(s, ek_net_mean(s->net, x)));
	EK_TRY(output(s, n[3] == 0 ? ek_net_mean(s->net, x) : ek_net_hinge(s->net, x, n[3])));
out:
	return rc;
}

/* A layer and what is made of it, taught as a discriminator and its generator are: by the layer with its parameters as
 * constants, and with a gradient of its own that does not come back. rows, channels */
static int rivals(struct net_subject *s, const int *n)
{
	const int made = dense(s, with_gradient(s, n[0], 1, n[1]), n[1], 1), real = plain_input(s, n[0], 1, n[1]);
	const struct ek_net_linear critic = { parameter(s, 1, n[1], 0, 0, 1), parameter(s, 1, 0, 0, 0, 1), 1, 1, 0 };
	struct ek_net *net = s->net;
	int rc, loss;

	EK_TRY(ek_net_constants(net, &s->params, NULL));
	EK_TRY(output(s, ek_net_affine(net, ek_net_mean(net, ek_net_linear(net, made, &critic)), -0.5F, 0)));
	EK_TRY(ek_net_constants(net, NULL, NULL));
	EK_TRY(loss = ek_net_hinge(net, ek_net_linear(net, ek_net_detach(net, made), &critic), -1));
	EK_TRY(output(s, ek_net_add(net, loss, ek_net_hinge(net, ek_net_linear(net, real, &critic), 1))));
out:
	return rc;
}

static int keys_input(struct net_subject *s)
{
	s->keys = ek_net_input_keys(s->net);
	return s->keys;
}

/* height, width, channels */
static int noise(struct net_subject *s, const int *n)
{
	return output(s, ek_net_noise(s->net, keys_input(s), (struct ek_net_shape){ n[0], n[1], n[2] }));
}

/* height, width, channels */
static int pixels(struct net_subject *s, const int *n)
{
	const struct ek_net_pixels p = { { n[0], n[1], n[2] }, { 0.25F, -0.75F, 3, 1 }, { -0.5F, 0.125F, 7, 0 } };

	s->pixels = ek_net_input_pixels(s->net, p.shape);
	return output(s, ek_net_pixels(s->net, s->pixels, &p));
}

/* height, width, channels, factors, first; twice, so that the second gradient adds */
static int mix(struct net_subject *s, const int *n)
{
	const int a = with_gradient(s, n[0], n[1], n[2]), b = with_gradient(s, n[0], n[1], n[2]);
	const int factors = factors_input(s, n[3]);
	int rc;

	EK_TRY(output(s, ek_net_mix(s->net, a, b, factors, n[4])));
	EK_TRY(output(s, ek_net_mix(s->net, b, a, factors, 0)));
out:
	return rc;
}

/* height, width, channels, those of the prediction, a and b have no gradient */
static int mix_error(struct net_subject *s, const int *n)
{
	const int prediction = with_gradient(s, n[0], n[1], n[3]);
	const int a = n[4] ? plain_input(s, n[0], n[1], n[2]) : with_gradient(s, n[0], n[1], n[2]);
	const int b = n[4] ? plain_input(s, n[0], n[1], n[2]) : with_gradient(s, n[0], n[1], n[2]);
	const struct ek_net_mix_error e = { prediction, a, b, factors_input(s, 6), 2 };
	int rc;

	EK_TRY(output(s, ek_net_mix_error(s->net, &e)));
	if (n[4])
		EK_TRY(output(s, ek_net_mix_error(s->net, &e)));
out:
	return rc;
}

/* height, width, channels, those of the prediction, step 0, only the bound counts. Factors: 0 to 0.5, or
 * 0.5 more. */
static int diffusion(struct net_subject *s, const int *n)
{
	const int prediction = with_gradient(s, n[0], n[1], n[3]), data = plain_input(s, n[0], n[1], n[2]);
	const int noise = plain_input(s, n[0], n[1], n[2]), raw = factors_input(s, 5);
	struct ek_net_diffusion d = { prediction, data, noise, 0, 1 };
	int rc, error, bound;

	EK_TRY(d.factors = ek_net_affine(s->net, raw, 0.25F, n[4] ? 3 : 1));
	EK_TRY(error = ek_net_diffusion(s->net, &d, &bound));
	if (!n[5])
		EK_TRY(output(s, error));
	EK_TRY(output(s, bound));
	EK_TRY(n[5] ? output(s, ek_net_diffusion(s->net, &d, &bound)) : 0);
out:
	return rc;
}

/* height, width, channels, codes; result is an output */
static int quantise(struct net_subject *s, const int *n)
{
	const int z = with_gradient(s, n[0], n[1], n[2]);
	const struct ek_net_quantise q = { parameter(s, n[3], n[2], 0, 0, 1), 0.25F, 1, NULL };
	int rc, result, loss, codes;

	EK_TRY(result = ek_net_quantise(s->net, z, &q, &loss, &codes));
	if (n[4])
		EK_TRY(output(s, result));
	EK_TRY(output(s, loss));
	s->codes = codes;
	EK_TRY(ek_net_output(s->net, codes));
out:
	return rc;
}

/* Branches side by side, as in an Inception block, and what comes after them: side, channels, of the branches */
static int branches(struct net_subject *s, const int *n)
{
	const struct ek_net_pool mean = {
		.kind = EK_NET_POOL_AVERAGE_EXCLUSIVE, .kernel = { 3, 3 }, .stride = { 1, 1 }, .pad = { 1, 1, 1, 1 }
	};
	const int x = convolve(s, with_gradient(s, n[0], n[0], n[1]),
	                       &(struct ek_net_conv){ .outputs = n[1], .kernel = { 1, 1 }, .kept = 1 });
	int parts[4], rc, joined;

	EK_TRY(parts[0] = convolve(s, x, &(struct ek_net_conv){ .outputs = n[2], .kernel = { 1, 1 }, .kept = 1 }));
	EK_TRY(parts[0] = ek_net_activation(s->net, parts[0], EK_NN_SILU));
	EK_TRY(parts[1] = convolve(
		       s, x, &(struct ek_net_conv){ .outputs = n[3], .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 } }));
	EK_TRY(parts[2] = ek_net_pool(s->net, x, &mean));
	parts[3] = x;
	EK_TRY(joined = ek_net_concat(s->net, parts, 4));
	rc = output(s, convolve(s, joined, &(struct ek_net_conv){ .outputs = 7, .kernel = { 1, 1 }, .kept = 1 }));
out:
	return rc;
}

static int affine(struct net_subject *s, const int *n)
{
	return output(s, ek_net_affine(s->net, with_gradient(s, n[0], 1, n[1]), 0.75F, -0.5F));
}

/* height, width, channels, kind, kernel, stride, pad before, pad after */
static int pool(struct net_subject *s, const int *n)
{
	return output(s, ek_net_pool(s->net, with_gradient(s, n[0], n[1], n[2]),
	                             &(struct ek_net_pool){ .kind = (enum ek_net_pool_kind)n[3],
	                                                    .kernel = { n[4], n[4] },
	                                                    .stride = { n[5], n[5] },
	                                                    .pad = { n[6], n[7], n[6], n[7] } }));
}

static int average(struct net_subject *s, const int *n)
{
	return output(s, ek_net_average(s->net, with_gradient(s, n[0], n[1], n[2])));
}

/* height, width, channels of up to six values; then once more, the first with itself, so that gradients add */
static int concat(struct net_subject *s, const int *n)
{
	int values[EK_NET_CONCAT_MAX], count = 0, rc;

	for (; count < EK_NET_CONCAT_MAX && n[2 + count] > 0; count++)
		values[count] = with_gradient(s, n[0], n[1], n[2 + count]);
	EK_TRY(output(s, ek_net_concat(s->net, values, count)));
	values[1] = values[0];
	EK_TRY(output(s, ek_net_concat(s->net, values, 2)));
out:
	return rc;
}

/* height, width, channels, first, count; twice, overlapping, so that the second adds */
static int rows(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], n[1], n[2]);
	int rc;

	EK_TRY(output(s, ek_net_rows_of(s->net, x, n[3], n[4])));
	EK_TRY(output(s, ek_net_rows_of(s->net, x, 0, n[3] + 1)));
out:
	return rc;
}

/* height, width, channels, rows before, once; else twice */
static int prepend(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], n[1], n[2]), before = parameter(s, n[3], n[2], 0, 0, 1);
	int rc;

	EK_TRY(output(s, ek_net_prepend(s->net, x, before, n[3])));
	if (!n[4])
		EK_TRY(output(s, ek_net_prepend(s->net, x, before, n[3] - 1)));
out:
	return rc;
}

/* height and width in patches, channels, side; twice */
static int patches(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0] * n[3], n[1] * n[3], n[2]);
	int rc;

	EK_TRY(output(s, ek_net_patches(s->net, x, n[3])));
	EK_TRY(output(s, ek_net_patches(s->net, x, n[3])));
out:
	return rc;
}

/* float32 throughout: height, width, inputs, outputs, kernel */
static int exactly(struct net_subject *s, const int *n)
{
	const int pad = n[4] / 2;

	return output(s, convolve(s, with_gradient(s, n[0], n[1], n[2]),
	                          &(struct ek_net_conv){ .outputs = n[3],
	                                                 .kernel = { n[4], n[4] },
	                                                 .pad = { pad, pad, pad, pad },
	                                                 .exact = 1 }));
}

/* rows, inputs, outputs, activation */
static int activated(struct net_subject *s, const int *n)
{
	return output(s, ek_net_activation(s->net, dense(s, with_gradient(s, 1, n[0], n[1]), n[2], 0),
	                                   (enum ek_nn_activation)n[3]));
}

/* Two linear layers with a GELU between them: rows, features, features between */
static int perceptron(struct net_subject *s, const int *n)
{
	const int h = dense(s, with_gradient(s, 1, n[0], n[1]), n[2], 0);

	return output(s, dense(s, ek_net_activation(s->net, h, EK_NN_GELU_TANH), n[1], 0));
}

/* The end of a branch of a stream in the net's type, a gated product: tokens, features, inputs of the product, the norm
 * of the sum is wanted */
static int branch(struct net_subject *s, const int *n)
{
	const int vector = ek_net_cast(s->net, with_gradient(s, 1, 1, 3 * n[1]), EK_NN_FLOAT32);
	struct ek_net_modulate m = { .vector = vector, .shift = n[1], .scale = 2 * n[1], .epsilon = 1e-6F };
	int rc, stream, normal;

	ek_net_narrow_stream(s->net);
	stream = ek_net_cast(s->net, with_gradient(s, n[0], 1, n[1]), s->net->stream);
	m.branch = dense(s, with_gradient(s, n[0], 1, n[2]), n[1], 0);
	EK_TRY(ek_net_modulate(s->net, stream, &m, &stream, n[3] ? &normal : NULL));
	EK_TRY(output(s, stream));
	if (n[3])
		EK_TRY(output(s, normal));
out:
	return rc;
}

/* a = GELU(W x), b = conv(a), SiLU(a + b): side, channels, a is needed by b, b is an output */
static int joined(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], n[0], n[1]);
	int rc, a, b;

	EK_TRY(a = ek_net_activation(s->net, dense(s, x, n[1], 0), EK_NN_GELU_TANH));
	EK_TRY(b = convolve(s, n[2] ? a : x,
	                    &(struct ek_net_conv){ .outputs = n[1], .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 } }));
	if (n[3])
		EK_TRY(output(s, b));
	rc = output(s, ek_net_activation(s->net, ek_net_add(s->net, a, b), EK_NN_SILU));
out:
	return rc;
}

/* A value that three layers use and that is an output as well: its gradient is given, then added to three times. */
static int shared(struct net_subject *s, const int *n)
{
	const int x = dense(s, with_gradient(s, n[0], 1, n[1]), n[1], 1), y = ek_net_affine(s->net, x, 0.5F, 1);
	int rc;

	EK_TRY(output(s, x));
	(void)ek_net_segment(s->net);
	EK_TRY(output(s, ek_net_add(s->net, ek_net_add(s->net, x, y), x)));
out:
	return rc;
}

/* A transformer of two DiT blocks on patches: side in patches, features, heads, channels of a patch of 2 × 2, a narrow
 * stream */
static int transformer(struct net_subject *s, const int *n)
{
	const int d = n[1], tokens = n[0] * n[0], patch = plain_input(s, n[0], n[0], 4 * n[3]);
	const int time = plain_input(s, 1, 1, 1), target = plain_input(s, 2 * n[0], 2 * n[0], n[3]);
	struct ek_net *net = s->net;
	int rc, c, ada, stream, normal;

	if (n[4])
		ek_net_narrow_stream(net);
	EK_TRY(c = dense(s, ek_net_times(net, time, 8, 100), d, 0));
	EK_TRY(c = dense(s, ek_net_activation(net, c, EK_NN_SILU), d, 1));
	EK_TRY(c = ek_net_add(net, c, ek_net_embedding(net, ids_input(s, 5), parameter(s, 5, d, 0, 0, 1))));
	EK_TRY(ada = dense(s, ek_net_activation(net, c, EK_NN_SILU), 14 * d, 1));
	EK_TRY(stream = ek_net_positions(net, dense(s, patch, d, 0), parameter(s, 1, tokens, d, 0, 1)));
	EK_TRY(ek_net_modulate(net, stream,
	                       &(struct ek_net_modulate){ .vector = ada, .shift = 0, .scale = d, .epsilon = 1e-6F },
	                       NULL, &normal));
	for (int i = 0; i < 2; i++) {
		const int first = (6 * i + 2) * d;
		int branch;

		EK_TRY(ek_net_segment(net));
		EK_TRY(branch = dense(s, ek_net_attention(net, dense(s, normal, 3 * d, 0), n[2]), d, 0));
		EK_TRY(ek_net_modulate(net, stream,
		                       &(struct ek_net_modulate){ .branch = branch,
		                                                  .vector = ada,
		                                                  .gate = first,
		                                                  .shift = first + d,
		                                                  .scale = first + 2 * d,
		                                                  .epsilon = 1e-6F },
		                       &stream, &normal));
		EK_TRY(branch = dense(s, normal, 2 * d, 0));
		EK_TRY(branch = dense(s, ek_net_activation(net, branch, EK_NN_GELU_TANH), d, 0));
		EK_TRY(ek_net_modulate(net, stream,
		                       &(struct ek_net_modulate){ .branch = branch,
		                                                  .vector = ada,
		                                                  .gate = first + 3 * d,
		                                                  .shift = first + 4 * d,
		                                                  .scale = first + 5 * d,
		                                                  .epsilon = 1e-6F },
		                       &stream, &normal));
	}
	EK_TRY(ek_net_segment(net));
	EK_TRY(normal = ek_net_unpatch(net, dense(s, normal, 4 * n[3], 1), 2));
	EK_TRY(output(s, ek_net_squared_error(net, normal, target)));
out:
	return rc;
}

static int residual_block(struct net_subject *s, int x, int channels)
{
	const struct ek_net_conv c = { .outputs = channels, .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 } };
	const int h = convolve(s, normalise(s, x, 2, EK_NN_SILU), &c);
	const int inputs = x > 0 ? ek_net_shape(s->net, x).channels : 1;
	const int skip = inputs == channels
	                         ? x
	                         : convolve(s, x, &(struct ek_net_conv){ .outputs = channels, .kernel = { 1, 1 } });

	return ek_net_add(s->net, skip, convolve(s, normalise(s, h, 2, EK_NN_SILU), &c));
}

/* An autoencoder: side, channels in, channels, latent channels */
static int autoencoder(struct net_subject *s, const int *n)
{
	const int x = with_gradient(s, n[0], n[0], n[2]), noise = plain_input(s, n[0] / 2, n[0] / 2, n[3]);
	struct ek_net *net = s->net;
	int rc, h, moments;

	EK_TRY(h = convolve(s, x, &(struct ek_net_conv){ .outputs = n[1], .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 } }));
	(void)ek_net_segment(net);
	EK_TRY(h = residual_block(s, residual_block(s, h, n[1]), 2 * n[1]));
	(void)ek_net_segment(net);
	EK_TRY(h = convolve(s, h,
	                    &(struct ek_net_conv){
				    .outputs = n[1], .kernel = { 3, 3 }, .stride = { 2, 2 }, .pad = { 0, 1, 0, 1 } }));
	EK_TRY(h = ek_net_add(net, h,
	                      ek_net_attention(net, dense(s, normalise(s, h, 2, EK_NN_LINEAR), 3 * n[1], 0), 1)));
	EK_TRY(moments = dense(s, h, 2 * n[3], 1));
	EK_TRY(output(s, ek_net_kl(net, moments)));
	(void)ek_net_segment(net);
	EK_TRY(h = ek_net_upsample(net, dense(s, ek_net_sample(net, moments, noise), n[1], 0)));
	EK_TRY(h = residual_block(s, h, n[1]));
	EK_TRY(h = dense(s, h, n[2], 1));
	EK_TRY(output(s, ek_net_squared_error(net, h, x)));
	EK_TRY(output(s, h));
out:
	return rc;
}

/* A classifier: an image of n × (n + 2) pixels, its channels, classes */
static int classifier(struct net_subject *s, const int *n)
{
	const int target = plain_input(s, 1, 1, n[2]);
	struct ek_net *net = s->net;
	int rc, h, norm;

	EK_TRY(h = convolve(s, with_gradient(s, n[0], n[0] + 2, n[1]),
	                    &(struct ek_net_conv){
				    .outputs = 12, .kernel = { 3, 1 }, .stride = { 1, 2 }, .pad = { 1, 1 } }));
	EK_TRY(ek_net_segment(net));
	norm = parameter(s, 12, 0, 0, 0, 1);
	EK_TRY(h = ek_net_layer_norm(net, h, &(struct ek_net_layer_norm){ norm, -1, 1e-6F, 0 }));
	EK_TRY(h = ek_net_activation(net, dense(s, h, 7, 0), EK_NN_GELU_ERF));
	EK_TRY(ek_net_segment(net));
	EK_TRY(h = convolve(s, h, &(struct ek_net_conv){ .outputs = n[2], .kernel = { n[0], (n[0] + 3) / 2 } }));
	EK_TRY(ek_net_segment(net));
	EK_TRY(output(s, ek_net_squared_error(net, h, target)));
out:
	return rc;
}

const struct net_case net_cases[] = {
	{ "linear", linear, { 1, 1, 5, 7, 0, 0 }, 0 },
	{ "linear, no bias", linear, { 1, 11, 13, 5, 1, 0 }, 0 },
	{ "linear, float32", linear, { 7, 5, 11, 13, 0, 1 }, 0 },
	{ "linear, one output", linear, { 5, 7, 13, 1, 0, 1 }, 0 },
	{ "linear, wide", linear, { 8, 8, 192, 384, 0, 0 }, 0 },
	{ "linear, many rows", linear, { 38, 37, 16, 768, 0, 0 }, NET_CASE_ROWS },
	{ "linear, many rows, back", linear, { 38, 37, 1024, 16, 0, 0 }, NET_CASE_ROWS },
	{ "linear, many tokens", linear, { 12, 13, 40, 72, 0, 0 }, 0 },
	{ "linear, 256 tokens", linear, { 16, 16, 48, 72, 0, 0 }, 0 },
	{ "linear, vectors", linear, { 1, 1, 64, 136, 0, 1 }, 0 },
	{ "linear, neighbours", neighbours, { 1, 7, 11, 5 }, 0 },
	{ "conv 3", conv, { 7, 5, 5, 11, 3, 1, 1, 1, 1 }, 0 },
	{ "conv 1", conv, { 7, 5, 5, 11, 1, 1, 0, 0, 1 }, 0 },
	{ "conv 1, kept", conv, { 7, 5, 5, 13, 1, 1, 0, 0, 1 }, 0 },
	{ "conv 3, stride 2", conv, { 11, 13, 7, 5, 3, 2, 0, 1, 1 }, 0 },
	{ "conv 4, stride 2", conv, { 13, 11, 5, 7, 4, 2, 1, 1, 1 }, 0 },
	{ "conv 5, groups", conv, { 11, 7, 10, 15, 5, 1, 2, 2, 5 }, 0 },
	{ "conv 3, rest left over", conv, { 7, 11, 5, 5, 2, 3, 0, 0, 1 }, 0 },
	{ "conv 3, wide", conv, { 8, 8, 64, 64, 3, 1, 1, 1, 1 }, 0 },
	{ "conv 3, stride 2, by eights", conv, { 13, 11, 24, 40, 3, 2, 1, 1, 1 }, 0 },
	{ "conv 3, groups by eights", conv, { 7, 5, 48, 96, 3, 1, 1, 1, 3 }, 0 },
	{ "conv 5, few to many", conv, { 9, 8, 8, 200, 5, 1, 2, 2, 1 }, 0 },
	{ "conv 1 x 3, 80 to 144", rectangle, { 5, 7, 80, 144, 1, 3, 1, 1, 1 }, 0 },
	{ "conv 3, 32 to 120", conv, { 9, 10, 32, 120, 3, 1, 1, 1, 1 }, 0 },
	{ "conv 3, 24 to 264", conv, { 7, 6, 24, 264, 3, 1, 1, 1, 1 }, 0 },
	{ "conv 1 x 1, 72 to 160", rectangle, { 9, 7, 72, 160, 1, 1, 1, 1, 1 }, 0 },
	{ "conv 1 x 3, deep", rectangle, { 9, 16, 128, 256, 1, 3, 1, 1, 1 }, 0 },
	{ "conv 3, stride 2, deep", conv, { 27, 26, 128, 128, 3, 2, 1, 1, 1 }, 0 },
	{ "conv 3, colours", conv, { 9, 11, 3, 32, 3, 1, 1, 1, 1 }, 0 },
	{ "conv 3, stride 2, colours", conv, { 7, 138, 3, 64, 3, 2, 0, 1, 1 }, 0 },
	{ "conv 3, to colours", conv, { 6, 9, 32, 3, 3, 1, 1, 1, 1 }, 0 },
	{ "conv 3, depthwise", conv, { 3, 4, 72, 72, 3, 1, 1, 1, 72 }, 0 },
	{ "conv 5, depthwise", conv, { 16, 15, 8, 8, 5, 1, 2, 2, 8 }, 0 },
	{ "conv 5, stride 2, depthwise", conv, { 27, 31, 8, 8, 5, 2, 1, 2, 8 }, 0 },
	{ "conv 1 x 7", rectangle, { 7, 11, 5, 13, 1, 7, 1, 1, 1 }, 0 },
	{ "conv 5 x 2, stride 1 x 3", rectangle, { 11, 13, 7, 5, 5, 2, 1, 3, 1 }, 0 },
	{ "conv 2 x 3, stride 3 x 1, groups", rectangle, { 13, 7, 10, 15, 2, 3, 3, 1, 5 }, 0 },
	{ "conv 3 x 1, stride 2 x 1, depthwise", rectangle, { 11, 5, 7, 7, 3, 1, 2, 1, 7 }, 0 },
	{ "conv 1, stride 1 x 2", rectangle, { 5, 7, 11, 13, 1, 1, 1, 2, 1 }, 0 },
	{ "group norm", group_norm, { 7, 5, 10, 5, EK_NN_LINEAR }, 0 },
	{ "group norm, SiLU", group_norm, { 5, 7, 33, 11, EK_NN_SILU }, 0 },
	{ "group norm, wide", group_norm, { 16, 16, 128, 32, EK_NN_SILU }, 0 },
	{ "layer norm", layer_norm, { 7, 5, 11, 0, 0 }, 0 },
	{ "layer norm, no parameters", layer_norm, { 5, 1, 13, 1, 1 }, 0 },
	{ "layer norm, no bias", layer_norm, { 11, 1, 37, 0, 1 }, 0 },
	{ "layer norm, no weight", layer_norm, { 1, 1, 7, 1, 0 }, 0 },
	{ "layer norm, wide", layer_norm, { 8, 8, 192, 0, 0 }, 0 },
	{ "layer norm, float32", layer_norm, { 1, 7, 13, 0, 0, 1 }, 0 },
	{ "modulate, norm only", modulate, { 7, 11, 0, 0, 1 }, 0 },
	{ "modulate, stream only", modulate, { 5, 13, 1, 1, 0 }, 0 },
	{ "modulate", modulate, { 7, 5, 1, 1, 1 }, 0 },
	{ "modulate, stream not used", modulate, { 5, 19, 1, 0, 1 }, 0 },
	{ "modulate, wide", modulate, { 64, 192, 1, 1, 1 }, 0 },
	{ "modulate, aligned", modulate, { 150, 192, 1, 1, 1, 1 }, 0 },
	{ "modulate, aligned, norm only", modulate, { 33, 384, 0, 0, 1, 1 }, 0 },
	{ "modulate, aligned, stream not used", modulate, { 9, 768, 1, 0, 1, 1 }, 0 },
	{ "modulate, aligned, widest", modulate, { 9, 1152, 1, 1, 1, 1 }, 0 },
	{ "modulate, narrow stream", modulate, { 7, 5, 1, 1, 1, 0, 1 }, 0 },
	{ "modulate, narrow stream, norm only", modulate, { 33, 384, 0, 0, 1, 1, 1 }, 0 },
	{ "modulate, narrow stream, aligned", modulate, { 150, 192, 1, 1, 1, 1, 1 }, 0 },
	{ "modulate, narrow stream, not used", modulate, { 9, 768, 1, 0, 1, 1, 1 }, 0 },
	{ "modulate, narrow stream, widest", modulate, { 9, 1152, 1, 1, 1, 1, 1 }, 0 },
	{ "attention", attention, { 1, 7, 3, 5 }, 0 },
	{ "attention, one token", attention, { 1, 1, 1, 7 }, 0 },
	{ "attention, 11 x 5", attention, { 11, 5, 2, 13 }, 0 },
	{ "attention, 64 tokens", attention, { 8, 8, 3, 32 }, 0 },
	{ "attention, wide heads", attention, { 5, 7, 2, 104 }, 0 },
	{ "attention, wide heads, odd", attention, { 3, 5, 2, 101 }, 0 },
	{ "attention, widest head", attention, { 8, 8, 1, 512 }, 0 },
	{ "attention, 256 tokens of 64", attention, { 16, 16, 4, 64 }, NET_CASE_ROWS },
	{ "attention, 256 tokens of 72", attention, { 16, 16, 4, 72 }, NET_CASE_ROWS },
	{ "attention, 257 tokens of 64", attention, { 257, 1, 2, 64 }, 0 },
	{ "attention, 270 tokens of 64", attention, { 27, 10, 1, 64 }, 0 },
	{ "attention, 260 tokens of 72", attention, { 26, 10, 1, 72 }, 0 },
	{ "attention, 99 tokens of 72", attention, { 9, 11, 2, 72 }, 0 },
	{ "attention, bias, 256 tokens of 64", biased_attention, { 16, 16, 2, 64, 8 }, NET_CASE_COMPOSED },
	{ "attention, bias, 135 tokens of 64", biased_attention, { 9, 15, 1, 64, 16 }, NET_CASE_COMPOSED },
	{ "attention, bias, 256 tokens of 72", biased_attention, { 16, 16, 1, 72, 8 }, NET_CASE_COMPOSED },
	{ "attention, bias, 35 tokens of 72", biased_attention, { 5, 7, 2, 72, 16 }, NET_CASE_COMPOSED },
	{ "causal attention", causal_attention, { 1, 7, 3, 5 }, NET_CASE_CPU },
	{ "causal attention, one token", causal_attention, { 1, 1, 1, 7 }, NET_CASE_CPU },
	{ "causal attention, 77 tokens", causal_attention, { 1, 77, 2, 64 }, NET_CASE_CPU },
	{ "ReLU", activation, { 11, 13, EK_NN_RELU, 0 }, NET_CASE_KINKS },
	{ "leaky ReLU", activation, { 11, 13, EK_NN_RELU, 20 }, NET_CASE_KINKS },
	{ "ReLU6", activation, { 11, 13, EK_NN_RELU6, 0 }, NET_CASE_KINKS },
	{ "GELU", activation, { 11, 113, EK_NN_GELU_ERF, 0 }, 0 },
	{ "GELU by tanh", activation, { 11, 113, EK_NN_GELU_TANH, 0 }, 0 },
	{ "quick GELU", activation, { 11, 113, EK_NN_QUICK_GELU, 0 }, 0 },
	{ "SiLU", activation, { 11, 113, EK_NN_SILU, 0 }, 0 },
	{ "add", add, { 11, 113, 0, 0 }, 0 },
	{ "add, both the same", add, { 7, 5, 1, 0 }, 0 },
	{ "add, shared gradient", add, { 7, 5, 0, 1 }, NET_CASE_COMPOSED },
	{ "add, both the same, shared gradient", add, { 7, 5, 1, 1 }, NET_CASE_COMPOSED },
	{ "positions", positions, { 13, 117 }, 0 },
	{ "positions, narrow stream", positions, { 13, 117, 1 }, 0 },
	{ "positions, narrow stream, aligned", positions, { 16, 64, 1 }, 0 },
	{ "embedding", embedding, { 5, 13 }, 0 },
	{ "times", times, { 26, 100 }, NET_CASE_KINKS },
	{ "upsample", upsample, { 5, 7, 11 }, 0 },
	{ "unpatch", unpatch, { 5, 7, 3, 2 }, 0 },
	{ "channels", channels, { 7, 13, 4, 5 }, 0 },
	{ "sample", sample, { 5, 7, 3 }, 0 },
	{ "kl", kl, { 7, 5, 3 }, 0 },
	{ "squared error", difference, { 11, 13, 11, 2, 0 }, 0 },
	{ "squared error to a target", difference, { 5, 7, 3, 2, 1 }, 0 },
	{ "absolute error", difference, { 11, 13, 11, 1, 0 }, NET_CASE_KINKS },
	{ "mean", mean, { 5, 7, 3, 0 }, 0 },
	{ "hinge, up", mean, { 7, 11, 13, 1 }, NET_CASE_KINKS },
	{ "hinge, down", mean, { 5, 7, 3, -1 }, NET_CASE_KINKS },
	{ "rivals", rivals, { 7, 5 }, NET_CASE_KINKS | NET_CASE_COMPOSED },
	{ "noise", noise, { 5, 7, 3 }, NET_CASE_KINKS },
	{ "pixels", pixels, { 5, 7, 3 }, NET_CASE_KINKS },
	{ "pixels, four channels", pixels, { 11, 13, 4 }, NET_CASE_KINKS },
	{ "mix", mix, { 11, 7, 5, 3, 1 }, 0 },
	{ "mix error", mix_error, { 5, 7, 3, 3, 0 }, 0 },
	{ "mix error, more outputs, twice", mix_error, { 7, 5, 3, 8, 1 }, 0 },
	{ "diffusion", diffusion, { 5, 7, 3, 6, 0, 0 }, NET_CASE_KINKS },
	{ "diffusion, bound only", diffusion, { 7, 5, 2, 5, 0, 1 }, NET_CASE_KINKS },
	{ "diffusion, step 0", diffusion, { 11, 13, 3, 6, 1, 0 }, NET_CASE_KINKS },
	{ "quantise", quantise, { 5, 7, 3, 13, 1 }, NET_CASE_KINKS },
	{ "quantise, loss only", quantise, { 11, 13, 8, 7, 0 }, NET_CASE_KINKS },
	{ "affine", affine, { 11, 113 }, 0 },
	{ "max pool", pool, { 7, 9, 5, EK_NET_POOL_MAX, 3, 2, 0, 0 }, NET_CASE_KINKS },
	{ "max pool, padded", pool, { 5, 7, 11, EK_NET_POOL_MAX, 3, 1, 1, 1 }, NET_CASE_KINKS },
	{ "average pool", pool, { 7, 11, 13, EK_NET_POOL_AVERAGE, 3, 2, 1, 0 }, 0 },
	{ "average pool, inside", pool, { 5, 7, 5, EK_NET_POOL_AVERAGE_EXCLUSIVE, 3, 1, 1, 1 }, 0 },
	{ "average pool, inside, stride 2", pool, { 7, 5, 17, EK_NET_POOL_AVERAGE_EXCLUSIVE, 4, 2, 1, 2 }, 0 },
	{ "average", average, { 7, 5, 13 }, 0 },
	{ "concatenation", concat, { 5, 7, 11, 3 }, 0 },
	{ "branches", branches, { 5, 8, 16, 24 }, NET_CASE_COMPOSED },
	{ "branches, odd", branches, { 5, 8, 7, 8 }, NET_CASE_COMPOSED },
	{ "concatenation of six", concat, { 3, 5, 1, 16, 5, 7, 2, 13 }, 0 },
	{ "rows", rows, { 3, 5, 7, 4, 9 }, 0 },
	{ "prepend", prepend, { 3, 5, 11, 3 }, 0 },
	{ "prepend, once", prepend, { 5, 3, 13, 2, 1 }, 0 },
	{ "patches", patches, { 3, 5, 3, 7 }, 0 },
	{ "linear, exact", exactly, { 5, 7, 11, 13, 1 }, 0 },
	{ "conv, exact", exactly, { 5, 7, 11, 13, 3 }, 0 },
	{ "conv 1, exact, by fours", exactly, { 7, 9, 16, 96, 1 }, 0 },
	{ "conv 3, exact, by fours", exactly, { 5, 6, 12, 24, 3 }, 0 },
	{ "linear, GELU", activated, { 45, 24, 40, EK_NN_GELU_ERF }, NET_CASE_COMPOSED },
	{ "linear, quick GELU", activated, { 50, 136, 200, EK_NN_QUICK_GELU }, NET_CASE_COMPOSED },
	{ "perceptron", perceptron, { 45, 24, 40 }, NET_CASE_COMPOSED },
	{ "perceptron, many tokens", perceptron, { 1400, 8, 192 }, NET_CASE_COMPOSED | NET_CASE_ROWS },
	{ "perceptron, many narrower", perceptron, { 1400, 8, 128 }, NET_CASE_COMPOSED | NET_CASE_ROWS },
	{ "branch", branch, { 15, 24, 8, 1 }, NET_CASE_COMPOSED },
	{ "branch, many tokens", branch, { 1408, 192, 8, 1 }, NET_CASE_COMPOSED },
	{ "branch, many tokens, sum only", branch, { 1408, 192, 8, 0 }, NET_CASE_COMPOSED },
	{ "joined", joined, { 5, 7, 0, 0 }, NET_CASE_COMPOSED },
	{ "joined, conv, deep", joined, { 14, 128, 1, 0 }, NET_CASE_COMPOSED },
	{ "joined, needed later", joined, { 5, 7, 1, 0 }, NET_CASE_COMPOSED },
	{ "joined, an output", joined, { 5, 7, 1, 1 }, NET_CASE_COMPOSED },
	{ "shared", shared, { 7, 5 }, NET_CASE_COMPOSED },
	{ "transformer", transformer, { 3, 12, 3, 2 }, NET_CASE_COMPOSED },
	{ "transformer, narrow stream", transformer, { 3, 24, 3, 2, 1 }, NET_CASE_COMPOSED },
	{ "classifier", classifier, { 5, 3, 11 }, NET_CASE_COMPOSED },
	{ "autoencoder", autoencoder, { 6, 4, 3, 2 }, NET_CASE_COMPOSED },
};

const int net_case_count = sizeof net_cases / sizeof *net_cases;

void net_subject_new(struct net_subject *s, const struct net_case *c, enum ek_nn_precision precision, int low,
                     int batch)
{
	*s = (struct net_subject){ .low = low };
	assert_ok(ek_net_new(&s->net, &s->params, precision, batch));
	assert_ok(c->build(s, c->n));
}

void net_subject_free(struct net_subject *s)
{
	ek_net_free(s->net);
	ek_params_release(&s->params);
}
