#include "rebalance/io/pytorch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/pickle.h"
#include "rebalance/io/zip.h"

/* A container may be met MAX_SHARING times on average, so that a few that hold each other cannot stand for 2^64. */
enum { MAX_DEPTH = 64, MAX_SHARING = 16, MAGIC_SIZE = 10, STREAM_PROTOCOL = 1001 };

/* Tags of the pickle's objects and globals; a dtype is added to the last two. */
enum { TAG_STORAGE = EK_PICKLE_OPAQUE + 1, TAG_TENSOR, TAG_STORAGE_CLASS = 100, TAG_DTYPE = 200 };

/* A storage as a persistent id names it. */
struct storage {
	const char *key; /* in the pickle */
	size_t key_size;
	enum ek_dtype type;
	uint64_t first, count; /* elements used, of the stored ones */
	const uint8_t *data;   /* the first stored element; NULL until found */
};

struct stored_tensor {
	struct ek_tensor tensor; /* without name and data */
	uint32_t storage;
	uint64_t offset; /* elements */
};

struct checkpoint {
	struct ek_tensor_file *file;
	struct ek_pickle pickle;
	struct ek_zip zip;
	struct storage *storages;
	struct stored_tensor *tensors;
	uint32_t storage_count, tensor_count, storage_room, tensor_room;
	uint32_t *by_key; /* [storage_count] */
	uint64_t visits;
	int big_endian;
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
	struct checkpoint *c = p->context;
	struct stored_tensor t = { 0 };
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
static int get_view(const struct ek_pickle *p, struct storage *s, ek_pickle_ref view)
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
	struct checkpoint *c = p->context;
	const struct ek_pickle_value *class, *key;
	struct storage s = { 0 };
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

/* The `stored` elements at `data` are those of storage `s`. */
static int place(const struct checkpoint *c, struct storage *s, const uint8_t *data, uint64_t stored)
{
	if (s->first > stored || s->count > stored - s->first)
		return ek_fail(EK_EDATA, "%s: the storage %.*s has %" PRIu64 " elements, expected %" PRIu64,
		               c->file->path, (int)(s->key_size < 64 ? s->key_size : 64), s->key, stored,
		               s->first + s->count);
	s->data = data + s->first * ek_dtype_size(s->type);
	return 0;
}

/* Where the tensor's elements lie; all of them in its storage. */
static int locate(const struct checkpoint *c, struct stored_tensor *t, const char *name, int length)
{
	const struct storage *s = &c->storages[t->storage];
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
static int walk(struct checkpoint *c, ek_pickle_ref ref, char name[EK_TENSOR_MAX_NAME + 1], size_t length, int depth)
{
	const struct ek_pickle_value *v = &c->pickle.values[ref], *key;
	uint32_t cell = v->as.cells.first;
	char number[24];
	int rc = 0;

	if (v->kind == EK_PICKLE_OBJECT && v->as.object.tag == TAG_TENSOR) {
		struct stored_tensor *t = &c->tensors[v->as.object.index];

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

static void init(struct checkpoint *c, struct ek_tensor_file *file, const uint8_t *bytes, size_t size)
{
	*c = (struct checkpoint){ .file = file };
	c->pickle.path = file->path;
	c->pickle.bytes = bytes;
	c->pickle.size = size;
	c->pickle.globals = globals;
	c->pickle.persistent = make_storage;
	c->pickle.context = c;
}

static void release(struct checkpoint *c)
{
	ek_pickle_release(&c->pickle);
	ek_zip_close(&c->zip);
	free(c->storages);
	free(c->tensors);
	free(c->by_key);
}

/* The entry data.pkl of the archive's only folder, whose name's length is `*folder`. */
static int find_pickle(const struct ek_zip *zip, const struct ek_zip_entry **out, size_t *folder, const char *path)
{
	static const char name[] = "/data.pkl";
	const size_t length = sizeof name - 1;

	*out = NULL;
	for (size_t i = 0; i < zip->count; i++) {
		const struct ek_zip_entry *e = &zip->entries[i];
		const char *slash = memchr(e->name, '/', e->name_size);

		if (slash == NULL || e->name_size - (size_t)(slash - e->name) != length ||
		    memcmp(slash, name, length) != 0)
			continue;
		if (*out != NULL)
			return ek_fail(EK_EDATA, "%s: a zip file with more than one data.pkl", path);
		*out = e;
		*folder = (size_t)(slash - e->name) + 1;
	}
	if (*out == NULL)
		return ek_fail(EK_EDATA, "%s: a zip file without data.pkl, so no PyTorch checkpoint", path);
	return (*out)->data != NULL ? 0 : ek_fail(EK_EDATA, "%s: its data.pkl is compressed, expected stored", path);
}

static const struct ek_zip_entry *find_beside(const struct ek_zip *zip, struct ek_buffer *scratch, const char *folder,
                                              size_t folder_size, const char *middle, const char *name,
                                              size_t name_size)
{
	ek_buffer_clear(scratch);
	if (ek_buffer_append(scratch, folder, folder_size) < 0 || ek_buffer_text(scratch, middle) < 0 ||
	    ek_buffer_append(scratch, name, name_size) < 0)
		return NULL;
	return ek_zip_find(zip, scratch->data, scratch->size);
}

int ek_pytorch_zip_read(struct ek_tensor_file *file)
{
	char name[EK_TENSOR_MAX_NAME + 1] = "";
	struct ek_buffer scratch = { 0 };
	const struct ek_zip_entry *pickle, *entry;
	struct checkpoint c;
	ek_pickle_ref root;
	size_t folder = 0;
	int rc;

	file->format = EK_TENSORS_PYTORCH_ZIP;
	init(&c, file, NULL, 0);
	EK_TRY(ek_zip_open(&c.zip, file->map.data, file->map.size, file->path));
	EK_TRY(find_pickle(&c.zip, &pickle, &folder, file->path));
	c.pickle.bytes = pickle->data;
	c.pickle.size = pickle->size;
	entry = find_beside(&c.zip, &scratch, pickle->name, folder, "", "byteorder", 9);
	c.big_endian = entry != NULL && entry->data != NULL && entry->size == 3 && memcmp(entry->data, "big", 3) == 0;
	EK_TRY(ek_pickle_load(&c.pickle, &root));
	for (uint32_t i = 0; i < c.storage_count; i++) {
		struct storage *s = &c.storages[i];

		entry = find_beside(&c.zip, &scratch, pickle->name, folder, "data/", s->key, s->key_size);
		if (entry == NULL || entry->data == NULL) {
			rc = ek_fail(EK_EDATA, "%s: the storage data/%.*s is missing or compressed", file->path,
			             (int)(s->key_size < 64 ? s->key_size : 64), s->key);
			goto out;
		}
		EK_TRY(place(&c, s, entry->data, entry->size / ek_dtype_size(s->type)));
	}
	EK_TRY(walk(&c, root, name, 0, 0));
out:
	release(&c);
	ek_buffer_release(&scratch);
	return rc;
}

static int compare_keys(const char *a, size_t a_size, const char *b, size_t b_size)
{
	const int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

	return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int by_key(const void *a, const void *b, void *storages)
{
	const struct storage *all = storages, *x = &all[*(const uint32_t *)a], *y = &all[*(const uint32_t *)b];

	return compare_keys(x->key, x->key_size, y->key, y->key_size);
}

/* The first place in by_key whose key is not less. */
static uint32_t lower_bound(const struct checkpoint *c, const char *key, size_t size)
{
	uint32_t low = 0, high = c->storage_count;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		const struct storage *s = &c->storages[c->by_key[middle]];

		if (compare_keys(s->key, s->key_size, key, size) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* At the pickle's place: the number of elements, int64, and the elements, of all storages with this key. */
static int place_next(struct checkpoint *c, const struct ek_pickle_value *key)
{
	struct ek_pickle *p = &c->pickle;
	uint64_t stored, bytes;
	size_t element = 0;
	int rc;

	if (key->kind != EK_PICKLE_STRING)
		return ek_fail(EK_EDATA, "%s: a storage's key is not a string", p->path);
	if (p->size - p->at < sizeof stored)
		return ek_fail(EK_EDATA, "%s: ends before its storages do", p->path);
	memcpy(&stored, p->bytes + p->at, sizeof stored);
	p->at += sizeof stored;
	for (uint32_t i = lower_bound(c, key->as.text.bytes, key->as.text.size); i < c->storage_count; i++) {
		struct storage *s = &c->storages[c->by_key[i]];

		if (compare_keys(s->key, s->key_size, key->as.text.bytes, key->as.text.size) != 0)
			break;
		if (s->data != NULL || (element > 0 && element != ek_dtype_size(s->type)))
			return ek_fail(EK_EDATA, "%s: a storage comes twice or with two types", p->path);
		element = ek_dtype_size(s->type);
		if (__builtin_mul_overflow(stored, element, &bytes) || bytes > p->size - p->at)
			return ek_fail(EK_EDATA, "%s: ends before its storages do", p->path);
		EK_TRY(place(c, s, p->bytes + p->at, stored));
	}
	if (element == 0)
		return ek_fail(EK_EDATA, "%s: a storage that no tensor names", p->path);
	p->at += stored * element;
	rc = 0;
out:
	return rc;
}

/* The three pickles before the checkpoint's own: a magic number, the protocol, facts of the machine. */
static int read_preamble(struct ek_pickle *p)
{
	static const uint8_t magic[MAGIC_SIZE] = { 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 };
	const struct ek_pickle_value *v;
	ek_pickle_ref ref;
	int rc;

	EK_TRY(ek_pickle_load(p, &ref));
	v = &p->values[ref];
	if (v->kind != EK_PICKLE_LONG || v->as.text.size != MAGIC_SIZE ||
	    memcmp(v->as.text.bytes, magic, MAGIC_SIZE) != 0)
		return ek_fail(EK_EDATA, "%s: a pickle, but not one that torch.save wrote", p->path);
	EK_TRY(ek_pickle_load(p, &ref));
	v = &p->values[ref];
	if (v->kind != EK_PICKLE_INT || v->as.integer != STREAM_PROTOCOL)
		return ek_fail(EK_EDATA, "%s: not protocol %d of torch.save", p->path, STREAM_PROTOCOL);
	EK_TRY(ek_pickle_load(p, &ref));
out:
	return rc;
}

int ek_pytorch_stream_read(struct ek_tensor_file *file)
{
	char name[EK_TENSOR_MAX_NAME + 1] = "";
	struct checkpoint c;
	ek_pickle_ref root, keys;
	uint32_t cell;
	int rc;

	file->format = EK_TENSORS_PYTORCH_STREAM;
	init(&c, file, file->map.data, file->map.size);
	EK_TRY(read_preamble(&c.pickle));
	EK_TRY(ek_pickle_load(&c.pickle, &root));
	EK_TRY(ek_pickle_load(&c.pickle, &keys));
	if (c.pickle.values[keys].kind != EK_PICKLE_LIST) {
		rc = ek_fail(EK_EDATA, "%s: the list of its storages is missing", file->path);
		goto out;
	}
	EK_TRY(ek_alloc(&c.by_key, c.storage_count, sizeof *c.by_key));
	for (uint32_t i = 0; i < c.storage_count; i++)
		c.by_key[i] = i;
	qsort_r(c.by_key, c.storage_count, sizeof *c.by_key, by_key, c.storages);
	cell = c.pickle.values[keys].as.cells.first;
	for (uint32_t i = c.pickle.values[keys].as.cells.count; i > 0; i--, cell = c.pickle.cells[cell].next)
		EK_TRY(place_next(&c, &c.pickle.values[c.pickle.cells[cell].value]));
	EK_TRY(walk(&c, root, name, 0, 0));
out:
	release(&c);
	return rc;
}
