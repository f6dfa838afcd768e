#include "rebalance/io/tar_index.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/stream.h"
#include "rebalance/io/table.h"
#include "rebalance/io/tar.h"

/* In an open-addressing table; hash 0: free. */
struct place {
	uint64_t hash, offset, size;
};

struct ek_tar_index {
	struct ek_stream *stream;
	struct place *places;
	size_t capacity, count; /* capacity: a power of 2 */
};

static uint64_t hash_of(const char *name)
{
	const uint64_t hash = ek_hash64(name, strlen(name));

	return hash != 0 ? hash : 1;
}

static struct place *find(struct place *places, size_t capacity, uint64_t hash)
{
	size_t at = (size_t)hash & (capacity - 1);

	while (places[at].hash != 0 && places[at].hash != hash)
		at = (at + 1) & (capacity - 1);
	return &places[at];
}

static int grow(struct ek_tar_index *x)
{
	const size_t capacity = x->capacity > 0 ? 2 * x->capacity : 1024;
	struct place *places;
	int rc;

	EK_TRY(ek_alloc(&places, capacity, sizeof *places));
	for (size_t i = 0; i < x->capacity; i++)
		if (x->places[i].hash != 0)
			*find(places, capacity, x->places[i].hash) = x->places[i];
	free(x->places);
	x->places = places;
	x->capacity = capacity;
out:
	return rc;
}

static int add(struct ek_tar_index *x, const struct ek_tar_member *member)
{
	const uint64_t hash = hash_of(ek_plain_name(member->name));
	struct place *place;
	int rc = 0;

	if (x->count >= x->capacity / 4 * 3)
		EK_TRY(grow(x));
	place = find(x->places, x->capacity, hash);
	x->count += place->hash == 0;
	*place = (struct place){ hash, member->offset, member->size };
out:
	return rc;
}

int ek_tar_index_open(struct ek_tar_index **out, const char *path)
{
	struct ek_tar_member member;
	struct ek_tar_index *x = NULL;
	struct ek_tar *tar = NULL;
	int rc;

	EK_TRY(ek_alloc(&x, 1, sizeof *x));
	EK_TRY(ek_stream_open(&x->stream, path));
	EK_TRY(ek_tar_open(&tar, path));
	for (;;) {
		EK_TRY(ek_tar_next(tar, &member));
		if (rc == 0)
			break;
		if (member.is_file && !member.is_sparse)
			EK_TRY(add(x, &member));
		if (x->count % 4096 == 0)
			EK_TRY(ek_check_interrupt());
	}
out:
	ek_tar_close(tar);
	if (rc < 0) {
		ek_tar_index_close(x);
		x = NULL;
	}
	*out = x;
	return rc;
}

int ek_tar_index_find(const struct ek_tar_index *x, const char *name, uint64_t *offset, uint64_t *size)
{
	const struct place *place = x->capacity > 0 ? find(x->places, x->capacity, hash_of(ek_plain_name(name))) : NULL;

	if (place == NULL || place->hash == 0)
		return 0;
	*offset = place->offset;
	*size = place->size;
	return 1;
}

int ek_tar_index_read(struct ek_tar_index *x, struct ek_buffer *out, uint64_t offset, size_t size)
{
	return ek_stream_read(x->stream, out, size, offset);
}

void ek_tar_index_close(struct ek_tar_index *x)
{
	if (x == NULL)
		return;
	ek_stream_close(x->stream);
	free(x->places);
	free(x);
}
