/* Rows to the nearest of centroids, and centroids to the means of theirs: k-means on a GPU. */
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "train/nn/rows_cuda_internal.h"

enum {
	CANDIDATES = 16, /* of a row; with more all centroids are measured */
	FEW = 4          /* so many centroids are measured rather than screened */
};

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
	const uint64_t columns = ek_rows_filled(r->k, EK_ROWS_COLUMNS);
	int rc;

	EK_TRY(ek_rows_reserve(&r->rooms[SCREENED], ek_rows_screened_bytes(columns, r->d)));
	ek_rows_place_screened(s, r->rooms[SCREENED].memory, columns, r->d);
	EK_TRY(ek_rows_clear(s->most, 2 * sizeof *s->most + sizeof *s->overflow));
	ek_rows_prepare(s, r->rooms[CENTROIDS + r->now].memory, r->centre, r->k, columns, r->d, ek_cuda_stream());
	EK_TRY(ek_cuda_launched("preparing centroids"));
out:
	return rc;
}

/* `all`: measure every centroid. */
static int find_all(int *all, const struct ek_nn_rows *r, const struct ek_rows_screened *columns)
{
	int overflow[2] = { 0, 0 }, rc;

	EK_TRY(ek_rows_download(&overflow[0], r->screened.overflow, sizeof *overflow));
	EK_TRY(ek_rows_download(&overflow[1], columns->overflow, sizeof *overflow));
	*all = overflow[0] || overflow[1] || r->k <= FEW;
out:
	return rc;
}

/* `count` rows from `from` of the block at hand on. fresh: nothing is known of some row. */
static int search_piece(struct ek_nn_rows *r, const struct ek_rows_screened *columns, uint64_t from, uint64_t count,
                        int all, int fresh)
{
	struct ek_rows_screen screen = ek_rows_screen_of(r, from, count, columns, r->k);
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
		EK_TRY(ek_rows_compare(&screen, EK_ROWS_LEAST));
		s.least = screen.least;
	}
	ek_rows_refresh(&s, ek_cuda_stream());
	if (!all)
		EK_TRY(ek_rows_compare(&screen, EK_ROWS_LIST));
	ek_rows_resolve(&s, ek_cuda_stream());
	EK_TRY(ek_cuda_launched("assigning rows"));
out:
	return rc;
}

static int search(struct ek_nn_rows *r, int fresh)
{
	const uint64_t groups = ek_rows_filled(r->k, EK_ROWS_COLUMNS) / EK_ROWS_GROUP;
	const uint64_t fitting = EK_ROWS_TABLE_BYTES / (groups * sizeof(float)) / EK_ROWS_TILE * EK_ROWS_TILE;
	const uint64_t most = !fresh || fitting > r->block ? r->block : fitting > 0 ? fitting : EK_ROWS_TILE;
	struct ek_rows_screened columns;
	int all, rc;

	EK_TRY(ek_rows_reserve(&r->rooms[LIMIT], most * sizeof(float)));
	EK_TRY(ek_rows_reserve(&r->rooms[FOUND], most * sizeof(uint32_t)));
	EK_TRY(ek_rows_reserve(&r->rooms[TABLE], most * CANDIDATES * sizeof(uint32_t)));
	if (fresh)
		EK_TRY(ek_rows_reserve(&r->rooms[LEAST], most * groups * sizeof(float)));
	EK_TRY(screen_centroids(&columns, r));
	EK_TRY(ek_rows_clear(r->changed, sizeof *r->changed));
	for (uint64_t first = 0; first < r->source.count; first += r->block) {
		const uint64_t count = ek_rows_count_at(r, first);

		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_rows_load(r, first));
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
	EK_TRY(ek_rows_reserve(&r->rooms[CENTROIDS], (size_t)k * r->d * sizeof(float)));
	EK_TRY(ek_rows_upload(r->rooms[CENTROIDS].memory, centroids, (size_t)k * r->d * sizeof(float)));
	EK_TRY(ek_rows_upload(r->assignment, assignment, n * sizeof *assignment));
	EK_TRY(ek_rows_upload(r->distance2, distance2, n * sizeof *distance2));
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
	EK_TRY(ek_rows_download(&count, r->changed, sizeof count));
	EK_TRY(ek_rows_download(assignment, r->assignment, n * sizeof *assignment));
	EK_TRY(ek_rows_download(distance2, r->distance2, n * sizeof *distance2));
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
	const size_t room = ek_rows_filled(ek_rows_sort_room(n), 256);
	size_t bytes =
		slices * r->d * sizeof(double) + room + 3 * n * sizeof(uint32_t) + 2 * (r->k + 1) * sizeof(uint32_t);
	char *at;
	int rc = 0;

	if (r->sums_k == r->k)
		return 0;
	EK_TRY(ek_rows_reserve(&r->rooms[SUMS], bytes));
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
	EK_TRY(ek_rows_reserve(&r->rooms[CENTROIDS + 1], (size_t)r->k * r->d * sizeof(float)));
	EK_TRY(ek_rows_reserve(&r->rooms[CENTROIDS], (size_t)r->k * r->d * sizeof(float)));
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
		EK_TRY(ek_rows_load(r, first));
		ek_rows_sum(&r->sums, r->x, first, ek_rows_count_at(r, first), ek_cuda_stream());
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
	EK_TRY(ek_rows_copy(r->distance2_host, r->distance2, r->source.count * sizeof *r->distance2,
	                    cudaMemcpyDeviceToHost));
	EK_TRY(ek_rows_download(&count, r->changed, sizeof count));
	*distance2 = r->distance2_host;
	*changed = count;
out:
	return rc;
}

int ek_nn_rows_result(struct ek_nn_rows *r, int32_t *assignment, double *distance2, float *centroids)
{
	int rc;

	ek_cuda_enter();
	EK_TRY(ek_rows_download(assignment, r->assignment, r->source.count * sizeof *assignment));
	EK_TRY(ek_rows_download(distance2, r->distance2, r->source.count * sizeof *distance2));
	EK_TRY(ek_rows_download(centroids, r->rooms[CENTROIDS + r->now].memory,
	                        (size_t)r->k * r->d * sizeof *centroids));
out:
	return rc;
}
