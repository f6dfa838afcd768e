#include "analysis/cluster/screen.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/utils/distances_c.h>

#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

/* Of the calling thread's OpenMP teams. Declared here because omp.h is there only for some compilers. */
void omp_set_num_threads(int count);

enum { NEAREST = 4 };

struct scratch {
	float *rows;      /* [TILE, d] */
	float *distances; /* [TILE, NEAREST] */
	idx_t *labels;    /* [TILE, NEAREST] */
};

struct faiss_screen {
	FaissIndexFlat *index;
	size_t d, k;
	struct scratch *workers;
	int worker_count;
};

static int faiss_call(int code)
{
	return code == 0 ? 0 : ek_fail(EK_ENOMEM, "FAISS: %s", faiss_get_last_error());
}

static void destroy(void *screen)
{
	struct faiss_screen *s = screen;

	if (s == NULL)
		return;
	if (s->index != NULL)
		faiss_IndexFlat_free(s->index);
	for (int i = 0; i < s->worker_count; i++) {
		free(s->workers[i].rows);
		free(s->workers[i].distances);
		free(s->workers[i].labels);
	}
	free(s->workers);
	free(s);
}

/* Products of as many rows as are searched for at once: each search would take and give back 16 MB for 4,096. */
static void take_tiles(void)
{
	faiss_set_distance_compute_blas_query_bs(EK_SCREEN_TILE);
}

static int create(void **out, size_t d, int workers)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct faiss_screen *s = NULL;
	int rc;

	*out = NULL;
	(void)pthread_once(&once, take_tiles);
	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	s->d = d;
	EK_TRY(ek_alloc(&s->workers, (size_t)workers, sizeof *s->workers));
	s->worker_count = workers;
	for (int i = 0; i < workers; i++) {
		EK_TRY(ek_alloc_aligned(&s->workers[i].rows, EK_SCREEN_TILE * d, sizeof *s->workers[i].rows));
		EK_TRY(ek_alloc(&s->workers[i].distances, EK_SCREEN_TILE * NEAREST, sizeof(float)));
		EK_TRY(ek_alloc(&s->workers[i].labels, EK_SCREEN_TILE * NEAREST, sizeof(idx_t)));
	}
	EK_TRY(faiss_call(faiss_IndexFlat_new_with(&s->index, (idx_t)d, METRIC_L2)));
	*out = s;
	s = NULL;
out:
	destroy(s);
	return rc;
}

static int set(void *screen, double *most_norm, double *most_error, const float *centroids, size_t k)
{
	struct faiss_screen *s = screen;
	int rc;

	s->k = k;
	*most_norm = *most_error = 0;
	for (size_t j = 0; j < k; j++)
		*most_norm = fmax(*most_norm, sqrt(ek_vector_dot(centroids + j * s->d, centroids + j * s->d, s->d)));
	EK_TRY(faiss_call(faiss_Index_reset(s->index)));
	EK_TRY(faiss_call(faiss_Index_add(s->index, (idx_t)k, centroids)));
out:
	return rc;
}

static void take(void *screen, double *norm, double *error, size_t i, const float *row, int worker)
{
	const struct faiss_screen *s = screen;

	memcpy(s->workers[worker].rows + i * s->d, row, s->d * sizeof *row);
	*norm = sqrt(ek_vector_dot(row, row, s->d));
	*error = 0;
}

static void *tile(void *screen, size_t *row_size, int worker)
{
	const struct faiss_screen *s = screen;

	*row_size = s->d * sizeof *s->workers[worker].rows;
	return s->workers[worker].rows;
}

static void candidates_of(struct ek_screened *out, const float *distances, const idx_t *labels, size_t found, size_t k)
{
	*out = (struct ek_screened){ .best = distances[0],
		                     .second = found > 1 ? distances[1] : INFINITY,
		                     .own = INFINITY,
		                     .limit = found < k ? distances[found - 1] : INFINITY,
		                     .count = (int32_t)found };
	for (size_t j = 0; j < found; j++) {
		if (labels[j] < 0) { /* not a number: FAISS found none */
			out->count = -1;
			return;
		}
		out->index[j] = (int32_t)labels[j];
		out->s[j] = distances[j];
	}
}

static int run(void *screen, struct ek_screened *out, const struct ek_screen_bound *bounds, const void *rows,
               size_t count, int worker)
{
	struct faiss_screen *s = screen;
	const struct scratch *scratch = &s->workers[worker];
	const size_t found = s->k < NEAREST ? s->k : NEAREST;
	int rc;

	(void)bounds;
	/* Tiles run side by side; teams of FAISS's own inside each would only fight for the processors. */
	omp_set_num_threads(1);
	EK_TRY(faiss_call(
		faiss_Index_search(s->index, (idx_t)count, rows, (idx_t)found, scratch->distances, scratch->labels)));
	for (size_t i = 0; i < count; i++)
		candidates_of(&out[i], scratch->distances + i * found, scratch->labels + i * found, found, s->k);
out:
	return rc;
}

const struct ek_screen_methods ek_screen_faiss = { create, destroy, set, take, tile, run };
