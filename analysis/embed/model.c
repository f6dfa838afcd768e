#include "analysis/embed/model.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/preprocess.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nets/weights.h"
#include "train/nn/net.h"
#include "train/nn/runner.h"

enum { CHANNELS = 3 };
enum { STATES = 2 }; /* of a device that threads share: one is filled while the other runs */

struct pool {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t freed;
	struct ek_net_state *states[STATES];
	int taken[STATES];
};

struct ek_model {
	struct ek_weights weights;
	struct ek_net *net; /* NULL: the pixels are the features */
	int image, features;
	size_t dimensions, image_bytes; /* image_bytes: preprocessed */
	size_t stride;                  /* bytes from one image of the input to the next */
	struct pool *pool;              /* of a shared device, or NULL */
};

struct ek_model_state {
	struct ek_net_state *state; /* NULL: one of the pool is taken for each run */
};

/* Bytes x are seen as x · scale + shift, floats as they are. */
static int add_input(struct ek_model *m, const struct ek_preprocessing *p)
{
	struct ek_net_pixels pixels = { .shape = { p->side, p->side, CHANNELS } };
	int rc;

	m->image_bytes = ek_preprocessed_size(p);
	m->stride = m->image_bytes;
	if (p->interpolation != EK_INTERPOLATION_PILLOW)
		return m->image = ek_net_input(m->net, pixels.shape);
	m->stride = ek_net_pixels_stride(pixels.shape);
	for (int i = 0; i < CHANNELS; i++) {
		pixels.scale[i] = (float)(1 / (255 * p->deviation[i]));
		pixels.shift[i] = (float)(-p->mean[i] / p->deviation[i]);
	}
	EK_TRY(m->image = ek_net_input_pixels(m->net, pixels.shape));
	rc = ek_net_pixels(m->net, m->image, &pixels);
out:
	return rc;
}

static void pool_free(struct pool *pool)
{
	for (int i = 0; pool != NULL && i < STATES; i++)
		ek_net_state_free(pool->states[i]);
	if (pool != NULL) {
		(void)pthread_mutex_destroy(&pool->lock);
		(void)pthread_cond_destroy(&pool->freed);
	}
	free(pool);
}

static int pool_new(struct pool **out, const struct ek_net *net)
{
	int rc;

	EK_TRY(ek_runner_check_memory(net, STATES, 1));
	EK_TRY(ek_alloc(out, 1, sizeof **out));
	(void)pthread_mutex_init(&(*out)->lock, NULL);
	(void)pthread_cond_init(&(*out)->freed, NULL);
	for (int i = 0; i < STATES; i++)
		EK_TRY(ek_net_state_new(&(*out)->states[i], net));
out:
	return rc;
}

/* A state that no other thread has, until it is put back. */
static struct ek_net_state *take_state(struct pool *pool)
{
	int i = 0;

	(void)pthread_mutex_lock(&pool->lock);
	while (pool->taken[i])
		if (++i == STATES) {
			(void)pthread_cond_wait(&pool->freed, &pool->lock);
			i = 0;
		}
	pool->taken[i] = 1;
	(void)pthread_mutex_unlock(&pool->lock);
	return pool->states[i];
}

static void put_back(struct pool *pool, const struct ek_net_state *state)
{
	(void)pthread_mutex_lock(&pool->lock);
	for (int i = 0; i < STATES; i++)
		if (pool->states[i] == state)
			pool->taken[i] = 0;
	(void)pthread_cond_signal(&pool->freed);
	(void)pthread_mutex_unlock(&pool->lock);
}

int ek_model_new(struct ek_model **out, const struct ek_encoder *encoder, const struct ek_preprocessing *p,
                 const char *weights, enum ek_nn_precision precision, int batch)
{
	struct ek_tensor_file file = { 0 };
	struct ek_model *m;
	int rc, image;

	*out = NULL;
	EK_TRY(ek_alloc(&m, 1, sizeof *m));
	*out = m;
	m->dimensions = ek_encoder_dimensions(encoder, p);
	if (encoder->build == NULL)
		goto out;
	EK_TRY(ek_tensor_file_open(&file, weights));
	EK_TRY(ek_weights_init(&m->weights, &file));
	EK_TRY(ek_net_new(&m->net, &m->weights.params, precision, batch));
	EK_TRY(image = add_input(m, p));
	EK_TRY(m->features = encoder->build(m->net, &m->weights, image, encoder));
	EK_TRY(ek_net_output(m->net, m->features));
	EK_TRY(ek_net_finish(m->net, EK_NET_FORWARD));
	EK_TRY(ek_net_load(m->net, m->weights.values));
	if (ek_device_takes_batches())
		EK_TRY(pool_new(&m->pool, m->net));
out:
	ek_tensor_file_close(&file);
	if (rc < 0) {
		ek_model_free(*out);
		*out = NULL;
	}
	return rc < 0 ? rc : 0;
}

void ek_model_free(struct ek_model *m)
{
	if (m == NULL)
		return;
	pool_free(m->pool);
	ek_net_free(m->net);
	ek_weights_release(&m->weights);
	free(m);
}

int ek_model_state_new(struct ek_model_state **out, const struct ek_model *m)
{
	int rc;

	EK_TRY(ek_alloc(out, 1, sizeof **out));
	if (m->net != NULL && m->pool == NULL)
		EK_TRY(ek_net_state_new(&(*out)->state, m->net));
out:
	if (rc < 0) {
		ek_model_state_free(*out);
		*out = NULL;
	}
	return rc;
}

void ek_model_state_free(struct ek_model_state *s)
{
	if (s != NULL)
		ek_net_state_free(s->state);
	free(s);
}

int ek_model_batch(const struct ek_preprocessing *p)
{
	/* Pixels of a batch: larger ones outgrow the cache (bench_embed: 3 to 25 % less per core). A shared device
	 * wants many, but each thread reads and decodes a batch of its own. */
	enum { IMAGE = 224 * 224, PIXELS = 2 * IMAGE, MOST = 64, SHARED_PIXELS = 128 * IMAGE, SHARED_MOST = 512 };
	const int shared = ek_device_takes_batches(), most = shared ? SHARED_MOST : MOST;
	const int count = (shared ? SHARED_PIXELS : PIXELS) / (p->side * p->side);

	return count > most ? most : count < 1 ? 1 : count;
}

int ek_model_run(const struct ek_model *m, struct ek_model_state *s, const void *images, int count, float *features)
{
	const uint8_t *bytes = images;
	struct ek_net_state *state;
	uint8_t *stage;
	int rc;

	for (size_t i = 0; i < (size_t)count * m->dimensions && m->net == NULL; i++)
		features[i] = (float)bytes[i] / 255;
	if (m->net == NULL)
		return 0;
	if (count < 1 || count > ek_net_batch(m->net))
		return ek_fail(EK_EUSAGE, "%d images for a batch of %d", count, ek_net_batch(m->net));
	state = m->pool != NULL ? take_state(m->pool) : s->state;
	stage = ek_net_stage(state, m->image);
	for (size_t i = 0; i < (size_t)count; i++)
		memcpy(stage + i * m->stride, bytes + i * m->image_bytes, m->image_bytes);
	ek_net_clear_inputs(state, count);
	EK_TRY(ek_net_forward(state));
	memcpy(features, ek_net_view(state, m->features), (size_t)count * m->dimensions * sizeof *features);
	EK_TRY(ek_device_fault());
out:
	if (m->pool != NULL)
		put_back(m->pool, state);
	return rc;
}
