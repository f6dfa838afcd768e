/* Files of a run by their names in it: what ek_run_file gives the path of, opened, written or looked for. */
#ifndef EK_IO_RUN_FILES_H
#define EK_IO_RUN_FILES_H

#include "rebalance/base/json.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/run.h"

/* Is it there? 0, 1, or EK_ENOMEM. */
int ek_run_has(const struct ek_run *run, const char *name);

/* As ek_npy_open, ek_npy_open_as and ek_npy_write. */
int ek_run_npy(struct ek_npy *array, const struct ek_run *run, const char *name);
int ek_run_npy_open(struct ek_npy *array, const struct ek_run *run, const char *name, enum ek_dtype type,
                    int dimensions, const uint64_t *shape);
int ek_run_npy_write(const struct ek_run *run, const char *name, enum ek_dtype type, int dimensions,
                     const uint64_t *shape, const void *data);

/* As ek_json_load and ek_json_save. */
int ek_run_json_load(cJSON **json, const struct ek_run *run, const char *name);
/* The same of ek_layout_path(pattern, name); NULL where there is none. */
int ek_run_json_find(cJSON **json, const struct ek_run *run, const char *pattern, const char *name);
int ek_run_json_save(const struct ek_run *run, const char *name, const cJSON *json);

#endif
