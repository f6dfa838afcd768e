#include "tests/support/support.h"

#include <sys/stat.h>

#include "analysis/skew/audit.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "rebalance/base/version.h"
#include "rebalance/io/npy.h"

enum { N = 400, K = 6 };

struct fixture {
	const char *folder;
	struct ek_run *run;
};

static const char *in(const struct fixture *f, const char *name)
{
	return ek_join(f->folder, name);
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	ek_write_file(in(f, name), text, strlen(text));
}

/* 240, 80, 40, 20, 20 and 0 images. */
static int32_t cluster_of(int i)
{
	return i < 240 ? 0 : i < 320 ? 1 : i < 360 ? 2 : i < 380 ? 3 : 4;
}

static void put_assignment(const struct fixture *f, int32_t last)
{
	static const uint64_t shape[1] = { N };
	int32_t assignment[N];

	for (int i = 0; i < N; i++)
		assignment[i] = cluster_of(i);
	assignment[N - 1] = last;
	assert_ok(ek_npy_write(in(f, "clusters/assignment.npy"), EK_I32, 1, shape, assignment));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->folder = ek_scratch();
	assert_ok(ek_run_open(&f->run, f->folder, EK_RUN_CREATE));
	assert_ok(ek_make_directories(in(f, "clusters")));
	put_assignment(f, 4);
	put(f, "clusters/clusters.json",
	    "{\"k\": 6, \"images\": 400, \"inertia\": 12.5, \"sizes\": [240, 80, 40, 20, 20, 0]}");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ek_run_close(f->run);
	free(f);
	return 0;
}

/* What scan would leave behind: a label that goes with the clusters, an attribute that some images lack. */
static void put_images(struct fixture *f, int count)
{
	static const char *const none[] = { NULL };
	static const char *const outputs[] = { "images.jsonl", NULL };
	struct ek_buffer lines = { 0 };
	cJSON *counts = cJSON_CreateObject(), *options = cJSON_CreateObject();
	const struct ek_step scan = {
		.name = "scan", .version = 1, .options = options, .inputs = none, .outputs = outputs
	};

	for (int i = 0; i < count; i++) {
		assert_ok(ek_buffer_printf(&lines,
		                           "{\"id\": %d, \"file_name\": \"%d.jpg\", \"bytes\": 1, \"width\": 1, "
		                           "\"height\": 1, \"format\": \"jpeg\", \"sha256\": \"%064d\"",
		                           i, i, i));
		assert_ok(ek_buffer_printf(&lines, ", \"label\": \"%s\"", cluster_of(i) < 2 ? "<b>cat</b>" : "dog"));
		if (i % 4 != 0)
			assert_ok(ek_buffer_printf(&lines, ", \"hat\": %s", i % 3 == 0 ? "true" : "false"));
		assert_ok(ek_buffer_printf(&lines, ", \"held_out\": %s}\n", i % 10 == 0 ? "true" : "false"));
	}
	put(f, "images.jsonl", lines.data);
	assert_ok(ek_json_add_u64(counts, "images", (uint64_t)count));
	assert_ok(ek_run_record(f->run, &scan, 1, 1, counts));
	cJSON_Delete(counts);
	cJSON_Delete(options);
	ek_buffer_release(&lines);
}

static cJSON *audit(struct fixture *f, const struct ek_audit_options *options)
{
	cJSON *result = NULL;

	assert_ok(ek_audit(f->run, options));
	assert_ok(ek_json_load(&result, in(f, "audit.json")));
	return result;
}

static const cJSON *at(const cJSON *value, const char *path)
{
	char copy[256], *rest = copy, *name;

	(void)snprintf(copy, sizeof copy, "%s", path);
	while ((name = strsep(&rest, ".")) != NULL) {
		value = cJSON_IsArray(value) ? cJSON_GetArrayItem(value, (int)strtol(name, NULL, 10))
		                             : cJSON_GetObjectItemCaseSensitive(value, name);
		if (value == NULL)
			print_error("%s: no %s\n", path, name);
		assert_non_null(value);
	}
	return value;
}

static double number_at(const cJSON *value, const char *path)
{
	assert_true(cJSON_IsNumber(at(value, path)));
	return at(value, path)->valuedouble;
}

/* {"value", "ci95": [low, high]}, in order; or without a bound above. */
static void assert_measure(const cJSON *value, const char *path, double want)
{
	const cJSON *measure = at(value, path);

	assert_close(number_at(measure, "value"), want, 1e-12);
	assert_int_equal(cJSON_GetArraySize(at(measure, "ci95")), 2);
	if (!cJSON_IsNull(at(measure, "ci95.1")))
		assert_true(number_at(measure, "ci95.0") <= number_at(measure, "ci95.1"));
}

static void the_clusters_are_measured(void **state)
{
	static const double sizes[K] = { 240, 80, 40, 20, 20, 0 };
	static const char *const measures[] = {
		"gini",
		"gini_normalised",
		"normalised_entropy",
		"kl_to_uniform",
		"effective_clusters.d0",
		"effective_clusters.d1",
		"effective_clusters.d2",
		"effective_clusters.dinf",
		"imbalance_ratio",
		"top_share",
		"cv",
		"chi_square",
		"effect_size",
		"tail_count",
		"tail_share",
	};
	const struct ek_audit_options options = EK_AUDIT_OPTIONS_DEFAULT;
	cJSON *a = audit(*state, &options);
	const cJSON *skew = at(a, "skew");

	assert_close(number_at(a, "images"), N, 0);
	assert_close(number_at(a, "rejected"), 0, 0);
	assert_close(number_at(a, "clusters.k"), K, 0);
	assert_close(number_at(a, "clusters.empty"), 1, 0);
	assert_close(number_at(a, "clusters.inertia"), 12.5, 0);
	assert_int_equal(cJSON_GetArraySize(at(a, "clusters.shares")), K);
	for (int i = 0; i < K; i++)
		assert_close(cJSON_GetArrayItem(at(a, "clusters.sizes"), i)->valuedouble, sizes[i], 0);
	assert_measure(a, "clusters.shares.0", 0.6);
	assert_measure(a, "clusters.shares.5", 0);
	for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
		assert_measure(skew, measures[i], number_at(at(skew, measures[i]), "value"));
	assert_measure(skew, "imbalance_ratio", 12);
	/* Nobody knows how small the empty one is. */
	assert_true(cJSON_IsNull(at(skew, "imbalance_ratio.ci95.1")));
	assert_true(cJSON_IsNumber(at(skew, "top_share.ci95.1")));
	/* Counts of clusters are not corrected. */
	assert_true(number_at(skew, "gini.corrected") >= number_at(skew, "gini.ci95.0"));
	assert_true(number_at(skew, "gini.corrected") <= number_at(skew, "gini.ci95.1"));
	assert_null(cJSON_GetObjectItem(at(skew, "tail_count"), "corrected"));
	assert_measure(skew, "top_share", 0.6);
	assert_measure(skew, "tail_share", 0.1);
	assert_close(number_at(skew, "top_clusters"), 1, 0);
	assert_true(cJSON_IsTrue(at(skew, "datalab_flag")));
	/* Below 400 / 12: clusters 3, 4 and the empty 5. */
	assert_int_equal(cJSON_GetArraySize(at(skew, "tail_clusters")), 3);
	assert_close(number_at(skew, "tail_clusters.0"), 3, 0);
	/* Embeddings alone: no attributes, and nothing is known of other steps. */
	assert_int_equal(cJSON_GetArraySize(at(a, "attributes")), 0);
	assert_true(cJSON_IsNull(at(a, "stability")) && cJSON_IsNull(at(a, "duplicates")));
	assert_true(cJSON_IsNull(at(a, "method.encoder")));
	assert_close(number_at(a, "method.bootstrap"), 1000, 0);
	assert_string_equal(at(a, "method.evenkeel")->valuestring, EK_VERSION);
	cJSON_Delete(a);
}

static void attributes_are_measured_against_the_clusters(void **state)
{
	struct fixture *f = *state;
	const struct ek_audit_options options = { .resamples = 200, .seed = 3 };
	cJSON *a;
	const cJSON *label, *hat;

	put_images(f, N);
	put(f, "rejected.jsonl", "{\"file_name\": \"a\"}\n{\"file_name\": \"b\"}\n");
	put(f, "embeddings.json", "{\"encoder\": \"pixels\"}");
	put(f, "clusters/stability.json",
	    "{\"verdict\": \"stable\", \"pairwise\": {\"ari\": {\"mean\": 0.9, \"min\": 0.8}}, "
	    "\"clusters\": [1]}");
	put(f, "clusters/duplicates.json",
	    "{\"scope\": \"all images\", \"images\": 400, \"eps\": [{\"eps\": 0.01, "
	    "\"pairs\": 3}], \"groups\": [1]}");
	a = audit(f, &options);
	assert_close(number_at(a, "rejected"), 2, 0);
	assert_int_equal(cJSON_GetArraySize(at(a, "attributes")), 2);
	label = at(a, "attributes.label");
	assert_string_equal(at(label, "values.0")->valuestring, "<b>cat</b>");
	assert_close(number_at(label, "counts.0"), 320, 0);
	assert_measure(label, "shares.1", 0.2);
	assert_close(number_at(label, "missing"), 0, 0);
	assert_close(number_at(label, "by_cluster.0.0"), 240, 0);
	assert_close(number_at(label, "by_cluster.4.1"), 20, 0);
	assert_close(number_at(label, "by_cluster.5.1"), 0, 0);
	assert_measure(label, "purity", 1);
	assert_measure(label, "skew.imbalance_ratio", 4);
	(void)at(label, "nmi.value");
	(void)at(label, "ari.ci95.1");
	/* 40 of the 80 dogs are in the tail, which holds a tenth of all images. */
	assert_int_equal(cJSON_GetArraySize(at(label, "tail_values")), 1);
	assert_string_equal(at(label, "tail_values.0.value")->valuestring, "dog");
	assert_close(number_at(label, "tail_values.0.tail_share"), 0.5, 1e-15);
	assert_close(number_at(label, "tail_values.0.share"), 0.1, 1e-15);
	assert_close(number_at(label, "tail_values.0.ratio"), 5, 1e-15);
	assert_true(cJSON_IsNull(at(label, "note")));
	hat = at(a, "attributes.hat");
	assert_close(number_at(hat, "missing"), 100, 0);
	assert_close(number_at(hat, "counts.0") + number_at(hat, "counts.1"), 300, 0);
	assert_string_equal(at(a, "stability.verdict")->valuestring, "stable");
	assert_close(number_at(a, "stability.pairwise.ari.min"), 0.8, 0);
	assert_close(number_at(a, "duplicates.eps.0.pairs"), 3, 0);
	assert_string_equal(at(a, "method.encoder")->valuestring, "pixels");
	assert_close(number_at(a, "method.seed"), 3, 0);
	cJSON_Delete(a);
}

static void read_audit(struct ek_buffer *text, const struct fixture *f)
{
	ek_buffer_clear(text);
	assert_ok(ek_file_read(text, in(f, "audit.json"), 1 << 24));
}

static void the_bytes_do_not_depend_on_threads(void **state)
{
	static const int threads[] = { 1, 2, 16 };
	struct fixture *f = *state;
	struct ek_audit_options options = { .resamples = 100 };
	struct ek_buffer first = { 0 }, text = { 0 };

	put_images(f, N);
	for (size_t i = 0; i < 3; i++) {
		ek_threads_set(threads[i]);
		assert_ok(ek_audit(f->run, &options));
		read_audit(i == 0 ? &first : &text, f);
		if (i > 0)
			assert_string_equal(text.data, first.data);
	}
	ek_threads_set(0);
	options.seed = 1;
	assert_ok(ek_audit(f->run, &options));
	read_audit(&text, f);
	assert_string_not_equal(text.data, first.data);
	ek_buffer_release(&first);
	ek_buffer_release(&text);
}

static int is_current(const struct fixture *f, const struct ek_audit_options *options)
{
	struct ek_step step;
	cJSON *described;
	const char *reason;
	int current;

	assert_ok(ek_audit_step(&step, &described, options));
	assert_ok(ek_run_is_current(&current, &reason, f->run, &step));
	cJSON_Delete(described);
	return current;
}

static void an_audit_is_current_until_its_options_or_inputs_change(void **state)
{
	struct fixture *f = *state;
	struct ek_audit_options options = { .resamples = 20 };

	assert_false(is_current(f, &options));
	assert_ok(ek_audit(f->run, &options));
	assert_true(is_current(f, &options));
	options.seed = 1;
	assert_false(is_current(f, &options));
	options.seed = 0;
	put(f, "clusters/stability.json", "{\"verdict\": \"unstable\"}");
	assert_false(is_current(f, &options));
}

static void files_that_disagree_are_refused_by_name(void **state)
{
	struct fixture *f = *state;
	const struct ek_audit_options options = { .resamples = 20 };

	put_assignment(f, 6);
	assert_fails(ek_audit(f->run, &options), EK_EDATA,
	             "assignment.npy: image 399 is in cluster 6, expected 0 to 5");
	put_assignment(f, -1);
	assert_fails(ek_audit(f->run, &options), EK_EDATA, "image 399 is in cluster -1");
	put_assignment(f, 5);
	put_images(f, N - 1);
	assert_fails(ek_audit(f->run, &options), EK_EDATA,
	             "images.jsonl lists 399 images, the clusters were made from 400");
	put(f, "clusters/clusters.json", "{\"k\": 6, \"images\": 401, \"inertia\": 1}");
	assert_fails(ek_audit(f->run, &options), EK_EDATA, "assignment.npy");
	put(f, "clusters/clusters.json", "{\"k\": 0, \"images\": 400, \"inertia\": 1}");
	assert_fails(ek_audit(f->run, &options), EK_EDATA, "clusters.json: 400 images in 0 clusters");
	put(f, "clusters/clusters.json", "{\"k\": 6}");
	assert_fails(ek_audit(f->run, &options), EK_EDATA, "clusters.json: \"images\" is missing");
	assert_int_equal(remove(in(f, "clusters/clusters.json")), 0);
	assert_fails(ek_audit(f->run, &options), EK_EIO, "clusters.json: No such file");
	assert_false(ek_file_exists(in(f, "audit.json")));
}

EK_TEST_MAIN(cmocka_unit_test_setup_teardown(the_clusters_are_measured, setup, teardown),
             cmocka_unit_test_setup_teardown(attributes_are_measured_against_the_clusters, setup, teardown),
             cmocka_unit_test_setup_teardown(the_bytes_do_not_depend_on_threads, setup, teardown),
             cmocka_unit_test_setup_teardown(an_audit_is_current_until_its_options_or_inputs_change, setup, teardown),
             cmocka_unit_test_setup_teardown(files_that_disagree_are_refused_by_name, setup, teardown))
