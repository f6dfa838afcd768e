#include <math.h>
#include <stdlib.h>

#include "analysis/cluster/kmeans.h"
#include "analysis/quality/memorisation.h"
#include "analysis/quality/neighbours.h"
#include "analysis/quality/principal.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { DIMENSIONS = 64, CELLS = 3, STARTS = 10, LEAST = 20 };
enum { TRAINING, GENERATED, HELD_OUT, SETS };

/* A set in the space that is clustered. */
struct placed {
	struct ek_rows rows;
	struct ek_npy array;
	float *x; /* [count, k], or NULL: as it was */
	const int32_t *cell;
	struct ek_kmeans_result clusters;
};

/* A set's rows of one cell, and how far each is from the cell's nearest training row. */
struct part {
	struct ek_rows rows;
	uint64_t *ids;
	double *distance;
};

static int place(struct placed placed[SETS], const struct ek_rows *const sets[SETS])
{
	struct ek_principal principal = { 0 };
	int rc = 0;

	for (int s = 0; s < SETS; s++)
		placed[s].rows = *sets[s];
	if (sets[TRAINING]->dimensions <= DIMENSIONS)
		return 0;
	EK_TRY(ek_principal_of(&principal, sets[TRAINING], DIMENSIONS));
	for (int s = 0; s < SETS; s++) {
		EK_TRY(ek_alloc(&placed[s].x, sets[s]->count * principal.k, sizeof *placed[s].x));
		EK_TRY(ek_principal_project(placed[s].x, &principal, sets[s]));
		placed[s].array = ek_rows_memory(placed[s].x, sets[s]->count, principal.k);
		EK_TRY(ek_rows_of(&placed[s].rows, &placed[s].array, 0));
	}
out:
	ek_principal_release(&principal);
	return rc;
}

/* Cells of the training rows, fewer if so few of these differ; then those of the others. */
static int find_cells(struct placed placed[SETS], uint64_t seed)
{
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	int rc;

	o.redo = STARTS;
	o.seed = seed;
	o.quiet = 1;
	for (o.k = CELLS;; o.k--) {
		rc = ek_kmeans(&placed[TRAINING].clusters, &placed[TRAINING].rows, &o);
		if (rc != EK_EDATA || o.k == 1)
			break;
		ek_kmeans_release(&placed[TRAINING].clusters);
	}
	EK_TRY(rc);
	for (int s = 0; s < SETS; s++) {
		if (s != TRAINING)
			EK_TRY(ek_kmeans_assign(&placed[s].clusters, &placed[s].rows,
			                        placed[TRAINING].clusters.centroids, &o));
		placed[s].cell = placed[s].clusters.assignment;
	}
out:
	return rc;
}

static int take_part(struct part *part, const struct placed *placed, int32_t cell)
{
	uint64_t count = 0;
	int rc;

	EK_TRY(ek_alloc(&part->ids, placed->rows.count, sizeof *part->ids));
	for (uint64_t i = 0; i < placed->rows.count; i++)
		if (placed->cell[i] == cell)
			part->ids[count++] = placed->rows.ids != NULL ? placed->rows.ids[i] : i;
	part->rows = placed->rows;
	part->rows.ids = part->ids;
	part->rows.count = count;
	EK_TRY(ek_alloc(&part->distance, count, sizeof *part->distance));
out:
	return rc;
}

/* Pairs of which the generated row is farther, half of those alike; both ascending. */
static double farther(const struct part *generated, const struct part *held_out)
{
	const double *g = generated->distance, *h = held_out->distance;
	uint64_t below = 0, up_to = 0;
	double pairs = 0;

	for (uint64_t i = 0; i < generated->rows.count; i++) {
		while (below < held_out->rows.count && h[below] < g[i])
			below++;
		while (up_to < held_out->rows.count && h[up_to] <= g[i])
			up_to++;
		pairs += ((double)below + (double)up_to) / 2;
	}
	return pairs;
}

/* The cell's Z times its held-out rows; 0 rows if the cell does not count. */
static int add_cell(double *sum, double *weight, const struct placed placed[SETS], int32_t cell)
{
	struct part part[SETS] = { { .ids = NULL } };
	double m, n;
	int rc;

	for (int s = 0; s < SETS; s++)
		EK_TRY(take_part(&part[s], &placed[s], cell));
	if (part[TRAINING].rows.count == 0 || part[GENERATED].rows.count <= LEAST || part[HELD_OUT].rows.count == 0)
		goto out;
	for (int s = GENERATED; s < SETS; s++) {
		EK_TRY(ek_neighbours(NULL, part[s].distance, &part[s].rows, &part[TRAINING].rows, 1, 0));
		qsort(part[s].distance, part[s].rows.count, sizeof *part[s].distance, ek_compare_doubles);
	}
	m = (double)part[GENERATED].rows.count;
	n = (double)part[HELD_OUT].rows.count;
	*sum += n * (farther(&part[GENERATED], &part[HELD_OUT]) - (n * m / 2 - 0.5)) / sqrt(n * m * (n + m + 1) / 12);
	*weight += n;
out:
	for (int s = 0; s < SETS; s++) {
		free(part[s].ids);
		free(part[s].distance);
	}
	return rc;
}

int ek_c_t(double *out, const struct ek_rows *training, const struct ek_rows *generated, const struct ek_rows *held_out,
           uint64_t seed)
{
	const struct ek_rows *const sets[SETS] = { training, generated, held_out };
	struct placed placed[SETS] = { { .x = NULL } };
	double sum = 0, weight = 0;
	int rc;

	*out = (double)NAN;
	for (int s = GENERATED; s < SETS; s++)
		if (sets[s]->dimensions != training->dimensions)
			return ek_fail(EK_EDATA, "embeddings of %zu and of %zu dimensions cannot be compared",
			               sets[s]->dimensions, training->dimensions);
	EK_TRY(place(placed, sets));
	EK_TRY(find_cells(placed, seed));
	for (uint32_t cell = 0; cell < placed[TRAINING].clusters.k; cell++)
		EK_TRY(add_cell(&sum, &weight, placed, (int32_t)cell));
	if (weight > 0)
		*out = sum / weight;
out:
	for (int s = 0; s < SETS; s++) {
		ek_kmeans_release(&placed[s].clusters);
		free(placed[s].x);
	}
	return rc;
}
