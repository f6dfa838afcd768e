/*
 * The kernels of rows.h, each behind a function that launches it on a stream. Internal to train/nn.
 *
 * A row x of d numbers is taken as x' = fl(x - c), c near the mean, and screened as x^, x' rounded to bfloat16. With h
 * = |x'|^2, and e_x = |x' - x^|, the float32 number
 *
 *     v = h_y - 2p,  p: the product of x^ and y^ by tensor cores
 *
 * gives the squared distance D^2 of rows x and y by |h_x + v - D^2| <= beta_x,
 *
 *     beta_x = 2 (e_x Y + X e_Y) + (d + 64) 2^-22 (X + Y)^2 + 1e-30,  X = |x'| + e_x, Y and e_Y: the largest of all y.
 *
 * The first term is x'y' - x^y^ = (x' - x^) y' + x^ (y' - y^). The second has: tensor cores, which cut each of their
 * addends off at 2^-23 of the largest, d 2^-23 |x^||y^| and twice that in v, and 4|x^||y^| <= (X + Y)^2, so d 2^-24;
 * moving, which turns D by 2^-24 (|x'| + |y'|); the float32 sums of v and of what it is compared with, and h; a factor
 * of two and more is left. The third is for products that underflow.
 */
#ifndef EK_NN_ROWS_CUDA_H
#define EK_NN_ROWS_CUDA_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	EK_ROWS_TILE = 128, /* rows lie in tiles of so many by EK_ROWS_DEPTH numbers, each as shared memory has it */
	EK_ROWS_DEPTH = 64,
	EK_ROWS_COLUMNS = 256, /* of a product */
	EK_ROWS_GROUP = 64,    /* columns whose smallest v is told */
	EK_ROWS_SLICE = 4096   /* rows of a cluster are summed in so many, and the slices in order */
};

/* Rows as the screen takes them; arrays are filled up to whole EK_ROWS_COLUMNS, h with infinity. `most` and `overflow`
 * only grow. */
struct ek_rows_screened {
	uint16_t *tiles;         /* [rows / EK_ROWS_TILE, chunks, EK_ROWS_TILE, EK_ROWS_DEPTH] */
	float *h, *norm, *error; /* norm: X, error: e_x, both rounded up */
	float *most;             /* [2] the largest norm and error */
	int *overflow;           /* 1: some square is too large for float32 */
};
size_t ek_rows_chunks(size_t d);
/* For tests: take the kernels of another architecture, as 80; 0: those of the GPU. */
void ek_rows_pretend(int architecture);
void ek_rows_prepare(const struct ek_rows_screened *out, const float *x, const float *centre, uint64_t count,
                     uint64_t filled, size_t d, cudaStream_t stream);

/* What a screen is asked for. */
enum ek_rows_mode {
	EK_ROWS_LIST,        /* pairs with v <= limit */
	EK_ROWS_LIST_BALLS,  /* pairs with v <= limit + max(ball_y, reach_x, factor_x weight_y) */
	EK_ROWS_LEAST,       /* the smallest v of each group */
	EK_ROWS_LEAST_RATIO, /* the smallest (v + limit) / weight_y of each group, of the y with weight above 0 */
};
struct ek_rows_screen {
	enum ek_rows_mode mode;
	const uint16_t *rows, *columns; /* tiles */
	int row_tiles, column_tiles, chunks,
		splits;                      /* column_tiles: of EK_ROWS_COLUMNS; splits: parts they are cut into */
	const float *limit, *reach, *factor; /* of the rows, filled up */
	const float *h, *ball, *weight;      /* of the columns */
	int64_t diagonal;                    /* the column that is row 0 itself, and is left out; INT64_MIN: none is */
	uint32_t *count, *table; /* [rows], [rows, capacity] columns found; what does not fit is counted alone */
	uint32_t capacity;
	float *least; /* [rows, groups], from group_first on; EK_ROWS_COLUMNS / EK_ROWS_GROUP groups a tile of columns
	               */
	int groups, group_first;
};
/* `architecture`: as 90. processors: of the GPU */
cudaError_t ek_rows_screen_run(const struct ek_rows_screen *screen, int architecture, int processors,
                               cudaStream_t stream);
cudaError_t ek_rows_screen_hopper(const struct ek_rows_screen *screen, int processors, cudaStream_t stream);

/*
 * k-means. Rows first … first + count - 1 of n, x of these; assignment, distance2: [n], row i's at i.
 */
struct ek_rows_search {
	const float *x, *norm, *error, *h; /* of the rows at hand */
	uint64_t first, count;
	size_t d;
	const float *centroids; /* [k, d] */
	const float *most;      /* of them */
	uint32_t k, base;       /* numbered base … base + k - 1 */
	int32_t *assignment;
	double *distance2;
	float *limit; /* [count filled up] out */
	uint32_t *found, *table;
	uint32_t capacity;
	const float *least; /* [count, groups] or NULL */
	int groups;
	unsigned long long *changed;
	int all; /* 1: every centroid is a candidate */
};
/* Each row's own centroid measured anew, and its limit; found becomes 0. */
void ek_rows_refresh(const struct ek_rows_search *s, cudaStream_t stream);
/* Of the candidates the nearest. */
void ek_rows_resolve(const struct ek_rows_search *s, cudaStream_t stream);

struct ek_rows_sums {
	const int32_t *assignment;
	uint64_t n;
	size_t d;
	uint32_t k;
	uint32_t *order, *identity; /* [n] rows by cluster, ascending in each; 0 … n-1 */
	int32_t *sorted;            /* [n] */
	uint32_t *offsets;          /* [k + 1] */
	uint32_t *slice_first;      /* [k + 1] of each cluster */
	double *sums;               /* [k + n / EK_ROWS_SLICE + 1, d] */
	void *room;
	size_t room_bytes;
};
size_t ek_rows_sort_room(uint64_t n);
cudaError_t ek_rows_sort(const struct ek_rows_sums *s, cudaStream_t stream);
/* Add the rows first … first + count - 1; in ascending turns. */
void ek_rows_sum(const struct ek_rows_sums *s, const float *x, uint64_t first, uint64_t count, cudaStream_t stream);
/* The means, or their directions; a centroid without either is that of `before`. */
void ek_rows_means(const struct ek_rows_sums *s, float *centroids, const float *before, int unit, cudaStream_t stream);

/* limits [rows] = the k-th smallest of a row's groups, and 2 beta more. */
void ek_rows_limits(float *limit, const float *least, int groups, size_t k, const float *norm, const float *error,
                    const float *most, uint64_t rows, size_t d, cudaStream_t stream);
/* For balls and ratios: low = beta - h, high = beta + h. */
void ek_rows_offsets(float *low, float *high, const float *h, const float *norm, const float *error, const float *most,
                     uint64_t rows, size_t d, cudaStream_t stream);
/* factor = the smallest of a row's groups, a little more; 0 if that is infinite. */
void ek_rows_factors(float *factor, const float *least, int groups, uint64_t rows, cudaStream_t stream);
/* distance2 [offsets[rows]] of the candidates of each row, one row's after the other's, and their numbers + base. */
void ek_rows_measure(double *distance2, uint32_t *index, const float *x, const float *y, const uint32_t *table,
                     const uint32_t *found, const uint64_t *offsets, uint32_t capacity, uint32_t base, uint64_t rows,
                     size_t d, cudaStream_t stream);
/* distance2 [columns] of one row to all. */
void ek_rows_measure_all(double *distance2, const float *x, const float *y, uint64_t columns, size_t d,
                         cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
