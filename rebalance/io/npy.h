/*
 * NumPy's .npy files (format versions 1.0 to 3.0), memory-mapped for reading, written atomically,
 * and grown row by row by a writer that can go on after a kill.
 *
 * Reads every numeric type below in either byte order and either memory order; the file is the header
 * "\x93NUMPY", version, a Python dict literal, then the elements. Anything else, as a file that is shorter or longer
 * than its header says, is EK_EDATA.
 */
#ifndef EK_IO_NPY_H
#define EK_IO_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/file.h"
#include "rebalance/io/dtype.h"

enum { EK_NPY_MAX_DIMENSIONS = 4 };

struct ek_npy {
	enum ek_dtype type;
	int dimensions; /* 0 … 4 */
	uint64_t shape[EK_NPY_MAX_DIMENSIONS];
	int fortran_order; /* 1: column-major */
	int big_endian;    /* 1: elements need swapping */
	const void *data;  /* the elements, as in the file; belongs to the map */
	struct ek_map map;
};

/* Map a file. EK_EIO, EK_EDATA. */
int ek_npy_open(struct ek_npy *array, const char *path);
void ek_npy_close(struct ek_npy *array);
/* The items begin … end-1 of the first dimension have been passed, ek_map_forget; C order. An array that is no map is
 * left alone. */
void ek_npy_forget(const struct ek_npy *array, uint64_t begin, uint64_t end);
/* Work out the rest of `array` from its map (used by ek_npy_open). `path` starts messages. EK_EDATA. */
int ek_npy_parse(struct ek_npy *array, const char *path);

/* As ek_npy_open, and EK_EDATA unless it has exactly this type, C order, native byte order, shape and an aligned start
 * of the elements; a wanted dimension of UINT64_MAX accepts any size. `data` is then a plain C array. */
int ek_npy_open_as(struct ek_npy *array, const char *path, enum ek_dtype type, int dimensions, const uint64_t *shape);

/* Row `i` of a 2-D floating-point array as float32, whatever its type, byte and memory order.
 * out: [shape[1]] float32. float64 beyond the range of float32 becomes infinite. */
void ek_npy_row_f32(float *out, const struct ek_npy *array, uint64_t i);
/* Rows first … first+count-1 likewise. out: [count, shape[1]]. In Fortran order this is the fast way. */
void ek_npy_rows_f32(float *out, const struct ek_npy *array, uint64_t first, uint64_t count);

/* Write a whole array in C order, atomically. The file has the bytes that np.save writes. */
int ek_npy_write(const char *path, enum ek_dtype type, int dimensions, const uint64_t *shape, const void *data);
/* The start of such a file, for a writer that has its elements bit by bit: `file` is open and has the header.
 * EK_EUSAGE, EK_EIO. Discard `file` in any case. */
int ek_npy_create(struct ek_atomic_file *file, const char *path, enum ek_dtype type, int dimensions,
                  const uint64_t *shape);
/* Append the header of such a file to `out`. EK_EUSAGE: a type or shape that .npy or this module cannot hold. */
int ek_npy_header(struct ek_buffer *out, enum ek_dtype type, int dimensions, const uint64_t *shape);

/*
 * A file of known final shape that is filled in row order and can be continued after a kill.
 * The rows go to PATH.partial; ek_npy_writer_commit syncs it and renames it to PATH, so the finished file has the
 * same bytes as one from ek_npy_write. PATH.partial stays after an error or a kill.
 */
struct ek_npy_writer;

/* Open or continue PATH.partial; `key` (at most 64 bytes of text, for example a hash of options and inputs) is kept
 * beside it in PATH.partial.key: a partial file with another key, shape or type is started anew.
 * `*rows_done`: rows that are there and synced. After a kill in the middle of a commit all rows are there and the
 * next commit ends it. A row is one item of the first dimension; at least one dimension. */
int ek_npy_writer_open(struct ek_npy_writer **out, uint64_t *rows_done, const char *path, enum ek_dtype type,
                       int dimensions, const uint64_t *shape, const char *key);
/* Append `count` rows. EK_EIO (as a full disk): nothing counts as appended, the call can be repeated. */
int ek_npy_writer_append(struct ek_npy_writer *w, const void *rows, uint64_t count);
/* Make what was appended survive a kill (fdatasync); call it every few seconds. */
int ek_npy_writer_sync(struct ek_npy_writer *w);
/* The same of the first `rows` rows, which were appended; another thread may append meanwhile. */
int ek_npy_writer_sync_rows(struct ek_npy_writer *w, uint64_t rows);
/* EK_EUSAGE unless all rows were appended. Frees nothing. */
int ek_npy_writer_commit(struct ek_npy_writer *w);
/* XXH64 (base/hash.h) of the file as it will be with what was appended, which the writer has seen go by: 1, or 0 where
 * it went on with rows that were there. */
int ek_npy_writer_hash(uint64_t *hash, const struct ek_npy_writer *w);
/* Close; what is not committed stays as .partial. NULL is fine. */
void ek_npy_writer_free(struct ek_npy_writer *w);

#endif
