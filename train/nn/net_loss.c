/* The layer functions of losses, and of latents: what fits, and what comes out. */
#include "rebalance/base/error.h"
#include "train/nn/net_internal.h"

static const struct ek_net_shape one_number = { 1, 1, 1 };

int ek_net_sample(struct ek_net *net, int moments, int noise)
{
	struct ek_net_shape s;
	int rc;

	EK_TRY(ek_net_check_floats(net, moments, "sample"));
	EK_TRY(ek_net_check_floats(net, noise, "sample"));
	s = net->values[noise].shape;
	s.channels *= 2;
	if (!ek_net_same_shape(s, net->values[moments].shape))
		return ek_fail(EK_EUSAGE, "sample: moments need twice the channels of the noise");
	EK_TRY(moments = ek_net_cast(net, moments, EK_NN_FLOAT32));
	EK_TRY(noise = ek_net_cast(net, noise, EK_NN_FLOAT32));
	rc = ek_net_simple(net, EK_NET_SAMPLE, moments, noise, 0, net->values[noise].shape, EK_NN_FLOAT32);
out:
	return rc;
}

int ek_net_kl(struct ek_net *net, int moments)
{
	int rc;

	EK_TRY(ek_net_check_floats(net, moments, "kl"));
	if (net->values[moments].shape.channels % 2 != 0)
		return ek_fail(EK_EUSAGE, "kl: moments need an even number of channels");
	EK_TRY(moments = ek_net_cast(net, moments, EK_NN_FLOAT32));
	rc = ek_net_simple(net, EK_NET_KL, moments, 0, 0, one_number, EK_NN_FLOAT32);
out:
	return rc;
}

static int error_of(struct ek_net *net, int a, int b, int power)
{
	const int rc = ek_net_check_same(net, a, b, "error");

	return rc < 0 ? rc : ek_net_simple(net, EK_NET_ERROR, a, b, power, one_number, EK_NN_FLOAT32);
}

int ek_net_squared_error(struct ek_net *net, int a, int b)
{
	return error_of(net, a, b, 2);
}

int ek_net_absolute_error(struct ek_net *net, int a, int b)
{
	return error_of(net, a, b, 1);
}

int ek_net_hinge(struct ek_net *net, int x, int sign)
{
	const int rc = ek_net_check_floats(net, x, "mean");

	return rc < 0 ? rc : ek_net_simple(net, EK_NET_MEAN, x, 0, sign, one_number, EK_NN_FLOAT32);
}

int ek_net_mean(struct ek_net *net, int x)
{
	return ek_net_hinge(net, x, 0);
}

int ek_net_noise(struct ek_net *net, int keys, struct ek_net_shape shape)
{
	const int rc = ek_net_check_value(net, keys, "noise");

	if (rc < 0)
		return rc;
	if (!net->values[keys].ids || ek_net_elements(net, keys) * sizeof(int32_t) != sizeof(struct ek_net_key))
		return ek_fail(EK_EUSAGE, "noise: wants keys");
	return ek_net_simple(net, EK_NET_NOISE, keys, 0, 0, shape, EK_NN_FLOAT32);
}

/* Factors `first` … of each image, `count` of them. */
static int check_factors(const struct ek_net *net, int factors, int first, int count, const char *what)
{
	int rc;

	EK_TRY(ek_net_check_floats(net, factors, what));
	if (net->values[factors].type != EK_NN_FLOAT32 || first < 0 ||
	    ek_net_elements(net, factors) < (size_t)first + (size_t)count)
		return ek_fail(EK_EUSAGE, "%s: wants %d factors in float32 from %d on", what, count, first);
out:
	return rc;
}

int ek_net_mix(struct ek_net *net, int a, int b, int factors, int first)
{
	struct ek_net_op op = { .kind = EK_NET_MIX, .parameters = { -1, -1 }, .of.first = first };
	const enum ek_nn_type type = EK_NN_FLOAT32;
	int rc;

	EK_TRY(ek_net_check_same(net, a, b, "mix"));
	EK_TRY(check_factors(net, factors, first, 2, "mix"));
	EK_TRY(op.inputs[0] = ek_net_cast(net, a, type));
	EK_TRY(op.inputs[1] = ek_net_cast(net, b, type));
	op.inputs[2] = factors;
	rc = ek_net_op_add(net, &op, 1, &net->values[a].shape, &type, NULL);
out:
	return rc;
}

/* A prediction with at least `times` the channels of two values that it is compared with. */
static int compare(struct ek_net *net, struct ek_net_op *op, const int inputs[4], int outputs, int times,
                   const char *what, int *numbers)
{
	const enum ek_nn_type types[2] = { EK_NN_FLOAT32, EK_NN_FLOAT32 };
	const struct ek_net_shape shapes[2] = { one_number, one_number };
	struct ek_net_shape p, data;
	int rc;

	for (int i = 0; i < 3; i++)
		EK_TRY(ek_net_check_floats(net, inputs[i], what));
	EK_TRY(ek_net_check_same(net, inputs[1], inputs[2], what));
	EK_TRY(check_factors(net, inputs[3], op->of.first, 4, what));
	p = net->values[inputs[0]].shape;
	data = net->values[inputs[1]].shape;
	if (p.height != data.height || p.width != data.width || p.channels < times * data.channels)
		return ek_fail(EK_EUSAGE, "%s: the prediction's shape does not fit the data", what);
	for (int i = 0; i < 3; i++)
		EK_TRY(op->inputs[i] = ek_net_cast(net, inputs[i], EK_NN_FLOAT32));
	op->inputs[3] = inputs[3];
	rc = ek_net_op_add(net, op, outputs, shapes, types, numbers);
out:
	return rc;
}

int ek_net_mix_error(struct ek_net *net, const struct ek_net_mix_error *e)
{
	struct ek_net_op op = { .kind = EK_NET_MIX_ERROR, .parameters = { -1, -1 }, .of.first = e->first };

	return compare(net, &op, (const int[]){ e->prediction, e->a, e->b, e->factors }, 1, 1, "mix error", NULL);
}

int ek_net_diffusion(struct ek_net *net, const struct ek_net_diffusion *d, int *bound)
{
	struct ek_net_op op = { .kind = EK_NET_DIFFUSION, .parameters = { -1, -1 }, .of.first = d->first };
	int numbers[2];
	const int rc = compare(net, &op, (const int[]){ d->prediction, d->data, d->noise, d->factors }, 2, 2,
	                       "diffusion", numbers);

	*bound = rc < 0 ? rc : numbers[1];
	return rc;
}

int ek_net_quantise(struct ek_net *net, int z, const struct ek_net_quantise *q, int *loss, int *codes)
{
	const enum ek_nn_type types[3] = { EK_NN_FLOAT32, EK_NN_FLOAT32, EK_NN_FLOAT32 };
	struct ek_net_op op = { .kind = EK_NET_QUANTISE, .parameters = { q->codebook, -1 }, .of.quantise = *q };
	struct ek_net_shape shapes[3];
	int rc, numbers[3] = { 0 };

	EK_TRY(ek_net_check_floats(net, z, "quantise"));
	EK_TRY(ek_net_check_parameter(net, q->codebook, 0, "quantise"));
	shapes[0] = shapes[2] = net->values[z].shape;
	shapes[1] = one_number;
	shapes[2].channels = 1;
	if (net->table->items[q->codebook].rank != 2 || net->table->items[q->codebook].dims[1] != shapes[0].channels)
		EK_TRY(ek_fail(EK_EUSAGE, "quantise: the codebook must be [codes, %d]", shapes[0].channels));
	EK_TRY(op.inputs[0] = ek_net_cast(net, z, EK_NN_FLOAT32));
	EK_TRY(ek_net_op_add(net, &op, 3, shapes, types, numbers));
	net->values[numbers[2]].ids = 1;
out:
	*loss = rc < 0 ? rc : numbers[1];
	*codes = rc < 0 ? rc : numbers[2];
	return rc;
}
