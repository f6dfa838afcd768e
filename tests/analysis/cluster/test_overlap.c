#include "tests/support/support.h"

#include "analysis/cluster/overlap.h"
#include "rebalance/base/random.h"

enum { N = 5000, ROWS = 37, COLUMNS = 53 };

static void cells_count_every_image_once(void **state)
{
	static uint64_t table[ROWS][COLUMNS];
	int32_t a[N], b[N];
	struct ek_cell *cells;
	size_t count;
	uint64_t total = 0;

	for (uint64_t i = 0; i < N; i++) {
		const double u = ek_random_double(1, 1, i);

		a[i] = (int32_t)(u * u * (ROWS - 2)); /* the last parts stay empty */
		b[i] = (int32_t)ek_random_below(1, 2, i, COLUMNS - 1);
		table[a[i]][b[i]]++;
	}
	assert_ok(ek_overlap_cells(&cells, &count, a, ROWS, b, COLUMNS, N));
	for (size_t c = 0; c < count; c++) {
		assert_true(cells[c].count > 0);
		assert_int_equal(cells[c].count, table[cells[c].row][cells[c].column]);
		total += cells[c].count;
		if (c > 0)
			assert_true(cells[c - 1].row < cells[c].row ||
			            (cells[c - 1].row == cells[c].row && cells[c - 1].column < cells[c].column));
	}
	assert_int_equal(total, N);
	free(cells);
}

static void jaccard_of_known_parts(void **state)
{
	static const int32_t a[] = { 0, 0, 0, 0, 1, 1, 1, 2 }, b[] = { 1, 1, 1, 0, 0, 0, 0, 2 };
	double best[4];
	struct ek_agreement same;

	assert_ok(ek_overlap_jaccard(best, a, 4, b, 3, 8));
	assert_close(best[0], 3.0 / 4, 0); /* {0,1,2,3} and {0,1,2} */
	assert_close(best[1], 3.0 / 4, 0); /* {4,5,6} and {3,4,5,6} */
	assert_close(best[2], 1, 0);
	assert_true(isnan(best[3]));
	assert_ok(ek_overlap_agreement(&same, a, 3, a, 3, 8));
	assert_close(same.value[EK_ARI], 1, 0);
	assert_close(same.value[EK_NMI], 1, 1e-15);
}

EK_TEST_MAIN(cmocka_unit_test(cells_count_every_image_once), cmocka_unit_test(jaccard_of_known_parts))
