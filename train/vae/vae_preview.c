/* A picture of how far an autoencoder is. */
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/png.h"
#include "train/vae/vae_task_internal.h"

enum { COLUMNS = 8 };

/* Picture `row`, `column` of the sheet = an image of `channels` channels; one channel is shown grey. */
static void put(struct ek_image *sheet, int row, int column, const uint8_t *pixels, struct ek_net_shape s)
{
	for (int y = 0; y < s.height; y++)
		for (int x = 0; x < s.width; x++) {
			const size_t at = (size_t)(row * s.height + y) * sheet->width + (size_t)(column * s.width + x);

			for (int c = 0; c < 3; c++)
				sheet->pixels[3 * at + (size_t)c] =
					pixels[(y * s.width + x) * s.channels + (c < s.channels ? c : 0)];
		}
}

/* Encoder and decoder, without noise. */
struct coder {
	struct ek_net *net;
	struct ek_net_state *state;
	int image, decoded;
};

static int coder_init(struct coder *c, const struct ek_vae *v, const float *values)
{
	const struct ek_autoencoder_config *m = &v->options.model;
	const struct ek_net_quantise q = { .codebook = v->codebook_parameter };
	int latent, loss, codes, rc;

	EK_TRY(ek_net_new(&c->net, &v->params, v->options.precision, v->options.slice));
	EK_TRY(c->image = ek_net_input(c->net, (struct ek_net_shape){ m->side, m->side, m->channels }));
	EK_TRY(latent = ek_autoencoder_encode(c->net, &v->params, m, c->image));
	EK_TRY(latent = m->kind == EK_AUTOENCODER_VQ ? ek_net_quantise(c->net, latent, &q, &loss, &codes)
	                                             : ek_net_channels(c->net, latent, 0, m->latent_channels));
	EK_TRY(c->decoded = ek_autoencoder_decode(c->net, &v->params, m, latent));
	EK_TRY(ek_net_output(c->net, c->decoded));
	EK_TRY(ek_net_finish(c->net, EK_NET_FORWARD));
	EK_TRY(ek_net_load(c->net, values));
	EK_TRY(ek_net_state_new(&c->state, c->net));
out:
	return rc;
}

static void coder_release(struct coder *c)
{
	ek_net_state_free(c->state);
	ek_net_free(c->net);
}

/* Images spread evenly over all, from `first` on, one slice at a time. */
static int make_pictures(const struct ek_vae *v, const struct coder *c, struct ek_image *sheet, int first,
                         uint8_t *buffer)
{
	const struct ek_net_shape shape = ek_net_shape(c->net, c->image);
	const size_t size = ek_net_elements(c->net, c->image);
	int rc;

	for (int j = 0; j < v->options.slice; j++) {
		const int column = first + j < COLUMNS ? first + j : COLUMNS - 1;
		const int64_t id = (int64_t)((uint64_t)column * v->images.count / COLUMNS);
		const uint8_t *pixels = v->images.image(v->images.context, id);

		if (pixels == NULL)
			return EK_EIO;
		ek_vae_from_pixels((float *)ek_net_stage(c->state, c->image) + (size_t)j * size, pixels, size);
		put(sheet, 0, column, pixels, shape);
	}
	EK_TRY(ek_net_forward(c->state));
	for (int j = 0; j < v->options.slice && first + j < COLUMNS; j++) {
		ek_vae_to_pixels(buffer, (const float *)ek_net_view(c->state, c->decoded) + (size_t)j * size, size);
		put(sheet, 1, first + j, buffer, shape);
	}
out:
	return rc;
}

static int save(const struct ek_image *sheet, const char *path)
{
	struct ek_buffer png = { 0 };
	int rc;

	EK_TRY(ek_png_encode(&png, sheet));
	EK_TRY(ek_atomic_save(path, png.data, png.size));
out:
	ek_buffer_release(&png);
	return rc;
}

int ek_vae_preview(void *context, const float *values, const char *path)
{
	const struct ek_vae *v = context;
	const uint32_t side = (uint32_t)v->options.model.side;
	struct ek_image sheet = { .width = COLUMNS * side, .height = 2 * side };
	struct coder coder = { 0 };
	uint8_t *buffer = NULL;
	int rc;

	EK_TRY(ek_alloc(&sheet.pixels, (size_t)sheet.width * sheet.height, 3));
	EK_TRY(coder_init(&coder, v, values));
	EK_TRY(ek_alloc(&buffer, ek_net_elements(coder.net, coder.image), 1));
	for (int first = 0; first < COLUMNS; first += v->options.slice)
		EK_TRY(make_pictures(v, &coder, &sheet, first, buffer));
	EK_TRY(save(&sheet, path));
out:
	coder_release(&coder);
	free(sheet.pixels);
	free(buffer);
	return rc;
}
