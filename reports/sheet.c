#include "reports/sheet.h"

#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/image.h"

enum { GAP = 2, SMALLEST = 56, PAPER = 255 };

/* One picture, enlarged, at (x, y) of the sheet. */
static void place(struct ek_image *sheet, const uint8_t *pixels, uint32_t side, uint32_t scale, uint32_t x, uint32_t y)
{
	for (uint32_t i = 0; i < side * scale; i++)
		for (uint32_t j = 0; j < side * scale; j++)
			memcpy(sheet->pixels + 3 * ((size_t)(y + i) * sheet->width + x + j),
			       pixels + 3 * ((size_t)(i / scale) * side + j / scale), 3);
}

int ek_sheet_write(const char *path, const uint8_t *pixels, uint64_t count, uint32_t side, uint32_t columns)
{
	const uint32_t scale = side >= SMALLEST ? 1 : (SMALLEST + side - 1) / side, cell = side * scale + GAP;
	const uint32_t across = count < columns ? (uint32_t)count : columns;
	const uint32_t down = (uint32_t)((count + columns - 1) / columns);
	struct ek_buffer bytes = { 0 };
	struct ek_image sheet = { 0 };
	int rc;

	EK_TRY(ek_image_allocate(&sheet, across * cell + GAP, down * cell + GAP));
	memset(sheet.pixels, PAPER, 3 * (size_t)sheet.width * sheet.height);
	for (uint64_t i = 0; i < count; i++)
		place(&sheet, pixels + i * 3 * side * side, side, scale, GAP + (uint32_t)(i % columns) * cell,
		      GAP + (uint32_t)(i / columns) * cell);
	EK_TRY(ek_image_encode_png(&bytes, &sheet));
	EK_TRY(ek_atomic_save(path, bytes.data, bytes.size));
out:
	ek_buffer_release(&bytes);
	ek_image_release(&sheet);
	return rc;
}
