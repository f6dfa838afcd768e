#include "rebalance/io/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/resize_kernels.h"

static double box(double x)
{
	return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bilinear(double x)
{
	x = fabs(x);
	return x < 1 ? 1 - x : 0;
}

static double bicubic(double x)
{
	const double a = -0.5;

	x = fabs(x);
	if (x < 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x)
{
	return x == 0 ? 1 : sin(x * M_PI) / (x * M_PI);
}

static double lanczos(double x)
{
	return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct filter {
	double (*weight)(double distance);
	double support; /* zero beyond this distance */
} filters[] = {
	[EK_FILTER_BILINEAR] = { bilinear, 1 },
	[EK_FILTER_BICUBIC] = { bicubic, 2 },
	[EK_FILTER_LANCZOS] = { lanczos, 3 },
	[EK_FILTER_BOX] = { box, 0.5 },
};

/* One side of the job: of `full` output positions made from `in` input ones, those from `from` on. */
struct side {
	uint32_t in, full, from, count;
};

static void taps_release(struct ek_taps *t)
{
	free(t->first);
	free(t->weights);
}

/* The weights of output `i` in fixed point and its first input; returns how many inputs it has. Pillow's
 * precompute_coeffs and normalize_coeffs_8bpc, in the same order of operations. */
static size_t weigh(int32_t *fixed, double *w, size_t *first, size_t i, const struct side *side,
                    const struct filter *filter)
{
	const double scale = (double)side->in / side->full, wide = scale < 1 ? 1 : scale;
	const double support = filter->support * wide, center = ((double)(side->from + i) + 0.5) * scale;
	const double low = center - support + 0.5, high = center + support + 0.5;
	const size_t begin = low > 0 ? (size_t)low : 0, end = high < side->in ? (size_t)high : side->in;
	double sum = 0;

	for (size_t j = begin; j < end; j++)
		sum += w[j - begin] = filter->weight(((double)j - center + 0.5) * (1 / wide));
	for (size_t j = 0; j < end - begin; j++) {
		const double exact = (sum != 0 ? w[j] / sum : w[j]) * (1 << EK_RESIZE_BITS);

		fixed[j] = (int32_t)(exact < 0 ? exact - 0.5 : exact + 0.5);
	}
	*first = begin;
	return end - begin;
}

/* Leave room for `size` weights per output; near the far edge those of 0 come first. */
static void taps_narrow(struct ek_taps *t, size_t size, size_t in)
{
	t->begin = in;
	for (size_t i = 0; i < t->count; i++) {
		const size_t surplus = t->first[i] + size > in ? t->first[i] + size - in : 0;
		int32_t *to = t->weights + i * size;

		memmove(to + surplus, t->weights + i * t->size, (size - surplus) * sizeof *to);
		memset(to, 0, surplus * sizeof *to);
		t->first[i] -= surplus;
		t->begin = t->first[i] < t->begin ? t->first[i] : t->begin;
		t->end = t->first[i] + size > t->end ? t->first[i] + size : t->end;
	}
	t->size = size;
}

static int taps_init(struct ek_taps *t, const struct side *side, const struct filter *filter)
{
	const double scale = (double)side->in / side->full;
	const double most = 2 * ceil(filter->support * (scale < 1 ? 1 : scale)) + 1;
	size_t widest = 1;
	double *w = NULL;
	int rc;

	t->count = side->count;
	t->size = most < side->in ? (size_t)most : side->in;
	EK_TRY(ek_alloc(&t->first, t->count, sizeof *t->first));
	EK_TRY(ek_alloc(&w, t->size, sizeof *w));
	if (__builtin_mul_overflow(t->count, t->size, &(size_t){ 0 }))
		EK_TRY(ek_fail(EK_ENOMEM, "no memory to resize %u to %u pixels", side->in, side->full));
	EK_TRY(ek_alloc(&t->weights, t->count * t->size, sizeof *t->weights));
	for (size_t i = 0; i < t->count; i++) {
		int32_t *fixed = t->weights + i * t->size;
		size_t used = weigh(fixed, w, &t->first[i], i, side, filter), skip = 0;

		while (used > 1 && fixed[used - 1] == 0)
			used--;
		while (skip + 1 < used && fixed[skip] == 0)
			skip++;
		memmove(fixed, fixed + skip, (used - skip) * sizeof *fixed);
		memset(fixed + used - skip, 0, (t->size - (used - skip)) * sizeof *fixed);
		t->first[i] += skip;
		widest = used - skip > widest ? used - skip : widest;
	}
	taps_narrow(t, widest, side->in);
out:
	free(w);
	return rc;
}

static size_t whole_blocks(size_t bytes)
{
	return (bytes + EK_RESIZE_BLOCK - 1) / EK_RESIZE_BLOCK * EK_RESIZE_BLOCK;
}

/* Horizontal pass: the rows `y` of `in` to [y.end - y.begin, stride] bytes. */
static int resize_rows(uint8_t *out, size_t stride, const struct ek_image *in, const struct ek_taps *x,
                       const struct ek_taps *y, const struct ek_resize_kernels *kernels)
{
	const size_t bytes = 3 * (x->end - x->begin), height = y->end - y->begin;
	uint8_t *turned = NULL, *spare = NULL, *result;
	int rc;

	EK_TRY(ek_alloc_aligned(&turned, whole_blocks(bytes) + stride, EK_RESIZE_BLOCK));
	EK_TRY(ek_alloc_aligned(&spare, stride, 1));
	result = turned + whole_blocks(bytes) * EK_RESIZE_BLOCK;
	memset(result + 3 * x->count * EK_RESIZE_BLOCK, 0, (stride - 3 * x->count) * EK_RESIZE_BLOCK);
	for (size_t row = 0; row < height; row += EK_RESIZE_BLOCK) {
		const uint8_t *from[EK_RESIZE_BLOCK];
		uint8_t *to[EK_RESIZE_BLOCK];

		for (size_t i = 0; i < EK_RESIZE_BLOCK; i++) {
			const int there = row + i < height;

			from[i] =
				in->pixels + 3 * ((y->begin + (there ? row + i : row)) * (size_t)in->width + x->begin);
			to[i] = there ? out + (row + i) * stride : spare;
		}
		kernels->horizontal(to, from, bytes, stride, turned, result, x);
	}
out:
	free(turned);
	free(spare);
	return rc;
}

/* Which pixels of a picture make which of the result. */
struct plan {
	struct ek_taps columns, rows;
};

static void plan_release(struct plan *plan)
{
	taps_release(&plan->columns);
	taps_release(&plan->rows);
}

static int plan_init(struct plan *plan, uint32_t in_width, uint32_t in_height, uint32_t full_width,
                     uint32_t full_height, const struct ek_image_window *o, enum ek_filter filter)
{
	const struct side across = { in_width, full_width, o->x, o->width };
	const struct side down = { in_height, full_height, o->y, o->height };
	int rc;

	if (o->width == 0 || o->height == 0 || o->width > full_width || o->height > full_height ||
	    o->x > full_width - o->width || o->y > full_height - o->height)
		return ek_fail(EK_EUSAGE, "no window of %u x %u pixels at (%u, %u) in %u x %u", o->width, o->height,
		               o->x, o->y, full_width, full_height);
	EK_TRY(taps_init(&plan->columns, &across, &filters[filter]));
	EK_TRY(taps_init(&plan->rows, &down, &filters[filter]));
out:
	return rc;
}

static int plan_run(struct ek_image *out, const struct ek_image *in, const struct plan *plan)
{
	const struct ek_taps *columns = &plan->columns, *rows = &plan->rows;
	const struct ek_resize_kernels *kernels = ek_resize_kernels();
	const size_t bytes = 3 * columns->count, stride = whole_blocks(bytes);
	uint8_t *between = NULL;
	int rc;

	EK_TRY(ek_alloc_aligned(&between, rows->end - rows->begin, stride));
	EK_TRY(resize_rows(between, stride, in, columns, rows, kernels));
	EK_TRY(ek_image_allocate(out, (uint32_t)columns->count, (uint32_t)rows->count));
	for (size_t i = 0; i < rows->count; i++)
		kernels->vertical(out->pixels + i * bytes, between + (rows->first[i] - rows->begin) * stride, stride,
		                  bytes, rows->weights + i * rows->size, rows->size);
out:
	free(between);
	return rc;
}

int ek_image_resize_window(struct ek_image *out, const struct ek_image *in, uint32_t full_width, uint32_t full_height,
                           uint32_t x, uint32_t y, uint32_t width, uint32_t height, enum ek_filter filter)
{
	const struct ek_image_window window = { x, y, width, height };
	struct plan plan = { 0 };
	int rc;

	*out = (struct ek_image){ 0 };
	EK_TRY(plan_init(&plan, in->width, in->height, full_width, full_height, &window, filter));
	rc = plan_run(out, in, &plan);
out:
	plan_release(&plan);
	return rc;
}

int ek_image_decode_resized(struct ek_image *out, const void *bytes, size_t size, uint64_t max_pixels,
                            uint32_t full_width, uint32_t full_height, const struct ek_image_window *window,
                            enum ek_filter filter)
{
	struct ek_image_window seen;
	struct ek_image_info info;
	struct ek_image in = { 0 };
	struct plan plan = { 0 };
	int rc;

	*out = (struct ek_image){ 0 };
	EK_TRY(ek_image_probe(&info, bytes, size, max_pixels));
	EK_TRY(plan_init(&plan, info.width, info.height, full_width, full_height, window, filter));
	seen.x = (uint32_t)plan.columns.begin;
	seen.y = (uint32_t)plan.rows.begin;
	seen.width = (uint32_t)(plan.columns.end - plan.columns.begin);
	seen.height = (uint32_t)(plan.rows.end - plan.rows.begin);
	EK_TRY(ek_image_decode_window(&in, bytes, size, max_pixels, &seen));
	rc = plan_run(out, &in, &plan);
out:
	plan_release(&plan);
	ek_image_release(&in);
	return rc;
}

int ek_image_resize(struct ek_image *out, const struct ek_image *in, uint32_t width, uint32_t height,
                    enum ek_filter filter)
{
	return ek_image_resize_window(out, in, width, height, 0, 0, width, height, filter);
}
