/*
 * make_samples RUN NAME COUNT: RUN/samples/NAME as generate leaves it, without a model. Sample i is image 7 i (of n, in
 * a circle) of the run with noise, made for its cluster; every fifth is the image itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/random.h"
#include "rebalance/io/images.h"
#include "rebalance/io/npy.h"

enum { STEP = 7, COPY_EVERY = 5, NOISE = 60 };

static void add_noise(struct ek_image *image, uint64_t i)
{
	for (uint64_t at = 0; at < 3 * (uint64_t)image->width * image->height; at++) {
		const int value = image->pixels[at] + (int)ek_random_below(i, 2, at, NOISE) - NOISE / 2;

		image->pixels[at] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
	}
}

static int write_sample(const char *folder, struct ek_images *rows, struct ek_image_loader *loader, uint64_t i,
                        uint64_t id)
{
	struct ek_image_record row = { 0 };
	struct ek_image image = { 0 };
	struct ek_buffer png = { 0 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_images_go(rows, id));
	EK_TRY(ek_images_next(rows, &row));
	EK_TRY(ek_image_loader_decode(loader, &row, 0, &image));
	if (i % COPY_EVERY != 0)
		add_noise(&image, i);
	EK_TRY(ek_image_encode_png(&png, &image));
	EK_TRY(ek_format(&path, "%s/images/%06" PRIu64 ".png", folder, i));
	EK_TRY(ek_atomic_save(path, png.data, png.size));
out:
	ek_image_release(&image);
	ek_image_record_release(&row);
	ek_buffer_release(&png);
	free(path);
	return rc;
}

static int make(const struct ek_run *run, const char *folder, uint64_t count)
{
	static const uint64_t any[] = { UINT64_MAX };
	struct ek_npy assignment = { 0 };
	struct ek_images *rows = NULL;
	struct ek_image_loader *loader = NULL;
	struct ek_buffer list = { 0 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, "clusters/assignment.npy"));
	EK_TRY(ek_npy_open_as(&assignment, path, EK_I32, 1, any));
	EK_TRY(ek_images_open(&rows, run));
	EK_TRY(ek_image_loader_new(&loader, run));
	for (uint64_t i = 0; i < count; i++) {
		const uint64_t id = STEP * i % assignment.shape[0];

		EK_TRY(write_sample(folder, rows, loader, i, id));
		EK_TRY(ek_buffer_printf(&list,
		                        "{\"id\": %" PRIu64 ", \"file_name\": \"images/%06" PRIu64
		                        ".png\", \"seed\": %" PRIu64 ", \"cluster\": \"%" PRId32 "\"}\n",
		                        i, i, 1000 + i, ((const int32_t *)assignment.data)[id]));
	}
	free(path);
	EK_TRY(ek_format(&path, "%s/samples.jsonl", folder));
	EK_TRY(ek_atomic_save(path, list.data, list.size));
out:
	ek_buffer_release(&list);
	ek_image_loader_free(loader);
	ek_images_close(rows);
	ek_npy_close(&assignment);
	free(path);
	return rc;
}

int main(int argc, char **argv)
{
	struct ek_run *run = NULL;
	char *folder = NULL, *images = NULL;
	int rc;

	if (argc != 4)
		return 2;
	EK_TRY(ek_run_open(&run, argv[1], EK_RUN_READ));
	EK_TRY(ek_format(&folder, "%s/samples/%s", argv[1], argv[2]));
	EK_TRY(ek_format(&images, "%s/images", folder));
	EK_TRY(ek_make_directories(images));
	EK_TRY(make(run, folder, strtoull(argv[3], NULL, 10)));
out:
	if (rc < 0)
		(void)fprintf(stderr, "make_samples: %s\n", ek_error_message());
	ek_run_close(run);
	free(folder);
	free(images);
	return rc < 0;
}
