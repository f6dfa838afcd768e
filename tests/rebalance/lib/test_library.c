#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/evenkeel.h"
#include "rebalance/io/npy.h"

/* A run with an assignment, a subset, weights of two units, and an array in Fortran order. */
static const char *make_run(void)
{
	static const int32_t assignment[] = { 0, 0, 1, 0 };
	static const int64_t keep[] = { 3, 1, 1 };
	static const double weights[] = { 1 / 6.0, 1 / 6.0, 0.5, 1 / 6.0 };
	static const uint32_t members[] = { 0, 1, 3, 2 };
	static const uint64_t four[] = { 4 }, three[] = { 3 };
	static const char json[] =
		"{\"images\": 4, \"in_units\": 4, \"sizes\": [3, 1], \"visits\": [0.6666666666666666, 2]}";
	static const char fortran[] = "\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }";
	const char *run = ek_scratch();
	char column[128 + 16];

	assert_ok(ek_make_directories(ek_join(run, "clusters")));
	assert_ok(ek_make_directories(ek_join(run, "subsets/few")));
	assert_ok(ek_make_directories(ek_join(run, "weights/even")));
	ek_write_file(ek_join(run, "run.json"), "{}", 2);
	assert_ok(ek_npy_write(ek_join(run, "clusters/assignment.npy"), EK_I32, 1, four, assignment));
	assert_ok(ek_npy_write(ek_join(run, "subsets/few/keep.npy"), EK_I64, 1, three, keep));
	assert_ok(ek_npy_write(ek_join(run, "weights/even/weights.npy"), EK_F64, 1, four, weights));
	assert_ok(ek_npy_write(ek_join(run, "weights/even/members.npy"), EK_U32, 1, four, members));
	ek_write_file(ek_join(run, "weights/even/weights.json"), json, sizeof json - 1);
	memset(column, ' ', sizeof column);
	memcpy(column, fortran, sizeof fortran - 1);
	column[127] = '\n';
	ek_write_file(ek_join(run, "column.npy"), column, sizeof column);
	return run;
}

static void arrays_come_by_pointer(void **state)
{
	struct evenkeel_run *run;
	struct evenkeel_array array, again;
	const int64_t *ids;
	const double *weights;
	uint64_t count;

	assert_string_equal(evenkeel_version(), "0.1.0");
	assert_ok(evenkeel_open(&run, make_run()));
	assert_ok(evenkeel_array(run, "clusters/assignment.npy", &array));
	assert_string_equal(array.type, "int32");
	assert_int_equal(array.dimensions, 1);
	assert_true(array.shape[0] == 4);
	assert_int_equal(((const int32_t *)array.data)[2], 1);
	assert_ok(evenkeel_array(run, "clusters/assignment.npy", &again));
	assert_ptr_equal(again.data, array.data); /* mapped once */
	assert_ok(evenkeel_subset(run, "few", &ids, &count));
	assert_true(count == 3 && ids[0] == 3 && ids[2] == 1);
	assert_ok(evenkeel_weights(run, "even", &weights, &count));
	assert_true(count == 4 && weights[2] == 0.5);
	evenkeel_close(run);
}

static void one_by_one_and_in_bulk_are_the_same(void **state)
{
	struct evenkeel_run *run;
	struct evenkeel_sampler *sampler;
	int64_t ids[4], twos = 0;

	assert_ok(evenkeel_open(&run, make_run()));
	assert_ok(evenkeel_sampler_open(&sampler, run, "weights/even", 5));
	assert_true(evenkeel_sampler_length(sampler) == 4);
	for (uint64_t e = 0; e < 100; e++) {
		assert_ok(evenkeel_sampler_draw(sampler, e, 0, 1, 4, ids));
		for (uint64_t i = 4; i-- > 0;) {
			assert_true(evenkeel_sampler_next(sampler, e, i) == ids[i]);
			twos += ids[i] == 2;
		}
	}
	assert_int_equal(twos, 200);
	assert_true(evenkeel_sampler_next(sampler, 0, 4) == EVENKEEL_EUSAGE);
	assert_non_null(strstr(evenkeel_error(), "beyond the 4 of an epoch"));
	assert_fails(evenkeel_sampler_draw(sampler, 0, 0, 0, 1, ids), EVENKEEL_EUSAGE, "stride is 0");
	evenkeel_sampler_close(sampler);
	assert_ok(evenkeel_sampler_open(&sampler, run, "subsets/few", 5));
	assert_true(evenkeel_sampler_length(sampler) == 3);
	evenkeel_sampler_close(sampler);
	evenkeel_sampler_close(NULL);
	evenkeel_close(run);
	evenkeel_close(NULL);
}

static void what_is_not_there_is_told(void **state)
{
	struct evenkeel_run *run;
	struct evenkeel_sampler *sampler;
	struct evenkeel_array array;
	const int64_t *ids;
	const double *weights;
	uint64_t count;

	assert_fails(evenkeel_open(&run, "/none"), EVENKEEL_EIO, "/none");
	assert_null(run);
	assert_fails(evenkeel_open(&run, ek_scratch()), EVENKEEL_EUSAGE, "is not a run directory");
	assert_ok(evenkeel_open(&run, make_run()));
	assert_fails(evenkeel_array(run, "none.npy", &array), EVENKEEL_EIO, "none.npy");
	assert_fails(evenkeel_array(run, "run.json", &array), EVENKEEL_EDATA, "run.json");
	assert_fails(evenkeel_array(run, "column.npy", &array), EVENKEEL_ENOTSUP, "column-major");
	assert_fails(evenkeel_subset(run, "none", &ids, &count), EVENKEEL_EIO, "subsets/none/keep.npy");
	assert_fails(evenkeel_weights(run, "none", &weights, &count), EVENKEEL_EIO, "weights/none/weights.npy");
	assert_fails(evenkeel_sampler_open(&sampler, run, "even", 0), EVENKEEL_EUSAGE, "neither weights/NAME nor");
	assert_null(sampler);
	assert_fails(evenkeel_sampler_open(&sampler, run, "weights/none", 0), EVENKEEL_EIO, "weights/none");
	evenkeel_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(arrays_come_by_pointer), cmocka_unit_test(one_by_one_and_in_bulk_are_the_same),
             cmocka_unit_test(what_is_not_there_is_told))
