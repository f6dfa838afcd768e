#include "rebalance/io/run_files.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/layout.h"

int ek_run_has(const struct ek_run *run, const char *name)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, name));
	rc = ek_file_exists(path);
out:
	free(path);
	return rc;
}

#define AT_PATH(call)                                                                                                  \
	char *path = NULL;                                                                                             \
	int rc;                                                                                                        \
                                                                                                                       \
	EK_TRY(ek_run_file(&path, run, name));                                                                         \
	EK_TRY(call);                                                                                                  \
	out:                                                                                                           \
	free(path);                                                                                                    \
	return rc

int ek_run_npy(struct ek_npy *array, const struct ek_run *run, const char *name)
{
	AT_PATH(ek_npy_open(array, path));
}

int ek_run_npy_open(struct ek_npy *array, const struct ek_run *run, const char *name, enum ek_dtype type,
                    int dimensions, const uint64_t *shape)
{
	AT_PATH(ek_npy_open_as(array, path, type, dimensions, shape));
}

int ek_run_npy_write(const struct ek_run *run, const char *name, enum ek_dtype type, int dimensions,
                     const uint64_t *shape, const void *data)
{
	AT_PATH(ek_npy_write(path, type, dimensions, shape, data));
}

int ek_run_json_load(cJSON **json, const struct ek_run *run, const char *name)
{
	AT_PATH(ek_json_load(json, path));
}

int ek_run_json_find(cJSON **json, const struct ek_run *run, const char *pattern, const char *name)
{
	char *path = NULL;
	int rc;

	*json = NULL;
	EK_TRY(ek_layout_path(&path, run, pattern, name));
	if (ek_file_exists(path))
		EK_TRY(ek_json_load(json, path));
out:
	free(path);
	return rc;
}

int ek_run_json_save(const struct ek_run *run, const char *name, const cJSON *json)
{
	AT_PATH(ek_json_save(json, path));
}
