/* Rows on a device (train/nn/rows.h), where one was chosen and they are enough to be worth it. */
#ifndef EK_CLUSTER_ROWS_DEVICE_H
#define EK_CLUSTER_ROWS_DEVICE_H

#include "analysis/cluster/rows.h"
#include "train/nn/rows.h"

/* 1: so many pairs of rows of d dimensions are to be compared there. Results are the same anywhere. */
int ek_rows_worth_device(uint64_t rows, uint64_t others, size_t d);

/* `rows` must outlive it; centre: [d] that of all that they are compared with. */
int ek_rows_to_device(struct ek_nn_rows **out, const struct ek_rows *rows, const float *centre);

/* Rows first … first + count - 1 to out [count, d], by all threads. */
int ek_rows_read_many(float *out, const struct ek_rows *rows, uint64_t first, uint64_t count);

#endif
