/*
 * Screens for nearest.c: approximate squared distances s of rows to all centroids. nearest.h has the theory and the
 * names of the bounds.
 */
#ifndef EK_CLUSTER_SCREEN_H
#define EK_CLUSTER_SCREEN_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/tensor.h"

enum { EK_CANDIDATES = 16 };

/* What is known of one row beforehand. */
struct ek_screen_bound {
	double norm;  /* |x^| */
	double error; /* E */
	double eps;
	double reach; /* a distance that some centroid is known to have at most; may be infinite */
	int32_t own;  /* the centroid the row has, or -1 if not among these */
};

/* A nearest centroid has s of at most this, if `best` is the s of some centroid. */
double ek_screen_limit(const struct ek_screen_bound *bound, double best);

/* What a screen tells of one row. */
struct ek_screened {
	float best, second; /* the two smallest s; infinity where there are fewer centroids */
	float own;          /* s of the centroid the row has, or infinity if not known */
	float limit;        /* every centroid with a smaller s, within ek_screen_limit, is a candidate */
	int32_t count;      /* candidates; -1: more than fit, measure all */
	int32_t index[EK_CANDIDATES];
	float s[EK_CANDIDATES];
};

/* FAISS's flat search on float32, all threads at once, called from one thread. */
struct ek_screen_faiss;
int ek_screen_faiss_new(struct ek_screen_faiss **out, size_t d, size_t most_rows);
void ek_screen_faiss_free(struct ek_screen_faiss *screen);
/* centroids: [k, d] float32, copied */
int ek_screen_faiss_set(struct ek_screen_faiss *screen, const float *centroids, size_t k);
/* rows: [count, d] float32, count <= most_rows; out: [count]. Of each row the nearest few centroids are candidates. */
int ek_screen_faiss_run(struct ek_screen_faiss *screen, struct ek_screened *out, const float *rows, size_t count);

/* Products in bfloat16: a tile of rows on the calling thread. */
enum { EK_SCREEN_TILE = 128 };
struct ek_screen_product;
int ek_screen_product_new(struct ek_screen_product **out, size_t d, int workers);
void ek_screen_product_free(struct ek_screen_product *screen);
/* centroids: [k, d]; norms2: [k] the squared norm of each */
int ek_screen_product_set(struct ek_screen_product *screen, const ek_bf16 *centroids, const double *norms2, size_t k);
/* Room for a tile of rows, [EK_SCREEN_TILE, d], for this worker (0 … workers-1). */
ek_bf16 *ek_screen_product_rows(struct ek_screen_product *screen, int worker);
/* Screen the first `count` rows of that room; out, bounds: [count]. Thread-safe for different workers. */
int ek_screen_product_run(struct ek_screen_product *screen, struct ek_screened *out,
                          const struct ek_screen_bound *bounds, size_t count, int worker);

#endif
