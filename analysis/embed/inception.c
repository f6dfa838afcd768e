#include "analysis/embed/inception.h"

#include <stdio.h>

#include "rebalance/base/error.h"

enum { NAME_SIZE = 64, ROWS_MAX = 12 };

/* One row, one layer. `from`: 0 the block's input, else so many rows back. `out` 0: the block's own number.
 * A row without a name pools: 3 × 3, with the block's kind at stride 1, or max at stride 2. */
struct row {
	const char *name;
	int from, out, kernel[2], stride;
	int padded; /* 1: (kernel - 1) / 2 on each side */
	int joined; /* 1: part of the block's result */
};

struct kind {
	struct row rows[ROWS_MAX];
};

static const struct kind a = { {
	{ "branch1x1", 0, 64, { 1, 1 }, 1, 1, 1 },
	{ "branch5x5_1", 0, 48, { 1, 1 }, 1, 1, 0 },
	{ "branch5x5_2", 1, 64, { 5, 5 }, 1, 1, 1 },
	{ "branch3x3dbl_1", 0, 64, { 1, 1 }, 1, 1, 0 },
	{ "branch3x3dbl_2", 1, 96, { 3, 3 }, 1, 1, 0 },
	{ "branch3x3dbl_3", 1, 96, { 3, 3 }, 1, 1, 1 },
	{ NULL, 0, 0, { 3, 3 }, 1, 1, 0 },
	{ "branch_pool", 1, 0, { 1, 1 }, 1, 1, 1 },
} };

static const struct kind b = { {
	{ "branch3x3", 0, 384, { 3, 3 }, 2, 0, 1 },
	{ "branch3x3dbl_1", 0, 64, { 1, 1 }, 1, 1, 0 },
	{ "branch3x3dbl_2", 1, 96, { 3, 3 }, 1, 1, 0 },
	{ "branch3x3dbl_3", 1, 96, { 3, 3 }, 2, 0, 1 },
	{ NULL, 0, 0, { 3, 3 }, 2, 0, 1 },
} };

static const struct kind c = { {
	{ "branch1x1", 0, 192, { 1, 1 }, 1, 1, 1 },
	{ "branch7x7_1", 0, 0, { 1, 1 }, 1, 1, 0 },
	{ "branch7x7_2", 1, 0, { 1, 7 }, 1, 1, 0 },
	{ "branch7x7_3", 1, 192, { 7, 1 }, 1, 1, 1 },
	{ "branch7x7dbl_1", 0, 0, { 1, 1 }, 1, 1, 0 },
	{ "branch7x7dbl_2", 1, 0, { 7, 1 }, 1, 1, 0 },
	{ "branch7x7dbl_3", 1, 0, { 1, 7 }, 1, 1, 0 },
	{ "branch7x7dbl_4", 1, 0, { 7, 1 }, 1, 1, 0 },
	{ "branch7x7dbl_5", 1, 192, { 1, 7 }, 1, 1, 1 },
	{ NULL, 0, 0, { 3, 3 }, 1, 1, 0 },
	{ "branch_pool", 1, 192, { 1, 1 }, 1, 1, 1 },
} };

static const struct kind d = { {
	{ "branch3x3_1", 0, 192, { 1, 1 }, 1, 1, 0 },
	{ "branch3x3_2", 1, 320, { 3, 3 }, 2, 0, 1 },
	{ "branch7x7x3_1", 0, 192, { 1, 1 }, 1, 1, 0 },
	{ "branch7x7x3_2", 1, 192, { 1, 7 }, 1, 1, 0 },
	{ "branch7x7x3_3", 1, 192, { 7, 1 }, 1, 1, 0 },
	{ "branch7x7x3_4", 1, 192, { 3, 3 }, 2, 0, 1 },
	{ NULL, 0, 0, { 3, 3 }, 2, 0, 1 },
} };

static const struct kind e = { {
	{ "branch1x1", 0, 320, { 1, 1 }, 1, 1, 1 },
	{ "branch3x3_1", 0, 384, { 1, 1 }, 1, 1, 0 },
	{ "branch3x3_2a", 1, 384, { 1, 3 }, 1, 1, 1 },
	{ "branch3x3_2b", 2, 384, { 3, 1 }, 1, 1, 1 },
	{ "branch3x3dbl_1", 0, 448, { 1, 1 }, 1, 1, 0 },
	{ "branch3x3dbl_2", 1, 384, { 3, 3 }, 1, 1, 0 },
	{ "branch3x3dbl_3a", 1, 384, { 1, 3 }, 1, 1, 1 },
	{ "branch3x3dbl_3b", 2, 384, { 3, 1 }, 1, 1, 1 },
	{ NULL, 0, 0, { 3, 3 }, 1, 1, 0 },
	{ "branch_pool", 1, 192, { 1, 1 }, 1, 1, 1 },
} };

static const struct kind stem = { {
	{ "Conv2d_1a_3x3", 0, 32, { 3, 3 }, 2, 0, 0 },
	{ "Conv2d_2a_3x3", 1, 32, { 3, 3 }, 1, 0, 0 },
	{ "Conv2d_2b_3x3", 1, 64, { 3, 3 }, 1, 1, 0 },
	{ NULL, 1, 0, { 3, 3 }, 2, 0, 0 },
	{ "Conv2d_3b_1x1", 1, 80, { 1, 1 }, 1, 0, 0 },
	{ "Conv2d_4a_3x3", 1, 192, { 3, 3 }, 1, 0, 0 },
	{ NULL, 1, 0, { 3, 3 }, 2, 0, 1 },
} };

static const struct block {
	const char *prefix;
	const struct kind *kind;
	int number; /* what a row's `out` 0 stands for */
	enum ek_net_pool_kind pool;
} blocks[] = {
	{ "", &stem, 0, EK_NET_POOL_MAX },
	{ "Mixed_5b.", &a, 32, EK_NET_POOL_AVERAGE_EXCLUSIVE },
	{ "Mixed_5c.", &a, 64, EK_NET_POOL_AVERAGE_EXCLUSIVE },
	{ "Mixed_5d.", &a, 64, EK_NET_POOL_AVERAGE_EXCLUSIVE },
	{ "Mixed_6a.", &b, 0, EK_NET_POOL_MAX },
	{ "Mixed_6b.", &c, 128, EK_NET_POOL_AVERAGE_EXCLUSIVE },
	{ "Mixed_6c.", &c, 160, EK_NET_POOL_AVERAGE_EXCLUSIVE },
	{ "Mixed_6d.", &c, 160, EK_NET_POOL_AVERAGE_EXCLUSIVE },
	{ "Mixed_6e.", &c, 192, EK_NET_POOL_AVERAGE_EXCLUSIVE },
	{ "Mixed_7a.", &d, 0, EK_NET_POOL_MAX },
	{ "Mixed_7b.", &e, 0, EK_NET_POOL_AVERAGE_EXCLUSIVE },
	{ "Mixed_7c.", &e, 0, EK_NET_POOL_MAX },
};

static int convolve(struct ek_net *net, struct ek_weights *w, int x, const char *prefix, const struct row *r, int out)
{
	const int pad[2] = { r->padded * (r->kernel[0] - 1) / 2, r->padded * (r->kernel[1] - 1) / 2 };
	char conv[NAME_SIZE], norm[NAME_SIZE];
	const struct ek_folded folded = {
		conv, norm, { out, ek_net_shape(net, x).channels, r->kernel[0], r->kernel[1] }, 1e-3
	};
	int weight, rc;

	(void)snprintf(conv, sizeof conv, "%s%s.conv", prefix, r->name);
	(void)snprintf(norm, sizeof norm, "%s%s.bn", prefix, r->name);
	EK_TRY(weight = ek_weights_fold(w, &folded, NULL, NULL));
	rc = ek_net_activation(net,
	                       ek_net_conv(net, x,
	                                   &(struct ek_net_conv){ .weight = weight,
	                                                          .bias = weight + 1,
	                                                          .outputs = out,
	                                                          .kernel = { r->kernel[0], r->kernel[1] },
	                                                          .stride = { r->stride, r->stride },
	                                                          .pad = { pad[0], pad[0], pad[1], pad[1] },
	                                                          .kept = 1 }),
	                       EK_NN_RELU);
out:
	return rc;
}

static int pool(struct ek_net *net, int x, const struct row *r, enum ek_net_pool_kind kind)
{
	return ek_net_pool(net, x,
	                   &(struct ek_net_pool){ .kind = r->stride == 2 ? EK_NET_POOL_MAX : kind,
	                                          .kernel = { 3, 3 },
	                                          .stride = { r->stride, r->stride },
	                                          .pad = { r->padded, r->padded, r->padded, r->padded } });
}

static int build_block(struct ek_net *net, struct ek_weights *w, int x, const struct block *block)
{
	int values[ROWS_MAX], joined[ROWS_MAX], count = 0, rc = 0;

	for (int i = 0; i < ROWS_MAX && block->kind->rows[i].stride != 0; i++) {
		const struct row *r = &block->kind->rows[i];
		const int in = r->from == 0 ? x : values[i - r->from], out = r->out != 0 ? r->out : block->number;

		EK_TRY(values[i] = r->name == NULL ? pool(net, in, r, block->pool)
		                                   : convolve(net, w, in, block->prefix, r, out));
		if (r->joined)
			joined[count++] = values[i];
	}
	rc = count == 1 ? joined[0] : ek_net_concat(net, joined, count);
out:
	return rc;
}

int ek_inception_build(struct ek_net *net, struct ek_weights *w, int image, const struct ek_encoder *encoder)
{
	static const char *const ignored[] = { "fc.", "AuxLogits.", "*.num_batches_tracked", NULL };
	int x = image, rc;

	(void)encoder;
	ek_weights_find_prefix(w, "Conv2d_1a_3x3.conv.weight");
	for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
		EK_TRY(x = build_block(net, w, x, &blocks[i]));
	EK_TRY(ek_weights_check_all_taken(w, ignored));
	rc = ek_net_average(net, x);
out:
	return rc;
}
