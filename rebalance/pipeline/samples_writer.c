#include "rebalance/pipeline/samples_writer.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "rebalance/pipeline/samples.h"

/* What is written together. */
struct batch {
	struct ek_samples_writer *writer;
	uint8_t *pixels;
	float *latents;
	size_t room, latents_room, count;
	uint64_t first;
};

struct ek_samples_writer {
	const char *folder;
	uint32_t side;
	struct ek_npy_writer *latents;
	size_t elements;
	struct batch batches[2]; /* one is filled while the other is written */
	int filled, is_beside;
	struct ek_beside writing;
};

int ek_samples_writer_new(struct ek_samples_writer **out, const char *folder, uint32_t side,
                          struct ek_npy_writer *latents, size_t elements, int beside)
{
	struct ek_samples_writer *w = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&w, 1, sizeof *w));
	w->folder = folder;
	w->side = side;
	w->latents = latents;
	w->elements = elements;
	w->is_beside = beside;
	for (int i = 0; i < 2; i++)
		w->batches[i].writer = w;
	*out = w;
out:
	return rc;
}

void ek_samples_writer_free(struct ek_samples_writer *w)
{
	if (w == NULL)
		return;
	(void)ek_beside_end(&w->writing);
	for (int i = 0; i < 2; i++) {
		free(w->batches[i].pixels);
		free(w->batches[i].latents);
	}
	free(w);
}

static size_t size_of(const struct ek_samples_writer *w)
{
	return 3 * (size_t)w->side * w->side;
}

int ek_samples_writer_room(uint8_t **pixels, struct ek_samples_writer *w, size_t count)
{
	struct batch *b = &w->batches[w->filled];
	int rc = 0;

	if (b->room < count) {
		EK_TRY(ek_resize(&b->pixels, count, size_of(w)));
		b->room = count;
	}
	*pixels = b->pixels;
out:
	return rc;
}

static int write_one(void *context, uint64_t i, int worker)
{
	const struct batch *b = context;
	const struct ek_samples_writer *w = b->writer;

	(void)worker;
	return ek_samples_write_image(w->folder, b->first + i, b->pixels + i * size_of(w), w->side);
}

/* Latents last: a set that keeps them goes on behind those that are there. */
static int write_batch(void *context)
{
	struct batch *b = context;
	int rc;

	EK_TRY(ek_parallel(b->count, write_one, b));
	if (b->writer->latents != NULL)
		EK_TRY(ek_npy_writer_append(b->writer->latents, b->latents, b->count));
out:
	return rc;
}

static int keep_latents(struct batch *b, const float *latents)
{
	const size_t elements = b->writer->elements;
	int rc = 0;

	if (b->latents_room < b->count) {
		EK_TRY(ek_resize(&b->latents, b->count, elements * sizeof *latents));
		b->latents_room = b->count;
	}
	memcpy(b->latents, latents, b->count * elements * sizeof *latents);
out:
	return rc;
}

int ek_samples_writer_write(struct ek_samples_writer *w, uint64_t first, size_t count, const float *latents)
{
	struct batch *b = &w->batches[w->filled];
	int rc;

	b->first = first;
	b->count = count;
	if (w->latents != NULL)
		EK_TRY(keep_latents(b, latents));
	EK_TRY(ek_beside_end(&w->writing));
	if (!w->is_beside)
		return write_batch(b);
	EK_TRY(ek_beside_begin(&w->writing, write_batch, b));
	w->filled ^= 1;
out:
	return rc;
}

int ek_samples_writer_end(struct ek_samples_writer *w)
{
	return ek_beside_end(&w->writing);
}
