#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "train/nn/cuda_internal.h"
#include "train/nn/moments.h"
#include "train/nn/moments_cuda.h"
#include "train/nn/rows.h"
#include "train/nn/rows_cuda.h"

enum {
	STAGING_BYTES = 32 << 20,
	CANDIDATES = 16,        /* of a row in k-means; with more all centroids are measured */
	FEW = 4,                /* so many centroids are measured rather than screened */
	MOST_CANDIDATES = 4096, /* of a row otherwise */
	PIECE = 256             /* rows whose pairs a thread tells of */
};
static const uint64_t table_bytes = (uint64_t)512 << 20; /* of what is kept of rows under way, each of two */

/* Memory of the device that grows. */
struct room {
	void *memory;
	size_t bytes;
};

enum room_name {
	/* of rows under way */
	LIMIT,
	HIGH,
	FOUND,
	TABLE,
	LEAST,
	REACH,
	FACTOR,
	OFFSETS,
	PAIR_DISTANCE2,
	PAIR_INDEX,
	/* of columns */
	BALL,
	WEIGHT,
	CENTROIDS, /* two, those of now and the next */
	SCREENED = CENTROIDS + 2,
	SUMS,
	ROOMS
};

struct ek_nn_rows {
	struct ek_nn_rows_source source; /* its centre is not looked at again */
	size_t d;
	uint64_t block; /* rows that the device has at a time */
	uint64_t at;    /* the first of those it has; UINT64_MAX: none */
	float *centre, *x;
	struct ek_rows_screened screened;
	struct room rooms[ROOMS];
	/* k-means */
	int32_t *assignment;
	double *distance2, *distance2_host;
	int now; /* which of the centroids */
	uint32_t k, base;
	struct ek_rows_sums sums;
	uint32_t sums_k; /* clusters that there is room for */
	unsigned long long *changed;
};

static uint64_t most_bytes;

/* What all rows pass through on their way, made once. */
static struct {
	float *memory[2];
	cudaEvent_t copied[2];
} staging;
static int chosen, pretended;

static uint64_t filled(uint64_t count, uint64_t to)
{
	return (count + to - 1) / to * to;
}

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

static int reserve(struct room *room, size_t bytes)
{
	int rc = 0;

	if (room->bytes >= bytes)
		return 0;
	EK_TRY(ek_cuda_wait());
	ek_cuda_release(room->memory);
	*room = (struct room){ NULL, 0 };
	EK_TRY(ek_cuda_alloc(&room->memory, bytes));
	room->bytes = bytes;
out:
	return rc;
}

static int copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
	return ek_cuda_check(cudaMemcpyAsync(to, from, bytes, kind, ek_cuda_stream()), "copying rows");
}

static int upload(void *to, const void *from, size_t bytes)
{
	return copy(to, from, bytes, cudaMemcpyHostToDevice);
}

/* And wait for it. */
static int download(void *to, const void *from, size_t bytes)
{
	const int rc = copy(to, from, bytes, cudaMemcpyDeviceToHost);

	return rc < 0 ? rc : ek_cuda_wait();
}

static int clear(void *memory, size_t bytes)
{
	return ek_cuda_check(cudaMemsetAsync(memory, 0, bytes, ek_cuda_stream()), "clearing memory");
}

/* Arrays of so many screened rows, in one piece of memory. */
static size_t screened_bytes(uint64_t rows, size_t d)
{
	return rows * (ek_rows_chunks(d) * EK_ROWS_DEPTH * sizeof(uint16_t) + 3 * sizeof(float)) + 64;
}

static void place_screened(struct ek_rows_screened *s, void *memory, uint64_t rows, size_t d)
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
	const uint64_t each = r->d * sizeof(float) + screened_bytes(EK_ROWS_COLUMNS, r->d) / EK_ROWS_COLUMNS + 128;
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
	if (r->block > filled(r->source.count, EK_ROWS_COLUMNS))
		r->block = filled(r->source.count, EK_ROWS_COLUMNS);
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
	EK_TRY(upload(r->centre, source->centre, r->d * sizeof *r->centre));
	EK_TRY(ek_cuda_alloc((void **)&r->x, r->block * r->d * sizeof *r->x));
	EK_TRY(ek_cuda_alloc(&memory, screened_bytes(r->block, r->d)));
	place_screened(&r->screened, memory, r->block, r->d);
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

static uint64_t count_at(const struct ek_nn_rows *r, uint64_t first)
{
	return r->source.count - first < r->block ? r->source.count - first : r->block;
}

/* The rows from `first`, a multiple of the block, are on the device. */
static int load(struct ek_nn_rows *r, uint64_t first)
{
	const uint64_t count = count_at(r, first), fitting = STAGING_BYTES / (r->d * sizeof(float));
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
		EK_TRY(upload(r->x + i * r->d, staging.memory[turn], some * r->d * sizeof(float)));
		EK_TRY(ek_cuda_check(cudaEventRecord(staging.copied[turn], ek_cuda_stream()), "marking a copy"));
	}
	ek_rows_prepare(&r->screened, r->x, r->centre, count, filled(count, EK_ROWS_COLUMNS), r->d, ek_cuda_stream());
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

/* Rows from `first` of a block on, a multiple of EK_ROWS_TILE, against screened columns. */
static struct ek_rows_screen screen_of(const struct ek_nn_rows *r, uint64_t first, uint64_t count,
                                       const struct ek_rows_screened *columns, uint64_t column_count)
{
	const size_t chunks = ek_rows_chunks(r->d);
	struct ek_rows_screen s = { .rows = r->screened.tiles + first * chunks * EK_ROWS_DEPTH,
		                    .columns = columns->tiles,
		                    .row_tiles = (int)(filled(count, EK_ROWS_TILE) / EK_ROWS_TILE),
		                    .column_tiles = (int)(filled(column_count, EK_ROWS_COLUMNS) / EK_ROWS_COLUMNS),
		                    .chunks = (int)chunks,
		                    .h = columns->h,
		                    .diagonal = INT64_MIN };

	s.splits = 1 + 2 * ek_cuda_processors() / s.row_tiles;
	s.splits = s.splits < s.column_tiles ? s.splits : s.column_tiles;
	s.groups = s.column_tiles * (EK_ROWS_COLUMNS / EK_ROWS_GROUP);
	return s;
}

static int run_screen(struct ek_rows_screen *s, enum ek_rows_mode mode)
{
	s->mode = mode;
	return ek_cuda_check(ek_rows_screen_run(s, architecture(), ek_cuda_processors(), ek_cuda_stream()),
	                     "comparing rows");
}

/* ---- k-means ---- */

static int reserve_state(struct ek_nn_rows *r)
{
	int rc = 0;

	if (r->changed != NULL)
		return 0;
	EK_TRY(ek_cuda_alloc((void **)&r->assignment, r->source.count * sizeof *r->assignment));
	EK_TRY(ek_cuda_alloc((void **)&r->distance2, r->source.count * sizeof *r->distance2));
	EK_TRY(ek_cuda_alloc((void **)&r->changed, sizeof *r->changed));
out:
	return rc;
}

static int screen_centroids(struct ek_rows_screened *s, struct ek_nn_rows *r)
{
	const uint64_t columns = filled(r->k, EK_ROWS_COLUMNS);
	int rc;

	EK_TRY(reserve(&r->rooms[SCREENED], screened_bytes(columns, r->d)));
	place_screened(s, r->rooms[SCREENED].memory, columns, r->d);
	EK_TRY(clear(s->most, 2 * sizeof *s->most + sizeof *s->overflow));
	ek_rows_prepare(s, r->rooms[CENTROIDS + r->now].memory, r->centre, r->k, columns, r->d, ek_cuda_stream());
	EK_TRY(ek_cuda_launched("preparing centroids"));
out:
	return rc;
}

/* `all`: measure every centroid. */
static int find_all(int *all, const struct ek_nn_rows *r, const struct ek_rows_screened *columns)
{
	int overflow[2] = { 0, 0 }, rc;

	EK_TRY(download(&overflow[0], r->screened.overflow, sizeof *overflow));
	EK_TRY(download(&overflow[1], columns->overflow, sizeof *overflow));
	*all = overflow[0] || overflow[1] || r->k <= FEW;
out:
	return rc;
}

/* `count` rows from `from` of the block at hand on. fresh: nothing is known of some row. */
static int search_piece(struct ek_nn_rows *r, const struct ek_rows_screened *columns, uint64_t from, uint64_t count,
                        int all, int fresh)
{
	struct ek_rows_screen screen = screen_of(r, from, count, columns, r->k);
	struct ek_rows_search s = { .x = r->x + from * r->d,
		                    .norm = r->screened.norm + from,
		                    .error = r->screened.error + from,
		                    .h = r->screened.h + from,
		                    .first = r->at + from,
		                    .count = count,
		                    .d = r->d,
		                    .centroids = r->rooms[CENTROIDS + r->now].memory,
		                    .most = columns->most,
		                    .k = r->k,
		                    .base = r->base,
		                    .assignment = r->assignment,
		                    .distance2 = r->distance2,
		                    .limit = r->rooms[LIMIT].memory,
		                    .found = r->rooms[FOUND].memory,
		                    .table = r->rooms[TABLE].memory,
		                    .capacity = CANDIDATES,
		                    .groups = screen.groups,
		                    .changed = r->changed,
		                    .all = all };
	int rc;

	screen.limit = s.limit;
	screen.count = s.found;
	screen.table = s.table;
	screen.capacity = s.capacity;
	screen.least = r->rooms[LEAST].memory;
	if (fresh && !all) {
		EK_TRY(run_screen(&screen, EK_ROWS_LEAST));
		s.least = screen.least;
	}
	ek_rows_refresh(&s, ek_cuda_stream());
	if (!all)
		EK_TRY(run_screen(&screen, EK_ROWS_LIST));
	ek_rows_resolve(&s, ek_cuda_stream());
	EK_TRY(ek_cuda_launched("assigning rows"));
out:
	return rc;
}

static int search(struct ek_nn_rows *r, int fresh)
{
	const uint64_t groups = filled(r->k, EK_ROWS_COLUMNS) / EK_ROWS_GROUP;
	const uint64_t fitting = table_bytes / (groups * sizeof(float)) / EK_ROWS_TILE * EK_ROWS_TILE;
	const uint64_t most = !fresh || fitting > r->block ? r->block : fitting > 0 ? fitting : EK_ROWS_TILE;
	struct ek_rows_screened columns;
	int all, rc;

	EK_TRY(reserve(&r->rooms[LIMIT], most * sizeof(float)));
	EK_TRY(reserve(&r->rooms[FOUND], most * sizeof(uint32_t)));
	EK_TRY(reserve(&r->rooms[TABLE], most * CANDIDATES * sizeof(uint32_t)));
	if (fresh)
		EK_TRY(reserve(&r->rooms[LEAST], most * groups * sizeof(float)));
	EK_TRY(screen_centroids(&columns, r));
	EK_TRY(clear(r->changed, sizeof *r->changed));
	for (uint64_t first = 0; first < r->source.count; first += r->block) {
		const uint64_t count = count_at(r, first);

		EK_TRY(ek_check_interrupt());
		EK_TRY(load(r, first));
		EK_TRY(find_all(&all, r, &columns));
		for (uint64_t i = 0; i < count; i += most)
			EK_TRY(search_piece(r, &columns, i, count - i < most ? count - i : most, all, fresh));
	}
out:
	return rc;
}

int ek_nn_rows_begin(struct ek_nn_rows *r, const int32_t *assignment, const double *distance2, const float *centroids,
                     uint32_t k)
{
	const uint64_t n = r->source.count;
	int rc;

	ek_cuda_enter();
	EK_TRY(reserve_state(r));
	r->now = 0;
	r->k = k;
	r->base = 0;
	EK_TRY(reserve(&r->rooms[CENTROIDS], (size_t)k * r->d * sizeof(float)));
	EK_TRY(upload(r->rooms[CENTROIDS].memory, centroids, (size_t)k * r->d * sizeof(float)));
	EK_TRY(upload(r->assignment, assignment, n * sizeof *assignment));
	EK_TRY(upload(r->distance2, distance2, n * sizeof *distance2));
out:
	return rc;
}

int ek_nn_rows_nearest(struct ek_nn_rows *r, int32_t *assignment, double *distance2, const float *centroids, uint32_t k,
                       uint32_t first, uint64_t *changed)
{
	const uint64_t n = r->source.count;
	unsigned long long count;
	int fresh = 0, rc;

	for (uint64_t i = 0; i < n && !fresh; i++)
		fresh = assignment[i] < 0;
	EK_TRY(ek_nn_rows_begin(r, assignment, distance2, centroids, k));
	r->base = first;
	EK_TRY(search(r, fresh));
	EK_TRY(download(&count, r->changed, sizeof count));
	EK_TRY(download(assignment, r->assignment, n * sizeof *assignment));
	EK_TRY(download(distance2, r->distance2, n * sizeof *distance2));
	if (changed != NULL)
		*changed = count;
out:
	return rc;
}

/* Arrays for sums, in one piece of memory. */
static int reserve_sums(struct ek_nn_rows *r)
{
	const uint64_t n = r->source.count, slices = r->k + n / EK_ROWS_SLICE + 1;
	struct ek_rows_sums *s = &r->sums;
	const size_t room = filled(ek_rows_sort_room(n), 256);
	size_t bytes =
		slices * r->d * sizeof(double) + room + 3 * n * sizeof(uint32_t) + 2 * (r->k + 1) * sizeof(uint32_t);
	char *at;
	int rc = 0;

	if (r->sums_k == r->k)
		return 0;
	EK_TRY(reserve(&r->rooms[SUMS], bytes));
	at = r->rooms[SUMS].memory;
	*s = (struct ek_rows_sums){ .assignment = r->assignment, .n = n, .d = r->d, .k = r->k, .room_bytes = room };
	s->sums = (double *)at;
	s->room = at += slices * r->d * sizeof(double);
	s->order = (uint32_t *)(at += room);
	s->identity = s->order + n;
	s->sorted = (int32_t *)(s->identity + n);
	s->offsets = (uint32_t *)s->sorted + n;
	s->slice_first = s->offsets + r->k + 1;
	r->sums_k = r->k;
	EK_TRY(reserve(&r->rooms[CENTROIDS + 1], (size_t)r->k * r->d * sizeof(float)));
	EK_TRY(reserve(&r->rooms[CENTROIDS], (size_t)r->k * r->d * sizeof(float)));
	if (r->distance2_host == NULL)
		EK_TRY(ek_cuda_check(
			cudaHostAlloc((void **)&r->distance2_host, n * sizeof *r->distance2_host, cudaHostAllocDefault),
			"taking memory for copies"));
out:
	return rc;
}

int ek_nn_rows_move(struct ek_nn_rows *r, int unit)
{
	int rc;

	ek_cuda_enter();
	EK_TRY(reserve_sums(r));
	EK_TRY(ek_cuda_check(ek_rows_sort(&r->sums, ek_cuda_stream()), "sorting rows"));
	for (uint64_t first = 0; first < r->source.count; first += r->block) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(load(r, first));
		ek_rows_sum(&r->sums, r->x, first, count_at(r, first), ek_cuda_stream());
	}
	ek_rows_means(&r->sums, r->rooms[CENTROIDS + !r->now].memory, r->rooms[CENTROIDS + r->now].memory, unit,
	              ek_cuda_stream());
	EK_TRY(ek_cuda_launched("moving centroids"));
out:
	return rc;
}

int ek_nn_rows_search(struct ek_nn_rows *r, const double **distance2, uint64_t *changed)
{
	unsigned long long count;
	int rc;

	ek_cuda_enter();
	r->now = !r->now;
	EK_TRY(search(r, 0));
	EK_TRY(copy(r->distance2_host, r->distance2, r->source.count * sizeof *r->distance2, cudaMemcpyDeviceToHost));
	EK_TRY(download(&count, r->changed, sizeof count));
	*distance2 = r->distance2_host;
	*changed = count;
out:
	return rc;
}

int ek_nn_rows_result(struct ek_nn_rows *r, int32_t *assignment, double *distance2, float *centroids)
{
	int rc;

	ek_cuda_enter();
	EK_TRY(download(assignment, r->assignment, r->source.count * sizeof *assignment));
	EK_TRY(download(distance2, r->distance2, r->source.count * sizeof *distance2));
	EK_TRY(download(centroids, r->rooms[CENTROIDS + r->now].memory, (size_t)r->k * r->d * sizeof *centroids));
out:
	return rc;
}

/* ---- pairs ---- */

/* Rows of a piece with the columns of a block. */
struct pairs {
	struct ek_nn_rows *rows, *columns;
	uint64_t from, count; /* rows, in their block */
	ek_nn_rows_take *take;
	void *context;
	uint32_t capacity;
	uint32_t *found;   /* [count] */
	uint64_t *offsets; /* [count + 1] */
	double *distance2;
	uint32_t *index;
	uint32_t *numbers; /* [columns of a block] theirs, for a row that has all */
};

static void pairs_release(struct pairs *p)
{
	free(p->found);
	free(p->offsets);
	free(p->distance2);
	free(p->index);
	free(p->numbers);
}

static int tell_piece(void *context, uint64_t piece, int worker)
{
	struct pairs *p = context;
	const uint64_t end = (piece + 1) * PIECE < p->count ? (piece + 1) * PIECE : p->count;
	int rc = 0;

	for (uint64_t i = piece * PIECE; i < end && rc == 0; i++)
		if (p->found[i] > 0 && p->found[i] <= p->capacity)
			rc = p->take(p->context, p->rows->at + p->from + i, p->index + p->offsets[i],
			             p->distance2 + p->offsets[i], p->found[i], worker);
	return rc;
}

/* Rows with more than fit: all columns. */
static int tell_all(struct pairs *p)
{
	const uint64_t columns = count_at(p->columns, p->columns->at);
	const uint64_t fitting = ((uint64_t)64 << 20) / (columns * sizeof(double)), batch = fitting > 0 ? fitting : 1;
	double *distance2 = NULL;
	struct room room = { NULL, 0 };
	uint64_t *rows = NULL, found = 0;
	int rc;

	EK_TRY(ek_alloc(&rows, p->count, sizeof *rows));
	for (uint64_t i = 0; i < p->count; i++)
		if (p->found[i] > p->capacity)
			rows[found++] = i;
	if (found == 0)
		goto out;
	EK_TRY(ek_alloc(&distance2, batch * columns, sizeof *distance2));
	EK_TRY(reserve(&room, batch * columns * sizeof *distance2));
	for (uint64_t i = 0; i < found; i += batch) {
		const uint64_t some = found - i < batch ? found - i : batch;

		EK_TRY(ek_check_interrupt());
		for (uint64_t j = 0; j < some; j++)
			ek_rows_measure_all((double *)room.memory + j * columns,
			                    p->rows->x + (p->from + rows[i + j]) * p->rows->d, p->columns->x, columns,
			                    p->rows->d, ek_cuda_stream());
		EK_TRY(ek_cuda_launched("measuring rows"));
		EK_TRY(download(distance2, room.memory, some * columns * sizeof *distance2));
		for (uint64_t j = 0; j < some; j++)
			EK_TRY(p->take(p->context, p->rows->at + p->from + rows[i + j], p->numbers,
			               distance2 + j * columns, columns, 0));
	}
out:
	ek_cuda_release(room.memory);
	free(rows);
	free(distance2);
	return rc;
}

/* The pairs that a screen has listed, measured and told. */
static int tell(struct pairs *p)
{
	struct ek_nn_rows *r = p->rows;
	uint64_t total = 0;
	int rc;

	EK_TRY(download(p->found, r->rooms[FOUND].memory, p->count * sizeof *p->found));
	for (uint64_t i = 0; i < p->count; i++) {
		p->offsets[i] = total;
		total += p->found[i] <= p->capacity ? p->found[i] : 0;
	}
	for (uint64_t j = 0; j < count_at(p->columns, p->columns->at); j++)
		p->numbers[j] = (uint32_t)(p->columns->at + j);
	EK_TRY(reserve(&r->rooms[OFFSETS], p->count * sizeof *p->offsets));
	EK_TRY(upload(r->rooms[OFFSETS].memory, p->offsets, p->count * sizeof *p->offsets));
	EK_TRY(reserve(&r->rooms[PAIR_DISTANCE2], (total + 1) * sizeof *p->distance2));
	EK_TRY(reserve(&r->rooms[PAIR_INDEX], (total + 1) * sizeof *p->index));
	EK_TRY(ek_resize(&p->distance2, total + 1, sizeof *p->distance2));
	EK_TRY(ek_resize(&p->index, total + 1, sizeof *p->index));
	ek_rows_measure(r->rooms[PAIR_DISTANCE2].memory, r->rooms[PAIR_INDEX].memory, r->x + p->from * r->d,
	                p->columns->x, r->rooms[TABLE].memory, r->rooms[FOUND].memory, r->rooms[OFFSETS].memory,
	                p->capacity, (uint32_t)p->columns->at, p->count, r->d, ek_cuda_stream());
	EK_TRY(ek_cuda_launched("measuring rows"));
	EK_TRY(download(p->distance2, r->rooms[PAIR_DISTANCE2].memory, total * sizeof *p->distance2));
	EK_TRY(download(p->index, r->rooms[PAIR_INDEX].memory, total * sizeof *p->index));
	EK_TRY(ek_parallel((p->count + PIECE - 1) / PIECE, tell_piece, p));
	EK_TRY(tell_all(p));
out:
	return rc;
}

/* What is asked of pairs. */
struct question {
	size_t k; /* neighbours; 0: balls */
	int itself;
	const struct ek_nn_rows_balls *balls;
};

static uint64_t groups_of(const struct ek_nn_rows *columns)
{
	uint64_t groups = 0;

	for (uint64_t first = 0; first < columns->source.count; first += columns->block)
		groups += filled(count_at(columns, first), EK_ROWS_COLUMNS) / EK_ROWS_GROUP;
	return groups;
}

/* Squared radii as float32, a little more; filled up with 0. */
static int upload_squares(struct room *room, const double *values, uint64_t count, uint64_t to)
{
	float *out = NULL;
	int rc;

	EK_TRY(ek_alloc(&out, to, sizeof *out));
	for (uint64_t i = 0; i < count; i++)
		out[i] = values[i] > 0 ? (float)(values[i] * (1 + 1e-6)) : 0;
	EK_TRY(reserve(room, to * sizeof *out));
	EK_TRY(upload(room->memory, out, to * sizeof *out));
	EK_TRY(ek_cuda_wait());
out:
	free(out);
	return rc;
}

/* The screen of the piece against the block of columns that is at hand. */
static int ready_screen(struct ek_rows_screen *s, const struct pairs *p, const struct question *q, uint64_t groups)
{
	struct ek_nn_rows *r = p->rows, *c = p->columns;
	const uint64_t columns = count_at(c, c->at);
	int rc = 0;

	*s = screen_of(r, p->from, p->count, &c->screened, columns);
	s->limit = r->rooms[LIMIT].memory;
	s->count = r->rooms[FOUND].memory;
	s->table = r->rooms[TABLE].memory;
	s->capacity = p->capacity;
	s->least = r->rooms[LEAST].memory;
	s->groups = (int)groups;
	if (q->itself)
		s->diagonal = (int64_t)(r->at + p->from) - (int64_t)c->at;
	if (q->k > 0)
		return 0;
	EK_TRY(upload_squares(&r->rooms[BALL], q->balls->ball + c->at, columns, filled(columns, EK_ROWS_COLUMNS)));
	EK_TRY(upload_squares(&r->rooms[WEIGHT], q->balls->weight + c->at, columns, filled(columns, EK_ROWS_COLUMNS)));
	s->ball = r->rooms[BALL].memory;
	s->weight = r->rooms[WEIGHT].memory;
	s->reach = r->rooms[REACH].memory;
	s->factor = r->rooms[FACTOR].memory;
out:
	return rc;
}

/* The limits of the piece, by one pass over all columns. */
static int find_limits(const struct pairs *p, const struct question *q, uint64_t groups)
{
	struct ek_nn_rows *r = p->rows, *c = p->columns;
	const float *h = r->screened.h + p->from, *norm = r->screened.norm + p->from,
		    *error = r->screened.error + p->from;
	struct ek_rows_screen s;
	int group_first = 0, rc;

	for (uint64_t first = 0; first < c->source.count; first += c->block) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(load(c, first));
		if (q->k == 0) /* by the columns so far */
			ek_rows_offsets(r->rooms[LIMIT].memory, r->rooms[HIGH].memory, h, norm, error, c->screened.most,
			                p->count, r->d, ek_cuda_stream());
		EK_TRY(ready_screen(&s, p, q, groups));
		s.group_first = group_first;
		s.limit = r->rooms[HIGH].memory;
		group_first += s.column_tiles * (EK_ROWS_COLUMNS / EK_ROWS_GROUP);
		EK_TRY(run_screen(&s, q->k > 0 ? EK_ROWS_LEAST : EK_ROWS_LEAST_RATIO));
	}
	if (q->k > 0) {
		ek_rows_limits(r->rooms[LIMIT].memory, r->rooms[LEAST].memory, (int)groups, q->k, norm, error,
		               c->screened.most, p->count, r->d, ek_cuda_stream());
	} else {
		ek_rows_offsets(r->rooms[LIMIT].memory, r->rooms[HIGH].memory, h, norm, error, c->screened.most,
		                p->count, r->d, ek_cuda_stream());
		ek_rows_factors(r->rooms[FACTOR].memory, r->rooms[LEAST].memory, (int)groups, p->count,
		                ek_cuda_stream());
	}
	EK_TRY(ek_cuda_launched("finding limits"));
out:
	return rc;
}

static int is_too_large(int *large, const struct ek_nn_rows *r, const struct ek_nn_rows *c)
{
	int overflow[2], rc;

	EK_TRY(download(&overflow[0], r->screened.overflow, sizeof *overflow));
	EK_TRY(download(&overflow[1], c->screened.overflow, sizeof *overflow));
	*large = overflow[0] || overflow[1];
out:
	return rc;
}

static int search_pairs(struct pairs *p, const struct question *q, uint64_t groups)
{
	struct ek_nn_rows *r = p->rows, *c = p->columns;
	const uint64_t tiled = filled(p->count, EK_ROWS_TILE);
	struct ek_rows_screen s;
	int large, rc;

	if (q->k == 0)
		EK_TRY(upload_squares(&r->rooms[REACH], q->balls->reach + r->at + p->from, p->count, tiled));
	EK_TRY(find_limits(p, q, groups));
	for (uint64_t first = 0; first < c->source.count; first += c->block) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(load(c, first));
		EK_TRY(ready_screen(&s, p, q, groups));
		EK_TRY(is_too_large(&large, r, c));
		/* All bits set: more than fit. */
		EK_TRY(ek_cuda_check(cudaMemsetAsync(r->rooms[FOUND].memory, large ? 0xff : 0, tiled * sizeof(uint32_t),
		                                     ek_cuda_stream()),
		                     "clearing memory"));
		if (!large)
			EK_TRY(run_screen(&s, q->k > 0 ? EK_ROWS_LIST : EK_ROWS_LIST_BALLS));
		EK_TRY(tell(p));
	}
out:
	return rc;
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int reserve_pairs(struct pairs *p, uint64_t most, uint64_t groups)
{
	struct ek_nn_rows *r = p->rows;
	int rc;

	EK_TRY(reserve(&r->rooms[LIMIT], most * sizeof(float)));
	EK_TRY(reserve(&r->rooms[HIGH], most * sizeof(float)));
	EK_TRY(reserve(&r->rooms[FACTOR], most * sizeof(float)));
	EK_TRY(reserve(&r->rooms[FOUND], most * sizeof(uint32_t)));
	EK_TRY(reserve(&r->rooms[TABLE], most * p->capacity * sizeof(uint32_t)));
	EK_TRY(reserve(&r->rooms[LEAST], most * groups * sizeof(float)));
	EK_TRY(ek_alloc(&p->found, most, sizeof *p->found));
	EK_TRY(ek_alloc(&p->offsets, most, sizeof *p->offsets));
	EK_TRY(ek_alloc(&p->numbers, p->columns->block, sizeof *p->numbers));
out:
	return rc;
}

static int search_all(struct pairs *p, const struct question *q)
{
	struct ek_nn_rows *r = p->rows, *other = NULL;
	const uint64_t groups = groups_of(p->columns);
	uint64_t most = least_of(r->block, table_bytes / (groups * sizeof(float)) / EK_ROWS_TILE * EK_ROWS_TILE);
	int rc = 0;

	ek_cuda_enter();
	most = most > 0 ? most : EK_ROWS_TILE;
	p->capacity = (uint32_t)least_of(MOST_CANDIDATES, table_bytes / (most * sizeof(uint32_t)) + 1);
	if (p->columns == r && r->block < r->source.count) {
		struct ek_nn_rows_source source = r->source;
		float *centre = NULL;

		if ((rc = ek_alloc(&centre, r->d, sizeof *centre)) == 0)
			rc = download(centre, r->centre, r->d * sizeof *centre);
		source.centre = centre;
		rc = rc < 0 ? rc : ek_nn_rows_new(&other, &source);
		free(centre);
		EK_TRY(rc);
		p->columns = other;
	}
	EK_TRY(reserve_pairs(p, most, groups));
	for (uint64_t first = 0; first < r->source.count; first += r->block)
		for (p->from = 0; p->from < count_at(r, first); p->from += most) {
			EK_TRY(load(r, first));
			p->count = least_of(count_at(r, first) - p->from, most);
			EK_TRY(search_pairs(p, q, groups));
		}
out:
	ek_nn_rows_free(other);
	return rc;
}

int ek_nn_rows_neighbours(struct ek_nn_rows *queries, struct ek_nn_rows *set, size_t k, int itself,
                          ek_nn_rows_take *take, void *context)
{
	struct pairs p = { .rows = queries, .columns = set, .take = take, .context = context };
	const struct question q = { .k = k, .itself = itself };
	const int rc = search_all(&p, &q);

	pairs_release(&p);
	return rc;
}

int ek_nn_rows_within(struct ek_nn_rows *rows, struct ek_nn_rows *columns, const struct ek_nn_rows_balls *balls,
                      ek_nn_rows_take *take, void *context)
{
	struct pairs p = { .rows = rows, .columns = columns, .take = take, .context = context };
	const struct question q = { .balls = balls };
	const int rc = search_all(&p, &q);

	pairs_release(&p);
	return rc;
}

/* ---- moments ---- */

int ek_nn_rows_outer(struct ek_nn_rows *r, double *out, const double *mean, const double *scale)
{
	const size_t bytes = r->d * r->d * sizeof *out;
	double *sum = NULL, *at = NULL, *by = NULL;
	int rc;

	ek_cuda_enter();
	EK_TRY(ek_cuda_alloc((void **)&sum, bytes));
	if (mean != NULL) {
		EK_TRY(ek_cuda_alloc((void **)&at, r->d * sizeof *at));
		EK_TRY(upload(at, mean, r->d * sizeof *at));
	}
	if (scale != NULL) {
		EK_TRY(ek_cuda_alloc((void **)&by, r->source.count * sizeof *by));
		EK_TRY(upload(by, scale, r->source.count * sizeof *by));
	}
	for (uint64_t first = 0; first < r->source.count; first += r->block) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(load(r, first));
		ek_moments_outer(sum, r->x, at, by != NULL ? by + first : NULL, count_at(r, first), r->d,
		                 ek_cuda_stream());
	}
	EK_TRY(ek_cuda_launched("taking moments"));
	EK_TRY(download(out, sum, bytes));
	for (size_t i = 0; i < r->d; i++)
		for (size_t j = i + 1; j < r->d; j++)
			out[i * r->d + j] = out[j * r->d + i];
out:
	ek_cuda_release(sum);
	ek_cuda_release(at);
	ek_cuda_release(by);
	return rc;
}
