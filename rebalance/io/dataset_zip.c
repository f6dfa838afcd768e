#include "rebalance/io/dataset_internal.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/zip_reader.h"

/* A zip file of images, by name. */

struct zip {
	struct ek_zip_reader *reader;
	size_t next;
};

static int open_zip(struct ek_dataset *d)
{
	struct zip *z;
	int rc;

	EK_TRY(ek_alloc(&z, 1, sizeof *z));
	d->state = z;
	EK_TRY(ek_zip_reader_open(&z->reader, d->paths[0]));
out:
	return rc;
}

/* All bytes of an image; of what is none, its first. */
static int read_entry(struct zip *z, const struct ek_zip_entry *e, struct ek_dataset_item *item)
{
	const size_t head = e->size < EK_DATASET_HEAD ? e->size : EK_DATASET_HEAD;
	int rc;

	EK_TRY(ek_zip_reader_read(z->reader, &item->bytes, e, 0, head));
	if (ek_image_sniff(item->bytes.data, item->bytes.size) == EK_IMAGE_UNKNOWN)
		return 0;
	if (e->size > EK_DATASET_LARGEST) {
		item->problem = "larger than 1 GiB";
		return 0;
	}
	EK_TRY(ek_zip_reader_read(z->reader, &item->bytes, e, head, e->size - head));
out:
	return rc;
}

static int next_in_zip(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct zip *z = d->state;
	const struct ek_zip *zip = ek_zip_reader_directory(z->reader);
	const struct ek_zip_entry *e;
	int rc;

	do {
		if (z->next == zip->count)
			return 0;
		e = &zip->entries[z->next++];
	} while (e->name_size == 0 || e->name[e->name_size - 1] == '/' || memchr(e->name, 0, e->name_size) != NULL);
	EK_TRY(ek_buffer_append(&item->zip_entry, e->name, e->name_size));
	EK_TRY(ek_buffer_text(&item->name, ek_plain_name(item->zip_entry.data)));
	EK_TRY(ek_dataset_label_by_folder(d, item));
	if (d->looks)
		return 1;
	item->source = d->paths[0];
	item->size = e->size;
	if (e->data != NULL) {
		item->offset = ek_zip_reader_offset(z->reader, e);
		ek_buffer_clear(&item->zip_entry);
	}
	/* What is damaged is a row; the rest goes on. */
	if ((rc = read_entry(z, e, item)) == EK_EDATA) {
		ek_buffer_clear(&item->bytes);
		item->problem = "damaged, encrypted, or packed in a way that is not known";
		rc = 0;
	}
	rc = rc < 0 ? rc : 1;
out:
	return rc;
}

static void close_zip(struct ek_dataset *d)
{
	struct zip *z = d->state;

	if (z == NULL)
		return;
	ek_zip_reader_close(z->reader);
	free(z);
}

const struct ek_dataset_form ek_dataset_zip = {
	.name = "zip", .open = open_zip, .next = next_in_zip, .close = close_zip, .packs = 1
};
