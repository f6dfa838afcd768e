/*
 * Screens for nearest.c: approximate squared distances s of rows to all centroids. nearest.h has the theory and the
 * names of the bounds.
 */
#ifndef EK_CLUSTER_SCREEN_H
#define EK_CLUSTER_SCREEN_H

#include <stddef.h>
#include <stdint.h>

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

/*
 * A screen. It works on tiles of at most EK_SCREEN_TILE rows, each tile on the calling thread alone; calls of different
 * workers (0 … workers-1) may run at the same time.
 */
enum { EK_SCREEN_TILE = 128 };
struct ek_screen_methods {
	int (*create)(void **out, size_t d, int workers);
	void (*destroy)(void *screen);
	/* Take k centroids [k, d], copied; tell the largest norm of what they were rounded to, and the largest norm of
	 * what rounding took away. Their squares must not overflow float32. */
	int (*set)(void *screen, double *most_norm, double *most_error, const float *centroids, size_t k);
	/* Take row i of a tile, copied; tell the same of it. */
	void (*take)(void *screen, double *norm, double *error, size_t i, const float *row, int worker);
	/* The rows taken, [EK_SCREEN_TILE] of row_size bytes: what a row became can be kept and put back later. */
	void *(*tile)(void *screen, size_t *row_size, int worker);
	/* Screen `count` rows as they were taken: `rows` is the worker's tile, or as many rows of its size that were
	 * kept, one behind the other, of which all EK_SCREEN_TILE may be read. out, bounds: [count] */
	int (*run)(void *screen, struct ek_screened *out, const struct ek_screen_bound *bounds, const void *rows,
	           size_t count, int worker);
};
/* FAISS's flat search, float32: of each row the nearest few centroids are candidates. */
extern const struct ek_screen_methods ek_screen_faiss;
/* Products in bfloat16. */
extern const struct ek_screen_methods ek_screen_product;

#endif
