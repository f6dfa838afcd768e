#include "train/loop/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glob.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/safetensors.h"

static const char checkpoints[] = "/step-*.safetensors";
static const char *const prefixes[] = { "model.", "ema.", "optimizer.first.", "optimizer.second." };
enum { ARRAYS = sizeof prefixes / sizeof *prefixes, OTHERS = 4 };

static float *array_of(const struct ek_checkpoint_state *s, int i)
{
	float *const arrays[ARRAYS] = { s->values, s->average, s->first, s->second };

	return arrays[i];
}

/* "…/step-00001234.safetensors" to 1234; 0 if it is no such name. */
static uint64_t step_of(const char *path)
{
	const char *name = strrchr(path, '/');
	uint64_t step = 0;
	int end = 0;

	if (name == NULL || sscanf(name, "/step-%" SCNu64 ".safetensors%n", &step, &end) != 1 || name[end] != 0)
		return 0;
	return step;
}

/* The folder's own path is taken literally. */
static int find(glob_t *found, const char *folder, const char *names)
{
	struct ek_buffer pattern = { 0 };
	int rc = 0;

	for (const char *c = folder; *c != 0; c++)
		EK_TRY(ek_buffer_printf(&pattern, strchr("*?[]\\", *c) != NULL ? "\\%c" : "%c", *c));
	EK_TRY(ek_buffer_text(&pattern, names));
	switch (glob(pattern.data, 0, NULL, found)) {
	case 0:
	case GLOB_NOMATCH:
		break;
	case GLOB_NOSPACE:
		rc = ek_fail(EK_ENOMEM, "no memory to list %s", folder);
		break;
	default:
		rc = ek_fail_errno("cannot list %s", folder);
	}
out:
	ek_buffer_release(&pattern);
	return rc;
}

static int by_step(const void *a, const void *b)
{
	const uint64_t x = step_of(*(char *const *)a), y = step_of(*(char *const *)b);

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Remove all but the `kept` newest of a sorted list. */
static int remove_old(const glob_t *found, size_t kept)
{
	for (size_t i = kept; i < found->gl_pathc; i++)
		if (step_of(found->gl_pathv[i]) > 0 && unlink(found->gl_pathv[i]) < 0)
			return ek_fail_errno("cannot remove %s", found->gl_pathv[i]);
	return 0;
}

int ek_checkpoints_clean(const char *folder)
{
	static const char *const unfinished[] = { "/step-*.safetensors.tmp", "/preview-*.png.tmp" };
	int rc = 0;

	for (size_t i = 0; i < sizeof unfinished / sizeof *unfinished; i++) {
		glob_t found = { 0 };

		rc = find(&found, folder, unfinished[i]);
		for (size_t j = 0; rc == 0 && j < found.gl_pathc; j++)
			(void)unlink(found.gl_pathv[j]);
		globfree(&found);
		EK_TRY(rc);
	}
out:
	return rc;
}

int ek_checkpoints_remove(const char *folder)
{
	glob_t found = { 0 };
	int rc;

	EK_TRY(find(&found, folder, checkpoints));
	EK_TRY(remove_old(&found, 0));
out:
	globfree(&found);
	return rc;
}

int ek_checkpoint_newest(char **path, uint64_t *step, const char *folder, int kept)
{
	glob_t found = { 0 };
	int rc;

	*path = NULL;
	*step = 0;
	EK_TRY(find(&found, folder, checkpoints));
	if (found.gl_pathc > 0) /* there is no list otherwise */
		qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_step);
	if (found.gl_pathc > 0 && step_of(found.gl_pathv[0]) > 0) {
		*step = step_of(found.gl_pathv[0]);
		EK_TRY(ek_copy_string(path, found.gl_pathv[0]));
	}
	if (kept > 0)
		EK_TRY(remove_old(&found, (size_t)kept));
out:
	globfree(&found);
	return rc;
}

/* The table of a checkpoint's tensors; names in one block. */
struct table {
	struct ek_tensor_spec *specs;
	char **names;
	size_t count;
};

static void table_release(struct table *t)
{
	for (size_t i = 0; t->names != NULL && i < t->count; i++)
		free(t->names[i]);
	free(t->names);
	free(t->specs);
}

static void add(struct table *t, enum ek_dtype type, int dimensions)
{
	t->specs[t->count].name = t->names[t->count];
	t->specs[t->count].type = type;
	t->specs[t->count++].dimensions = dimensions;
}

static int add_vector(struct table *t, const char *name, enum ek_dtype type, uint64_t size)
{
	int rc;

	EK_TRY(ek_copy_string(&t->names[t->count], name));
	t->specs[t->count].shape[0] = size;
	add(t, type, 1);
out:
	return rc;
}

static int table_make(struct table *t, const struct ek_params *params, const struct ek_checkpoint_state *s,
                      size_t identity)
{
	const size_t most = ARRAYS * (size_t)params->count + OTHERS;
	int rc;

	EK_TRY(ek_alloc(&t->specs, most, sizeof *t->specs));
	EK_TRY(ek_alloc(&t->names, most, sizeof *t->names));
	for (int a = 0; a < ARRAYS; a++)
		for (int i = 0; i < params->count; i++) {
			const struct ek_param *p = &params->items[i];

			EK_TRY(ek_format(&t->names[t->count], "%s%s", prefixes[a], p->name));
			for (int d = 0; d < p->rank; d++)
				t->specs[t->count].shape[d] = (uint64_t)p->dims[d];
			add(t, EK_F32, p->rank);
		}
	EK_TRY(add_vector(t, "state.step", EK_I64, 1));
	EK_TRY(add_vector(t, "state.seconds", EK_F64, 1));
	EK_TRY(add_vector(t, "state.identity", EK_U8, identity));
	if (s->extra_count > 0)
		EK_TRY(add_vector(t, "state.task", EK_F32, s->extra_count));
out:
	return rc;
}

int ek_checkpoint_write(const char *folder, const struct ek_params *params, const struct ek_checkpoint_state *s,
                        const char *identity)
{
	const int64_t step = (int64_t)s->step;
	struct ek_safetensors_writer *w = NULL;
	struct table t = { 0 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/step-%08" PRIu64 ".safetensors", folder, s->step));
	EK_TRY(table_make(&t, params, s, strlen(identity)));
	EK_TRY(ek_safetensors_writer_open(&w, path, t.specs, t.count, NULL));
	for (int a = 0; a < ARRAYS; a++)
		EK_TRY(ek_safetensors_writer_append(w, array_of(s, a), params->size * sizeof(float)));
	EK_TRY(ek_safetensors_writer_append(w, &step, sizeof step));
	EK_TRY(ek_safetensors_writer_append(w, &s->seconds, sizeof s->seconds));
	EK_TRY(ek_safetensors_writer_append(w, identity, strlen(identity)));
	if (s->extra_count > 0)
		EK_TRY(ek_safetensors_writer_append(w, s->extra, s->extra_count * sizeof *s->extra));
	EK_TRY(ek_safetensors_writer_commit(w));
out:
	ek_safetensors_writer_free(w);
	table_release(&t);
	free(path);
	return rc;
}

/* A tensor that must be there in exactly this form, copied out. */
static int take(void *out, const struct ek_tensor_file *file, const struct ek_tensor_spec *spec)
{
	const struct ek_tensor *tensor;
	int rc;

	EK_TRY(ek_tensor_get(&tensor, file, spec->name, spec->dimensions, spec->shape));
	if (tensor->type != spec->type || tensor->big_endian || !tensor->contiguous)
		return ek_fail(EK_EDATA, "%s: tensor %s has another type than a checkpoint's", file->path, spec->name);
	memcpy(out, tensor->data, tensor->count * ek_dtype_size(spec->type));
out:
	return rc;
}

static int check_finite(const float *x, size_t count, const struct ek_tensor_file *file, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!isfinite(x[i]))
			return ek_fail(EK_EDATA, "%s: tensor %s has a number that is not finite", file->path, name);
	return 0;
}

/* EK_EDATA naming a tensor that no checkpoint of this network has. */
static int check_extra(const struct ek_tensor_file *file, const struct table *t)
{
	for (size_t i = 0; file->count > t->count && i < file->count; i++) {
		size_t j = 0;

		while (j < t->count && strcmp(t->specs[j].name, file->tensors[i].name) != 0)
			j++;
		if (j == t->count)
			return ek_fail(EK_EDATA, "%s: tensor %s is none of this network's", file->path,
			               file->tensors[i].name);
	}
	return 0;
}

static int take_identity(const struct ek_tensor_file *file, const char *identity)
{
	const struct ek_tensor *tensor;
	const uint64_t any = UINT64_MAX;
	int rc;

	EK_TRY(ek_tensor_get(&tensor, file, "state.identity", 1, &any));
	if (tensor->type != EK_U8 || tensor->count != strlen(identity) ||
	    memcmp(tensor->data, identity, tensor->count) != 0)
		return ek_fail(EK_EDATA, "%s was made with other options or data", file->path);
out:
	return rc;
}

int ek_checkpoint_read(const char *path, const struct ek_params *params, struct ek_checkpoint_state *s,
                       const char *identity)
{
	struct ek_tensor_file file = { 0 };
	struct table t = { 0 };
	int64_t step;
	int rc;

	EK_TRY(ek_tensor_file_open(&file, path));
	EK_TRY(take_identity(&file, identity));
	EK_TRY(table_make(&t, params, s, strlen(identity)));
	EK_TRY(check_extra(&file, &t));
	for (size_t i = 0; i < ARRAYS * (size_t)params->count; i++) {
		const struct ek_param *p = &params->items[i % (size_t)params->count];
		float *out = array_of(s, (int)(i / (size_t)params->count)) + p->offset;

		EK_TRY(take(out, &file, &t.specs[i]));
		EK_TRY(check_finite(out, p->count, &file, t.specs[i].name));
	}
	EK_TRY(take(&step, &file, &t.specs[ARRAYS * params->count]));
	EK_TRY(take(&s->seconds, &file, &t.specs[ARRAYS * params->count + 1]));
	if (s->extra_count > 0)
		EK_TRY(take(s->extra, &file, &t.specs[ARRAYS * params->count + 3]));
	s->step = (uint64_t)step;
out:
	table_release(&t);
	ek_tensor_file_close(&file);
	return rc;
}
