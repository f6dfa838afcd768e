#include "analysis/cluster/overlap.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

static int by_column(const void *a, const void *b)
{
	const uint32_t x = ((const struct ek_cell *)a)->column, y = ((const struct ek_cell *)b)->column;

	return (x > y) - (x < y);
}

/* The images of each part together, by counting; `offsets` [rows + 1]. */
static void group(uint32_t *order, uint64_t *offsets, const int32_t *a, size_t rows, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		offsets[a[i] + 1]++;
	for (size_t r = 0; r < rows; r++)
		offsets[r + 1] += offsets[r];
	for (uint64_t i = n; i-- > 0;)
		order[--offsets[a[i] + 1]] = (uint32_t)i;
	/* Each offset now is where its part starts, one place too far right. */
	for (size_t r = 0; r < rows; r++)
		offsets[r] = offsets[r + 1];
	offsets[rows] = n;
}

int ek_overlap_cells(struct ek_cell **cells, size_t *cell_count, const int32_t *a, size_t rows, const int32_t *b,
                     size_t columns, uint64_t n)
{
	uint32_t *order = NULL;
	uint64_t *offsets = NULL, *place = NULL;
	size_t used = 0, room = rows + columns;
	int rc;

	*cells = NULL;
	*cell_count = 0;
	EK_TRY(ek_alloc(&order, n, sizeof *order));
	EK_TRY(ek_alloc(&offsets, rows + 2, sizeof *offsets));
	EK_TRY(ek_alloc(&place, columns, sizeof *place)); /* a column's cell + 1 in the row at hand */
	EK_TRY(ek_alloc(cells, room, sizeof **cells));
	group(order, offsets, a, rows, n);
	for (size_t r = 0; r < rows; r++) {
		const size_t first = used;

		for (uint64_t i = offsets[r]; i < offsets[r + 1]; i++) {
			const int32_t column = b[order[i]];

			if (place[column] > first) {
				(*cells)[place[column] - 1].count++;
				continue;
			}
			if (used == room)
				EK_TRY(ek_resize(cells, room *= 2, sizeof **cells));
			(*cells)[used++] = (struct ek_cell){ (uint32_t)r, (uint32_t)column, 1 };
			place[column] = used;
		}
		qsort(*cells + first, used - first, sizeof **cells, by_column);
	}
	*cell_count = used;
out:
	free(order);
	free(offsets);
	free(place);
	if (rc < 0) {
		free(*cells);
		*cells = NULL;
	}
	return rc;
}

int ek_overlap_agreement(struct ek_agreement *out, const int32_t *a, size_t rows, const int32_t *b, size_t columns,
                         uint64_t n)
{
	struct ek_cell *cells = NULL;
	size_t count;
	int rc;

	EK_TRY(ek_overlap_cells(&cells, &count, a, rows, b, columns, n));
	EK_TRY(ek_agreement_from_cells(out, cells, count, rows, columns));
out:
	free(cells);
	return rc;
}

int ek_overlap_jaccard(double *best, const int32_t *a, size_t rows, const int32_t *b, size_t columns, uint64_t n)
{
	struct ek_cell *cells = NULL;
	uint64_t *row_sizes = NULL, *column_sizes = NULL;
	size_t count;
	int rc;

	EK_TRY(ek_alloc(&row_sizes, rows, sizeof *row_sizes));
	EK_TRY(ek_alloc(&column_sizes, columns, sizeof *column_sizes));
	EK_TRY(ek_overlap_cells(&cells, &count, a, rows, b, columns, n));
	for (size_t c = 0; c < count; c++) {
		row_sizes[cells[c].row] += cells[c].count;
		column_sizes[cells[c].column] += cells[c].count;
	}
	for (size_t r = 0; r < rows; r++)
		best[r] = row_sizes[r] > 0 ? 0 : (double)NAN;
	for (size_t c = 0; c < count; c++) {
		const uint64_t both = cells[c].count;
		const uint64_t either = row_sizes[cells[c].row] + column_sizes[cells[c].column] - both;

		best[cells[c].row] = fmax(best[cells[c].row], (double)both / (double)either);
	}
out:
	free(cells);
	free(row_sizes);
	free(column_sizes);
	return rc;
}
