#include "analysis/skew/agreement.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

const char *const ek_agreement_names[EK_AGREEMENT_MEASURES] = { "purity", "mutual_information", "nmi", "ari" };

/* What the formulas need of a table. */
struct sums {
	uint64_t *rows, *columns, *row_largest; /* one block, owned by `rows` */
	uint64_t n, pairs;                      /* images; pairs of images in the same cell */
};

static uint64_t pairs_of(uint64_t count)
{
	return count > 0 ? count * (count - 1) / 2 : 0;
}

static uint64_t sum_of_pairs(const uint64_t *counts, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += pairs_of(counts[i]);
	return sum;
}

static double entropy(const uint64_t *counts, size_t count, double n)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		if (counts[i] > 0)
			sum += (double)counts[i] / n * log(n / (double)counts[i]);
	return sum;
}

static int add_up(struct sums *s, const struct ek_cell *cells, size_t cell_count, size_t rows, size_t columns)
{
	for (size_t i = 0; i < cell_count; i++) {
		const uint64_t count = cells[i].count;

		/* Pairs of 2^32 images would not fit. */
		if (count > UINT32_MAX || s->n + count > UINT32_MAX)
			return ek_fail(EK_EDATA, "a table of %zu × %zu parts counts 2^32 images or more", rows,
			               columns);
		s->n += count;
		s->rows[cells[i].row] += count;
		s->columns[cells[i].column] += count;
		if (count > s->row_largest[cells[i].row])
			s->row_largest[cells[i].row] = count;
		s->pairs += pairs_of(count);
	}
	return s->n > 0 ? 0 : ek_fail(EK_EDATA, "a table of %zu × %zu parts counts no image", rows, columns);
}

static double mutual_information(const struct sums *s, const struct ek_cell *cells, size_t cell_count)
{
	const double n = (double)s->n;
	double sum = 0;

	for (size_t i = 0; i < cell_count; i++) {
		const double a = (double)cells[i].count, u = (double)s->rows[cells[i].row],
			     v = (double)s->columns[cells[i].column];

		if (a > 0)
			sum += a / n * log(n * a / (u * v));
	}
	return fmax(sum, 0);
}

static double adjusted_rand(const struct sums *s, size_t rows, size_t columns)
{
	const double same_row = (double)sum_of_pairs(s->rows, rows),
		     same_column = (double)sum_of_pairs(s->columns, columns), all = (double)pairs_of(s->n),
		     expected = all > 0 ? same_row * same_column / all : 0, largest = (same_row + same_column) / 2;

	/* Only two equal partitions, all in one part or all apart, leave no room between chance and the largest. */
	return largest > expected ? ((double)s->pairs - expected) / (largest - expected) : 1;
}

int ek_agreement_from_cells(struct ek_agreement *out, const struct ek_cell *cells, size_t cell_count, size_t rows,
                            size_t columns)
{
	struct sums s = { 0 };
	double largest = 0, information, entropies;
	int rc;

	EK_TRY(ek_alloc(&s.rows, 2 * rows + columns, sizeof *s.rows));
	s.row_largest = s.rows + rows;
	s.columns = s.row_largest + rows;
	EK_TRY(add_up(&s, cells, cell_count, rows, columns));

	for (size_t i = 0; i < rows; i++)
		largest += (double)s.row_largest[i];
	information = mutual_information(&s, cells, cell_count);
	entropies = entropy(s.rows, rows, (double)s.n) + entropy(s.columns, columns, (double)s.n);
	out->value[EK_PURITY] = largest / (double)s.n;
	out->value[EK_MUTUAL_INFORMATION] = information;
	out->value[EK_NMI] = entropies > 0 ? fmin(information / (entropies / 2), 1) : 1;
	out->value[EK_ARI] = adjusted_rand(&s, rows, columns);
out:
	free(s.rows);
	return rc;
}

/* The non-empty cells of a dense table in row-major order; `*cells` is to be freed. rows, columns < 2^32. */
static int cells_from_table(struct ek_cell **cells, size_t *cell_count, const uint64_t *table, size_t rows,
                            size_t columns)
{
	size_t used = 0;
	int rc;

	for (size_t i = 0; i < rows * columns; i++)
		used += table[i] > 0;
	EK_TRY(ek_alloc(cells, used, sizeof **cells));
	*cell_count = used;
	for (size_t i = 0, at = 0; at < used; i++)
		if (table[i] > 0)
			(*cells)[at++] = (struct ek_cell){ .row = (uint32_t)(i / columns),
				                           .column = (uint32_t)(i % columns),
				                           .count = table[i] };
out:
	return rc;
}

int ek_agreement_from_table(struct ek_agreement *out, const uint64_t *table, size_t rows, size_t columns)
{
	struct ek_cell *cells = NULL;
	size_t cell_count;
	int rc;

	EK_TRY(cells_from_table(&cells, &cell_count, table, rows, columns));
	EK_TRY(ek_agreement_from_cells(out, cells, cell_count, rows, columns));
out:
	free(cells);
	return rc;
}

static double entropy_of(const double *parts, size_t count, double n)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += parts[i] > 0 ? parts[i] / n * log(n / parts[i]) : 0;
	return sum;
}

/* Of n images, of which x are expected in a part, x^2 (1 - 1/n) / 2 pairs are. */
static double pairs_in(const double *parts, size_t count, double n, int expected)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += expected ? parts[i] * parts[i] * (1 - 1 / n) / 2 : parts[i] * (parts[i] - 1) / 2;
	return sum;
}

int ek_agreement_of(struct ek_agreement *out, const double *table, size_t rows, size_t columns, int expected)
{
	double *row = NULL, *column, n = 0, largest = 0, information = 0, entropies, by_row, by_column, chance;
	int rc;

	EK_TRY(ek_alloc(&row, rows + columns, sizeof *row));
	column = row + rows;
	for (size_t i = 0; i < rows; i++) {
		double most = 0;

		for (size_t j = 0; j < columns; j++) {
			row[i] += table[i * columns + j];
			column[j] += table[i * columns + j];
			most = fmax(most, table[i * columns + j]);
		}
		largest += most;
		n += row[i];
	}
	for (size_t i = 0; i < rows; i++)
		for (size_t j = 0; j < columns; j++)
			if (table[i * columns + j] > 0)
				information += table[i * columns + j] / n *
				               log(n * table[i * columns + j] / (row[i] * column[j]));
	entropies = entropy_of(row, rows, n) + entropy_of(column, columns, n);
	out->value[EK_PURITY] = largest / n;
	out->value[EK_MUTUAL_INFORMATION] = fmax(information, 0);
	out->value[EK_NMI] = entropies > 0 ? fmin(fmax(information, 0) / (entropies / 2), 1) : 1;
	by_row = pairs_in(row, rows, n, expected);
	by_column = pairs_in(column, columns, n, expected);
	chance = n > 1 ? by_row * by_column / (n * (n - 1) / 2) : 0;
	out->value[EK_ARI] =
		(by_row + by_column) / 2 > chance
			? (pairs_in(table, rows * columns, n, expected) - chance) / ((by_row + by_column) / 2 - chance)
			: 1;
out:
	free(row);
	return rc;
}
