#include "analysis/embed/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

int ek_network_init(struct ek_network *n, struct ek_nn_graph *graph, const struct ek_tensor_file *file)
{
	*n = (struct ek_network){ .graph = graph, .file = file, .prefix = "" };
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

static const struct ek_tensor *find(const struct ek_network *n, const char *prefix, const char *name)
{
	char full[EK_TENSOR_MAX_NAME + 1];

	(void)snprintf(full, sizeof full, "%s%s", prefix, name);
	return ek_tensor_find(n->file, full);
}

int ek_network_has(const struct ek_network *n, const char *name)
{
	return find(n, n->prefix, name) != NULL;
}

void ek_network_find_prefix(struct ek_network *n, const char *name)
{
	n->prefix = ek_tensor_prefix(n->file, name);
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
	char *full = NULL;
	float *copy;
	int dimensions = 0, rc;

	for (; dimensions < EK_TENSOR_MAX_DIMENSIONS && shape[dimensions] != 0; dimensions++)
		wanted[dimensions] = (uint64_t)shape[dimensions];
	EK_TRY(ek_format(&full, "%s%s", n->prefix, name));
	EK_TRY(ek_tensor_get(&t, n->file, full, dimensions, wanted));
	n->used[t - n->file->tensors] = 1;
	EK_TRY(ek_network_room(&copy, n, (size_t)t->count));
	EK_TRY(ek_tensor_to_f32(copy, t));
	EK_TRY(check_finite(n, t, copy));
	*out = copy;
out:
	free(full);
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
	const size_t length = strlen(n->prefix);

	for (size_t i = 0; i < n->file->count; i++) {
		const char *name = n->file->tensors[i].name;

		if (!n->used[i] && strncmp(name, n->prefix, length) == 0 && !is_ignored(name + length, ignored))
			return ek_fail(EK_EDATA,
			               "%s: the encoder has no tensor %s: this file belongs to another network",
			               n->file->path, name);
	}
	return 0;
}
