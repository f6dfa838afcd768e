#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/rows_cuda_internal.h"

enum { STAGING_BYTES = 32 << 20 };

static uint64_t most_bytes;

/* What all rows pass through on their way, made once. */
static struct {
	float *memory[2];
	cudaEvent_t copied[2];
} staging;
static int chosen, pretended;

int ek_nn_rows_there(void)
{
	return chosen;
}

void ek_nn_rows_choose(int there)
{
	chosen = there;
}

void ek_nn_rows_limit(uint64_t bytes)
{
	most_bytes = bytes;
}

int ek_rows_reserve(struct ek_rows_room *room, size_t bytes)
{
	int rc = 0;

	if (room->bytes >= bytes)
		return 0;
	EK_TRY(ek_cuda_wait());
	ek_cuda_release(room->memory);
	*room = (struct ek_rows_room){ NULL, 0 };
	EK_TRY(ek_cuda_alloc(&room->memory, bytes));
	room->bytes = bytes;
out:
	return rc;
}

int ek_rows_copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
	return ek_cuda_check(cudaMemcpyAsync(to, from, bytes, kind, ek_cuda_stream()), "copying rows");
}

int ek_rows_upload(void *to, const void *from, size_t bytes)
{
	return ek_rows_copy(to, from, bytes, cudaMemcpyHostToDevice);
}

int ek_rows_download(void *to, const void *from, size_t bytes)
{
	const int rc = ek_rows_copy(to, from, bytes, cudaMemcpyDeviceToHost);

	return rc < 0 ? rc : ek_cuda_wait();
}

int ek_rows_clear(void *memory, size_t bytes)
{
	return ek_cuda_check(cudaMemsetAsync(memory, 0, bytes, ek_cuda_stream()), "clearing memory");
}

size_t ek_rows_screened_bytes(uint64_t rows, size_t d)
{
	return rows * (ek_rows_chunks(d) * EK_ROWS_DEPTH * sizeof(uint16_t) + 3 * sizeof(float)) + 64;
}

void ek_rows_place_screened(struct ek_rows_screened *s, void *memory, uint64_t rows, size_t d)
{
	char *at = memory;

	s->tiles = (uint16_t *)at;
	at += rows * ek_rows_chunks(d) * EK_ROWS_DEPTH * sizeof(uint16_t);
	s->h = (float *)at;
	s->norm = s->h + rows;
	s->error = s->norm + rows;
	s->most = s->error + rows;
	s->overflow = (int *)(s->most + 2);
}

static int choose_block(struct ek_nn_rows *r)
{
	const uint64_t each =
		r->d * sizeof(float) + ek_rows_screened_bytes(EK_ROWS_COLUMNS, r->d) / EK_ROWS_COLUMNS + 128;
	uint64_t bytes = most_bytes;
	size_t available = 0, total = 0;
	int rc;

	EK_TRY(ek_cuda_check(cudaMemGetInfo(&available, &total), "asking for its memory"));
	if (bytes == 0)
		bytes = available / 5 * 2;
	r->block = bytes / each / EK_ROWS_COLUMNS * EK_ROWS_COLUMNS;
	if (r->block < EK_ROWS_COLUMNS)
		return ek_fail(EK_ENOMEM, "the GPU's memory does not suffice: %.2f GiB are free",
		               (double)available / 0x1p30);
	if (r->block > ek_rows_filled(r->source.count, EK_ROWS_COLUMNS))
		r->block = ek_rows_filled(r->source.count, EK_ROWS_COLUMNS);
out:
	return rc;
}

static int reserve_staging(void)
{
	int rc = 0;

	for (int i = 0; i < 2 && staging.copied[i] == NULL; i++) {
		EK_TRY(ek_cuda_check(cudaHostAlloc((void **)&staging.memory[i], STAGING_BYTES, cudaHostAllocDefault),
		                     "taking memory for copies"));
		EK_TRY(ek_cuda_check(cudaEventCreateWithFlags(&staging.copied[i], cudaEventDisableTiming),
		                     "making an event"));
	}
out:
	return rc;
}

int ek_nn_rows_new(struct ek_nn_rows **out, const struct ek_nn_rows_source *source)
{
	struct ek_nn_rows *r = NULL;
	void *memory = NULL;
	int rc;

	*out = NULL;
	if (source->count > INT32_MAX)
		return ek_fail(EK_ENOTSUP, "%llu rows are more than a GPU can be given (2147483647)",
		               (unsigned long long)source->count);
	ek_cuda_enter();
	EK_TRY(ek_alloc(&r, 1, sizeof *r));
	r->source = *source;
	r->d = source->dimensions;
	r->at = UINT64_MAX;
	EK_TRY(choose_block(r));
	EK_TRY(ek_cuda_alloc((void **)&r->centre, r->d * sizeof *r->centre));
	EK_TRY(ek_rows_upload(r->centre, source->centre, r->d * sizeof *r->centre));
	EK_TRY(ek_cuda_alloc((void **)&r->x, r->block * r->d * sizeof *r->x));
	EK_TRY(ek_cuda_alloc(&memory, ek_rows_screened_bytes(r->block, r->d)));
	ek_rows_place_screened(&r->screened, memory, r->block, r->d);
	EK_TRY(reserve_staging());
	EK_TRY(ek_cuda_wait());
	*out = r;
	r = NULL;
out:
	ek_nn_rows_free(r);
	return rc;
}

void ek_nn_rows_free(struct ek_nn_rows *r)
{
	if (r == NULL)
		return;
	(void)ek_cuda_wait();
	for (int i = 0; i < ROOMS; i++)
		ek_cuda_release(r->rooms[i].memory);
	ek_cuda_release(r->centre);
	ek_cuda_release(r->x);
	ek_cuda_release(r->screened.tiles);
	ek_cuda_release(r->assignment);
	ek_cuda_release(r->distance2);
	ek_cuda_release(r->changed);
	(void)cudaFreeHost(r->distance2_host);
	free(r);
}

uint64_t ek_rows_count_at(const struct ek_nn_rows *r, uint64_t first)
{
	return r->source.count - first < r->block ? r->source.count - first : r->block;
}

int ek_rows_load(struct ek_nn_rows *r, uint64_t first)
{
	const uint64_t count = ek_rows_count_at(r, first), fitting = STAGING_BYTES / (r->d * sizeof(float));
	const uint64_t most = fitting > 0 ? fitting : 1;
	int turn = 0, rc = 0;

	if (r->at == first)
		return 0;
	if (fitting == 0)
		return ek_fail(EK_ENOTSUP, "%zu dimensions are more than a GPU is given", r->d);
	r->at = UINT64_MAX;
	for (uint64_t i = 0; i < count; i += most, turn ^= 1) {
		const uint64_t some = count - i < most ? count - i : most;

		EK_TRY(ek_cuda_check(cudaEventSynchronize(staging.copied[turn]), "waiting for a copy"));
		EK_TRY(r->source.read(r->source.context, staging.memory[turn], first + i, some));
		EK_TRY(ek_rows_upload(r->x + i * r->d, staging.memory[turn], some * r->d * sizeof(float)));
		EK_TRY(ek_cuda_check(cudaEventRecord(staging.copied[turn], ek_cuda_stream()), "marking a copy"));
	}
	ek_rows_prepare(&r->screened, r->x, r->centre, count, ek_rows_filled(count, EK_ROWS_COLUMNS), r->d,
	                ek_cuda_stream());
	EK_TRY(ek_cuda_launched("preparing rows"));
	r->at = first;
out:
	return rc;
}

void ek_rows_pretend(int architecture)
{
	pretended = architecture;
}

static int architecture(void)
{
	int device = 0, major = 0, minor = 0;

	if (pretended > 0)
		return pretended;
	(void)cudaGetDevice(&device);
	(void)cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
	(void)cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
	return 10 * major + minor;
}

struct ek_rows_screen ek_rows_screen_of(const struct ek_nn_rows *r, uint64_t first, uint64_t count,
                                        const struct ek_rows_screened *columns, uint64_t column_count)
{
	const size_t chunks = ek_rows_chunks(r->d);
	struct ek_rows_screen s = { .rows = r->screened.tiles + first * chunks * EK_ROWS_DEPTH,
		                    .columns = columns->tiles,
		                    .row_tiles = (int)(ek_rows_filled(count, EK_ROWS_TILE) / EK_ROWS_TILE),
		                    .column_tiles =
		                            (int)(ek_rows_filled(column_count, EK_ROWS_COLUMNS) / EK_ROWS_COLUMNS),
		                    .chunks = (int)chunks,
		                    .h = columns->h,
		                    .diagonal = INT64_MIN };

	s.splits = 1 + 2 * ek_cuda_processors() / s.row_tiles;
	s.splits = s.splits < s.column_tiles ? s.splits : s.column_tiles;
	s.groups = s.column_tiles * (EK_ROWS_COLUMNS / EK_ROWS_GROUP);
	return s;
}

int ek_rows_compare(struct ek_rows_screen *s, enum ek_rows_mode mode)
{
	s->mode = mode;
	return ek_cuda_check(ek_rows_screen_run(s, architecture(), ek_cuda_processors(), ek_cuda_stream()),
	                     "comparing rows");
}
