#include "rebalance/io/gif.h"

#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#include "rebalance/base/error.h"

struct reader {
	GifFileType *gif;
	const uint8_t *bytes;
	size_t left;
	int transparent; /* the index, or −1 */
	uint32_t width, height;
};

static int give_bytes(GifFileType *gif, GifByteType *to, int size)
{
	struct reader *r = gif->UserData;
	const size_t wanted = size < 0 ? 0 : (size_t)size, given = wanted < r->left ? wanted : r->left;

	memcpy(to, r->bytes, given);
	r->bytes += given;
	r->left -= given;
	return (int)given;
}

static int damaged(const struct reader *r, int code)
{
	const char *why = r->left == 0 ? "the file ends early" : GifErrorString(code);

	if (code == D_GIF_ERR_NOT_ENOUGH_MEM)
		return ek_fail(EK_ENOMEM, "no memory to read a GIF");
	return ek_fail(EK_EDATA, "GIF: %s", why != NULL ? why : "damaged");
}

/* An extension in front of the frame; of interest is which colour is transparent. */
static int read_extension(struct reader *r)
{
	GifByteType *block;
	int code;

	if (DGifGetExtension(r->gif, &code, &block) == GIF_ERROR)
		return damaged(r, r->gif->Error);
	if (code == GRAPHICS_EXT_FUNC_CODE && block != NULL && block[0] >= 4 && block[1] & 1)
		r->transparent = block[4];
	while (block != NULL)
		if (DGifGetExtensionNext(r->gif, &block) == GIF_ERROR)
			return damaged(r, r->gif->Error);
	return 0;
}

/* Up to the pixels of the first frame. */
static int open_frame(struct reader *r, const void *bytes, size_t size, uint64_t max_pixels)
{
	GifRecordType record = UNDEFINED_RECORD_TYPE;
	int code = 0, rc = 0;

	*r = (struct reader){ .bytes = bytes, .left = size, .transparent = -1 };
	if ((r->gif = DGifOpen(r, give_bytes, &code)) == NULL)
		return damaged(r, code);
	while (record != IMAGE_DESC_RECORD_TYPE) {
		if (DGifGetRecordType(r->gif, &record) == GIF_ERROR)
			return damaged(r, r->gif->Error);
		if (record == TERMINATE_RECORD_TYPE)
			return ek_fail(EK_EDATA, "GIF: there is no picture in it");
		if (record == EXTENSION_RECORD_TYPE)
			EK_TRY(read_extension(r));
	}
	if (DGifGetImageDesc(r->gif) == GIF_ERROR)
		return damaged(r, r->gif->Error);
	r->width = (uint32_t)(r->gif->Image.Left + r->gif->Image.Width);
	r->height = (uint32_t)(r->gif->Image.Top + r->gif->Image.Height);
	if (r->width < (uint32_t)r->gif->SWidth)
		r->width = (uint32_t)r->gif->SWidth;
	if (r->height < (uint32_t)r->gif->SHeight)
		r->height = (uint32_t)r->gif->SHeight;
	rc = ek_image_check_size(r->width, r->height, max_pixels);
out:
	return rc;
}

static void reader_release(struct reader *r)
{
	if (r->gif != NULL)
		(void)DGifCloseFile(r->gif, NULL);
}

int ek_gif_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct reader r;
	int rc;

	EK_TRY(open_frame(&r, bytes, size, max_pixels));
	*info = (struct ek_image_info){ EK_IMAGE_GIF, r.width, r.height };
out:
	reader_release(&r);
	return rc;
}

/* Without any palette an index is a shade of grey. */
static void put_index(const struct reader *r, uint8_t *rgb, uint8_t index)
{
	const GifFileType *gif = r->gif;
	const ColorMapObject *map = gif->Image.ColorMap != NULL ? gif->Image.ColorMap : gif->SColorMap;

	if (index == r->transparent)
		memset(rgb, 255, 3);
	else if (map == NULL)
		memset(rgb, index, 3);
	else if (index < map->ColorCount)
		memcpy(rgb,
		       (const uint8_t[]){ map->Colors[index].Red, map->Colors[index].Green, map->Colors[index].Blue },
		       3);
	else
		memset(rgb, 0, 3);
}

static int read_row(struct reader *r, struct ek_image *image, uint8_t *indices, uint32_t y)
{
	const GifImageDesc *frame = &r->gif->Image;
	uint8_t *rgb = image->pixels + 3 * ((size_t)(frame->Top + (int)y) * image->width + (size_t)frame->Left);

	if (DGifGetLine(r->gif, indices, frame->Width) == GIF_ERROR)
		return damaged(r, r->gif->Error);
	for (int x = 0; x < frame->Width; x++)
		put_index(r, rgb + 3 * x, indices[x]);
	return 0;
}

static int read_frame(struct reader *r, struct ek_image *image)
{
	static const struct {
		uint32_t first, step;
	} passes[2][4] = { { { 0, 1 } }, { { 0, 8 }, { 4, 8 }, { 2, 4 }, { 1, 2 } } };
	const GifImageDesc *frame = &r->gif->Image;
	const int interlaced = frame->Interlace != 0;
	uint8_t *indices = NULL;
	int rc;

	EK_TRY(ek_alloc(&indices, (size_t)frame->Width, 1));
	for (size_t i = 0; i < (size_t)image->width * image->height; i++)
		put_index(r, image->pixels + 3 * i, (uint8_t)(r->transparent >= 0 ? r->transparent : 0));
	for (int pass = 0; pass < (interlaced ? 4 : 1); pass++)
		for (uint32_t y = passes[interlaced][pass].first; y < (uint32_t)frame->Height;
		     y += passes[interlaced][pass].step)
			EK_TRY(read_row(r, image, indices, y));
out:
	free(indices);
	return rc;
}

int ek_gif_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct reader r;
	int rc;

	EK_TRY(open_frame(&r, bytes, size, max_pixels));
	EK_TRY(ek_image_allocate(image, r.width, r.height));
	rc = read_frame(&r, image);
	if (rc < 0)
		ek_image_release(image);
out:
	reader_release(&r);
	return rc;
}
