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
	if (net->params->items[q->codebook].rank != 2 || net->params->items[q->codebook].dims[1] != shapes[0].channels)
		EK_TRY(ek_fail(EK_EUSAGE, "quantise: the codebook must be [codes, %d]", shapes[0].channels));
	EK_TRY(op.inputs[0] = ek_net_cast(net, z, EK_NN_FLOAT32));
	EK_TRY(ek_net_op_add(net, &op, 3, shapes, types, numbers));
	net->values[numbers[2]].ids = 1;
out:
	*loss = rc < 0 ? rc : numbers[1];
	*codes = rc < 0 ? rc : numbers[2];
	return rc;
}
