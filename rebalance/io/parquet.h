/*
 * Parquet files, read row by row. It takes a module over Apache Arrow's library, which is built where that is found
 * (cmake/FindArrowParquet.cmake) and loaded when the first such file is met. One reader per thread.
 */
#ifndef EK_IO_PARQUET_H
#define EK_IO_PARQUET_H

#include "rebalance/base/memory.h"
#include "rebalance/io/parquet_module.h"

struct ek_parquet;

/* Maps the file and reads its directory. EK_EIO; EK_EDATA; EK_ENOTSUP: the module is not there. */
int ek_parquet_open(struct ek_parquet **out, const char *path);
uint64_t ek_parquet_rows(const struct ek_parquet *file);
uint64_t ek_parquet_group_end(const struct ek_parquet *file, uint64_t row); /* as in the module */
size_t ek_parquet_columns(const struct ek_parquet *file);
struct ek_parquet_column ek_parquet_column(const struct ek_parquet *file, size_t i);
/* The number of a column, or ek_parquet_columns. */
size_t ek_parquet_find(const struct ek_parquet *file, const char *path);
const char *ek_parquet_text(const struct ek_parquet *file, const char *key); /* as in the module */
/* The value's bytes are there until the column is read again. EK_EDATA. */
int ek_parquet_read(struct ek_parquet_value *value, struct ek_parquet *file, size_t column, uint64_t row);
/* Where in the file these bytes of a value lie as they are, or -1: they were packed. */
int64_t ek_parquet_place(const struct ek_parquet *file, const struct ek_parquet_value *value);
void ek_parquet_close(struct ek_parquet *file);

#endif
