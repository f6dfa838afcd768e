#include "rebalance/io/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

/* A container may be met MAX_SHARING times on average, so that a few that hold each other cannot stand for 2^64. */
enum { MAX_DEPTH = 64, MAX_SHARING = 16 };

/* Tags of the pickle's objects and globals; a dtype is added to the last two. */
enum { TAG_STORAGE = EK_PICKLE_OPAQUE + 1, TAG_TENSOR, TAG_STORAGE_CLASS = 100, TAG_DTYPE = 200 };

struct ek_stored_tensor {
	struct ek_tensor tensor; /* without name and data */
	uint32_t storage;
	uint64_t offset; /* elements */
};

static int make_opaque(struct ek_pickle *p, const struct ek_pickle_global *self, ek_pickle_ref *out,
                       ek_pickle_ref arguments)
{
	(void)self;
	(void)arguments;
	return ek_pickle_new(p, out, &(struct ek_pickle_value){ .kind = EK_PICKLE_OBJECT });
}

/* OrderedDict(), or OrderedDict([[key, value], …]) as Python 2 wrote it. */
static int make_dict(struct ek_pickle *p, const struct ek_pickle_global *self, ek_pickle_ref *out,
                     ek_pickle_ref arguments)
{
	ek_pickle_ref list = 0, pair[2];
	uint32_t cell;
	int rc;

	EK_TRY(ek_pickle_items(p, &list, arguments, 0, 1, self->name));
	const int with_items = rc;
	EK_TRY(ek_pickle_new(p, out, &(struct ek_pickle_value){ .kind = EK_PICKLE_DICT }));
	if (!with_items)
		goto out;
	if (p->values[list].kind != EK_PICKLE_LIST)
		return ek_fail(EK_EDATA, "%s: damaged pickle: an OrderedDict of what is no list", p->path);
	cell = p->values[list].as.cells.first;
	for (uint32_t i = p->values[list].as.cells.count; i > 0; i--, cell = p->cells[cell].next) {
		EK_TRY(ek_pickle_items(p, pair, p->cells[cell].value, 2, 2, self->name));
		EK_TRY(ek_pickle_add(p, *out, pair[0], pair[1]));
	}
	rc = 0;
out:
	return rc;
}

/* torch.Size((2, 3)), or a parameter around a tensor: the first argument. */
static int first_argument(struct ek_pickle *p, const struct ek_pickle_global *self, ek_pickle_ref *out,
                          ek_pickle_ref arguments)
{
	ek_pickle_ref items[4];
	const int rc = ek_pickle_items(p, items, arguments, 1, 4, self->name);

	*out = rc < 0 ? 0 : items[0];
	return rc < 0 ? rc : 0;
}

static int get_size(const struct ek_pickle *p, uint64_t *out, ek_pickle_ref ref)
{
	const struct ek_pickle_value *v = &p->values[ref];

	if (v->kind != EK_PICKLE_INT || v->as.integer < 0)
		return ek_fail(EK_EDATA, "%s: damaged pickle: a size or place that is no whole number, before byte %zu",
		               p->path, p->at);
	*out = (uint64_t)v->as.integer;
	return 0;
}

/* A tuple of sizes or strides; returns their number. */
static int get_sizes(const struct ek_pickle *p, uint64_t *out, ek_pickle_ref ref, const char *what)
{
	ek_pickle_ref items[EK_TENSOR_MAX_DIMENSIONS];
	const int count = ek_pickle_items(p, items, ref, 0, EK_TENSOR_MAX_DIMENSIONS, what);
	int rc = 0;

	for (int i = 0; i < count && rc == 0; i++)
		rc = get_size(p, &out[i], items[i]);
	return rc < 0 ? rc : count;
}

/* The number of items to have room for, or more, doubling. */
static int grow(void *array, uint32_t *room, uint32_t count, size_t size)
{
	const uint32_t more = *room < 64 ? 64 : 2 * *room;
	int rc;

	if (count < *room)
		return 0;
	if ((rc = ek_resize(array, more, size)) == 0)
		*room = more;
	return rc;
}

/* _rebuild_tensor(storage, offset, size, stride), _v2(…, requires_grad, hooks[, metadata]) and
 * _v3(…, requires_grad, hooks, dtype[, metadata]); self->tag is the version. */
static int make_tensor(struct ek_pickle *p, const struct ek_pickle_global *self, ek_pickle_ref *out,
                       ek_pickle_ref arguments)
{
	static const uint32_t least[] = { 0, 4, 6, 7 }, most[] = { 0, 4, 7, 8 };
	struct ek_checkpoint *c = p->context;
	struct ek_stored_tensor t = { 0 };
	const struct ek_pickle_value *storage, *type;
	ek_pickle_ref items[8];
	int strides, rc;

	EK_TRY(ek_pickle_items(p, items, arguments, least[self->tag], most[self->tag], self->name));
	storage = &p->values[items[0]];
	if (storage->kind != EK_PICKLE_OBJECT || storage->as.object.tag != TAG_STORAGE)
		return ek_fail(EK_EDATA, "%s: damaged pickle: a tensor without a storage, before byte %zu", p->path,
		               p->at);
	t.storage = storage->as.object.index;
	t.tensor.type = c->storages[t.storage].type;
	if (self->tag == 3) {
		type = &p->values[items[6]];
		if (type->kind != EK_PICKLE_GLOBAL || type->as.global->tag < TAG_DTYPE)
			return ek_fail(EK_EDATA, "%s: damaged pickle: a tensor without a type, before byte %zu",
			               p->path, p->at);
		t.tensor.type = (enum ek_dtype)(type->as.global->tag - TAG_DTYPE);
	}
	EK_TRY(get_size(p, &t.offset, items[1]));
	EK_TRY(t.tensor.dimensions = get_sizes(p, t.tensor.shape, items[2], "a shape"));
	EK_TRY(strides = get_sizes(p, t.tensor.strides, items[3], "strides"));
	if (strides != t.tensor.dimensions)
		return ek_fail(EK_EDATA, "%s: damaged pickle: %d sizes and %d strides, before byte %zu", p->path,
		               t.tensor.dimensions, strides, p->at);
	EK_TRY(grow(&c->tensors, &c->tensor_room, c->tensor_count, sizeof *c->tensors));
	c->tensors[c->tensor_count] = t;
	EK_TRY(ek_pickle_new(
		p, out,
		&(struct ek_pickle_value){ .kind = EK_PICKLE_OBJECT, .as.object = { TAG_TENSOR, c->tensor_count++ } }));
out:
	return rc;
}

#define STORAGE(name, type)                                                                                            \
	{                                                                                                              \
		"torch", name "Storage", NULL, 0, TAG_STORAGE_CLASS + (type)                                           \
	}
#define DTYPE(name, type)                                                                                              \
	{                                                                                                              \
		"torch", name, NULL, 0, TAG_DTYPE + (type)                                                             \
	}

static const struct ek_pickle_global globals[] = {
	{ "torch._utils", "_rebuild_tensor_v2", make_tensor, 0, 2 },
	{ "torch._utils", "_rebuild_parameter", first_argument, 0, 0 },
	{ "collections", "OrderedDict", make_dict, 0, 0 },
	STORAGE("Float", EK_F32),
	STORAGE("Half", EK_F16),
	STORAGE("BFloat16", EK_BF16),
	STORAGE("Double", EK_F64),
	STORAGE("Long", EK_I64),
	STORAGE("Int", EK_I32),
	STORAGE("Short", EK_I16),
	STORAGE("Char", EK_I8),
	STORAGE("Byte", EK_U8),
	STORAGE("Bool", EK_BOOL),
	{ "torch.storage", "UntypedStorage", NULL, 0, TAG_STORAGE_CLASS + EK_U8 },
	{ "torch._utils", "_rebuild_tensor", make_tensor, 0, 1 },
	{ "torch._utils", "_rebuild_tensor_v3", make_tensor, 0, 3 },
	{ "torch._utils", "_rebuild_parameter_with_state", first_argument, 0, 0 },
	{ "torch", "Size", first_argument, 0, 0 },
	{ "torch", "device", make_opaque, 0, 0 },
	{ "__builtin__", "set", make_opaque, 0, 0 },
	{ "builtins", "set", make_opaque, 0, 0 },
	{ "argparse", "Namespace", NULL, 1, 0 },
	DTYPE("float32", EK_F32),
	DTYPE("float16", EK_F16),
	DTYPE("bfloat16", EK_BF16),
	DTYPE("float64", EK_F64),
	DTYPE("int64", EK_I64),
	DTYPE("int32", EK_I32),
	DTYPE("int16", EK_I16),
	DTYPE("int8", EK_I8),
	DTYPE("uint8", EK_U8),
	DTYPE("uint16", EK_U16),
	DTYPE("uint32", EK_U32),
	DTYPE("uint64", EK_U64),
	DTYPE("bool", EK_BOOL),
	{ NULL, NULL, NULL, 0, 0 },
};

/* The view of a storage: (key, first, count), older stream files only. */
static int get_view(const struct ek_pickle *p, struct ek_storage *s, ek_pickle_ref view)
{
	ek_pickle_ref items[3];
	uint64_t whole = s->count, end;
	int rc;

	if (p->values[view].kind == EK_PICKLE_NONE)
		return 0;
	EK_TRY(ek_pickle_items(p, items, view, 3, 3, "a storage's view"));
	EK_TRY(get_size(p, &s->first, items[1]));
	EK_TRY(get_size(p, &s->count, items[2]));
	if (__builtin_add_overflow(s->first, s->count, &end) || end > whole)
		return ek_fail(EK_EDATA, "%s: damaged pickle: a view beyond its storage, before byte %zu", p->path,
		               p->at);
	rc = 0;
out:
	return rc;
}

/* A storage: ("storage", class, key, location, count), in stream files with a view or None after it. */
static int make_storage(struct ek_pickle *p, ek_pickle_ref *out, ek_pickle_ref id)
{
	struct ek_checkpoint *c = p->context;
	const struct ek_pickle_value *class, *key;
	struct ek_storage s = { 0 };
	ek_pickle_ref items[6];
	int count, rc;

	EK_TRY(count = ek_pickle_items(p, items, id, 2, 6, "a persistent id"));
	if (ek_pickle_is(p, items[0], "module"))
		return ek_fail(EK_EDATA, "%s: holds a whole module with its code, not tensors; save its state_dict()",
		               p->path);
	if (!ek_pickle_is(p, items[0], "storage") || count < 5)
		return ek_fail(EK_EDATA, "%s: damaged pickle: an unknown persistent id, before byte %zu", p->path,
		               p->at);
	class = &p->values[items[1]];
	key = &p->values[items[2]];
	if (class->kind != EK_PICKLE_GLOBAL || class->as.global->tag < TAG_STORAGE_CLASS ||
	    class->as.global->tag >= TAG_DTYPE || key->kind != EK_PICKLE_STRING)
		return ek_fail(EK_EDATA, "%s: damaged pickle: a storage without class or key, before byte %zu", p->path,
		               p->at);
	s.type = (enum ek_dtype)(class->as.global->tag - TAG_STORAGE_CLASS);
	s.key = key->as.text.bytes;
	s.key_size = key->as.text.size;
	EK_TRY(get_size(p, &s.count, items[4]));
	if (count == 6)
		EK_TRY(get_view(p, &s, items[5]));
	EK_TRY(grow(&c->storages, &c->storage_room, c->storage_count, sizeof *c->storages));
	c->storages[c->storage_count] = s;
	EK_TRY(ek_pickle_new(p, out,
	                     &(struct ek_pickle_value){ .kind = EK_PICKLE_OBJECT,
	                                                .as.object = { TAG_STORAGE, c->storage_count++ } }));
out:
	return rc;
}

int ek_checkpoint_place(const struct ek_checkpoint *c, struct ek_storage *s, const uint8_t *data, uint64_t stored)
{
	if (s->first > stored || s->count > stored - s->first)
		return ek_fail(EK_EDATA, "%s: the storage %.*s has %" PRIu64 " elements, expected %" PRIu64,
		               c->file->path, (int)(s->key_size < 64 ? s->key_size : 64), s->key, stored,
		               s->first + s->count);
	s->data = data + s->first * ek_dtype_size(s->type);
	return 0;
}

/* Where the tensor's elements lie; all of them in its storage. */
static int locate(const struct ek_checkpoint *c, struct ek_stored_tensor *t, const char *name, int length)
{
	const struct ek_storage *s = &c->storages[t->storage];
	const size_t size = ek_dtype_size(t->tensor.type);
	uint64_t last = t->offset, reach;
	int empty = 0, too_far = 0;

	for (int i = 0; i < t->tensor.dimensions; i++)
		empty |= t->tensor.shape[i] == 0;
	for (int i = 0; !empty && i < t->tensor.dimensions; i++)
		too_far |= __builtin_mul_overflow(t->tensor.shape[i] - 1, t->tensor.strides[i], &reach) ||
		           __builtin_add_overflow(last, reach, &last);
	/* The file's size bounds s->count, so its product does not overflow. */
	if (!empty && (too_far || s->data == NULL || last >= s->count * ek_dtype_size(s->type) / size))
		return ek_fail(EK_EDATA, "%s: the tensor %.*s reaches beyond its storage", c->file->path, length, name);
	t->tensor.data = empty ? c->file->map.data : s->data + t->offset * size;
	t->tensor.big_endian = c->big_endian;
	return 0;
}

/* A value, whose name is the first `length` bytes of `name`, and all in it. */
static int walk(struct ek_checkpoint *c, ek_pickle_ref ref, char name[EK_TENSOR_MAX_NAME + 1], size_t length, int depth)
{
	const struct ek_pickle_value *v = &c->pickle.values[ref], *key;
	uint32_t cell = v->as.cells.first;
	char number[24];
	int rc = 0;

	if (v->kind == EK_PICKLE_OBJECT && v->as.object.tag == TAG_TENSOR) {
		struct ek_stored_tensor *t = &c->tensors[v->as.object.index];

		EK_TRY(locate(c, t, name, (int)length));
		EK_TRY(ek_tensor_file_add(c->file, &t->tensor, name, length));
	}
	if (v->kind != EK_PICKLE_DICT && v->kind != EK_PICKLE_LIST && v->kind != EK_PICKLE_TUPLE)
		goto out;
	if (depth == MAX_DEPTH)
		return ek_fail(EK_EDATA, "%s: its values are nested deeper than %d levels", c->file->path, MAX_DEPTH);
	if ((c->visits += v->as.cells.count) > (uint64_t)c->pickle.cell_count * MAX_SHARING)
		return ek_fail(EK_EDATA, "%s: its values hold each other too many times", c->file->path);
	for (uint32_t i = 0; i < v->as.cells.count; i++, cell = c->pickle.cells[cell].next) {
		const char *part = number;
		size_t size, at = length;

		key = &c->pickle.values[c->pickle.cells[cell].key];
		if (v->kind != EK_PICKLE_DICT)
			size = (size_t)snprintf(number, sizeof number, "%u", i);
		else if (key->kind == EK_PICKLE_INT)
			size = (size_t)snprintf(number, sizeof number, "%" PRId64, key->as.integer);
		else if (key->kind == EK_PICKLE_STRING)
			part = key->as.text.bytes, size = key->as.text.size;
		else
			continue;
		if (at > 0 && at < EK_TENSOR_MAX_NAME)
			name[at++] = '.';
		if (size > EK_TENSOR_MAX_NAME - at)
			return ek_fail(EK_EDATA, "%s: a name is longer than %d bytes", c->file->path,
			               EK_TENSOR_MAX_NAME);
		memcpy(name + at, part, size);
		EK_TRY(walk(c, c->pickle.cells[cell].value, name, at + size, depth + 1));
	}
out:
	return rc;
}

int ek_checkpoint_list(struct ek_checkpoint *c, ek_pickle_ref root)
{
	char name[EK_TENSOR_MAX_NAME + 1] = "";

	c->visits = 0;
	return walk(c, root, name, 0, 0);
}

void ek_checkpoint_init(struct ek_checkpoint *c, struct ek_tensor_file *file, const uint8_t *bytes, size_t size)
{
	*c = (struct ek_checkpoint){ .file = file };
	c->pickle.path = file->path;
	c->pickle.bytes = bytes;
	c->pickle.size = size;
	c->pickle.globals = globals;
	c->pickle.persistent = make_storage;
	c->pickle.context = c;
}

void ek_checkpoint_release(struct ek_checkpoint *c)
{
	ek_pickle_release(&c->pickle);
	free(c->storages);
	free(c->tensors);
}
