/*
 * What parquet.c asks of libevenkeel_parquet.so, the module over Apache Arrow's library: one table of functions, so
 * that the program neither links Arrow nor misses it where it is not there. C++ exceptions end in the module: a
 * function that can fail says why in `error`.
 */
#ifndef EK_IO_PARQUET_MODULE_H
#define EK_IO_PARQUET_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header: what was built with another one is not used. */
enum { EK_PARQUET_MODULE_VERSION = 1, EK_PARQUET_ERROR = 512 };

enum ek_parquet_result { EK_PARQUET_DONE, EK_PARQUET_DAMAGED, EK_PARQUET_NO_MEMORY };

enum ek_parquet_type {
	EK_PARQUET_OTHER, /* a list, or a type that is not read */
	EK_PARQUET_BOOLEAN,
	EK_PARQUET_WHOLE,
	EK_PARQUET_UNSIGNED, /* its bits are in `whole` */
	EK_PARQUET_NUMBER,
	EK_PARQUET_TEXT, /* UTF-8, if the file keeps to the format */
	EK_PARQUET_BYTES
};

struct ek_parquet_column {
	const char *path; /* "image.bytes"; belongs to the file */
	size_t depth;     /* 1: a column of its own, 2: a member of one … */
	enum ek_parquet_type type;
};

struct ek_parquet_value {
	int is_null;
	int64_t whole; /* of a boolean, too */
	double number;
	const char *bytes; /* until the column is read again */
	size_t size;
};

struct ek_parquet_file;

struct ek_parquet_module {
	int version;
	const char *arrow; /* "26.0.1" */
	/* `bytes`: the whole file, which must stay. */
	enum ek_parquet_result (*open)(struct ek_parquet_file **out, const void *bytes, size_t size, char *error);
	uint64_t (*rows)(const struct ek_parquet_file *file);
	/* Behind the last row of the row group that `row` is in. */
	uint64_t (*group_end)(const struct ek_parquet_file *file, uint64_t row);
	size_t (*columns)(const struct ek_parquet_file *file);
	struct ek_parquet_column (*column)(const struct ek_parquet_file *file, size_t i);
	/* The text of a key of the file, NUL-terminated, or NULL. */
	const char *(*text)(const struct ek_parquet_file *file, const char *key);
	/* Forward within a row group is cheap. Of no column of the type OTHER. */
	enum ek_parquet_result (*read)(struct ek_parquet_value *value, struct ek_parquet_file *file, size_t column,
	                               uint64_t row, char *error);
	void (*close)(struct ek_parquet_file *file);
};

/* The only name that the module shows. */
extern const struct ek_parquet_module ek_parquet_module;

#ifdef __cplusplus
}
#endif

#endif
