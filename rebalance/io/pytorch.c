#include "rebalance/io/pytorch.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/checkpoint.h"
#include "rebalance/io/zip.h"

enum { MAGIC_SIZE = 10, STREAM_PROTOCOL = 1001 };

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

/* torch.jit.save's archives hold a program, of which nothing is run here; torch.save's have no constants.pkl. */
static int refuse_program(const struct ek_zip *zip, struct ek_buffer *scratch, const struct ek_zip_entry *pickle,
                          size_t folder, const char *path)
{
	if (find_beside(zip, scratch, pickle->name, folder, "", "constants.pkl", 13) == NULL)
		return 0;
	return ek_fail(EK_EDATA,
	               "%s: a TorchScript archive, which is a program with its weights; save the weights alone, in "
	               "Python: torch.save(torch.jit.load(\"%s\", map_location=\"cpu\").state_dict(), \"weights.pt\")",
	               path, path);
}

int ek_pytorch_zip_read(struct ek_tensor_file *file)
{
	struct ek_buffer scratch = { 0 };
	const struct ek_zip_entry *pickle, *entry;
	struct ek_checkpoint c;
	struct ek_zip zip = { 0 };
	ek_pickle_ref root;
	size_t folder = 0;
	int rc;

	file->format = EK_TENSORS_PYTORCH_ZIP;
	ek_checkpoint_init(&c, file, NULL, 0);
	EK_TRY(ek_zip_open(&zip, file->map.data, file->map.size, file->path));
	EK_TRY(find_pickle(&zip, &pickle, &folder, file->path));
	EK_TRY(refuse_program(&zip, &scratch, pickle, folder, file->path));
	c.pickle.bytes = pickle->data;
	c.pickle.size = pickle->size;
	entry = find_beside(&zip, &scratch, pickle->name, folder, "", "byteorder", 9);
	c.big_endian = entry != NULL && entry->data != NULL && entry->size == 3 && memcmp(entry->data, "big", 3) == 0;
	EK_TRY(ek_pickle_load(&c.pickle, &root));
	for (uint32_t i = 0; i < c.storage_count; i++) {
		struct ek_storage *s = &c.storages[i];

		entry = find_beside(&zip, &scratch, pickle->name, folder, "data/", s->key, s->key_size);
		if (entry == NULL || entry->data == NULL) {
			rc = ek_fail(EK_EDATA, "%s: the storage data/%.*s is missing or compressed", file->path,
			             (int)(s->key_size < 64 ? s->key_size : 64), s->key);
			goto out;
		}
		EK_TRY(ek_checkpoint_place(&c, s, entry->data, entry->size / ek_dtype_size(s->type)));
	}
	EK_TRY(ek_checkpoint_list(&c, root));
out:
	ek_checkpoint_release(&c);
	ek_zip_close(&zip);
	ek_buffer_release(&scratch);
	return rc;
}

static int compare_keys(const char *a, size_t a_size, const char *b, size_t b_size)
{
	const int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

	return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_storages(const void *a, const void *b, void *storages)
{
	const struct ek_storage *all = storages, *x = &all[*(const uint32_t *)a], *y = &all[*(const uint32_t *)b];

	return compare_keys(x->key, x->key_size, y->key, y->key_size);
}

/* The first place in by_key whose key is not less. */
static uint32_t lower_bound(const struct ek_checkpoint *c, const uint32_t *by_key, const char *key, size_t size)
{
	uint32_t low = 0, high = c->storage_count;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		const struct ek_storage *s = &c->storages[by_key[middle]];

		if (compare_keys(s->key, s->key_size, key, size) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* At the pickle's place: the number of elements, int64, and the elements, of all storages with this key. */
static int place_next(struct ek_checkpoint *c, const uint32_t *by_key, const struct ek_pickle_value *key)
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
	for (uint32_t i = lower_bound(c, by_key, key->as.text.bytes, key->as.text.size); i < c->storage_count; i++) {
		struct ek_storage *s = &c->storages[by_key[i]];

		if (compare_keys(s->key, s->key_size, key->as.text.bytes, key->as.text.size) != 0)
			break;
		if (s->data != NULL || (element > 0 && element != ek_dtype_size(s->type)))
			return ek_fail(EK_EDATA, "%s: a storage comes twice or with two types", p->path);
		element = ek_dtype_size(s->type);
		if (__builtin_mul_overflow(stored, element, &bytes) || bytes > p->size - p->at)
			return ek_fail(EK_EDATA, "%s: ends before its storages do", p->path);
		EK_TRY(ek_checkpoint_place(c, s, p->bytes + p->at, stored));
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
	struct ek_checkpoint c;
	ek_pickle_ref root, keys;
	uint32_t cell, *by_key = NULL;
	int rc;

	file->format = EK_TENSORS_PYTORCH_STREAM;
	ek_checkpoint_init(&c, file, file->map.data, file->map.size);
	EK_TRY(read_preamble(&c.pickle));
	EK_TRY(ek_pickle_load(&c.pickle, &root));
	EK_TRY(ek_pickle_load(&c.pickle, &keys));
	if (c.pickle.values[keys].kind != EK_PICKLE_LIST) {
		rc = ek_fail(EK_EDATA, "%s: the list of its storages is missing", file->path);
		goto out;
	}
	EK_TRY(ek_alloc(&by_key, c.storage_count, sizeof *by_key));
	for (uint32_t i = 0; i < c.storage_count; i++)
		by_key[i] = i;
	qsort_r(by_key, c.storage_count, sizeof *by_key, compare_storages, c.storages);
	cell = c.pickle.values[keys].as.cells.first;
	for (uint32_t i = c.pickle.values[keys].as.cells.count; i > 0; i--, cell = c.pickle.cells[cell].next)
		EK_TRY(place_next(&c, by_key, &c.pickle.values[c.pickle.cells[cell].value]));
	EK_TRY(ek_checkpoint_list(&c, root));
out:
	ek_checkpoint_release(&c);
	free(by_key);
	return rc;
}
