/*
 * Features of images and of their views, for the benchmark of balance recovery:
 *
 *	bench_recovery_views RUN VIEWS SEED OUT.npy
 *
 * RUN is embedded by the default encoder. OUT.npy becomes [images, VIEWS, d] float16: the image as it is, then its
 * views 1 … VIEWS - 1. A stopped pass goes on where it was.
 */
#include <stdio.h>
#include <stdlib.h>

#include "analysis/embed/views.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/images.h"

enum { AT_ONCE = 256 };

/* Each image's own row before those of its views, in half precision. */
static void weave(uint16_t *out, const struct ek_npy *embeddings, const float *features, uint64_t first, uint64_t count,
                  size_t views, size_t d, float *row)
{
	for (uint64_t i = 0; i < count; i++) {
		ek_npy_row_f32(row, embeddings, first + i);
		for (size_t j = 0; j < d; j++)
			*out++ = ek_float_to_half(row[j]);
		for (size_t j = 0; j < (views - 1) * d; j++)
			*out++ = ek_float_to_half(*features++);
	}
}

static int write_views(const char *path, const struct ek_run *run, int views, uint64_t seed)
{
	const struct ek_embed_options options = EK_EMBED_OPTIONS_DEFAULT;
	struct ek_npy_writer *writer = NULL;
	struct ek_npy embeddings = { 0 };
	struct ek_embed *embed = NULL;
	struct ek_views *all = NULL;
	uint64_t ids[AT_ONCE], n, done;
	uint16_t *halves = NULL;
	float *features = NULL, *row = NULL;
	char *own = NULL;
	size_t d;
	int rc;

	EK_TRY(ek_images_count(&n, run));
	EK_TRY(ek_run_file(&own, run, "embeddings.npy"));
	EK_TRY(ek_npy_open(&embeddings, own));
	EK_TRY(ek_embed_prepare(&embed, run, &options));
	EK_TRY(ek_views_new(&all, embed, run, views - 1, seed));
	d = ek_views_dimensions(all);
	EK_TRY(ek_alloc(&features, AT_ONCE * (size_t)views * d, sizeof *features));
	EK_TRY(ek_alloc(&halves, AT_ONCE * (size_t)views * d, sizeof *halves));
	EK_TRY(ek_alloc(&row, d, sizeof *row));
	EK_TRY(ek_npy_writer_open(&writer, &done, path, EK_F16, 3, (const uint64_t[]){ n, (uint64_t)views, d },
	                          "recovery"));
	ek_progress_begin("views", "images", n);
	for (uint64_t count; done < n; done += count) {
		count = n - done < AT_ONCE ? n - done : AT_ONCE;
		for (uint64_t i = 0; i < count; i++)
			ids[i] = done + i;
		EK_TRY(ek_views_run(all, ids, count, features));
		weave(halves, &embeddings, features, done, count, (size_t)views, d, row);
		EK_TRY(ek_npy_writer_append(writer, halves, count));
		EK_TRY(ek_npy_writer_sync(writer));
	}
	ek_progress_end();
	EK_TRY(ek_npy_writer_commit(writer));
out:
	ek_npy_writer_free(writer);
	ek_views_free(all);
	ek_embed_free(embed);
	ek_npy_close(&embeddings);
	free(features);
	free(halves);
	free(row);
	free(own);
	return rc;
}

int main(int argc, char **argv)
{
	struct ek_run *run = NULL;
	int rc;

	if (argc != 5) {
		fprintf(stderr, "usage: bench_recovery_views RUN VIEWS SEED OUT.npy\n");
		return 2;
	}
	EK_TRY(ek_run_open(&run, argv[1], EK_RUN_READ));
	EK_TRY(write_views(argv[4], run, (int)strtol(argv[2], NULL, 10), strtoull(argv[3], NULL, 10)));
out:
	ek_run_close(run);
	if (rc < 0)
		fprintf(stderr, "bench_recovery_views: %s\n", ek_error_message());
	return rc < 0;
}
