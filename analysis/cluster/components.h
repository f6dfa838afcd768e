/*
 * Whitened components: directions of the embeddings, scaled so that every one counts alike.
 *
 * Noise-whitened (our method; the within-class scatter of Fisher 1936, with views of one image in the place of a
 * class): every image is embedded V times, once as it is and V - 1 times with small changes that keep its meaning. N =
 * mean scatter of an image's views about their mean (divisor V - 1), T = scatter of all rows about their mean;
 * components solve T u = value (N + r mean(diag T) I) u, r = EK_COMPONENTS_RIDGE, the largest value first, and are
 * scaled to unit noise: directions in which images differ more than views of one image do.
 *
 * Without views they are whitened by their spread alone: the principal components, scaled to unit variance.
 *
 * RUN/components/: axes.npy [k, d] float32 (a component of x is axis · (x - mean)), mean.npy [d] float64,
 * components.json {"whitened_by": "noise" or "spread", "views", "seed", "ridge", "images", "dimensions", "components",
 * "values": [k]}.
 */
#ifndef EK_CLUSTER_COMPONENTS_H
#define EK_CLUSTER_COMPONENTS_H

#include "analysis/cluster/rows.h"
#include "rebalance/base/json.h"
#include "rebalance/io/run.h"

#define EK_COMPONENTS_RIDGE 0.05
enum { EK_COMPONENTS_MOST = 512 };

/* Sums over images and their views, in float64, in the order of the images. */
struct ek_scatter {
	size_t d;
	uint64_t images, rows;
	double *centre; /* [d] what rows are taken from, near their mean */
	double *sum;    /* [d] of the rows so moved */
	double *total;  /* [d, d] of all rows about the centre; upper triangle */
	double *within; /* [d, d] of views about the mean of their image; upper triangle */
	double *block;  /* room */
};

/* centre: [d], copied. Release in any case. */
int ek_scatter_init(struct ek_scatter *s, const double *centre, size_t d);
void ek_scatter_release(struct ek_scatter *s);
/* rows: [images, views, d]. The sums are the same bytes for any number of threads, but depend on how images are cut
 * into calls: always cut alike. views 1: nothing is added to `within`. */
int ek_scatter_add(struct ek_scatter *s, const float *rows, uint64_t images, size_t views);
/* Numbers that a file keeps of it: [2 d + 1, d], the arrays above, from or to them. */
size_t ek_scatter_size(const struct ek_scatter *s);
void ek_scatter_keep(double *out, const struct ek_scatter *s);
void ek_scatter_restore(struct ek_scatter *s, const double *kept, uint64_t images, uint64_t rows);

struct ek_components {
	size_t d, k;
	int by_noise;   /* else by spread */
	double *mean;   /* [d] */
	float *axes;    /* [k, d] scaled */
	double *values; /* [k] by noise: variance over noise; by spread: variance */
};

/* Of sums; `most` components at most. With views at `rows` > `images` by noise. EK_EDATA: fewer than 2 images, or all
 * are alike. Release in any case. */
int ek_components_of(struct ek_components *out, const struct ek_scatter *s, size_t most);
void ek_components_release(struct ek_components *c);

/* The first k of the components of rows, to out [rows->count, k]; on all threads. */
int ek_components_project(float *out, const struct ek_components *c, const struct ek_rows *rows, size_t k);

/* Write to and read from RUN/components, which is there. json: what else components.json says; the rest is added to it.
 * EK_EIO, EK_EDATA. */
int ek_components_save(const struct ek_components *c, const struct ek_run *run, cJSON *json);
int ek_components_load(struct ek_components *c, const struct ek_run *run);

#endif
