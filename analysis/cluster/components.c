#include "analysis/cluster/components.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/blas.h"
#include "analysis/cluster/pieces.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/io/layout.h"

enum { BLOCK = 512 };

/* A component whose variance is so small beside the largest is rounding. */
static const double least_spread = 1e-9;

int ek_scatter_init(struct ek_scatter *s, const double *centre, size_t d)
{
	int rc;

	*s = (struct ek_scatter){ .d = d };
	EK_TRY(ek_alloc(&s->centre, d, sizeof *s->centre));
	EK_TRY(ek_alloc(&s->sum, d, sizeof *s->sum));
	EK_TRY(ek_alloc(&s->total, d * d, sizeof *s->total));
	EK_TRY(ek_alloc(&s->within, d * d, sizeof *s->within));
	EK_TRY(ek_alloc(&s->block, 2 * BLOCK * d, sizeof *s->block));
	memcpy(s->centre, centre, d * sizeof *centre);
out:
	return rc;
}

void ek_scatter_release(struct ek_scatter *s)
{
	free(s->centre);
	free(s->sum);
	free(s->total);
	free(s->within);
	free(s->block);
	*s = (struct ek_scatter){ 0 };
}

/* The views of one image to `total` and, less their mean, to `within`, both [views, d]. */
static void move_image(struct ek_scatter *s, double *total, double *within, const float *rows, size_t views)
{
	for (size_t j = 0; j < s->d; j++) {
		double sum = 0;

		for (size_t v = 0; v < views; v++)
			sum += total[v * s->d + j] = (double)rows[v * s->d + j] - s->centre[j];
		for (size_t v = 0; v < views; v++)
			within[v * s->d + j] = total[v * s->d + j] - sum / (double)views;
		s->sum[j] += sum;
	}
}

int ek_scatter_add(struct ek_scatter *s, const float *rows, uint64_t images, size_t views)
{
	const uint64_t step = views < BLOCK ? BLOCK / views : 1;
	double *within = s->block + BLOCK * s->d;
	int rc = 0;

	if (views > BLOCK)
		return ek_fail(EK_EUSAGE, "%zu views of an image are more than %d", views, BLOCK);
	for (uint64_t first = 0; first < images; first += step) {
		const size_t count = (size_t)(images - first < step ? images - first : step);

		EK_TRY(ek_check_interrupt());
		for (size_t i = 0; i < count; i++)
			move_image(s, s->block + i * views * s->d, within + i * views * s->d,
			           rows + (first + i) * views * s->d, views);
		EK_TRY(ek_blas_add_gram(s->total, s->block, count * views, s->d));
		if (views > 1)
			EK_TRY(ek_blas_add_gram(s->within, within, count * views, s->d));
	}
	s->images += images;
	s->rows += images * views;
out:
	return rc;
}

size_t ek_scatter_size(const struct ek_scatter *s)
{
	return (2 * s->d + 1) * s->d;
}

void ek_scatter_keep(double *out, const struct ek_scatter *s)
{
	const size_t square = s->d * s->d;

	memcpy(out, s->total, square * sizeof *out);
	memcpy(out + square, s->within, square * sizeof *out);
	memcpy(out + 2 * square, s->sum, s->d * sizeof *out);
}

void ek_scatter_restore(struct ek_scatter *s, const double *kept, uint64_t images, uint64_t rows)
{
	const size_t square = s->d * s->d;

	memcpy(s->total, kept, square * sizeof *kept);
	memcpy(s->within, kept + square, square * sizeof *kept);
	memcpy(s->sum, kept + 2 * square, s->d * sizeof *kept);
	s->images = images;
	s->rows = rows;
}

/* t [d, d] = scatter of the rows about their mean, per row; m = that of views, per image and degree of freedom, with
 * its ridge. Upper triangles. */
static int make_matrices(double *t, double *m, const struct ek_scatter *s)
{
	const double rows = (double)s->rows, views = rows / (double)s->images;
	double trace = 0;

	for (size_t i = 0; i < s->d; i++)
		for (size_t j = i; j < s->d; j++) {
			t[i * s->d + j] = (s->total[i * s->d + j] - s->sum[i] * s->sum[j] / rows) / rows;
			if (m != NULL)
				m[i * s->d + j] = s->within[i * s->d + j] / ((double)s->images * (views - 1));
			trace += i == j ? t[i * s->d + i] : 0;
		}
	for (size_t i = 0; m != NULL && i < s->d; i++)
		m[i * s->d + i] += EK_COMPONENTS_RIDGE * trace / (double)s->d;
	return trace > 0 && isfinite(trace) ? 0
	                                    : ek_fail(EK_EDATA, "the embeddings of %llu images do not differ",
	                                              (unsigned long long)s->images);
}

/* Scale the axes, drop what is rounding. */
static void take_axes(struct ek_components *c, const double *vectors, size_t found)
{
	for (c->k = 0; c->k < found; c->k++) {
		const double value = c->values[c->k];
		const double scale = c->by_noise ? 1 : 1 / sqrt(value);

		if (!(value > least_spread * c->values[0]))
			break;
		for (size_t j = 0; j < c->d; j++)
			c->axes[c->k * c->d + j] = (float)(vectors[c->k * c->d + j] * scale);
	}
}

int ek_components_of(struct ek_components *out, const struct ek_scatter *s, size_t most)
{
	const size_t rank = s->rows - 1 < s->d ? (size_t)s->rows - 1 : s->d, k = most < rank ? most : rank;
	double *t = NULL, *m = NULL, *vectors = NULL;
	int rc;

	*out = (struct ek_components){ .d = s->d, .by_noise = s->rows > s->images };
	if (s->images < 2)
		return ek_fail(EK_EDATA, "components are of two images or more, not of %llu",
		               (unsigned long long)s->images);
	EK_TRY(ek_alloc(&t, s->d * s->d, sizeof *t));
	EK_TRY(ek_alloc(&vectors, k * s->d, sizeof *vectors));
	EK_TRY(ek_alloc(&out->mean, s->d, sizeof *out->mean));
	EK_TRY(ek_alloc(&out->axes, k * s->d, sizeof *out->axes));
	EK_TRY(ek_alloc(&out->values, k, sizeof *out->values));
	if (out->by_noise)
		EK_TRY(ek_alloc(&m, s->d * s->d, sizeof *m));
	EK_TRY(make_matrices(t, m, s));
	EK_TRY(ek_blas_eigen(out->values, vectors, k, t, m, s->d));
	for (size_t j = 0; j < s->d; j++)
		out->mean[j] = s->centre[j] + s->sum[j] / (double)s->rows;
	take_axes(out, vectors, k);
out:
	free(t);
	free(m);
	free(vectors);
	return rc;
}

void ek_components_release(struct ek_components *c)
{
	free(c->mean);
	free(c->axes);
	free(c->values);
	*c = (struct ek_components){ 0 };
}

struct projection {
	const struct ek_components *c;
	const struct ek_rows *rows;
	const double *axes; /* [k, d] */
	size_t k;
	double *room; /* [threads, PIECE, d + k] */
	float *row;   /* [threads, d] */
	float *out;
};

enum { PIECE = 64 };

static int project(void *context, uint64_t piece, int worker)
{
	const struct projection *p = context;
	const size_t d = p->c->d, k = p->k;
	const uint64_t first = piece * PIECE, count = p->rows->count - first < PIECE ? p->rows->count - first : PIECE;
	double *x = p->room + (size_t)worker * PIECE * (d + k), *y = x + PIECE * d;

	for (uint64_t i = 0; i < count; i++) {
		const float *row = ek_rows_at(p->rows, first + i, p->row + (size_t)worker * d);

		for (size_t j = 0; j < d; j++)
			x[i * d + j] = (double)row[j] - p->c->mean[j];
	}
	ek_blas_multiply(y, x, (size_t)count, d, p->axes, k);
	for (size_t i = 0; i < count * k; i++)
		p->out[first * k + i] = (float)y[i];
	return 0;
}

int ek_components_project(float *out, const struct ek_components *c, const struct ek_rows *rows, size_t k)
{
	struct projection p = { .c = c, .rows = rows, .k = k, .out = out };
	double *axes = NULL;
	int rc;

	if (rows->dimensions != c->d || k > c->k)
		return ek_fail(EK_EDATA, "%zu components of %zu dimensions are no components of embeddings with %zu", k,
		               c->d, rows->dimensions);
	EK_TRY(ek_alloc(&axes, k * c->d, sizeof *axes));
	for (size_t i = 0; i < k * c->d; i++)
		axes[i] = (double)c->axes[i];
	p.axes = axes;
	EK_TRY(ek_alloc(&p.room, (size_t)ek_threads() * PIECE * (c->d + k), sizeof *p.room));
	EK_TRY(ek_alloc(&p.row, (size_t)ek_threads() * c->d, sizeof *p.row));
	EK_TRY(ek_pieces((rows->count + PIECE - 1) / PIECE, project, &p,
	                 (double)rows->count * (double)c->d * (double)k));
out:
	free(axes);
	free(p.room);
	free(p.row);
	return rc;
}

int ek_components_save(const struct ek_components *c, const struct ek_run *run, cJSON *json)
{
	char *axes = NULL, *mean = NULL, *document = NULL;
	cJSON *values;
	int rc;

	EK_TRY(ek_layout_path(&axes, run, "components/axes.npy", NULL));
	EK_TRY(ek_layout_path(&mean, run, "components/mean.npy", NULL));
	EK_TRY(ek_layout_path(&document, run, "components/components.json", NULL));
	EK_TRY(ek_npy_write(axes, EK_F32, 2, (const uint64_t[]){ c->k, c->d }, c->axes));
	EK_TRY(ek_npy_write(mean, EK_F64, 1, (const uint64_t[]){ c->d }, c->mean));
	EK_TRY(ek_json_add_string(json, "whitened_by", c->by_noise ? "noise" : "spread"));
	EK_TRY(ek_json_add_u64(json, "dimensions", c->d));
	EK_TRY(ek_json_add_u64(json, "components", c->k));
	EK_TRY(ek_json_add_array(&values, json, "values"));
	for (size_t i = 0; i < c->k; i++)
		EK_TRY(ek_json_add_double(values, NULL, c->values[i]));
	EK_TRY(ek_json_save(json, document));
out:
	free(axes);
	free(mean);
	free(document);
	return rc;
}

static int read_array(void *out, const char *path, enum ek_dtype type, int dimensions, const uint64_t *shape,
                      size_t size)
{
	struct ek_npy array = { 0 };
	int rc;

	EK_TRY(ek_npy_open_as(&array, path, type, dimensions, shape));
	memcpy(out, array.data, size);
out:
	ek_npy_close(&array);
	return rc;
}

static int read_document(struct ek_components *c, const char *path)
{
	const cJSON *values, *value;
	const char *by;
	cJSON *json = NULL;
	uint64_t d, k;
	int rc;

	EK_TRY(ek_json_load(&json, path));
	EK_TRY(ek_json_get_u64(&d, json, "dimensions", path));
	EK_TRY(ek_json_get_u64(&k, json, "components", path));
	EK_TRY(ek_json_get_string(&by, json, "whitened_by", path));
	values = cJSON_GetObjectItemCaseSensitive(json, "values");
	if (d == 0 || k == 0 || k > d || d > 1 << 20 || cJSON_GetArraySize(values) != (int)k) {
		rc = ek_fail(EK_EDATA, "%s: not %llu components of %llu dimensions", path, (unsigned long long)k,
		             (unsigned long long)d);
		goto out;
	}
	c->d = d;
	c->by_noise = strcmp(by, "noise") == 0;
	EK_TRY(ek_alloc(&c->values, k, sizeof *c->values));
	cJSON_ArrayForEach(value, values) c->values[c->k++] = value->valuedouble;
out:
	cJSON_Delete(json);
	return rc;
}

int ek_components_load(struct ek_components *c, const struct ek_run *run)
{
	char *axes = NULL, *mean = NULL, *document = NULL;
	int rc;

	*c = (struct ek_components){ 0 };
	EK_TRY(ek_layout_path(&axes, run, "components/axes.npy", NULL));
	EK_TRY(ek_layout_path(&mean, run, "components/mean.npy", NULL));
	EK_TRY(ek_layout_path(&document, run, "components/components.json", NULL));
	EK_TRY(read_document(c, document));
	EK_TRY(ek_alloc(&c->axes, c->k * c->d, sizeof *c->axes));
	EK_TRY(ek_alloc(&c->mean, c->d, sizeof *c->mean));
	EK_TRY(read_array(c->axes, axes, EK_F32, 2, (const uint64_t[]){ c->k, c->d }, c->k * c->d * sizeof *c->axes));
	EK_TRY(read_array(c->mean, mean, EK_F64, 1, (const uint64_t[]){ c->d }, c->d * sizeof *c->mean));
out:
	free(axes);
	free(mean);
	free(document);
	return rc;
}
