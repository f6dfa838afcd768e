#include "train/loop/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glob.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/safetensors.h"

static const char checkpoints[] = "step-*.safetensors", previews[] = "preview-*.png";
static const char sums_name[] = "state.xxh64";
/* What a file holds, in this order: first the arrays of all parameters, of which each tensor's name begins so. */
static const char *const pieces[] = { "model.",     "ema.",          "optimizer.first.", "optimizer.second.",
	                              "state.step", "state.seconds", "state.identity",   "state.log",
	                              "state.task" };
const enum ek_family ek_checkpoint_families[EK_CHECKPOINT_ARRAYS] = { EK_VALUES, EK_AVERAGE, EK_FIRST, EK_SECOND };
enum {
	ARRAYS = EK_CHECKPOINT_ARRAYS,
	AVERAGE = EK_CHECKPOINT_AVERAGE_ARRAY,
	PIECES = sizeof pieces / sizeof *pieces,
	OTHERS = PIECES - ARRAYS + 1
};

/* "…/step-00001234.safetensors" to 1234, and "…/preview-00001234.png"; 0 if it is no such name. */
static uint64_t step_of(const char *path)
{
	const char *name = strrchr(path, '/');
	uint64_t step = 0;
	int end = 0;

	if (name != NULL && sscanf(name, "/step-%" SCNu64 ".safetensors%n", &step, &end) == 1 && name[end] == 0)
		return step;
	if (name != NULL && sscanf(name, "/preview-%" SCNu64 ".png%n", &step, &end) == 1 && name[end] == 0)
		return step;
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const uint64_t x = step_of(*(char *const *)a), y = step_of(*(char *const *)b);

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Files of a folder, whose own path is taken literally; the newest first. */
static int find(glob_t *found, const char *folder, const char *names)
{
	const int rc = ek_glob(found, folder, names);

	if (rc == 0 && found->gl_pathc > 0) /* there is no list otherwise */
		qsort(found->gl_pathv, found->gl_pathc, sizeof *found->gl_pathv, newest_first);
	return rc;
}

/* Remove those after `step`, and all but the `kept` newest of the others. */
static int keep(const char *folder, const char *names, uint64_t step, uint64_t kept)
{
	glob_t found = { 0 };
	uint64_t passed = 0;
	int rc;

	EK_TRY(find(&found, folder, names));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const uint64_t of = step_of(found.gl_pathv[i]);

		if (of == 0 || (of <= step && passed++ < kept))
			continue;
		EK_TRY(ek_remove(found.gl_pathv[i]));
	}
out:
	globfree(&found);
	return rc;
}

int ek_checkpoints_keep(const char *folder, uint64_t step, int kept)
{
	return keep(folder, checkpoints, step, (uint64_t)kept);
}

int ek_previews_keep(const char *folder, uint64_t step)
{
	return keep(folder, previews, step, UINT64_MAX);
}

int ek_checkpoints_clean(const char *folder)
{
	static const char *const unfinished[] = { "step-*.safetensors.tmp", "preview-*.png.tmp" };
	int rc = 0;

	for (size_t i = 0; i < sizeof unfinished / sizeof *unfinished; i++)
		EK_TRY(ek_remove_matching(folder, unfinished[i]));
out:
	return rc;
}

/* The hash of what the tensors of a piece hold, which lie side by side. */
static uint64_t sum_of(const struct ek_tensor_file *file, const char *piece)
{
	const char *start = NULL, *end = NULL;

	for (size_t i = 0; i < file->count; i++) {
		const struct ek_tensor *t = &file->tensors[i];
		const char *data = t->data, *after = data + t->count * ek_dtype_size(t->type);

		if (strncmp(t->name, piece, strlen(piece)) != 0)
			continue;
		start = start == NULL || data < start ? data : start;
		end = end == NULL || after > end ? after : end;
	}
	return ek_hash64(start, (size_t)(end - start));
}

/* Checkpoints of earlier versions have no sums. */
static int check_sums(const struct ek_tensor_file *file, enum ek_checkpoint_use use)
{
	const struct ek_tensor *sums = ek_tensor_find(file, sums_name);
	const uint64_t shape = PIECES;
	int rc;

	if (sums == NULL)
		return 0;
	EK_TRY(ek_tensor_get(&sums, file, sums_name, 1, &shape));
	if (sums->type != EK_I64)
		return ek_fail(EK_EDATA, "%s: tensor %s has another type than a checkpoint's", file->path, sums_name);
	for (size_t i = 0; i < PIECES; i++) {
		uint64_t sum;

		memcpy(&sum, (const char *)sums->data + i * sizeof sum, sizeof sum);
		if ((use == EK_CHECKPOINT_WHOLE || i == AVERAGE) && sum != sum_of(file, pieces[i]))
			return ek_fail(EK_EDATA, "%s: what it holds of %s is not what was written", file->path,
			               pieces[i]);
	}
out:
	return rc;
}

static int open_checked(struct ek_tensor_file *file, const char *path, enum ek_checkpoint_use use)
{
	int rc;

	EK_TRY(ek_tensor_file_open(file, path));
	EK_TRY(check_sums(file, use));
out:
	if (rc < 0)
		ek_tensor_file_close(file);
	return rc;
}

int ek_checkpoint_open(struct ek_tensor_file *file, uint64_t *step, const char *folder, enum ek_checkpoint_use use)
{
	glob_t found = { 0 };
	int damaged = 0, rc;

	*step = 0;
	EK_TRY(find(&found, folder, checkpoints));
	for (size_t i = 0; i < found.gl_pathc && (*step = step_of(found.gl_pathv[i])) > 0; i++) {
		if ((rc = open_checked(file, found.gl_pathv[i], use)) == 0) {
			rc = 1;
			goto out;
		}
		if (rc != EK_EDATA && rc != EK_ENOTSUP)
			goto out;
		ek_warn("a damaged checkpoint is left out: %s", ek_error_message());
		damaged++;
	}
	if (damaged > 0) {
		rc = ek_fail(EK_EDATA, "%s: no checkpoint of it is whole, of %d: it can only be trained anew", folder,
		             damaged);
		goto out;
	}
	/* A preview is of a checkpoint, and the newest checkpoint is never removed. */
	globfree(&found);
	found = (glob_t){ 0 };
	EK_TRY(find(&found, folder, previews));
	if (found.gl_pathc > 0)
		rc = ek_fail(
			EK_EDATA,
			"%s was trained, as its previews show, but its checkpoints are gone: it can only be trained "
			"anew",
			folder);
out:
	globfree(&found);
	return rc;
}

int ek_checkpoint_open_at(struct ek_tensor_file *file, uint64_t step, const char *folder, enum ek_checkpoint_use use)
{
	struct ek_buffer steps = { 0 };
	glob_t found = { 0 };
	int rc;

	EK_TRY(find(&found, folder, checkpoints));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const uint64_t of = step_of(found.gl_pathv[i]);

		if (of == step && step > 0) {
			rc = open_checked(file, found.gl_pathv[i], use);
			goto out;
		}
		EK_TRY(ek_buffer_printf(&steps, "%s%" PRIu64, i > 0 ? ", " : "", of));
	}
	rc = ek_fail(EK_EUSAGE, "%s has no checkpoint of step %" PRIu64 ", but of %s", folder, step,
	             steps.size > 0 ? steps.data : "none");
out:
	ek_buffer_release(&steps);
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

			EK_TRY(ek_format(&t->names[t->count], "%s%s", pieces[a], p->name));
			for (int d = 0; d < p->rank; d++)
				t->specs[t->count].shape[d] = (uint64_t)p->dims[d];
			add(t, EK_F32, p->rank);
		}
	EK_TRY(add_vector(t, "state.step", EK_I64, 1));
	EK_TRY(add_vector(t, "state.seconds", EK_F64, 1));
	EK_TRY(add_vector(t, "state.identity", EK_U8, identity));
	if (s->log_count > 0)
		EK_TRY(add_vector(t, "state.log", EK_F64, s->log_count));
	if (s->extra_count > 0)
		EK_TRY(add_vector(t, "state.task", EK_F32, s->extra_count));
	EK_TRY(add_vector(t, sums_name, EK_I64, PIECES));
out:
	return rc;
}

int ek_checkpoint_write(const char *folder, const struct ek_params *params, const struct ek_checkpoint_state *s,
                        const char *identity)
{
	return ek_checkpoint_write_arrays(folder, params, s, NULL, identity);
}

int ek_checkpoint_write_arrays(const char *folder, const struct ek_params *params, const struct ek_checkpoint_state *s,
                               const float *arrays, const char *identity)
{
	const size_t array = params->size * sizeof(float);
	const int64_t step = (int64_t)s->step;
	const struct {
		const void *bytes;
		size_t size;
	} others[PIECES - ARRAYS] = { { &step, sizeof step },
		                      { &s->seconds, sizeof s->seconds },
		                      { identity, strlen(identity) },
		                      { s->log, s->log_count * sizeof *s->log },
		                      { s->extra, s->extra_count * sizeof *s->extra } };
	struct ek_safetensors_writer *w = NULL;
	struct table t = { 0 };
	uint64_t sums[PIECES];
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/step-%08" PRIu64 ".safetensors", folder, s->step));
	EK_TRY(table_make(&t, params, s, strlen(identity)));
	EK_TRY(ek_safetensors_writer_open(&w, path, t.specs, t.count, NULL));
	for (int i = 0; i < ARRAYS; i++) {
		const float *x = arrays + (size_t)i * params->size;

		if (arrays == NULL)
			EK_TRY(ek_store_view(s->store, ek_checkpoint_families[i], &x));
		sums[i] = ek_hash64(x, array);
		EK_TRY(ek_safetensors_writer_append(w, x, array));
	}
	for (int i = 0; i < PIECES - ARRAYS; i++) {
		sums[ARRAYS + i] = ek_hash64(others[i].bytes, others[i].size);
		if (others[i].size > 0)
			EK_TRY(ek_safetensors_writer_append(w, others[i].bytes, others[i].size));
	}
	EK_TRY(ek_safetensors_writer_append(w, sums, sizeof sums));
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

/* EK_EDATA naming a tensor that no checkpoint of this network has; what is no parameter may be there or not. */
static int check_extra(const struct ek_tensor_file *file, const struct table *t)
{
	for (size_t i = 0; file->count > t->count && i < file->count; i++) {
		size_t j = 0;

		if (strncmp(file->tensors[i].name, "state.", 6) == 0)
			continue;
		while (j < t->count && strcmp(t->specs[j].name, file->tensors[i].name) != 0)
			j++;
		if (j == t->count)
			return ek_fail(EK_EDATA, "%s: tensor %s is none of this network's", file->path,
			               file->tensors[i].name);
	}
	return 0;
}

static int check_identity(const struct ek_tensor_file *file, const char *identity)
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

/* Sums of a line of the log that was begun; those of other groups, or none, are no use. */
static void take_log(struct ek_checkpoint_state *s, const struct ek_tensor_file *file)
{
	const struct ek_tensor *log = ek_tensor_find(file, "state.log");

	if (log != NULL && log->type == EK_F64 && log->contiguous && log->count == s->log_count)
		memcpy(s->log, log->data, s->log_count * sizeof *s->log);
}

/* The arrays of all parameters. */
static int read_arrays(const struct ek_tensor_file *file, const struct ek_params *params, struct ek_store *store,
                       const struct table *t)
{
	float *x = NULL;
	int rc;

	EK_TRY(ek_alloc(&x, params->size, sizeof *x));
	for (int a = 0; a < ARRAYS; a++) {
		for (int i = 0; i < params->count; i++) {
			const struct ek_tensor_spec *spec = &t->specs[a * params->count + i];
			const struct ek_param *p = &params->items[i];

			EK_TRY(take(x + p->offset, file, spec));
			EK_TRY(check_finite(x + p->offset, p->count, file, spec->name));
		}
		ek_store_write(store, ek_checkpoint_families[a], 0, params->size, x);
	}
out:
	free(x);
	return rc;
}

int ek_checkpoint_read(const struct ek_tensor_file *file, const struct ek_params *params, struct ek_checkpoint_state *s,
                       const char *identity)
{
	struct table t = { 0 };
	int64_t step;
	int rc;

	EK_TRY(check_identity(file, identity));
	EK_TRY(table_make(&t, params, s, strlen(identity)));
	EK_TRY(check_extra(file, &t));
	EK_TRY(read_arrays(file, params, s->store, &t));
	EK_TRY(take(&step, file, &t.specs[ARRAYS * params->count]));
	EK_TRY(take(&s->seconds, file, &t.specs[ARRAYS * params->count + 1]));
	take_log(s, file);
	if (s->extra_count > 0)
		EK_TRY(take(s->extra, file, &t.specs[t.count - 2])); /* before the sums */
	s->step = (uint64_t)step;
out:
	table_release(&t);
	return rc;
}
