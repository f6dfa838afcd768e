#include "analysis/embed/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

int ek_network_init(struct ek_network *n, struct ek_nn_graph *graph, const struct ek_tensor_file *file)
{
	*n = (struct ek_network){ .graph = graph, .file = file };
	return ek_alloc(&n->used, file->count, sizeof *n->used);
}

void ek_network_release(struct ek_network *n)
{
	for (size_t i = 0; i < n->copy_count; i++)
		free(n->copies[i]);
	free(n->copies);
	free(n->used);
	*n = (struct ek_network){ 0 };
}

int ek_network_has(const struct ek_network *n, const char *name)
{
	return ek_tensor_find(n->file, name) != NULL;
}

int ek_network_room(float **out, struct ek_network *n, size_t count)
{
	int rc;

	*out = NULL;
	EK_TRY(ek_resize(&n->copies, n->copy_count + 1, sizeof *n->copies));
	EK_TRY(ek_alloc(out, count, sizeof **out));
	n->copies[n->copy_count++] = *out;
out:
	return rc;
}

static int check_finite(const struct ek_network *n, const struct ek_tensor *t, const float *x)
{
	for (uint64_t i = 0; i < t->count; i++)
		if (!isfinite(x[i]))
			return ek_fail(EK_EDATA, "%s: element %llu of tensor %s is not a finite number", n->file->path,
			               (unsigned long long)i, t->name);
	return 0;
}

int ek_network_take(const float **out, struct ek_network *n, const char *name, const int *shape)
{
	uint64_t wanted[EK_TENSOR_MAX_DIMENSIONS];
	const struct ek_tensor *t;
	float *copy;
	int dimensions = 0, rc;

	for (; dimensions < EK_TENSOR_MAX_DIMENSIONS && shape[dimensions] != 0; dimensions++)
		wanted[dimensions] = (uint64_t)shape[dimensions];
	EK_TRY(ek_tensor_get(&t, n->file, name, dimensions, wanted));
	n->used[t - n->file->tensors] = 1;
	EK_TRY(ek_network_room(&copy, n, (size_t)t->count));
	EK_TRY(ek_tensor_to_f32(copy, t));
	EK_TRY(check_finite(n, t, copy));
	*out = copy;
out:
	return rc;
}

int ek_network_take_part(const float **out, struct ek_network *n, const char *prefix, const char *suffix,
                         const int *shape)
{
	char *name = NULL;
	int rc;

	EK_TRY(ek_format(&name, "%s%s", prefix, suffix));
	EK_TRY(ek_network_take(out, n, name, shape));
out:
	free(name);
	return rc;
}

static int is_ignored(const char *name, const char *const *ignored)
{
	const size_t length = strlen(name);

	for (; *ignored != NULL; ignored++) {
		const char *text = **ignored == '*' ? *ignored + 1 : *ignored;
		const size_t size = strlen(text);

		if (length >= size && strncmp(**ignored == '*' ? name + length - size : name, text, size) == 0)
			return 1;
	}
	return 0;
}

int ek_network_check_all_taken(const struct ek_network *n, const char *const *ignored)
{
	for (size_t i = 0; i < n->file->count; i++)
		if (!n->used[i] && !is_ignored(n->file->tensors[i].name, ignored))
			return ek_fail(EK_EDATA,
			               "%s: the encoder has no tensor %s: this file belongs to another network",
			               n->file->path, n->file->tensors[i].name);
	return 0;
}
