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
enum { RUNS = 2 }; /* ek_model_run's on a device that threads share: one is filled while the other runs */

/* Of a device that threads share. Its states lie in the memory of the first. */
struct shared {
	pthread_mutex_t turn; /* of the one that gives the device a batch */
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t freed;
	struct ek_net_state *first;
	int first_given;
	struct ek_model_state *runs[RUNS];
	int taken[RUNS];
};

struct ek_model {
	struct ek_weights weights;
	struct ek_net *net; /* NULL: the pixels are the features */
	int image, features, batch;
	size_t dimensions, image_bytes; /* image_bytes: preprocessed */
	size_t stride;                  /* bytes from one image of the input to the next */
	struct shared *shared;          /* or NULL */
};

struct ek_model_state {
	const struct ek_model *model;
	struct ek_net_state *state; /* NULL: there is no network, or one of the shared ones is taken for each run */
	uint8_t *bytes;             /* without a network: [batch] images, and their features */
	float *pixels;
};

/* Bytes x are seen as x · scale + shift, floats as they are. */
static int add_input(struct ek_model *m, const struct ek_preprocessing *p)
{
	struct ek_net_pixels pixels = { .shape = { p->side, p->side, CHANNELS } };
	int rc;

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

static void shared_free(struct shared *shared)
{
	for (int i = 0; shared != NULL && i < RUNS; i++)
		ek_model_state_free(shared->runs[i]);
	if (shared != NULL) {
		ek_net_state_free(shared->first);
		(void)pthread_mutex_destroy(&shared->turn);
		(void)pthread_mutex_destroy(&shared->lock);
		(void)pthread_cond_destroy(&shared->freed);
	}
	free(shared);
}

static int shared_new(struct shared **out, const struct ek_net *net)
{
	int rc;

	EK_TRY(ek_runner_check_memory(net, 1, 1));
	EK_TRY(ek_alloc(out, 1, sizeof **out));
	(void)pthread_mutex_init(&(*out)->turn, NULL);
	(void)pthread_mutex_init(&(*out)->lock, NULL);
	(void)pthread_cond_init(&(*out)->freed, NULL);
	EK_TRY(ek_net_state_new(&(*out)->first, net));
out:
	return rc;
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
	m->batch = batch;
	m->image_bytes = m->stride = ek_preprocessed_size(p);
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
		EK_TRY(shared_new(&m->shared, m->net));
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
	shared_free(m->shared);
	ek_net_free(m->net);
	ek_weights_release(&m->weights);
	free(m);
}

int ek_model_room_new(struct ek_model_state **out, const struct ek_model *m)
{
	struct shared *shared = m->shared;
	struct ek_model_state *s;
	int rc, first;

	*out = NULL;
	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	*out = s;
	s->model = m;
	if (m->net == NULL) {
		EK_TRY(ek_alloc(&s->bytes, (size_t)m->batch, m->image_bytes));
		EK_TRY(ek_alloc(&s->pixels, (size_t)m->batch * m->dimensions, sizeof *s->pixels));
	} else if (shared != NULL) {
		(void)pthread_mutex_lock(&shared->lock);
		first = !shared->first_given;
		shared->first_given = 1;
		(void)pthread_mutex_unlock(&shared->lock);
		s->state = first ? shared->first : NULL;
		EK_TRY(first ? 0 : ek_net_state_share(&s->state, m->net, shared->first));
	} else {
		EK_TRY(ek_net_state_new(&s->state, m->net));
	}
out:
	if (rc < 0) {
		ek_model_state_free(*out);
		*out = NULL;
	}
	return rc;
}

int ek_model_state_new(struct ek_model_state **out, const struct ek_model *m)
{
	int rc;

	if (m->shared == NULL)
		return ek_model_room_new(out, m);
	EK_TRY(ek_alloc(out, 1, sizeof **out));
	(*out)->model = m;
out:
	return rc;
}

void ek_model_state_free(struct ek_model_state *s)
{
	if (s == NULL)
		return;
	if (s->model->shared == NULL || s->state != s->model->shared->first)
		ek_net_state_free(s->state);
	free(s->bytes);
	free(s->pixels);
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

void *ek_model_stage(struct ek_model_state *s, int image)
{
	const struct ek_model *m = s->model;
	uint8_t *first = m->net != NULL ? ek_net_stage(s->state, m->image) : s->bytes;

	return first + (size_t)image * m->stride;
}

/* Features leave a device before it is given the next batch: the states of a shared one lie in the same memory. */
static int compute(struct ek_model_state *s)
{
	struct shared *shared = s->model->shared;
	int rc;

	if (shared != NULL)
		(void)pthread_mutex_lock(&shared->turn);
	EK_TRY(ek_net_forward(s->state));
	ek_net_bring(s->state, s->model->features);
out:
	if (shared != NULL)
		(void)pthread_mutex_unlock(&shared->turn);
	return rc;
}

int ek_model_start(struct ek_model_state *s, int count)
{
	const struct ek_model *m = s->model;

	if (count < 1 || count > m->batch)
		return ek_fail(EK_EUSAGE, "%d images for a batch of %d", count, m->batch);
	for (size_t i = 0; i < (size_t)count * m->dimensions && m->net == NULL; i++)
		s->pixels[i] = (float)s->bytes[i] / 255;
	if (m->net == NULL)
		return 0;
	ek_net_clear_inputs(s->state, count);
	return compute(s);
}

int ek_model_is_done(const struct ek_model_state *s)
{
	return s->model->net == NULL || ek_net_is_brought(s->state);
}

int ek_model_features(const float **features, struct ek_model_state *s)
{
	const struct ek_model *m = s->model;

	*features = m->net != NULL ? ek_net_brought(s->state, m->features) : s->pixels;
	return m->net != NULL ? ek_device_fault() : 0;
}

static void put_back(struct shared *shared, int number)
{
	(void)pthread_mutex_lock(&shared->lock);
	shared->taken[number] = 0;
	(void)pthread_cond_signal(&shared->freed);
	(void)pthread_mutex_unlock(&shared->lock);
}

/* One of the shared ones, which no other thread has until it is put back: its number, or a code. */
static int take(struct ek_model_state **out, const struct ek_model *m)
{
	struct shared *shared = m->shared;
	int i = 0, rc = 0;

	(void)pthread_mutex_lock(&shared->lock);
	while (shared->taken[i])
		if (++i == RUNS) {
			(void)pthread_cond_wait(&shared->freed, &shared->lock);
			i = 0;
		}
	shared->taken[i] = 1;
	(void)pthread_mutex_unlock(&shared->lock);
	if (shared->runs[i] == NULL && (rc = ek_model_room_new(&shared->runs[i], m)) < 0)
		put_back(shared, i);
	*out = shared->runs[i];
	return rc < 0 ? rc : i;
}

int ek_model_run(const struct ek_model *m, struct ek_model_state *s, const void *images, int count, float *features)
{
	const uint8_t *bytes = images;
	struct ek_model_state *room = s;
	const float *made;
	int rc = 0, taken = -1;

	if (m->shared != NULL)
		EK_TRY(taken = take(&room, m));
	for (int i = 0; i < count && i < m->batch; i++)
		memcpy(ek_model_stage(room, i), bytes + (size_t)i * m->image_bytes, m->image_bytes);
	EK_TRY(ek_model_start(room, count));
	EK_TRY(ek_model_features(&made, room));
	memcpy(features, made, (size_t)count * m->dimensions * sizeof *features);
out:
	if (taken >= 0)
		put_back(m->shared, taken);
	return rc;
}
