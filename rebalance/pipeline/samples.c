#include "rebalance/pipeline/samples.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/image.h"
#include "reports/sheet.h"

int ek_samples_image(char **path, const char *folder, uint64_t i)
{
	return ek_format(path, "%s/images/%06" PRIu64 ".png", folder, i);
}

int ek_samples_write_image(const char *folder, uint64_t i, const uint8_t *pixels, uint32_t side)
{
	struct ek_image image = { 0 };
	struct ek_buffer bytes = { 0 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_image_allocate(&image, side, side));
	memcpy(image.pixels, pixels, 3 * (size_t)side * side);
	EK_TRY(ek_image_encode_png(&bytes, &image));
	EK_TRY(ek_samples_image(&path, folder, i));
	EK_TRY(ek_atomic_save(path, bytes.data, bytes.size));
out:
	ek_image_release(&image);
	ek_buffer_release(&bytes);
	free(path);
	return rc;
}

static int format_line(struct ek_buffer *line, uint64_t i, uint64_t seed, const char *condition, const char *name)
{
	int rc;

	ek_buffer_clear(line);
	EK_TRY(ek_buffer_printf(line,
	                        "{\"id\": %" PRIu64 ", \"file_name\": \"images/%06" PRIu64 ".png\", \"seed\": %" PRIu64,
	                        i, i, seed));
	if (name != NULL) {
		EK_TRY(ek_buffer_text(line, ", "));
		EK_TRY(ek_json_append_string(line, condition, strlen(condition)));
		EK_TRY(ek_buffer_text(line, ": "));
		EK_TRY(ek_json_append_string(line, name, strlen(name)));
	}
	EK_TRY(ek_buffer_text(line, "}\n"));
out:
	return rc;
}

int ek_samples_write_list(const char *folder, const struct ek_classes *classes, const uint64_t *seeds,
                          const struct ek_flow_description *model)
{
	struct ek_atomic_file file = { 0 };
	struct ek_buffer line = { 0 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/samples.jsonl", folder));
	EK_TRY(ek_atomic_open(&file, path));
	for (uint64_t i = 0; i < classes->count; i++) {
		EK_TRY(format_line(&line, i, seeds[i], model->condition,
		                   model->classes > 0 ? model->names[classes->labels[i]] : NULL));
		EK_TRY(ek_atomic_write(&file, line.data, line.size));
	}
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	ek_buffer_release(&line);
	free(path);
	return rc;
}

enum { SHEET_MOST = 400, IMAGE_LIMIT = 1 << 28 };

/* The pixels of sample `i`, as they are in its file. */
static int read_image(uint8_t *pixels, const char *folder, uint64_t i, uint32_t side)
{
	struct ek_buffer bytes = { 0 };
	struct ek_image image = { 0 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_samples_image(&path, folder, i));
	EK_TRY(ek_file_read(&bytes, path, IMAGE_LIMIT));
	EK_TRY(ek_image_decode(&image, bytes.data, bytes.size, EK_MAX_PIXELS_DEFAULT, 0));
	if (image.width != side || image.height != side)
		rc = ek_fail(EK_EDATA, "%s is %u x %u, not %u x %u", path, image.width, image.height, side, side);
	else
		memcpy(pixels, image.pixels, 3 * (size_t)side * side);
out:
	ek_image_release(&image);
	ek_buffer_release(&bytes);
	free(path);
	return rc;
}

int ek_samples_write_sheet(const char *folder, const struct ek_classes *classes, uint32_t side)
{
	const size_t size = 3 * (size_t)side * side;
	uint64_t chosen[SHEET_MOST], columns, count = ek_classes_sheet(classes, SHEET_MOST, chosen, &columns);
	uint8_t *pixels = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_alloc(&pixels, (size_t)count, size));
	for (uint64_t i = 0; i < count; i++)
		EK_TRY(read_image(pixels + i * size, folder, chosen[i], side));
	EK_TRY(ek_format(&path, "%s/sheet.png", folder));
	EK_TRY(ek_sheet_write(path, pixels, count, side, (uint32_t)columns));
out:
	free(pixels);
	free(path);
	return rc;
}
