/* Latents of a data set: what is stored, when it is made again, and the way back. */
#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/npy.h"
#include "tests/train/vae/toy.h"
#include "train/nn/net_internal.h"
#include "train/vae/latents.h"
#include "train/vae/vae_task_internal.h"

static struct ek_toy_images images;
static int images_read;

/* Images that count how often they are read, and stop the program's work at image `stop_at`. */
static int stop_at;
static const uint8_t *counted(void *context, int64_t id)
{
	struct ek_vae_images inner = ek_toy_images_of(context);

	__atomic_add_fetch(&images_read, 1, __ATOMIC_RELAXED);
	if (stop_at >= 0 && id >= stop_at) {
		(void)ek_fail(EK_EIO, "stopped at image %d", (int)id);
		return NULL;
	}
	return inner.image(inner.context, id);
}

static struct ek_vae_images source(void)
{
	images_read = 0;
	return (struct ek_vae_images){ .image = counted, .context = &images, .count = TOY_IMAGES };
}

static int open_latents(struct ek_latents **l, const char *path, const struct ek_autoencoder *model, const char *key)
{
	const struct ek_vae_images from = source();
	const int rc = ek_latents_make(path, model, &from, key, EK_NN_F32);

	return rc < 0 ? rc : ek_latents_open(l, path, &model->config, TOY_IMAGES);
}

static void read_file(struct ek_buffer *out, const char *path)
{
	ek_buffer_clear(out);
	assert_ok(ek_file_read(out, path, 1 << 24));
}

/* What the encoder gives for all images, in float32, [TOY_IMAGES, 8, 8, channels]. */
static float *encode(const struct ek_autoencoder *m, size_t *elements)
{
	struct ek_net_state *s;
	struct ek_net *net;
	float *out;
	int x, y;

	assert_ok(ek_net_new(&net, &m->params, EK_NN_F32, 1));
	assert_ok(x = ek_net_input(net, (struct ek_net_shape){ TOY_SIDE, TOY_SIDE, 3 }));
	assert_ok(y = ek_autoencoder_encode(net, &m->params, &m->config, x));
	assert_ok(ek_net_output(net, y));
	assert_ok(ek_net_finish(net, EK_NET_FORWARD));
	assert_ok(ek_net_load(net, m->values));
	assert_ok(ek_net_state_new(&s, net));
	*elements = ek_net_elements(net, y);
	assert_ok(ek_alloc(&out, TOY_IMAGES * *elements, sizeof *out));
	for (int i = 0; i < TOY_IMAGES; i++) {
		ek_vae_from_pixels(ek_net_data(s, x), images.pixels[i], TOY_SIZE);
		assert_ok(ek_net_forward(s));
		ek_net_read(s, y, out + (size_t)i * *elements);
	}
	ek_net_state_free(s);
	ek_net_free(net);
	return out;
}

/* float16 rounds to 11 bits; a float32 convolution's order changes less than that. */
#define HALF (1.01 / 2048)

static void latents_are_what_the_encoder_gives(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		const char *path = ek_join(ek_scratch(), "latents.npy");
		struct ek_autoencoder m;
		struct ek_latents *l;
		float *want, got[8 * 8 * 4];
		double sum = 0, squares = 0, mean, deviation;
		size_t elements;

		ek_toy_model(&m, (enum ek_autoencoder_kind)kind);
		/* Deviations small beside the rounding of means: a sample is its mean. */
		for (int c = 4; kind == EK_AUTOENCODER_KL && c < 8; c++)
			m.values[m.params.items[ek_params_find(&m.params, "quant_conv.bias")].offset + (size_t)c] = -30;
		m.config.scale = 2;
		m.config.shift = 0.25;
		want = encode(&m, &elements);
		assert_ok(open_latents(&l, path, &m, "key"));
		for (int id = 0; id < TOY_IMAGES; id++) {
			ek_latents_get(l, id, 1, 2, got);
			for (size_t i = 0; i < 8 * 8 * 4; i++) {
				const size_t at = kind == EK_AUTOENCODER_KL ? i / 4 * 8 + i % 4 : i;
				const double x = (double)want[(size_t)id * elements + at];

				assert_true(fabs((double)got[i] - (x - 0.25) * 2) <= 2 * HALF * fmax(1, fabs(x)));
				sum += x;
				squares += x * x;
			}
		}
		assert_ok(ek_latents_measure(l, &mean, &deviation));
		sum /= TOY_IMAGES * 256;
		squares /= TOY_IMAGES * 256;
		assert_close(mean, sum, HALF);
		assert_close(deviation * deviation, squares - sum * sum, 4 * HALF);
		ek_latents_close(l);
		ek_autoencoder_release(&m);
		free(want);
	}
}

/* Samples of one latent: their mean and variance are those of its moments. */
static void samples_have_the_moments(void **state)
{
	enum { SAMPLES = 4000 };
	const char *path = ek_join(ek_scratch(), "latents.npy");
	struct ek_autoencoder m;
	struct ek_latents *l;
	double sum = 0, squares = 0, want, spread;
	float got[256], again[256], *moments;
	size_t elements;

	ek_toy_model(&m, EK_AUTOENCODER_KL);
	moments = encode(&m, &elements);
	assert_ok(open_latents(&l, path, &m, "key"));
	for (uint64_t i = 0; i < SAMPLES; i++) {
		ek_latents_get(l, 7, 1, i, got);
		sum += (double)got[0] / SAMPLES;
		squares += (double)got[0] * (double)got[0] / SAMPLES;
	}
	want = (double)moments[7 * elements];
	spread = exp(0.5 * (double)moments[7 * elements + 4]);
	/* Five standard deviations of a mean, and of a variance, of so many normal numbers. */
	assert_true(fabs(sum - want) <= 5 * spread / sqrt(SAMPLES) + HALF);
	assert_true(fabs(squares - sum * sum - spread * spread) <= 5 * spread * spread * sqrt(2.0 / SAMPLES));
	ek_latents_get(l, 7, 1, SAMPLES - 1, again);
	assert_memory_equal(got, again, sizeof got);
	ek_latents_get(l, 7, 2, SAMPLES - 1, again);
	assert_true(got[0] != again[0]);
	ek_latents_close(l);
	ek_autoencoder_release(&m);
	free(moments);
}

static void they_depend_on_the_encoder_alone(void **state)
{
	char first[EK_SHA256_HEX], key[EK_SHA256_HEX];
	const char *path = ek_join(ek_scratch(), "latents.npy");
	struct ek_autoencoder m;
	struct ek_latents *l;

	ek_toy_model(&m, EK_AUTOENCODER_KL);
	assert_ok(ek_latents_encoder(first, &m, EK_NN_F32));
	m.values[m.params.size - 1] += 1; /* the decoder's, and how latents are scaled */
	m.config.scale = 3;
	assert_ok(ek_latents_encoder(key, &m, EK_NN_F32));
	assert_string_equal(key, first);
	assert_ok(ek_latents_encoder(key, &m, EK_NN_BF16));
	assert_string_not_equal(key, first);
	m.values[0] += 1;
	assert_ok(ek_latents_encoder(key, &m, EK_NN_F32));
	assert_string_not_equal(key, first);
	/* Of other images, or of another autoencoder, they are not taken for these. */
	assert_ok(open_latents(&l, path, &m, "key"));
	ek_latents_close(l);
	assert_fails(ek_latents_open(&l, path, &m.config, TOY_IMAGES + 1), EK_EDATA, "latents.npy");
	ek_autoencoder_release(&m);
}

/* PATH.partial as a kill would leave it: the first `rows` rows of `whole`, under `key`. */
static void leave_partial(const char *path, const char *key, const struct ek_buffer *whole, uint64_t rows)
{
	const uint64_t shape[4] = { TOY_IMAGES, 8, 8, 8 };
	const size_t all = (size_t)TOY_IMAGES * 8 * 8 * 8 * sizeof(uint16_t);
	struct ek_npy_writer *w;
	uint64_t done;

	assert_ok(ek_npy_writer_open(&w, &done, path, EK_F16, 4, shape, key));
	assert_int_equal(done, 0);
	assert_ok(ek_npy_writer_append(w, whole->data + whole->size - all, rows));
	assert_ok(ek_npy_writer_sync(w));
	ek_npy_writer_free(w);
}

static void what_was_encoded_is_kept(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "latents.npy"),
		   *other = ek_join(folder, "whole.npy");
	struct ek_buffer whole = { 0 }, bytes = { 0 };
	char key[EK_SHA256_HEX];
	struct ek_autoencoder m;
	struct ek_latents *l;

	ek_toy_model(&m, EK_AUTOENCODER_KL);
	assert_int_equal(ek_vae_usual_slice(&m.config), 32);
	ek_threads_set(2);
	assert_ok(open_latents(&l, other, &m, "key"));
	ek_latents_close(l);
	read_file(&whole, other);
	assert_ok(ek_latents_key(key, &m, TOY_IMAGES, "key", EK_NN_F32));
	leave_partial(path, key, &whole, 35); /* within the second slice, which is encoded whole */
	ek_threads_set(1);
	assert_ok(open_latents(&l, path, &m, "key"));
	assert_int_equal(images_read, TOY_IMAGES - 32);
	ek_latents_close(l);
	read_file(&bytes, path);
	assert_int_equal(bytes.size, whole.size);
	assert_memory_equal(bytes.data, whole.data, whole.size);
	ek_threads_set(0);
	ek_buffer_release(&whole);
	ek_buffer_release(&bytes);
	ek_autoencoder_release(&m);
}

static void failures_leave_no_latents(void **state)
{
	const char *path = ek_join(ek_scratch(), "latents.npy");
	struct ek_autoencoder m;
	struct ek_latents *l;

	ek_toy_model(&m, EK_AUTOENCODER_KL);
	stop_at = 20;
	assert_fails(open_latents(&l, path, &m, "key"), EK_EIO, "stopped at image 20");
	stop_at = -1;
	assert_false(ek_file_exists(path));
	m.values[m.params.items[ek_params_find(&m.params, "quant_conv.bias")].offset] = 1e6F;
	assert_fails(open_latents(&l, path, &m, "key"), EK_EDATA, "the latent of image 0 has the number 1");
	assert_false(ek_file_exists(path));
	ek_autoencoder_release(&m);
}

/* Decoded latents are what the decoder gives, whatever the threads; VQ takes codes. */
static void latents_are_decoded(void **state)
{
	enum { COUNT = 37 };

	for (int kind = 0; kind < 2; kind++) {
		struct ek_latent_decoder *d;
		struct ek_autoencoder m;
		uint8_t *pixels[3];
		float *latents;

		ek_toy_model(&m, (enum ek_autoencoder_kind)kind);
		m.config.scale = 0.5;
		m.config.shift = -1;
		assert_ok(ek_alloc(&latents, COUNT * 256, sizeof *latents));
		for (size_t i = 0; i < COUNT * 256; i++)
			latents[i] = (float)(i * 2654435761u % 1000) / 1000;
		for (int i = 0; i < 3; i++) {
			assert_ok(ek_alloc(&pixels[i], COUNT, TOY_SIZE));
			ek_threads_set(i + 1);
			if (i == 2) { /* the same latents, unscaled here: by powers of two, exactly */
				m.config.scale = 1;
				m.config.shift = 0;
				for (size_t j = 0; j < COUNT * 256; j++)
					latents[j] = latents[j] * 2 - 1;
			}
			assert_ok(ek_latent_decoder_new(&d, &m, EK_NN_F32));
			assert_ok(ek_latent_decoder_run(d, latents, COUNT, pixels[i]));
			ek_latent_decoder_free(d);
		}
		ek_threads_set(0);
		assert_memory_equal(pixels[0], pixels[1], COUNT * TOY_SIZE);
		assert_memory_equal(pixels[0], pixels[2], COUNT * TOY_SIZE);
		for (size_t i = 0; i < COUNT; i++) /* not all the same */
			assert_memory_not_equal(pixels[0] + i * TOY_SIZE, pixels[0] + (i + 1) % COUNT * TOY_SIZE,
			                        TOY_SIZE);
		for (int i = 0; i < 3; i++)
			free(pixels[i]);
		free(latents);
		ek_autoencoder_release(&m);
	}
}

/* A codebook row, given as a latent with some noise, decodes as the row itself. */
static void codes_are_taken_from_near_latents(void **state)
{
	struct ek_latent_decoder *d;
	struct ek_autoencoder m;
	float latents[2][256];
	uint8_t pixels[2][TOY_SIZE];
	const float *book;

	ek_toy_model(&m, EK_AUTOENCODER_VQ);
	book = m.values + m.params.items[ek_autoencoder_codebook(&m.params)].offset;
	for (size_t i = 0; i < 256; i++) {
		latents[0][i] = book[i / 4 % 32 * 4 + i % 4];
		latents[1][i] = latents[0][i] * (1 + 1e-4F);
	}
	assert_ok(ek_latent_decoder_new(&d, &m, EK_NN_F32));
	assert_ok(ek_latent_decoder_run(d, latents[0], 2, pixels[0]));
	assert_memory_equal(pixels[0], pixels[1], TOY_SIZE);
	ek_latent_decoder_free(d);
	ek_autoencoder_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(latents_are_what_the_encoder_gives), cmocka_unit_test(samples_have_the_moments),
		cmocka_unit_test(they_depend_on_the_encoder_alone),   cmocka_unit_test(what_was_encoded_is_kept),
		cmocka_unit_test(failures_leave_no_latents),          cmocka_unit_test(latents_are_decoded),
		cmocka_unit_test(codes_are_taken_from_near_latents),
	};

	stop_at = -1;
	ek_toy_images_make(&images);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
