#include "rebalance/io/idx.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/stream.h"

enum { HEADER_SIZE = 16, READ_AHEAD = 1 << 18 };

static const struct kind {
	enum ek_idx_kind kind;
	const char *magic; /* 4 bytes */
	size_t header_size;
	const char *noun;
} kinds[] = {
	{ EK_IDX_IMAGES, "\0\0\x08\x03", 16, "images" },
	{ EK_IDX_LABELS, "\0\0\x08\x01", 8, "labels" },
};

struct ek_idx {
	char *path;
	struct ek_stream *stream;
	struct ek_idx_info info;
	const char *noun;
	struct ek_buffer ahead; /* bytes from item `next` on, after the first `used` */
	size_t used;
	uint64_t next;
};

static const struct kind *find_kind(const struct ek_buffer *start)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (start->size >= 4 && memcmp(start->data, kinds[i].magic, 4) == 0)
			return &kinds[i];
	return NULL;
}

static uint32_t number(const struct ek_buffer *header, size_t at)
{
	const uint8_t *p = (const uint8_t *)header->data + at;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int read_header(struct ek_idx *idx, uint64_t max_pixels)
{
	struct ek_idx_info *info = &idx->info;
	struct ek_buffer header = { 0 };
	const struct kind *kind;
	int rc;

	EK_TRY(ek_stream_read(idx->stream, &header, HEADER_SIZE, 0));
	if ((kind = find_kind(&header)) == NULL) {
		rc = ek_fail(EK_EDATA, "%s: not an IDX file of images (00000803) or labels (00000801)", idx->path);
		goto out;
	}
	if (header.size < kind->header_size) {
		rc = ek_fail(EK_EDATA, "%s: the file ends in its header", idx->path);
		goto out;
	}
	idx->noun = kind->noun;
	*info = (struct ek_idx_info){ kind->kind, number(&header, 4), 1, 1, 1, kind->header_size };
	if (kind->kind == EK_IDX_IMAGES) {
		const uint64_t pixels =
			(uint64_t)(info->rows = number(&header, 8)) * (info->cols = number(&header, 12));

		if (pixels == 0 || pixels > max_pixels || pixels > SIZE_MAX / 2)
			rc = ek_fail(EK_EDATA, "%s: the header claims images of %u x %u pixels, the limit is %llu",
			             idx->path, info->cols, info->rows, (unsigned long long)max_pixels);
		info->item_size = (size_t)pixels;
	}
out:
	ek_buffer_release(&header);
	return rc;
}

int ek_idx_open(struct ek_idx **out, const char *path, uint64_t max_pixels)
{
	struct ek_idx *idx;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&idx, 1, sizeof *idx));
	EK_TRY(ek_copy_string(&idx->path, path));
	EK_TRY(ek_stream_open(&idx->stream, path));
	EK_TRY(read_header(idx, max_pixels));
	*out = idx;
	return 0;
out:
	ek_idx_close(idx);
	return rc;
}

const struct ek_idx_info *ek_idx_info(const struct ek_idx *idx)
{
	return &idx->info;
}

uint64_t ek_idx_done(const struct ek_idx *idx)
{
	return idx->next;
}

/* Read on from item `next`; what is there counts even if the rest cannot be read, the next call says so. */
static int read_ahead(struct ek_idx *idx)
{
	const size_t size = idx->info.item_size;
	const uint64_t left = idx->info.count - idx->next, fit = size < READ_AHEAD ? READ_AHEAD / size : 1;
	int rc;

	idx->used = 0;
	ek_buffer_clear(&idx->ahead);
	rc = ek_stream_read(idx->stream, &idx->ahead, (size_t)(left < fit ? left : fit) * size,
	                    idx->info.offset + idx->next * size);
	return idx->ahead.size >= size ? 0 : rc;
}

/* After the last item: what only shows there is a wrong checksum, or more than was claimed. */
static int check_end(struct ek_idx *idx)
{
	int rc;

	idx->used = 0;
	ek_buffer_clear(&idx->ahead);
	EK_TRY(ek_stream_read(idx->stream, &idx->ahead, 1, idx->info.offset + idx->next * idx->info.item_size));
	if (idx->ahead.size > 0)
		rc = ek_fail(EK_EDATA, "%s: more bytes than the %u %s that its header claims", idx->path,
		             idx->info.count, idx->noun);
	ek_buffer_clear(&idx->ahead);
out:
	return rc;
}

int ek_idx_next(struct ek_idx *idx, uint8_t *item)
{
	const size_t size = idx->info.item_size;
	int rc;

	if (idx->next >= idx->info.count)
		return check_end(idx);
	if (idx->ahead.size - idx->used < size)
		EK_TRY(read_ahead(idx));
	if (idx->ahead.size < size)
		return ek_fail(EK_EDATA, "%s: the file ends after %llu of %u %s", idx->path,
		               (unsigned long long)idx->next, idx->info.count, idx->noun);
	memcpy(item, idx->ahead.data + idx->used, size);
	idx->used += size;
	idx->next++;
	rc = 1;
out:
	return rc;
}

void ek_idx_close(struct ek_idx *idx)
{
	if (idx == NULL)
		return;
	ek_stream_close(idx->stream);
	ek_buffer_release(&idx->ahead);
	free(idx->path);
	free(idx);
}
