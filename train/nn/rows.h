/*
 * Rows on the device that was chosen: the nearest centroid, sums of clusters, nearest neighbours, and pairs within
 * balls. Squared distances are float64 and have the bits of ek_vector_distance2 (analysis/cluster), sums of clusters
 * those of k-means on the processor: products of bfloat16 screen, and what their proven error leaves in doubt is
 * measured.
 *
 * Rows that do not fit in the device's memory pass through it, a block at a time, as often as they are needed.
 * They are there once ek_nn_rows_choose has said so, whatever device networks compute on. Errors: EK_ENOMEM, EK_ENOTSUP
 * (the device failed), EK_EINTERRUPTED, and what `read` and `take` return.
 */
#ifndef EK_NN_ROWS_H
#define EK_NN_ROWS_H

#include <stddef.h>
#include <stdint.h>

int ek_nn_rows_there(void);
/* On the GPU that ek_cuda_choose has opened; 0: no longer. */
void ek_nn_rows_choose(int there);

struct ek_nn_rows;
struct ek_nn_rows_source {
	uint64_t count; /* at most 2^31 - 1 */
	size_t dimensions;
	const float *centre; /* [dimensions] a point near their mean, copied; rows that are compared have the same */
	/* Rows first … first + count - 1 to out [count, dimensions]; finite numbers. */
	int (*read)(void *context, float *out, uint64_t first, uint64_t count);
	void *context;
};
/* `context` must outlive it. */
int ek_nn_rows_new(struct ek_nn_rows **out, const struct ek_nn_rows_source *source);
void ek_nn_rows_free(struct ek_nn_rows *rows);

/* Bytes of the device's memory that rows made from now on may take each; 0: most of what is free. */
void ek_nn_rows_limit(uint64_t bytes);

/*
 * As ek_nearest_search without bounds: is one of the centroids [k, d], numbered from `first` on, nearer than the one a
 * row has, or as near with a lower number? A row whose assignment is among them has its distance measured anew.
 */
int ek_nn_rows_nearest(struct ek_nn_rows *rows, int32_t *assignment, double *distance2, const float *centroids,
                       uint32_t k, uint32_t first, uint64_t *changed);

/*
 * Lloyd's iteration, all on the device: `begin` takes the centroids [k, d] and the nearest of them of each row; `move`
 * starts to take the means of what was assigned (the direction of those with unit), `search` assigns by them. distance2
 * [count] is the library's, until the next search. A move without a search after it changes nothing.
 */
int ek_nn_rows_begin(struct ek_nn_rows *rows, const int32_t *assignment, const double *distance2,
                     const float *centroids, uint32_t k);
int ek_nn_rows_move(struct ek_nn_rows *rows, int unit);
int ek_nn_rows_search(struct ek_nn_rows *rows, const double **distance2, uint64_t *changed);
/* The result of the last search. */
int ek_nn_rows_result(struct ek_nn_rows *rows, int32_t *assignment, double *distance2, float *centroids);

/* Told of a row: columns and their squared distances, in any order; in several calls, on several threads. */
typedef int ek_nn_rows_take(void *context, uint64_t row, const uint32_t *index, const double *distance2, size_t count,
                            int worker);
/* To each row of `queries` at least its k nearest of `set`, and all that are as near as those; itself: the sets are the
 * same, and a row is not told of itself. */
int ek_nn_rows_neighbours(struct ek_nn_rows *queries, struct ek_nn_rows *set, size_t k, int itself,
                          ek_nn_rows_take *take, void *context);

/*
 * To each row y at least the columns x with D^2 <= ball_x or D^2 <= reach_y, and those for which weight_x / D^2 is
 * largest among the x with weight_x > 0.
 */
struct ek_nn_rows_balls {
	const double *reach;         /* [rows] squared */
	const double *ball, *weight; /* [columns] squared */
};
int ek_nn_rows_within(struct ek_nn_rows *rows, struct ek_nn_rows *columns, const struct ek_nn_rows_balls *balls,
                      ek_nn_rows_take *take, void *context);

#endif
