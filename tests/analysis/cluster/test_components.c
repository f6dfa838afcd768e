#include "tests/support/support.h"

#include "analysis/cluster/components.h"
#include "rebalance/base/file.h"
#include "rebalance/base/threads.h"
#include "tests/analysis/cluster/groups_input.h"

enum { N = 40, VIEWS = 3, D = 7 };

static void make_rows(float *rows)
{
	for (size_t i = 0; i < N; i++)
		for (size_t v = 0; v < VIEWS; v++)
			for (size_t j = 0; j < D; j++)
				rows[(i * VIEWS + v) * D + j] =
					(float)(ek_golden_u(1 + i * D + j) * (double)(j + 1) +
				                0.3 * ek_golden_u(5000 + (i * VIEWS + v) * D + j));
}

/* float32 axes: 2^-24 of each entry; the solvers differ by some 1e-13. */
static void assert_axes(const struct ek_components *c, const cJSON *golden, const char *values, const char *axes)
{
	size_t count;
	double *v = ek_golden_doubles(golden, values, &count), *a = ek_golden_doubles(golden, axes, &count);

	assert_int_equal(c->k, D);
	for (size_t k = 0; k < D; k++)
		assert_close(c->values[k], v[k], 1e-10);
	for (size_t k = 0; k < D * D; k++)
		assert_close(c->axes[k], a[k], 1e-6);
	free(v);
	free(a);
}

static void components_equal_scipys(void **state)
{
	float rows[N * VIEWS * D], own[N * D];
	const double centre[D] = { 0.1, -0.2 };
	cJSON *golden = ek_golden("groups");
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(golden, "components");
	struct ek_scatter s = { 0 };
	struct ek_components c = { 0 };

	make_rows(rows);
	assert_ok(ek_scatter_init(&s, centre, D));
	assert_ok(ek_scatter_add(&s, rows, 25, VIEWS));
	assert_ok(ek_scatter_add(&s, rows + 25 * VIEWS * D, N - 25, VIEWS));
	assert_ok(ek_components_of(&c, &s, 512));
	assert_true(c.by_noise);
	assert_axes(&c, want, "values", "axes");
	ek_components_release(&c);
	ek_scatter_release(&s);

	for (size_t i = 0; i < N; i++)
		memcpy(own + i * D, rows + i * VIEWS * D, D * sizeof *own);
	assert_ok(ek_scatter_init(&s, centre, D));
	assert_ok(ek_scatter_add(&s, own, N, 1));
	assert_ok(ek_components_of(&c, &s, 512));
	assert_false(c.by_noise);
	assert_axes(&c, want, "spread", "principal");
	ek_components_release(&c);
	ek_scatter_release(&s);
	cJSON_Delete(golden);
}

/* Unit noise, or unit spread, and a mean of 0: whatever the threads and however the sums were kept in between. */
static void what_is_kept_goes_on(void **state)
{
	float rows[N * VIEWS * D], projected[2][N * VIEWS * D];
	const double centre[D] = { 0 };
	struct ek_scatter s = { 0 }, again = { 0 };
	struct ek_components c[2] = { 0 };
	struct ek_npy array;
	struct ek_rows view;
	double *kept = NULL;

	make_rows(rows);
	array = ek_rows_memory(rows, N * VIEWS, D);
	assert_ok(ek_rows_of(&view, &array, 0));
	for (int i = 0; i < 2; i++) {
		ek_threads_set(1 + 2 * i);
		assert_ok(ek_scatter_init(&s, centre, D));
		assert_ok(ek_scatter_add(&s, rows, 16, VIEWS));
		assert_ok(ek_alloc(&kept, ek_scatter_size(&s), sizeof *kept));
		ek_scatter_keep(kept, &s);
		assert_ok(ek_scatter_init(&again, centre, D));
		ek_scatter_restore(&again, kept, s.images, s.rows);
		assert_ok(ek_scatter_add(i == 0 ? &s : &again, rows + 16 * VIEWS * D, N - 16, VIEWS));
		assert_ok(ek_components_of(&c[i], i == 0 ? &s : &again, 4));
		assert_ok(ek_components_project(projected[i], &c[i], &view, 4));
		ek_scatter_release(&s);
		ek_scatter_release(&again);
		free(kept);
	}
	ek_threads_set(0);
	assert_int_equal(c[0].k, 4);
	assert_memory_equal(c[0].axes, c[1].axes, 4 * D * sizeof(float));
	assert_memory_equal(projected[0], projected[1], sizeof *projected[0] * 4 * N * VIEWS);
	for (size_t k = 0; k < 4; k++) {
		double sum = 0, squares = 0;

		for (size_t i = 0; i < N * VIEWS; i++) {
			sum += projected[0][i * 4 + k];
			squares += projected[0][i * 4 + k] * projected[0][i * 4 + k];
		}
		assert_close(sum / (N * VIEWS), 0, 1e-5);
		assert_close(squares / (N * VIEWS), c[0].values[k], 1e-5);
	}
	ek_components_release(&c[0]);
	ek_components_release(&c[1]);
}

static void what_cannot_be_whitened_is_told(void **state)
{
	float rows[4 * D] = { 0 };
	const double centre[D] = { 0 };
	struct ek_scatter s = { 0 };
	struct ek_components c = { 0 };

	assert_ok(ek_scatter_init(&s, centre, D));
	assert_ok(ek_scatter_add(&s, rows, 1, 1));
	assert_fails(ek_components_of(&c, &s, 4), EK_EDATA, "of two images or more, not of 1");
	assert_ok(ek_scatter_add(&s, rows, 3, 1));
	assert_fails(ek_components_of(&c, &s, 4), EK_EDATA, "do not differ");
	ek_components_release(&c);
	ek_scatter_release(&s);
}

static void files_hold_all_of_it(void **state)
{
	float rows[N * VIEWS * D];
	const double centre[D] = { 0 };
	struct ek_scatter s = { 0 };
	struct ek_components c = { 0 }, read = { 0 };
	struct ek_run *run = NULL;
	cJSON *json = cJSON_CreateObject();

	make_rows(rows);
	assert_ok(ek_scatter_init(&s, centre, D));
	assert_ok(ek_scatter_add(&s, rows, N, VIEWS));
	assert_ok(ek_components_of(&c, &s, 3));
	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_make_directories(ek_join(ek_run_path(run), "components")));
	assert_ok(ek_components_save(&c, run, json));
	assert_ok(ek_components_load(&read, run));
	assert_int_equal(read.k, 3);
	assert_int_equal(read.d, D);
	assert_true(read.by_noise);
	assert_memory_equal(read.axes, c.axes, 3 * D * sizeof *c.axes);
	assert_memory_equal(read.mean, c.mean, D * sizeof *c.mean);
	ek_components_release(&read);
	ek_write_file(ek_join(ek_run_path(run), "components/mean.npy"), "x", 1);
	assert_fails(ek_components_load(&read, run), EK_EDATA, "mean.npy");
	ek_components_release(&read);
	ek_components_release(&c);
	ek_scatter_release(&s);
	ek_run_close(run);
	cJSON_Delete(json);
}

EK_TEST_MAIN(cmocka_unit_test(components_equal_scipys), cmocka_unit_test(what_is_kept_goes_on),
             cmocka_unit_test(what_cannot_be_whitened_is_told), cmocka_unit_test(files_hold_all_of_it))
