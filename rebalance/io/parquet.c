#include "rebalance/io/parquet.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"

/* After so many bytes the pages of the map are let go. */
enum { PASSED = 16 << 20 };

struct ek_parquet {
	struct ek_parquet_file *file;
	struct ek_map map;
	char *path;
	size_t passed;
};

static const struct ek_parquet_module *module; /* NULL: not there */

/* The program's and the libraries' folders are searched (rpath). */
static void load(void)
{
	void *library = dlopen("libevenkeel_parquet.so", RTLD_NOW | RTLD_LOCAL);

	module = library != NULL ? dlsym(library, "ek_parquet_module") : NULL;
	if (module != NULL && module->version != EK_PARQUET_MODULE_VERSION)
		module = NULL;
}

static int need_module(const char *path)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, load);
	if (module != NULL)
		return 0;
	return ek_fail(EK_ENOTSUP,
	               "%s: a Parquet file, and their reader is not there: ./quickstart --parquet brings it", path);
}

static int failed(const char *path, enum ek_parquet_result result, const char *error)
{
	return result == EK_PARQUET_NO_MEMORY ? ek_fail(EK_ENOMEM, "%s: no memory to read it", path)
	                                      : ek_fail(EK_EDATA, "%s: damaged, or cut off: %s", path, error);
}

int ek_parquet_open(struct ek_parquet **out, const char *path)
{
	enum ek_parquet_result result;
	char error[EK_PARQUET_ERROR];
	struct ek_parquet *p = NULL;
	int rc;

	*out = NULL;
	EK_TRY(need_module(path));
	EK_TRY(ek_alloc(&p, 1, sizeof *p));
	EK_TRY(ek_copy_string(&p->path, path));
	EK_TRY(ek_map_open(&p->map, path));
	if ((result = module->open(&p->file, p->map.data, p->map.size, error)) != EK_PARQUET_DONE) {
		rc = failed(path, result, error);
		goto out;
	}
	/* An image takes more than a byte: who claims so many rows wants to keep somebody busy. */
	if (module->rows(p->file) > p->map.size) {
		rc = ek_fail(EK_EDATA, "%s: damaged: %zu bytes cannot hold the %llu rows that they claim", path,
		             p->map.size, (unsigned long long)module->rows(p->file));
		goto out;
	}
	*out = p;
	p = NULL;
out:
	ek_parquet_close(p);
	return rc;
}

uint64_t ek_parquet_rows(const struct ek_parquet *p)
{
	return module->rows(p->file);
}

uint64_t ek_parquet_group_end(const struct ek_parquet *p, uint64_t row)
{
	return module->group_end(p->file, row);
}

size_t ek_parquet_columns(const struct ek_parquet *p)
{
	return module->columns(p->file);
}

struct ek_parquet_column ek_parquet_column(const struct ek_parquet *p, size_t i)
{
	return module->column(p->file, i);
}

size_t ek_parquet_find(const struct ek_parquet *p, const char *path)
{
	const size_t count = module->columns(p->file);
	size_t i = 0;

	while (i < count && strcmp(module->column(p->file, i).path, path) != 0)
		i++;
	return i;
}

const char *ek_parquet_text(const struct ek_parquet *p, const char *key)
{
	return module->text(p->file, key);
}

int ek_parquet_read(struct ek_parquet_value *value, struct ek_parquet *p, size_t column, uint64_t row)
{
	char error[EK_PARQUET_ERROR];
	enum ek_parquet_result result;

	if (p->passed > PASSED) {
		ek_map_forget(p->map.data, p->map.data + p->map.size);
		p->passed = 0;
	}
	result = module->read(value, p->file, column, row, error);
	p->passed += value->size;
	return result == EK_PARQUET_DONE ? 0 : failed(p->path, result, error);
}

int64_t ek_parquet_place(const struct ek_parquet *p, const struct ek_parquet_value *value)
{
	const uintptr_t start = (uintptr_t)p->map.data, at = (uintptr_t)value->bytes;

	return at >= start && at - start < p->map.size && value->size <= p->map.size - (at - start)
	               ? (int64_t)(at - start)
	               : -1;
}

void ek_parquet_close(struct ek_parquet *p)
{
	if (p == NULL)
		return;
	if (p->file != NULL)
		module->close(p->file);
	ek_map_close(&p->map);
	free(p->path);
	free(p);
}
