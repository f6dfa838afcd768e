#include "analysis/cluster/screen.h"

#include <math.h>
#include <stdlib.h>

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"

/* FAISS's threads and its BLAS's are OpenMP's. Declared here because omp.h is there only for some compilers. */
void omp_set_num_threads(int count);

enum { NEAREST = 4 };

struct ek_screen_faiss {
	FaissIndexFlat *index;
	size_t k;
	float *distances; /* [most_rows, NEAREST] */
	idx_t *labels;
	size_t d, most_rows;
};

static int faiss_call(int code)
{
	if (code == 0)
		return 0;
	return ek_fail(EK_ENOMEM, "FAISS: %s", faiss_get_last_error());
}

int ek_screen_faiss_new(struct ek_screen_faiss **out, size_t d, size_t most_rows)
{
	struct ek_screen_faiss *screen = NULL;
	int rc;

	EK_TRY(ek_alloc(&screen, 1, sizeof *screen));
	screen->d = d;
	screen->most_rows = most_rows;
	EK_TRY(ek_alloc(&screen->distances, most_rows * NEAREST, sizeof *screen->distances));
	EK_TRY(ek_alloc(&screen->labels, most_rows * NEAREST, sizeof *screen->labels));
	EK_TRY(faiss_call(faiss_IndexFlat_new_with(&screen->index, (idx_t)d, METRIC_L2)));
out:
	if (rc < 0) {
		ek_screen_faiss_free(screen);
		screen = NULL;
	}
	*out = screen;
	return rc;
}

void ek_screen_faiss_free(struct ek_screen_faiss *screen)
{
	if (screen == NULL)
		return;
	if (screen->index != NULL)
		faiss_IndexFlat_free(screen->index);
	free(screen->distances);
	free(screen->labels);
	free(screen);
}

int ek_screen_faiss_set(struct ek_screen_faiss *screen, const float *centroids, size_t k)
{
	int rc;

	EK_TRY(faiss_call(faiss_Index_reset(screen->index)));
	EK_TRY(faiss_call(faiss_Index_add(screen->index, (idx_t)k, centroids)));
	screen->k = k;
out:
	return rc;
}

static void candidates_of(struct ek_screened *out, const float *distances, const idx_t *labels, size_t found, size_t k)
{
	*out = (struct ek_screened){ .best = distances[0],
		                     .second = found > 1 ? distances[1] : INFINITY,
		                     .own = INFINITY };
	for (size_t j = 0; j < found; j++) {
		if (labels[j] < 0) { /* not a number: FAISS found none */
			out->count = -1;
			return;
		}
		out->index[j] = (int32_t)labels[j];
		out->s[j] = distances[j];
	}
	out->count = (int32_t)found;
	out->limit = found < k ? distances[found - 1] : INFINITY;
}

int ek_screen_faiss_run(struct ek_screen_faiss *screen, struct ek_screened *out, const float *rows, size_t count)
{
	const size_t found = screen->k < NEAREST ? screen->k : NEAREST;
	int rc;

	omp_set_num_threads(ek_threads());
	EK_TRY(faiss_call(faiss_Index_search(screen->index, (idx_t)count, rows, (idx_t)found, screen->distances,
	                                     screen->labels)));
	for (size_t i = 0; i < count; i++)
		candidates_of(&out[i], screen->distances + i * found, screen->labels + i * found, found, screen->k);
out:
	return rc;
}
