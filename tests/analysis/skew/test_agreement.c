#include "tests/support/support.h"

#include "analysis/skew/agreement.h"

/* MI is a sum of at most 240 terms below 1, each good to a few units in the last place (2e-16). */
#define TOLERANCE 1e-13

static uint64_t *table_of(const cJSON *rows, size_t *row_count, size_t *column_count)
{
	const cJSON *row, *cell;
	size_t at = 0;
	uint64_t *table;

	*row_count = (size_t)cJSON_GetArraySize(rows);
	*column_count = (size_t)cJSON_GetArraySize(rows->child);
	table = calloc(*row_count * *column_count, sizeof *table);
	assert_non_null(table);
	cJSON_ArrayForEach(row, rows) cJSON_ArrayForEach(cell, row) table[at++] = (uint64_t)cell->valuedouble;
	return table;
}

static void measures_equal_scikit_learn(void **state)
{
	cJSON *golden = ek_golden("skew");
	const cJSON *cases = cJSON_GetObjectItem(golden, "agreement"), *one;
	int done = 0;

	cJSON_ArrayForEach(one, cases)
	{
		const cJSON *want = cJSON_GetObjectItem(one, "want");
		struct ek_agreement got;
		size_t rows, columns;
		uint64_t *table = table_of(cJSON_GetObjectItem(one, "table"), &rows, &columns);

		print_message("table %d: %zu x %zu\n", done, rows, columns);
		assert_ok(ek_agreement_from_table(&got, table, rows, columns));
		for (int m = 0; m < EK_AGREEMENT_MEASURES; m++) {
			double expected = NAN;

			assert_ok(ek_json_get_double(&expected, want, ek_agreement_names[m], "golden"));
			assert_close(got.value[m], expected, TOLERANCE);
		}
		free(table);
		done++;
	}
	assert_int_equal(done, 10);
	cJSON_Delete(golden);
}

static void order_of_cells_does_not_matter_beyond_rounding(void **state)
{
	static const struct ek_cell cells[] = { { 2, 1, 5 }, { 0, 0, 7 }, { 1, 0, 0 }, { 0, 1, 3 } };
	static const uint64_t table[] = { 7, 3, 0, 0, 0, 5 };
	struct ek_agreement sparse, dense;

	assert_ok(ek_agreement_from_cells(&sparse, cells, 4, 3, 2));
	assert_ok(ek_agreement_from_table(&dense, table, 3, 2));
	for (int m = 0; m < EK_AGREEMENT_MEASURES; m++)
		assert_close(sparse.value[m], dense.value[m], 1e-15);
}

static void equal_partitions_of_many_images_agree_fully(void **state)
{
	static const uint64_t table[] = { 1000000000, 0, 0, 0, 2000000001, 0, 0, 0, 7 };
	struct ek_agreement got;

	assert_ok(ek_agreement_from_table(&got, table, 3, 3));
	assert_true(got.value[EK_PURITY] == 1);
	assert_true(got.value[EK_ARI] == 1);
	assert_close(got.value[EK_NMI], 1, 1e-15);
}

static void empty_and_overlarge_tables_are_refused(void **state)
{
	static const uint64_t none[4] = { 0 }, many[2] = { UINT32_MAX, 1 }, wrapping[2] = { UINT64_MAX, 1 };
	struct ek_agreement got = { { 42 } };

	assert_fails(ek_agreement_from_table(&got, none, 2, 2), EK_EDATA, "counts no image");
	assert_fails(ek_agreement_from_table(&got, many, 2, 1), EK_EDATA, "2^32");
	assert_fails(ek_agreement_from_table(&got, wrapping, 1, 2), EK_EDATA, "2^32");
	assert_true(got.value[0] == 42);
}

EK_TEST_MAIN(cmocka_unit_test(measures_equal_scikit_learn),
             cmocka_unit_test(order_of_cells_does_not_matter_beyond_rounding),
             cmocka_unit_test(equal_partitions_of_many_images_agree_fully),
             cmocka_unit_test(empty_and_overlarge_tables_are_refused))
