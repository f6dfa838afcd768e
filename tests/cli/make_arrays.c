/*
 * make_arrays images FOLDER OUT.npz       the images of a folder, of one size, as ADM writes samples: arr_0 uint8
 *             head IN.npy OUT.npy N       the first N rows of embeddings
 *             repeat IN.npy OUT.npy N     its first row N times
 *             nan IN.npy OUT.npy ROW      with a NaN in a row
 *             narrow IN.npy OUT.npy       without the last column
 * For tests of what reads arrays.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/dataset.h"
#include "rebalance/io/npz.h"

enum { LARGEST = 1 << 24 };

static int add_image(struct ek_buffer *pixels, struct ek_npz_member *member, const struct ek_dataset_item *item)
{
	struct ek_buffer bytes = { 0 };
	struct ek_image image = { 0 };
	int rc;

	EK_TRY(ek_file_read(&bytes, item->path.data, LARGEST));
	EK_TRY(ek_image_decode(&image, bytes.data, bytes.size, LARGEST, 0));
	EK_TRY(ek_buffer_append(pixels, image.pixels, 3 * (size_t)image.width * image.height));
	member->shape[0]++;
	member->shape[1] = image.height;
	member->shape[2] = image.width;
out:
	ek_image_release(&image);
	ek_buffer_release(&bytes);
	return rc;
}

static int make_images(const char *folder, const char *path)
{
	struct ek_npz_member member = { .name = "arr_0", .type = EK_U8, .dimensions = 4, .shape = { 0, 0, 0, 3 } };
	struct ek_dataset *dataset = NULL;
	struct ek_dataset_item item = { 0 };
	struct ek_buffer pixels = { 0 };
	int rc;

	EK_TRY(ek_dataset_open(&dataset, &folder, 1, NULL, NULL));
	while ((rc = ek_dataset_next(dataset, &item)) > 0)
		EK_TRY(add_image(&pixels, &member, &item));
	EK_TRY(rc);
	member.data = pixels.data;
	EK_TRY(ek_npz_write(path, &member, 1));
out:
	ek_dataset_item_release(&item);
	ek_dataset_close(dataset);
	ek_buffer_release(&pixels);
	return rc;
}

static int change(const char *how, const char *from, const char *to, uint64_t number)
{
	struct ek_npy in = { 0 };
	float *row = NULL, *out = NULL;
	uint64_t shape[2];
	int rc;

	EK_TRY(ek_npy_open(&in, from));
	shape[0] = strcmp(how, "head") == 0 || strcmp(how, "repeat") == 0 ? number : in.shape[0];
	shape[1] = in.shape[1] - (strcmp(how, "narrow") == 0);
	EK_TRY(ek_alloc(&row, in.shape[1], sizeof *row));
	EK_TRY(ek_alloc(&out, shape[0] * shape[1], sizeof *out));
	for (uint64_t i = 0; i < shape[0]; i++) {
		ek_npy_row_f32(row, &in, strcmp(how, "repeat") == 0 ? 0 : i);
		if (strcmp(how, "nan") == 0 && i == number)
			row[0] = NAN;
		memcpy(out + i * shape[1], row, shape[1] * sizeof *out);
	}
	EK_TRY(ek_npy_write(to, EK_F32, 2, shape, out));
out:
	ek_npy_close(&in);
	free(row);
	free(out);
	return rc;
}

int main(int argc, char **argv)
{
	int rc;

	if (argc < 4)
		return 2;
	if (strcmp(argv[1], "images") == 0)
		rc = make_images(argv[2], argv[3]);
	else
		rc = change(argv[1], argv[2], argv[3], argc > 4 ? strtoull(argv[4], NULL, 10) : 0);
	if (rc < 0)
		(void)fprintf(stderr, "make_arrays: %s\n", ek_error_message());
	return rc < 0;
}
