#include "rebalance/io/jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "rebalance/base/error.h"
#include "rebalance/io/orientation.h"
#include "rebalance/io/pixels.h"

/* Chroma is interpolated from neighbours, which a cut-out lacks at its edge: by 4 pixels at most. */
enum { MAX_SCANS = 500, MAX_SCAN_WORK = 64, MARGIN = 32 };

/* libjpeg reports failure by a call that must not return: it jumps back to guarded code through this. */
struct errors {
	struct jpeg_error_mgr manager; /* first: libjpeg hands back its address */
	jmp_buf escape;
	int code; /* what a failure means here: EK_EDATA when reading, EK_EUSAGE when writing */
	int rc;
};

/* Warnings that say nothing about the pixels. */
static const int harmless[] = { JWRN_EXTRANEOUS_DATA, JWRN_ADOBE_XFORM, JWRN_JFIF_MAJOR, JWRN_NOT_SEQUENTIAL,
	                        JWRN_BOGUS_ICC };

__attribute__((noreturn)) static void leave(j_common_ptr jpeg)
{
	struct errors *e = (struct errors *)jpeg->err;
	char text[JMSG_LENGTH_MAX];

	e->manager.format_message(jpeg, text);
	e->rc = ek_fail(e->manager.msg_code == JERR_OUT_OF_MEMORY ? EK_ENOMEM : e->code, "JPEG: %s", text);
	longjmp(e->escape, 1);
}

static void hear(j_common_ptr jpeg, int level)
{
	if (level >= 0)
		return;
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
		if (jpeg->err->msg_code == harmless[i])
			return;
	leave(jpeg);
}

static struct jpeg_error_mgr *errors_init(struct errors *e, int code)
{
	jpeg_std_error(&e->manager);
	e->manager.error_exit = leave;
	e->manager.emit_message = hear;
	e->code = code;
	return &e->manager;
}

struct reader {
	struct jpeg_decompress_struct jpeg;
	struct errors errors;
	struct jpeg_progress_mgr progress;
	const void *bytes;
	size_t size;
	uint64_t max_pixels;
	int orientation; /* EXIF: 1 … 8 */
	uint32_t smallest_side;
	const struct ek_image_window *window; /* NULL: all */
	struct ek_image image;                /* as stored, before orientation */
	uint8_t *cmyk;                        /* [width, 4]: one row, or NULL */
};

/* The only place that libjpeg's jumps come back to. */
static int guarded(struct reader *r, int (*step)(struct reader *r))
{
	if (setjmp(r->errors.escape) != 0)
		return r->errors.rc;
	return step(r);
}

static void watch_scans(j_common_ptr common)
{
	const struct reader *r = common->client_data;
	const uint64_t scans = (uint64_t)r->jpeg.input_scan_number;
	const uint64_t pixels = (uint64_t)r->jpeg.image_width * r->jpeg.image_height;

	if (scans > MAX_SCANS || scans * pixels / MAX_SCAN_WORK > r->max_pixels) {
		struct errors *e = (struct errors *)common->err;

		e->rc = ek_fail(EK_EDATA, "JPEG: more than %llu scans", (unsigned long long)(scans - 1));
		longjmp(e->escape, 1);
	}
}

/* Of the first EXIF data and the first XMP, which are markers APP1 both. */
static int find_orientation(const struct jpeg_decompress_struct *jpeg)
{
	static const char xmp_name[] = "http://ns.adobe.com/xap/1.0/";
	const uint8_t *exif = NULL, *xmp = NULL;
	size_t exif_size = 0, xmp_size = 0;

	for (jpeg_saved_marker_ptr m = jpeg->marker_list; m != NULL; m = m->next) {
		if (exif == NULL && m->data_length > 6 && memcmp(m->data, "Exif\0", 5) == 0) {
			exif = m->data + 6;
			exif_size = m->data_length - 6;
		} else if (xmp == NULL && m->data_length > sizeof xmp_name &&
		           memcmp(m->data, xmp_name, sizeof xmp_name) == 0) {
			xmp = m->data + sizeof xmp_name;
			xmp_size = m->data_length - sizeof xmp_name;
		}
	}
	return ek_image_orientation(exif, exif_size, xmp, xmp_size);
}

static int read_header(struct reader *r)
{
	jpeg_create_decompress(&r->jpeg);
	r->progress.progress_monitor = watch_scans;
	r->jpeg.progress = &r->progress;
	r->jpeg.client_data = r;
	jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xffff);
	jpeg_mem_src(&r->jpeg, r->bytes, (unsigned long)r->size);
	(void)jpeg_read_header(&r->jpeg, TRUE);
	r->orientation = find_orientation(&r->jpeg);
	if (r->jpeg.jpeg_color_space == JCS_UNKNOWN)
		return ek_fail(EK_EDATA, "JPEG: %d colour components", r->jpeg.num_components);
	return ek_image_check_size(r->jpeg.image_width, r->jpeg.image_height, r->max_pixels);
}

static void reader_init(struct reader *r, const void *bytes, size_t size, uint64_t max_pixels)
{
	memset(r, 0, sizeof *r);
	r->jpeg.err = errors_init(&r->errors, EK_EDATA);
	r->bytes = bytes;
	r->size = size;
	r->max_pixels = max_pixels;
}

static void reader_release(struct reader *r)
{
	jpeg_destroy_decompress(&r->jpeg);
	ek_image_release(&r->image);
	free(r->cmyk);
}

static void tell(struct ek_image_info *info, const struct reader *r)
{
	ek_image_tell(info, EK_IMAGE_JPEG, r->jpeg.image_width, r->jpeg.image_height, r->orientation);
}

int ek_jpeg_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct reader r;
	int rc;

	reader_init(&r, bytes, size, max_pixels);
	EK_TRY(guarded(&r, read_header));
	tell(info, &r);
out:
	reader_release(&r);
	return rc;
}

/* All entropy-coded data, but of the transform only the means of 8 × 8 blocks, and of colour pictures only the luma. */
static int read_through(struct reader *r)
{
	struct jpeg_decompress_struct *j = &r->jpeg;
	JSAMPARRAY row;

	j->out_color_space = j->jpeg_color_space == JCS_YCbCr ? JCS_GRAYSCALE : j->jpeg_color_space;
	j->scale_num = 1;
	j->scale_denom = 8;
	j->do_fancy_upsampling = FALSE;
	(void)jpeg_start_decompress(j);
	row = j->mem->alloc_sarray((j_common_ptr)j, JPOOL_IMAGE, j->output_width * (JDIMENSION)j->output_components, 1);
	while (j->output_scanline < j->output_height)
		(void)jpeg_read_scanlines(j, row, 1);
	(void)jpeg_finish_decompress(j);
	return 0;
}

int ek_jpeg_check(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct reader r;
	int rc;

	reader_init(&r, bytes, size, max_pixels);
	EK_TRY(guarded(&r, read_header));
	EK_TRY(guarded(&r, read_through));
	tell(info, &r);
out:
	reader_release(&r);
	return rc;
}

/* Eighths of full size: the least of 1, 2, 4 whose shorter side is long enough, else 8. */
static unsigned choose_scale(const struct reader *r)
{
	const uint64_t side = r->jpeg.image_width < r->jpeg.image_height ? r->jpeg.image_width : r->jpeg.image_height;

	for (unsigned scale = 1; scale < 8 && r->smallest_side > 0; scale *= 2)
		if ((side * scale + 7) / 8 >= r->smallest_side)
			return scale;
	return 8;
}

/* Rows up to `end`, each from column `x` on. */
static void read_rows(struct reader *r, JDIMENSION x, JDIMENSION end)
{
	struct jpeg_decompress_struct *j = &r->jpeg;
	const size_t stride = (size_t)r->image.width * 3;
	JSAMPROW rows[16];

	while (j->output_scanline < end) {
		const JDIMENSION left = end - j->output_scanline;
		uint8_t *at = r->image.pixels + j->output_scanline * stride + 3 * (size_t)x;

		for (size_t i = 0; i < 16 && i < left; i++)
			rows[i] = at + i * stride;
		(void)jpeg_read_scanlines(j, rows, left < 16 ? left : 16);
	}
}

/* The window with its margin; below it the last row, too, because libjpeg does not look at what it may skip to the end
 * of the file. */
static void read_window(struct reader *r)
{
	struct jpeg_decompress_struct *j = &r->jpeg;
	const struct ek_image_window *w = r->window;
	const uint32_t right = w->x + w->width, bottom = w->y + w->height, last = r->image.height - 1;
	JDIMENSION x = w->x > MARGIN ? w->x - MARGIN : 0;
	JDIMENSION width = (r->image.width - right > MARGIN ? right + MARGIN : r->image.width) - x;

	jpeg_crop_scanline(j, &x, &width);
	if (w->y > MARGIN)
		(void)jpeg_skip_scanlines(j, w->y - MARGIN);
	read_rows(r, x, r->image.height - bottom > MARGIN ? bottom + MARGIN : r->image.height);
	if (j->output_scanline < last)
		(void)jpeg_skip_scanlines(j, last - j->output_scanline);
	read_rows(r, x, r->image.height);
}

static void read_cmyk(struct reader *r)
{
	struct jpeg_decompress_struct *j = &r->jpeg;

	while (j->output_scanline < j->output_height) {
		const size_t y = j->output_scanline;

		(void)jpeg_read_scanlines(j, &r->cmyk, 1);
		ek_pixels_from_inverted_cmyk(r->image.pixels + y * 3 * j->output_width, r->cmyk, j->output_width);
	}
}

static int read_pixels(struct reader *r)
{
	struct jpeg_decompress_struct *j = &r->jpeg;
	int rc;

	j->out_color_space = j->num_components == 4 ? JCS_CMYK : JCS_RGB;
	j->scale_num = choose_scale(r);
	j->scale_denom = 8;
	jpeg_calc_output_dimensions(j);
	EK_TRY(ek_image_allocate(&r->image, j->output_width, j->output_height));
	if (j->out_color_space == JCS_CMYK)
		EK_TRY(ek_alloc(&r->cmyk, j->output_width, 4));
	(void)jpeg_start_decompress(j);
	if (r->cmyk != NULL)
		read_cmyk(r);
	else if (r->window != NULL && r->orientation == 1)
		read_window(r);
	else
		read_rows(r, 0, j->output_height);
	(void)jpeg_finish_decompress(j);
out:
	return rc;
}

int ek_jpeg_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels, uint32_t smallest_side,
                   const struct ek_image_window *window)
{
	struct reader r;
	int rc;

	reader_init(&r, bytes, size, max_pixels);
	r.smallest_side = smallest_side;
	r.window = window;
	EK_TRY(guarded(&r, read_header));
	EK_TRY(guarded(&r, read_pixels));
	EK_TRY(ek_image_turn(image, &r.image, r.orientation));
out:
	reader_release(&r);
	return rc;
}

struct writer {
	struct jpeg_compress_struct jpeg;
	struct errors errors;
	struct jpeg_destination_mgr destination;
	struct ek_buffer *out;
};

/* Offer libjpeg all the room that the buffer has. */
static void offer_room(j_compress_ptr jpeg, size_t more)
{
	struct writer *w = jpeg->client_data;

	if ((w->errors.rc = ek_buffer_reserve(w->out, more)) < 0)
		longjmp(w->errors.escape, 1);
	w->destination.free_in_buffer = w->out->capacity - 1 - w->out->size;
	w->destination.next_output_byte = (JOCTET *)w->out->data + w->out->size;
}

static void start_output(j_compress_ptr jpeg)
{
	offer_room(jpeg, 16384);
}

static boolean grow_output(j_compress_ptr jpeg)
{
	struct writer *w = jpeg->client_data;

	w->out->size =
		w->out->capacity - 1; /* by libjpeg's rules all of it is full now, whatever free_in_buffer says */
	offer_room(jpeg, w->out->size);
	return TRUE;
}

static void end_output(j_compress_ptr jpeg)
{
	struct writer *w = jpeg->client_data;

	w->out->size = w->out->capacity - 1 - w->destination.free_in_buffer;
	w->out->data[w->out->size] = 0;
}

static int write_pixels(struct writer *w, const struct ek_image *image, int quality)
{
	struct jpeg_compress_struct *j = &w->jpeg;

	if (setjmp(w->errors.escape) != 0)
		return w->errors.rc;
	jpeg_create_compress(j);
	j->client_data = w;
	w->destination.init_destination = start_output;
	w->destination.empty_output_buffer = grow_output;
	w->destination.term_destination = end_output;
	j->dest = &w->destination;
	j->image_width = image->width;
	j->image_height = image->height;
	j->input_components = 3;
	j->in_color_space = JCS_RGB;
	jpeg_set_defaults(j);
	jpeg_set_quality(j, quality, TRUE);
	j->optimize_coding = TRUE;
	jpeg_start_compress(j, TRUE);
	while (j->next_scanline < j->image_height) {
		JSAMPROW row = image->pixels + (size_t)j->next_scanline * image->width * 3;

		(void)jpeg_write_scanlines(j, &row, 1);
	}
	jpeg_finish_compress(j);
	return 0;
}

int ek_jpeg_encode(struct ek_buffer *out, const struct ek_image *image, int quality)
{
	const size_t before = out->size;
	struct writer w;
	int rc;

	if (quality < 1 || quality > 100)
		return ek_fail(EK_EUSAGE, "JPEG quality %d is not in 1 … 100", quality);
	memset(&w, 0, sizeof w);
	w.out = out;
	w.jpeg.err = errors_init(&w.errors, EK_EUSAGE);
	if ((rc = write_pixels(&w, image, quality)) < 0) {
		out->size = before;
		if (out->data != NULL)
			out->data[before] = 0;
	}
	jpeg_destroy_compress(&w.jpeg);
	return rc;
}
