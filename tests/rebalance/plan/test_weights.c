#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/npy.h"
#include "rebalance/plan/source.h"
#include "rebalance/plan/subset.h"
#include "rebalance/plan/weights.h"
#include "tests/rebalance/plan/made_run.h"

enum { N = 200, K = 4 };
static int32_t assignment[N];
static const char *rows[N];

/* Clusters of 150, 40, 0 and 10 images; every twentieth image is held out. */
static struct ek_run *make_run(void)
{
	static const struct ek_made_run made = {
		.n = N, .k = K, .assignment = assignment, .rows = rows, .held_out = N / 20
	};

	for (int i = 0; i < N; i++) {
		assignment[i] = i % 20 == 7 ? 3 : i % 5 == 1 ? 1 : 0;
		rows[i] = i % 20 == 0 ? ", \"held_out\": true, \"label\": \"b\"" : ", \"label\": \"a\"";
	}
	return ek_make_run(&made);
}

static void weigh(struct ek_run *run, const struct ek_weights_options *options)
{
	struct ek_weights *w;
	int made;

	assert_ok(ek_weights_prepare(&w, options));
	assert_ok(ek_weights_run(&made, w, run, 1));
	ek_weights_free(w);
}

static void the_files_say_the_same(void **state)
{
	static const uint64_t all[] = { N }, in_units[] = { N - N / 20 };
	struct ek_run *run = make_run();
	const char *folder = ek_join(ek_run_path(run), "weights/even");
	struct ek_npy weights, members;
	struct ek_buffer csv = { 0 };
	double sum = 0, of_cluster[K] = { 0 };
	uint32_t last = 0;
	cJSON *json;

	weigh(run, &(struct ek_weights_options){ .name = "even", .scheme = "inverse" });
	assert_ok(ek_npy_open_as(&weights, ek_join(folder, "weights.npy"), EK_F64, 1, all));
	assert_ok(ek_npy_open_as(&members, ek_join(folder, "members.npy"), EK_U32, 1, in_units));
	for (int i = 0; i < N; i++) {
		const double w = ((const double *)weights.data)[i];

		assert_true((w == 0) == (i % 20 == 0));
		of_cluster[assignment[i]] += w;
		sum += w;
	}
	assert_close(sum, 1, 1e-14);
	for (int k = 0; k < K; k++)
		assert_close(of_cluster[k], k == 2 ? 0 : 1 / 3.0, 1e-14);
	for (uint64_t i = 0; i < in_units[0]; i++) {
		const uint32_t id = ((const uint32_t *)members.data)[i];

		assert_true(id % 20 != 0 && id < N);
		if (i > 0) /* by cluster, then by id */
			assert_true(assignment[id] > assignment[last] ||
			            (assignment[id] == assignment[last] && id > last));
		last = id;
	}
	assert_ok(ek_json_load(&json, ek_join(folder, "weights.json")));
	assert_int_equal(cJSON_GetObjectItem(json, "epoch")->valueint, 190);
	assert_int_equal(cJSON_GetObjectItem(json, "held_out")->valueint, 10);
	assert_int_equal(cJSON_GetObjectItem(json, "empty_units")->valueint, 1);
	/* 140, 40 and 10 images at visits 190/3/size: (sum n v)^2 / sum n v^2 = 9 / (1/140 + 1/40 + 1/10). */
	assert_close(cJSON_GetObjectItem(json, "effective_sample_size")->valuedouble,
	             9 / (1 / 140.0 + 1 / 40.0 + 1 / 10.0), 1e-13);
	assert_close(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "largest_repeat"), "visits")->valuedouble,
	             190 / 30.0, 1e-14);
	assert_ok(ek_file_read(&csv, ek_join(folder, "groups.csv"), 1 << 20));
	assert_non_null(strstr(csv.data, "unit,name,images,share,weight,weighted_share,visits_per_image,visits\n"));
	assert_non_null(strstr(csv.data, "\n2,2,0,0,0,0,0,0\n"));
	cJSON_Delete(json);
	ek_buffer_release(&csv);
	ek_npy_close(&weights);
	ek_npy_close(&members);
	ek_run_close(run);
}

/* Of 190 visits of an epoch the two small units get 0.38 and 0.095. */
static void a_unit_of_less_than_a_visit_counts(void **state)
{
	static const char target[] = "unit,share\n0,0.9975\n1,0.002\n3,0.0005\n";
	struct ek_run *run = make_run();
	const char *file = ek_join(ek_run_path(run), "target.csv");
	char scheme[1024];
	const cJSON *after;
	cJSON *json;

	ek_write_file(file, target, strlen(target));
	(void)snprintf(scheme, sizeof scheme, "target=%s", file);
	weigh(run, &(struct ek_weights_options){ .name = "steep", .scheme = scheme });
	assert_ok(ek_json_load(&json, ek_join(ek_run_path(run), "weights/steep/weights.json")));
	after = cJSON_GetObjectItem(json, "skew_after");
	assert_close(cJSON_GetObjectItem(after, "imbalance_ratio")->valuedouble, 0.9975 / 0.0005, 1e-9);
	cJSON_Delete(json);
	ek_run_close(run);
}

static char warning[1024];

static void keep_warning(void *context, enum ek_log_level level, const char *text)
{
	if (level == EK_LOG_WARNING && strstr(text, "copy") != NULL)
		(void)snprintf(warning, sizeof warning, "%s", text);
}

static void many_repeats_are_warned_of(void **state)
{
	const struct ek_log_sink sink = { .message = keep_warning }, none = { 0 };
	struct ek_run *run = make_run();

	ek_log_set_sink(&sink);
	weigh(run, &(struct ek_weights_options){ .name = "a", .scheme = "inverse" });
	assert_string_equal(warning, ""); /* 6.3 times */
	weigh(run, &(struct ek_weights_options){ .name = "a", .scheme = "alpha=2" });
	assert_non_null(strstr(warning, "1 of 4 units has images that are shown more than 10 times"));
	/* 190 / 10^2 / (140 / 140^2 + 40 / 40^2 + 10 / 10^2) = 14.38 */
	assert_non_null(strstr(warning, "most: 3, 10 images, 14.4 times each"));
	warning[0] = 0;
	weigh(run, &(struct ek_weights_options){ .name = "a", .scheme = "alpha=2", .cap = 5 });
	assert_string_equal(warning, "");
	ek_log_set_sink(&none);
	ek_run_close(run);
}

static void stale_weights_are_refused(void **state)
{
	struct ek_run *run = make_run();
	const char *path = ek_join(ek_run_path(run), "clusters/assignment.npy");
	const uint64_t shape[] = { N };

	assert_fails(ek_plan_check(run, EK_SOURCE_WEIGHTS, "even"), EK_EUSAGE, "has no weights yet");
	weigh(run, &(struct ek_weights_options){ .name = "even", .scheme = "sqrt" });
	weigh(run, &(struct ek_weights_options){ .name = "labels", .scheme = "sqrt", .by = "label" });
	assert_ok(ek_plan_check(run, EK_SOURCE_WEIGHTS, "even"));
	assert_fails(ek_plan_check(run, EK_SOURCE_WEIGHTS, "uneven"), EK_EUSAGE,
	             "has no weights uneven, only even, labels");
	assert_fails(ek_plan_check(run, EK_SOURCE_WEIGHTS, "../even"), EK_EUSAGE, "the name \"../even\"");
	assignment[3] = 2;
	assert_ok(ek_npy_write(path, EK_I32, 1, shape, assignment));
	assert_fails(ek_plan_check(run, EK_SOURCE_WEIGHTS, "even"), EK_EDATA,
	             "are stale: clusters/assignment.npy has changed");
	assert_ok(ek_plan_check(run, EK_SOURCE_WEIGHTS, "labels"));
	ek_run_close(run);
}

static void bad_options_are_refused(void **state)
{
	static const struct {
		struct ek_weights_options options;
		int code;
		const char *message;
	} cases[] = {
		{ { .name = "", .scheme = "sqrt" }, EK_EUSAGE, "the name \"\"" },
		{ { .name = ".x", .scheme = "sqrt" }, EK_EUSAGE, "the name \".x\"" },
		{ { .name = "a/b", .scheme = "sqrt" }, EK_EUSAGE, "the name \"a/b\"" },
		{ { .name = "a", .scheme = "sqrt", .cap = 0.5 }, EK_EUSAGE, "the cap is 0.5" },
		{ { .name = "a", .scheme = "sqrt", .cap = (double)NAN }, EK_EUSAGE, "the cap is nan" },
		{ { .name = "a", .scheme = "target=/none" }, EK_EIO, "/none" },
	};
	struct ek_run *run = make_run();
	struct ek_weights *w;
	int made;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_fails(ek_weights_prepare(&w, &cases[i].options), cases[i].code, cases[i].message);
		assert_null(w);
	}
	assert_ok(ek_weights_prepare(&w, &(struct ek_weights_options){ .name = "a", .scheme = "sqrt", .by = "age" }));
	assert_fails(ek_weights_run(&made, w, run, 1), EK_EUSAGE, "no attribute \"age\"");
	ek_weights_free(w);
	ek_weights_free(NULL);
	ek_run_close(run);
}

static void a_source_deals_what_the_weights_say(void **state)
{
	struct ek_run *run = make_run();
	uint32_t seen[K] = { 0 };
	struct ek_source source;
	int64_t ids[190];

	weigh(run, &(struct ek_weights_options){ .name = "even", .scheme = "inverse" });
	assert_ok(ek_source_open(&source, ek_run_path(run), EK_SOURCE_WEIGHTS, "even", 3));
	assert_true(ek_sampler_length(source.sampler) == 190);
	for (uint64_t e = 0; e < 30; e++) {
		assert_ok(ek_sampler_draw(source.sampler, e, 0, 1, 190, ids));
		for (int i = 0; i < 190; i++) {
			assert_true(ids[i] >= 0 && ids[i] < N && ids[i] % 20 != 0);
			seen[assignment[ids[i]]]++;
		}
	}
	/* 5,700 positions: 1,900 of each unit, up to the discrepancy of 30 van der Corput points. */
	for (int k = 0; k < K; k++)
		assert_true(fabs(seen[k] - (k == 2 ? 0 : 1900.0)) <= 2 * (log2(30) + 2) + 1);
	ek_source_release(&source);
	ek_run_close(run);
}

static void a_subset_is_dealt_once_an_epoch(void **state)
{
	static const int64_t keep[] = { 5, 9, 9, 100 };
	static const uint64_t shape[] = { 4 }, none[] = { 0 };
	struct ek_run *run = make_run();
	const char *folder = ek_join(ek_run_path(run), "subsets/few"), *path = ek_join(folder, "keep.npy");
	struct ek_source source;
	int64_t ids[4], sum = 0;

	assert_ok(ek_make_directories(folder));
	assert_ok(ek_npy_write(path, EK_I64, 1, shape, keep));
	assert_ok(ek_source_open(&source, ek_run_path(run), EK_SOURCE_SUBSET, "few", 0));
	assert_ok(ek_sampler_draw(source.sampler, 8, 0, 1, 4, ids));
	for (int i = 0; i < 4; i++)
		sum += ids[i] * ids[i];
	assert_int_equal(sum, 25 + 81 + 81 + 10000);
	ek_source_release(&source);
	assert_ok(ek_npy_write(path, EK_I64, 1, none, keep));
	assert_fails(ek_source_open(&source, ek_run_path(run), EK_SOURCE_SUBSET, "few", 0), EK_EDATA, "is empty");
	assert_fails(ek_source_open(&source, ek_run_path(run), EK_SOURCE_SUBSET, "no", 0), EK_EIO, "no/keep.npy");
	assert_fails(ek_source_open(&source, ek_run_path(run), EK_SOURCE_SUBSET, "../x", 0), EK_EUSAGE, "is no name");
	ek_run_close(run);
}

/* Files that were changed by hand, or that do not belong together. */
static void damaged_weights_are_refused(void **state)
{
	static const struct {
		const char *json, *message;
	} cases[] = {
		{ "{}", "images" },
		{ "{\"images\":200,\"in_units\":190}", "not two arrays of one length" },
		{ "{\"images\":200,\"in_units\":190,\"sizes\":[190],\"visits\":[]}", "not two arrays of one length" },
		{ "{\"images\":200,\"in_units\":190,\"sizes\":[190],\"visits\":[null]}",
		  "unit 0 has no size or no visits" },
		{ "{\"images\":200,\"in_units\":190,\"sizes\":[-1],\"visits\":[1]}", "unit 0 has no size" },
		{ "{\"images\":200,\"in_units\":190,\"sizes\":[0.5],\"visits\":[1]}", "unit 0 has no size" },
		{ "{\"images\":200,\"in_units\":190,\"sizes\":[180],\"visits\":[1]}", "the sizes sum to 180" },
		{ "{\"images\":200,\"in_units\":180,\"sizes\":[180],\"visits\":[1]}", "members.npy" },
		{ "{\"images\":200,\"in_units\":190,\"sizes\":[190],\"visits\":[2]}", "sum to 2, not to 1" },
		{ "{\"images\":200,\"in_units\":0,\"sizes\":[0],\"visits\":[0]}", "members.npy" },
	};
	struct ek_run *run = make_run();
	const char *path = ek_join(ek_run_path(run), "weights/even/weights.json");
	struct ek_source source;

	weigh(run, &(struct ek_weights_options){ .name = "even", .scheme = "inverse" });
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ek_write_file(path, cases[i].json, strlen(cases[i].json));
		assert_fails(ek_source_open(&source, ek_run_path(run), EK_SOURCE_WEIGHTS, "even", 0), EK_EDATA,
		             cases[i].message);
	}
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(the_files_say_the_same), cmocka_unit_test(a_unit_of_less_than_a_visit_counts),
             cmocka_unit_test(many_repeats_are_warned_of), cmocka_unit_test(stale_weights_are_refused),
             cmocka_unit_test(bad_options_are_refused), cmocka_unit_test(a_source_deals_what_the_weights_say),
             cmocka_unit_test(a_subset_is_dealt_once_an_epoch), cmocka_unit_test(damaged_weights_are_refused))
