/* The public functions of libevenkeel, over the planner's own. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/version.h"
#include "rebalance/evenkeel.h"
#include "rebalance/io/npy.h"
#include "rebalance/plan/source.h"

#define SAME(public, ours) _Static_assert((int)(public) == (int)(ours), "a public code differs from ours")
SAME(EVENKEEL_EUSAGE, EK_EUSAGE);
SAME(EVENKEEL_EDATA, EK_EDATA);
SAME(EVENKEEL_EIO, EK_EIO);
SAME(EVENKEEL_ENOMEM, EK_ENOMEM);
SAME(EVENKEEL_ENOTSUP, EK_ENOTSUP);
SAME(EVENKEEL_EINTERRUPTED, EK_EINTERRUPTED);

/* An array that was asked for, and the one before it. */
struct mapped {
	char *path;
	struct ek_npy array;
	struct mapped *next;
};

struct evenkeel_run {
	char *path;
	struct mapped *mapped;
};

struct evenkeel_sampler {
	struct ek_source source;
};

const char *evenkeel_version(void)
{
	return EK_VERSION;
}

const char *evenkeel_error(void)
{
	return ek_error_message();
}

int evenkeel_open(struct evenkeel_run **out, const char *path)
{
	struct evenkeel_run *run = NULL;
	char *record = NULL;
	struct stat status;
	int rc;

	*out = NULL;
	EK_TRY(ek_format(&record, "%s/run.json", path));
	if (stat(path, &status) != 0)
		rc = ek_fail_errno("cannot open %s", path);
	else if (!S_ISDIR(status.st_mode) || !ek_file_exists(record))
		rc = ek_fail(EK_EUSAGE, "%s is not a run directory: it has no run.json", path);
	EK_TRY(rc);
	EK_TRY(ek_alloc(&run, 1, sizeof *run));
	EK_TRY(ek_copy_string(&run->path, path));
	*out = run;
	run = NULL;
out:
	free(run);
	free(record);
	return rc;
}

void evenkeel_close(struct evenkeel_run *run)
{
	if (run == NULL)
		return;
	while (run->mapped != NULL) {
		struct mapped *next = run->mapped->next;

		ek_npy_close(&run->mapped->array);
		free(run->mapped->path);
		free(run->mapped);
		run->mapped = next;
	}
	free(run->path);
	free(run);
}

/* Map a file once. */
static int map(const struct ek_npy **out, struct evenkeel_run *run, const char *file)
{
	struct mapped *m = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/%s", run->path, file));
	for (m = run->mapped; m != NULL; m = m->next)
		if (strcmp(m->path, path) == 0) {
			*out = &m->array;
			m = NULL;
			goto out;
		}
	EK_TRY(ek_alloc(&m, 1, sizeof *m));
	EK_TRY(ek_npy_open(&m->array, path));
	if (m->array.fortran_order || m->array.big_endian ||
	    (uintptr_t)m->array.data % ek_dtype_size(m->array.type) != 0) {
		rc = ek_fail(EK_ENOTSUP, "%s is column-major, big-endian or not aligned", path);
		ek_npy_close(&m->array);
		goto out;
	}
	*out = &m->array;
	m->path = path;
	m->next = run->mapped;
	run->mapped = m;
	path = NULL;
	m = NULL;
out:
	free(m);
	free(path);
	return rc;
}

int evenkeel_array(struct evenkeel_run *run, const char *file, struct evenkeel_array *array)
{
	const struct ek_npy *npy;
	int rc;

	*array = (struct evenkeel_array){ 0 };
	EK_TRY(map(&npy, run, file));
	array->data = npy->data;
	array->type = ek_dtype_name(npy->type);
	array->dimensions = npy->dimensions;
	memcpy(array->shape, npy->shape, sizeof array->shape);
out:
	return rc;
}

/* A vector of one type in a folder of the run. */
static int map_vector(const struct ek_npy **out, struct evenkeel_run *run, const char *folder, const char *name,
                      const char *file, enum ek_dtype type)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/%s/%s", folder, name, file));
	EK_TRY(map(out, run, path));
	if ((*out)->type != type || (*out)->dimensions != 1)
		rc = ek_fail(EK_EDATA, "%s/%s is not a vector of %s", run->path, path, ek_dtype_name(type));
out:
	free(path);
	return rc;
}

int evenkeel_subset(struct evenkeel_run *run, const char *name, const int64_t **ids, uint64_t *count)
{
	const struct ek_npy *npy;
	int rc;

	EK_TRY(map_vector(&npy, run, "subsets", name, "keep.npy", EK_I64));
	*ids = npy->data;
	*count = npy->shape[0];
out:
	return rc;
}

int evenkeel_weights(struct evenkeel_run *run, const char *name, const double **weights, uint64_t *count)
{
	const struct ek_npy *npy;
	int rc;

	EK_TRY(map_vector(&npy, run, "weights", name, "weights.npy", EK_F64));
	*weights = npy->data;
	*count = npy->shape[0];
out:
	return rc;
}

int evenkeel_sampler_open(struct evenkeel_sampler **out, struct evenkeel_run *run, const char *source, uint64_t seed)
{
	static const struct {
		const char *prefix;
		enum ek_source_kind kind;
	} kinds[] = { { "weights/", EK_SOURCE_WEIGHTS }, { "subsets/", EK_SOURCE_SUBSET } };
	struct evenkeel_sampler *sampler = NULL;
	size_t k = 0;
	int rc;

	*out = NULL;
	while (k < 2 && strncmp(source, kinds[k].prefix, strlen(kinds[k].prefix)) != 0)
		k++;
	if (k == 2)
		return ek_fail(EK_EUSAGE, "the source \"%s\" is neither weights/NAME nor subsets/NAME", source);
	EK_TRY(ek_alloc(&sampler, 1, sizeof *sampler));
	EK_TRY(ek_source_open(&sampler->source, run->path, kinds[k].kind, source + strlen(kinds[k].prefix), seed));
	*out = sampler;
	sampler = NULL;
out:
	free(sampler);
	return rc;
}

void evenkeel_sampler_close(struct evenkeel_sampler *sampler)
{
	if (sampler != NULL)
		ek_source_release(&sampler->source);
	free(sampler);
}

uint64_t evenkeel_sampler_length(const struct evenkeel_sampler *sampler)
{
	return ek_sampler_length(sampler->source.sampler);
}

int64_t evenkeel_sampler_next(struct evenkeel_sampler *sampler, uint64_t epoch, uint64_t position)
{
	int64_t id;
	const int rc = ek_sampler_draw(sampler->source.sampler, epoch, position, 1, 1, &id);

	return rc < 0 ? rc : id;
}

int evenkeel_sampler_draw(struct evenkeel_sampler *sampler, uint64_t epoch, uint64_t first, uint64_t stride,
                          uint64_t count, int64_t *ids)
{
	if (stride == 0)
		return ek_fail(EK_EUSAGE, "the stride is 0, expected 1 or more");
	return ek_sampler_draw(sampler->source.sampler, epoch, first, stride, count, ids);
}
