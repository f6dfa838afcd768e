/*
 * The inside of rows_cuda.c, for the files that search rows (rows_nearest_cuda.c, rows_pairs_cuda.c) or sum over them
 * (moments_cuda.c). All of it is on the one stream, and nothing waits but ek_rows_download and ek_rows_reserve.
 */
#ifndef EK_NN_ROWS_CUDA_INTERNAL_H
#define EK_NN_ROWS_CUDA_INTERNAL_H

#include "train/nn/cuda_internal.h"
#include "train/nn/rows.h"
#include "train/nn/rows_cuda.h"

/* Bytes of what is kept of rows under way, each of two arrays. */
#define EK_ROWS_TABLE_BYTES ((uint64_t)512 << 20)

/* Memory of the device that grows. */
struct ek_rows_room {
	void *memory;
	size_t bytes;
};

enum ek_rows_room_name {
	/* of rows under way */
	LIMIT,
	HIGH,
	FOUND,
	TABLE,
	LEAST,
	REACH,
	FACTOR,
	OFFSETS,
	PAIR_DISTANCE2,
	PAIR_INDEX,
	/* of columns */
	BALL,
	WEIGHT,
	CENTROIDS, /* two, those of now and the next */
	SCREENED = CENTROIDS + 2,
	SUMS,
	ROOMS
};

struct ek_nn_rows {
	struct ek_nn_rows_source source; /* its centre is not looked at again */
	size_t d;
	uint64_t block; /* rows that the device has at a time */
	uint64_t at;    /* the first of those it has; UINT64_MAX: none */
	float *centre, *x;
	struct ek_rows_screened screened;
	struct ek_rows_room rooms[ROOMS];
	/* k-means */
	int32_t *assignment;
	double *distance2, *distance2_host;
	int now; /* which of the centroids */
	uint32_t k, base;
	struct ek_rows_sums sums;
	uint32_t sums_k; /* clusters that there is room for */
	unsigned long long *changed;
};

static inline uint64_t ek_rows_filled(uint64_t count, uint64_t to)
{
	return (count + to - 1) / to * to;
}

/* The room holds so many bytes; what was in it is gone if it grew. */
int ek_rows_reserve(struct ek_rows_room *room, size_t bytes);
int ek_rows_copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind);
int ek_rows_upload(void *to, const void *from, size_t bytes);
/* And wait for it. */
int ek_rows_download(void *to, const void *from, size_t bytes);
int ek_rows_clear(void *memory, size_t bytes);

/* Arrays of so many screened rows, in one piece of memory. */
size_t ek_rows_screened_bytes(uint64_t rows, size_t d);
void ek_rows_place_screened(struct ek_rows_screened *s, void *memory, uint64_t rows, size_t d);

/* Rows of the block that begins with `first`. */
uint64_t ek_rows_count_at(const struct ek_nn_rows *r, uint64_t first);
/* They, `first` a multiple of the block, are on the device. */
int ek_rows_load(struct ek_nn_rows *r, uint64_t first);

/* Rows from `first` of a block on, a multiple of EK_ROWS_TILE, against screened columns. */
struct ek_rows_screen ek_rows_screen_of(const struct ek_nn_rows *r, uint64_t first, uint64_t count,
                                        const struct ek_rows_screened *columns, uint64_t column_count);
int ek_rows_compare(struct ek_rows_screen *s, enum ek_rows_mode mode);

#endif
