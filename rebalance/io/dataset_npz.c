#include "rebalance/io/dataset_form.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/npz.h"

struct npz {
	struct ek_npz file;
	struct ek_npy images;
	uint64_t next;
	const char *name; /* of the file, without its folders */
};

static void close_npz(struct ek_dataset *d)
{
	struct npz *f = d->state;

	if (f != NULL)
		ek_npz_close(&f->file);
	free(f);
}

static int check(const struct npz *f, const char *path)
{
	const struct ek_npy *a = &f->images;

	if (a->type != EK_U8 || a->dimensions != 4 || a->shape[3] != 3 || a->fortran_order)
		return ek_fail(EK_EDATA,
		               "%s: arr_0 has %d dimensions of %s; images are uint8 [images, height, width, 3]", path,
		               a->dimensions, ek_dtype_name(a->type));
	if (a->shape[1] == 0 || a->shape[2] == 0 || a->shape[1] > UINT32_MAX || a->shape[2] > UINT32_MAX)
		return ek_fail(EK_EDATA, "%s: images of %" PRIu64 " x %" PRIu64 " pixels", path, a->shape[2],
		               a->shape[1]);
	/* An image is found again by its place in the file. */
	if (a->map.data == NULL)
		return ek_fail(EK_EDATA, "%s: arr_0 is compressed; np.savez writes it as it is needed here", path);
	return 0;
}

static int open_npz(struct ek_dataset *d)
{
	struct npz *f;
	int rc;

	EK_TRY(ek_alloc(&f, 1, sizeof *f));
	d->state = f;
	f->name = strrchr(d->paths[0], '/') + 1;
	EK_TRY(ek_npz_open(&f->file, d->paths[0]));
	EK_TRY(ek_npz_array(&f->images, &f->file, "arr_0"));
	EK_TRY(check(f, d->paths[0]));
out:
	return rc;
}

static int next_in_npz(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct npz *f = d->state;
	const size_t size = 3 * (size_t)f->images.shape[1] * (size_t)f->images.shape[2];
	const uint8_t *data = f->images.data;
	int rc;

	if (f->next == f->images.shape[0])
		return 0;
	data += f->next * size;
	EK_TRY(ek_buffer_append(&item->bytes, data, size));
	item->size = size;
	item->offset = (uint64_t)(data - f->file.map.data);
	item->bare = EK_IMAGE_RGB8;
	item->bare_height = (uint32_t)f->images.shape[1];
	item->bare_width = (uint32_t)f->images.shape[2];
	item->source = d->paths[0];
	EK_TRY(ek_buffer_printf(&item->name, "%s/%06" PRIu64, f->name, f->next));
	ek_map_forget(data, data + size);
	f->next++;
	rc = 1;
out:
	return rc;
}

const struct ek_dataset_form ek_dataset_npz = { "npz", open_npz, next_in_npz, close_npz, NULL };
