#include "tests/train/nn/net_images.h"

#include "rebalance/base/error.h"
#include "tests/support/support.h"
#include "tests/train/nn/net_trial.h"
#include "tests/train/nn/reference.h"
#include "train/nn/net_internal.h"

/* A case, and what of it is measured. */
struct measuring {
	struct net_trial t;
	struct ek_net_images what;
	float *direction; /* numbers that bfloat16 has, as all of the trial */
	unsigned char *counts;
	double squares[NET_IMAGES], products[NET_IMAGES];
	struct net_subject alone;          /* the same network for as many images as are one */
	struct ref_net *twins[NET_IMAGES]; /* of each image alone, once it was wanted */
};

static int cannot_tell(const struct net_case *c)
{
	return strcmp(c->name, "prepend") == 0 || strcmp(c->name, "rivals") == 0 ||
	       strncmp(c->name, "quantise", 8) == 0;
}

/* 0 if the network cannot tell. */
static int start(struct measuring *m, const struct net_case *c, enum ek_nn_precision precision, int low, int together)
{
	*m = (struct measuring){ .what = { .together = together, .family = EK_AVERAGE } };
	net_subject_new(&m->t.s, c, precision, low, NET_IMAGES);
	if (cannot_tell(c)) {
		assert_int_equal(ek_net_finish(m->t.s.net, EK_NET_IMAGES), EK_ENOTSUP);
		net_subject_free(&m->t.s);
		return 0;
	}
	net_trial_start(&m->t, EK_NET_IMAGES, NET_IMAGES);
	net_subject_new(&m->alone, c, precision, low, together);
	assert_ok(ek_net_finish(m->alone.net, EK_NET_IMAGES));
	for (int i = 0; i < NET_IMAGES && m->t.s.id_count > 0; i++)
		m->t.ids[i] = i / 3; /* draws of one image with one id, and with two */
	m->direction = ref_poisoned(m->t.s.params.size);
	ref_fill(m->direction, m->t.s.params.size, 600);
	ref_round_bf16(m->direction, m->t.s.params.size);
	ek_store_write(m->t.store, EK_AVERAGE, 0, m->t.s.params.size, m->direction);
	m->counts = malloc((size_t)m->t.s.params.count + 1);
	assert_non_null(m->counts);
	return 1;
}

static void end(struct measuring *m)
{
	for (int i = 0; i < NET_IMAGES; i++)
		if (m->twins[i] != NULL)
			ref_net_free(m->twins[i]);
	free(m->direction);
	free(m->counts);
	net_subject_free(&m->alone);
	net_trial_free(&m->t);
}

static void measure(struct measuring *m, struct ek_net_state *s, int with_products)
{
	const struct net_trial *t = &m->t;

	net_trial_fill(t, s);
	assert_ok(ek_net_forward(s));
	for (int i = 0; i < t->s.output_count; i++)
		if (t->s.net->values[t->s.outputs[i]].gradient)
			ek_net_write_gradient(s, t->s.outputs[i], t->given[i]);
	m->what.direction = with_products ? t->store : NULL;
	assert_ok(ek_net_backward_images(s, &m->what, m->squares, with_products ? m->products : NULL));
}

/* The twin's gradients of parameters, of image `image` alone. */
static const struct ref_net *twin_of(struct measuring *m, int image)
{
	const struct net_trial *t = &m->t;
	const struct ek_net *net = m->alone.net;
	const size_t first = (size_t)(image * m->what.together);
	struct ref_net *r = m->twins[image];

	if (r != NULL)
		return r;
	r = m->twins[image] = ref_net_new(net, t->values);
	r->ids = t->ids + first;
	r->keys = t->keys + first;
	if (t->s.pixels > 0)
		r->pixels = t->pixels + first * ek_net_elements(net, t->s.pixels);
	for (int i = 0; i < t->s.input_count; i++) {
		const size_t n = ek_net_elements(net, t->s.inputs[i]);

		ref_net_set(r->values[t->s.inputs[i]], t->inputs[i] + first * n, (size_t)m->what.together * n);
	}
	ref_net_forward(r);
	for (int i = 0; i < t->s.output_count; i++) {
		const size_t n = ek_net_elements(net, t->s.outputs[i]);

		ref_net_set(r->gradients[t->s.outputs[i]], t->given[i] + first * n, (size_t)m->what.together * n);
	}
	ref_net_backward(r);
	return r;
}

/*
 * What the errors of the gradients' numbers, as the twin tells them, make of both; and the roundings of the sums that
 * replace those of the gradient: some 2^8 of 2^-24, of |g|^2 and |g| |direction|. In blocks as in net_twin.c, twice
 * that for a square.
 */
static void compare(struct measuring *m, const struct net_case *c, int bf16, int image, double alone)
{
	const struct ek_params *params = &m->t.s.params;
	const struct ref_net *r = twin_of(m, image);
	double square = 0, product = 0, length = 0, square_error = 0, product_error = 0, most = 0x1p8 * 0x1p-24;

	for (int p = 0; p < params->count; p++)
		for (size_t i = params->items[p].offset; i < params->items[p].offset + params->items[p].count; i++) {
			const struct ref_number *g = &r->parameter_gradients[i];
			const double allowed = ref_net_allowed(g), d = (double)m->direction[i];

			if (m->what.counts != NULL && !m->counts[p])
				continue;
			square += g->v * g->v;
			product += g->v * d;
			length += d * d;
			square_error += (2 * fabs(g->v) + allowed) * allowed;
			product_error += allowed * fabs(d);
		}
	if (c->flags & NET_CASE_COMPOSED) {
		most = bf16 ? 0x1p4 * 0x1p-8 : most;
		square_error = product_error = 0;
	}
	square_error += 2 * most * square;
	product_error += most * sqrt(square * length);
	if (!(fabs(m->squares[image] - square) <= square_error) || !(fabs(alone - square) <= square_error))
		fail_msg("%s: the square of image %d is %.9g, alone %.9g, not %.9g (allowed %g)", c->name, image,
		         m->squares[image], alone, square, square_error);
	if (!(fabs(m->products[image] - product) <= product_error))
		fail_msg("%s: the product of image %d is %.9g, not %.9g (allowed %g)", c->name, image,
		         m->products[image], product, product_error);
}

/* Without products, and with them twice: the same bytes. */
static void check(struct measuring *m, const struct net_case *c, struct ek_net_state *s)
{
	const int bf16 = ek_net_type(m->t.s.net) == EK_NN_BFLOAT16;
	double first[2][NET_IMAGES], alone[NET_IMAGES];

	measure(m, s, 0);
	memcpy(alone, m->squares, sizeof alone);
	measure(m, s, 1);
	memcpy(first[0], m->squares, sizeof first[0]);
	memcpy(first[1], m->products, sizeof first[1]);
	measure(m, s, 1);
	assert_memory_equal(first[0], m->squares, sizeof first[0]);
	assert_memory_equal(first[1], m->products, sizeof first[1]);
	for (int i = 0; i < NET_IMAGES / m->what.together; i++)
		compare(m, c, bf16, i, alone[i]);
}

void net_images_run(const struct net_case *c, enum ek_nn_precision precision, int low, int together)
{
	struct measuring m;
	struct ek_net_state *s;
	int count;

	if (!start(&m, c, precision, low, together))
		return;
	if ((count = m.t.s.params.count) == 0) {
		end(&m);
		return;
	}
	assert_ok(ek_net_state_new(&s, m.t.s.net));
	check(&m, c, s);
	/* Some parameters; and the last alone, where backward ends early. */
	for (int last = 0; last < 2 && (c->flags & NET_CASE_COMPOSED); last++) {
		for (int p = 0; p < count; p++)
			m.counts[p] = (unsigned char)(last ? p == count - 1 : p % 3 != 1);
		m.what.counts = m.counts;
		check(&m, c, s);
	}
	ek_net_state_free(s);
	end(&m);
}

int net_images_of(const struct net_case *c, enum ek_nn_precision precision, int together, double *out)
{
	struct measuring m;
	struct ek_net_state *s;

	if (!start(&m, c, precision, 0, together))
		return 0;
	assert_ok(ek_net_state_new(&s, m.t.s.net));
	measure(&m, s, 1);
	memcpy(out, m.squares, sizeof m.squares);
	memcpy(out + NET_IMAGES, m.products, sizeof m.products);
	ek_net_state_free(s);
	end(&m);
	return 1;
}
