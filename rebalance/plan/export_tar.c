/* tar: WebDataset shards, in the order of keep.npy. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/plan/export_internal.h"

int ek_export_tar_begin(struct ek_export *x)
{
	int rc;

	EK_TRY(ek_export_classes_load(x, x->options->by));
	EK_TRY(ek_export_classes_write(x));
out:
	return rc;
}

static int end_shard(struct ek_export *x)
{
	int rc = 0;

	if (x->shard == NULL)
		return 0;
	rc = ek_tar_writer_finish(x->shard);
	ek_tar_writer_free(x->shard);
	x->shard = NULL;
	x->shard_bytes = x->shard_images = 0;
	return rc;
}

/* A shard with room for `size` more bytes of members. */
static int make_room(struct ek_export *x, uint64_t size)
{
	const struct ek_export_options *o = x->options;
	int rc;

	if (x->shard_bytes + size + EK_TAR_END_SIZE > o->shard_bytes ||
	    (o->shard_images > 0 && x->shard_images == o->shard_images))
		EK_TRY(end_shard(x));
	if (x->shard == NULL) {
		ek_buffer_clear(&x->path);
		EK_TRY(ek_buffer_printf(&x->path, "%s/%06" PRIu64 ".tar", x->folder.partial, x->result->shards));
		EK_TRY(ek_tar_writer_open(&x->shard, x->path.data));
		x->result->shards++;
	}
	x->shard_bytes += size;
	x->shard_images++;
	rc = 0;
out:
	return rc;
}

int ek_export_tar_put(struct ek_export *x)
{
	const char *extension = ek_export_extension(x->record.format);
	const int64_t class = ek_export_class_number(x);
	char key[48], name[64], digits[24] = "";
	size_t digits_size = 0;
	int rc;

	ek_buffer_clear(&x->text);
	EK_TRY(ek_export_row(&x->text, x, NULL));
	if (class >= 0)
		digits_size = (size_t)snprintf(digits, sizeof digits, "%" PRId64, class);
	EK_TRY(make_room(x, ek_tar_member_size(x->bytes.size) + ek_tar_member_size(x->text.size) +
	                            (class >= 0 ? ek_tar_member_size(digits_size) : 0)));
	(void)snprintf(key, sizeof key, "%09" PRIu64 "-%09" PRIu64, x->record.id, x->place);
	(void)snprintf(name, sizeof name, "%s.%s", key, extension);
	EK_TRY(ek_tar_writer_add(x->shard, name, x->bytes.data, x->bytes.size));
	(void)snprintf(name, sizeof name, "%s.json", key);
	EK_TRY(ek_tar_writer_add(x->shard, name, x->text.data, x->text.size));
	(void)snprintf(name, sizeof name, "%s.cls", key);
	if (class >= 0)
		EK_TRY(ek_tar_writer_add(x->shard, name, digits, digits_size));
out:
	return rc;
}

int ek_export_tar_end(struct ek_export *x)
{
	return end_shard(x);
}
