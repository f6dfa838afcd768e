#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/npy.h"
#include "reports/html.h"
#include "reports/report.h"
#include "tests/reports/fixture.h"
#include "tests/reports/reading.h"
#include "tests/support/support.h"

static const struct ek_fixture small = { .k = 12, .images = 400, .side = 24, .noise = 10 };

static void every_chapter_appears(void **state)
{
	static const char *const ids[] = { "finding",    "sizes",    "clusters",  "map",      "attributes", "plan",
		                           "duplicates", "rejected", "certainty", "measures", "origin" };
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&small), NULL);
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		char id[64], link[64];

		(void)snprintf(id, sizeof id, "<section class=\"chapter\" id=\"%s\"", ids[i]);
		(void)snprintf(link, sizeof link, "<a href=\"#%s\">", ids[i]);
		assert_int_equal(occurrences(page.data, id), 1);
		assert_shows(page, link);
	}
	assert_shows(page, "times as frequent as");
	assert_shows(page, "<p>Sorted again were 200 images, drawn by lot, of the run's 400 images.</p>");
	assert_shows(page, "alt=\"folder/photo 0");
	assert_int_equal(occurrences(page.data, "<article class=\"card"), 12);
	assert_lacks(page, "nan");
	ek_buffer_release(&page);
}

static void text_from_the_data_stays_text(void **state)
{
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&small), NULL);
	/* The page's own script, and nothing else, starts with these letters. */
	assert_int_equal(occurrences(page.data, "<script"), 1);
	assert_int_equal(occurrences(page.data, "</style"), 1);
	assert_lacks(page, "<img src=x");
	assert_lacks(page, "\" onmouseover");
	assert_lacks(page, "<b>bold");
	assert_lacks(page, "<b>animals");
	assert_lacks(page, "<t-SNE>");
	assert_shows(page, "&lt;script&gt;alert(1)&lt;/script&gt;.jpg");
	assert_shows(page, "&lt;/style&gt;&lt;script&gt;alert(2)");
	assert_shows(page, "&quot; onmouseover=&quot;alert(3)");
	assert_shows(page, "new\\x0aline &amp; &#39;quotes&#39;.jpg");
	ek_buffer_release(&page);
}

/* 'sha256-…' of what stands between two marks of the page. */
static void assert_hash_allowed(const char *page, const char *from, const char *to)
{
	const char *start = strstr(page, from) + strlen(from), *end = strstr(start, to);
	uint8_t hash[EK_SHA256_SIZE];
	struct ek_html want = { .rc = 0 };

	assert_ok(ek_sha256(hash, start, (size_t)(end - start)));
	ek_html(&want, "-src 'sha256-");
	ek_html_base64(&want, hash, sizeof hash);
	ek_html(&want, "'");
	assert_int_equal(occurrences(page, want.text.data), 1);
	ek_html_release(&want);
}

static void the_policy_forbids_all_but_the_page_itself(void **state)
{
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&small), NULL);
	assert_shows(page,
	             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; ");
	assert_hash_allowed(page.data, "<style>", "</style>");
	assert_hash_allowed(page.data, "<script>", "</script>");
	assert_lacks(page, "unsafe");
	assert_lacks(page, "http://");
	assert_lacks(page, "https://");
	assert_lacks(page, " style=\"");
	assert_lacks(page, "src=\"/");
	ek_buffer_release(&page);
}

static void same_files_same_bytes_for_any_threads(void **state)
{
	struct ek_buffer page = { 0 };

	report_of_threads(&page, ek_fixture_make(&small));
	ek_buffer_release(&page);
}

static void times_appear_when_asked_for(void **state)
{
	const struct ek_report_options times = { .times = 1 };
	const char *folder = ek_fixture_make(&small);
	struct ek_buffer page = { 0 };

	report_of(&page, folder, NULL);
	assert_lacks(page, "12\xe2\x80\xafs<");
	report_of(&page, folder, &times);
	assert_shows(page, "12\xe2\x80\xafs<");
	ek_buffer_release(&page);
}

static void a_thousand_clusters_fit_in_ten_megabytes(void **state)
{
	/* Pictures of noise, which hardly compress. */
	const struct ek_fixture fixture = { .k = 1000, .images = 8000, .side = 64, .noise = 200 };
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&fixture), NULL);
	print_message("%zu bytes\n", page.size);
	assert_true(page.size < 10000000);
	assert_int_equal(occurrences(page.data, "<article class=\"card"), 1000);
	assert_true(occurrences(page.data, "<img ") >= 2000);
	ek_buffer_release(&page);
}

static void the_budget_is_kept(void **state)
{
	const struct ek_report_options generous = { .picture_bytes = 0 }, tight = { .picture_bytes = 60000 };
	const char *folder = ek_fixture_make(&small);
	struct ek_buffer page = { 0 };
	size_t with_all;

	report_of(&page, folder, &generous);
	with_all = page.size;
	report_of(&page, folder, &tight);
	assert_true(page.size < with_all);
	ek_buffer_release(&page);
}

static void plans_are_told_of(void **state)
{
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&small), NULL);
	/* Two subsets in full, the baseline of one only in the table. */
	assert_int_equal(occurrences(page.data, "<h3>Subset <bdi>"), 2);
	assert_int_equal(occurrences(page.data, "<h3>Sampler <bdi>"), 2);
	assert_shows(page, "<h3>Subset <bdi>&lt;i&gt;even&quot;&#39;&amp;</bdi></h3>");
	assert_shows(page, "<bdi>furthest-random</bdi> <small>baseline</small>");
	assert_shows(page, "went from 0.43 to <b>0.05</b>");
	assert_shows(page, "the part kept is 21.0\xe2\x80\xaf% of that of the one that loses least");
	assert_shows(page, "<figcaption>Kept: ");
	assert_shows(page, "<figcaption>Removed: ");
	assert_shows(page, "<span class=\"tag\">low</span>");
	assert_shows(page, "<b>Copying must be feared.</b>");
	assert_shows(page, "cluster <bdi>1</bdi>: 7 images, 13.2 times each");
	assert_shows(page, "a, &quot;b&quot;");
	assert_shows(page, "target=&lt;b&gt;file");
	assert_lacks(page, "&lt;p&gt;");
	assert_lacks(page, "&lt;small");
	assert_lacks(page, "&lt;span");
	ek_buffer_release(&page);
}

static void what_a_plan_leaves_out_is_told(void **state)
{
	static const char subset[] = "{\"by\": \"la<b>el\", \"without_value\": 12, \"images_before\": 20, "
				     "\"skew_before\": {\"gini\": 0.1}, \"skew_after\": {\"gini\": 0.3}}";
	static const char weights[] = "{\"by\": \"label\", \"without_value\": 1, \"images\": 25, \"held_out\": 5, "
				      "\"moved\": 0.004, \"changes_little\": true}";
	const char *folder = ek_fixture_make(&small);
	struct ek_buffer page = { 0 };

	report_of(&page, folder, NULL);
	assert_lacks(page, "no value of");
	assert_lacks(page, "next to nothing");
	assert_shows(page, "No image is left out: ");
	ek_write_file(ek_join(folder, "subsets/furthest/subset.json"), subset, sizeof subset - 1);
	ek_write_file(ek_join(folder, "weights/inverse/weights.json"), weights, sizeof weights - 1);
	report_of(&page, folder, NULL);
	assert_shows(page, "The skew <b>became greater</b>: the Gini");
	assert_shows(page,
	             "<p class=\"warning\"><b>12 of 20 images have no value of <bdi>la&lt;b&gt;el</bdi></b> and are "
	             "left out.</p>");
	assert_shows(page, "<p>Nothing is removed: ");
	assert_shows(page,
	             "<p class=\"warning\"><b>1 of 20 images has no value of <bdi>label</bdi></b> and is never "
	             "shown.</p><p class=\"warning\"><b>The shares of <bdi>label</bdi> change next to nothing</b>: by "
	             "0.40\xe2\x80\xaf% in all.</p>");
	/* In short, where there is a model, names the first ones. */
	assert_int_equal(unlink(ek_join(folder, "subsets/" EK_HOSTILE_PLAN "/subset.json")), 0);
	assert_int_equal(unlink(ek_join(folder, "subsets/furthest-random/subset.json")), 0);
	assert_int_equal(unlink(ek_join(folder, "weights/by-attribute/weights.json")), 0);
	assert_ok(ek_make_directories(ek_join(folder, "models/m")));
	ek_write_file(ek_join(folder, "models/m/config.json"), "{\"evenkeel\": \"flow\"}", 20);
	report_of(&page, folder, NULL);
	assert_shows(page, "of the images; 12 images without a value of <bdi>la&lt;b&gt;el</bdi> are left out.</li>");
	assert_shows(
		page,
		"<bdi>inverse</bdi>: nothing is removed, rare ones are shown more often; 1 image without a value of "
		"<bdi>label</bdi> is never shown.</li>");
	ek_buffer_release(&page);
}

/* The pictures of kept images are of images that were kept. */
static void a_plan_of_other_images_has_no_pictures(void **state)
{
	const char *folder = ek_fixture_make(&small);
	const uint8_t decision[3] = { 1, 0, 1 };
	struct ek_buffer page = { 0 };

	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { EK_HOSTILE_PLAN, "furthest", "furthest-random" };
		char name[128];

		(void)snprintf(name, sizeof name, "subsets/%s/decision.npy", names[i]);
		assert_ok(ek_npy_write(ek_join(folder, name), EK_U8, 1, (const uint64_t[]){ 3 }, decision));
	}
	ek_write_file(ek_join(folder, "subsets/furthest/subset.json"), "{\"per_cluster\": []}", 19);
	report_of(&page, folder, NULL);
	assert_lacks(page, "<figcaption>Kept: ");
	assert_shows(page, "It was made from other clusters than the run has now");
	ek_buffer_release(&page);
}

static void inputs_follow_the_plans(void **state)
{
	const char *folder = ek_fixture_make(&small);
	const char **inputs = NULL;
	struct ek_run *run = NULL;
	const char *reason;
	cJSON *options = cJSON_CreateObject();
	static const char *const outputs[] = { NULL };
	struct ek_step step = { .name = "report", .version = 1, .options = options, .outputs = outputs };
	int current;

	assert_ok(ek_run_open(&run, folder, EK_RUN_WRITE));
	assert_ok(ek_report_inputs(&inputs, run));
	assert_true(holds(inputs, "audit.json"));
	assert_true(holds(inputs, "subsets/furthest/subset.json"));
	assert_true(holds(inputs, "subsets/furthest/decision.npy"));
	assert_true(holds(inputs, "weights/inverse/weights.json"));
	assert_true(holds(inputs, "weights/inverse/groups.csv"));
	step.inputs = inputs;
	assert_ok(ek_run_record(run, &step, 0, 0, NULL));
	assert_ok(ek_run_is_current(&current, &reason, run, &step));
	assert_int_equal(current, 1);
	/* One that goes makes the report stale as one that comes. */
	assert_int_equal(unlink(ek_join(folder, "weights/inverse/groups.csv")), 0);
	free(inputs);
	assert_ok(ek_report_inputs(&inputs, run));
	step.inputs = inputs;
	assert_ok(ek_run_is_current(&current, &reason, run, &step));
	assert_int_equal(current, 0);
	assert_non_null(strstr(reason, "weights/inverse/groups.csv is missing"));
	ek_run_close(run);
	free(inputs);
	cJSON_Delete(options);
}

static void embeddings_alone_have_no_pictures_and_say_so(void **state)
{
	const struct ek_fixture fixture = { .k = 12, .images = 400, .embeddings_only = 1 };
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&fixture), NULL);
	assert_lacks(page, "<img");
	assert_lacks(page, "id=\"rejected\"");
	assert_shows(page, "so there are no pictures");
	ek_buffer_release(&page);
}

static void chapters_wait_for_their_files(void **state)
{
	const struct ek_fixture fixture = { .k = 12, .images = 400, .audit_only = 1 };
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&fixture), NULL);
	assert_shows(page, "id=\"sizes\"");
	assert_lacks(page, "id=\"clusters\"");
	assert_lacks(page, "id=\"map\"");
	assert_lacks(page, "#cluster-");
	ek_buffer_release(&page);
}

static void an_image_that_is_gone_leaves_a_frame(void **state)
{
	const char *folder = ek_fixture_make(&small);
	struct ek_buffer page = { 0 };

	assert_int_equal(truncate(ek_join(folder, "pictures.bin"), 1000), 0);
	report_of(&page, folder, NULL);
	assert_shows(page, "can no longer be read");
	ek_buffer_release(&page);
}

static void damaged_files_are_named(void **state)
{
	static const struct damage cases[] = {
		{ "audit.json", "{\"clusters\": {\"sizes\": [1, -2]}}", "cluster 1 has no size" },
		{ "audit.json", "{", "audit.json" },
		{ "clusters/map.json", "{\"ids\": [99999999], \"x\": [0], \"y\": [0]}", "" },
		{ "clusters/assignment.npy", "no array", "assignment.npy" },
		{ "rejected.jsonl", "{\"file_name\": \"a\"}\nnot json\n", "rejected.jsonl" },
	};

	const char *folder = ek_fixture_make(&small);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *path = ek_join(folder, cases[i].file);
		struct ek_buffer sound = { 0 };
		struct ek_run *run = NULL;

		print_message("%s: %s\n", cases[i].file, cases[i].content);
		assert_ok(ek_file_read(&sound, path, 1 << 24));
		ek_write_file(path, cases[i].content, strlen(cases[i].content));
		assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
		assert_fails(ek_report(run, NULL), EK_EDATA, cases[i].message);
		assert_false(ek_file_exists(ek_join(folder, "report.html")));
		ek_run_close(run);
		ek_write_file(path, sound.data, sound.size);
		ek_buffer_release(&sound);
	}
}

/* Without a plan there is still a report. */
static void damaged_plans_are_named_and_left_out(void **state)
{
	static const struct damage cases[] = {
		{ "subsets/furthest/subset.json", "{", "subsets/furthest/subset.json" },
		{ "subsets/furthest/subset.json", "3", "no JSON object" },
		{ "subsets/furthest/decision.npy", "no array", "decision.npy" },
		{ "weights/inverse/weights.json", "[", "weights/inverse/weights.json" },
		{ "weights/inverse/groups.csv", "unit,name\n", "there is no column images" },
		{ "weights/inverse/groups.csv", "name,images,share,weighted_share,visits_per_image\na,-1,1,1,1\n",
		  "groups.csv:2: images is" },
	};

	assert_left_out(ek_fixture_make(&small), cases, sizeof cases / sizeof *cases);
}

static void nothing_to_report_is_an_error(void **state)
{
	const char *folder = ek_fixture_make(&small);
	struct ek_run *run = NULL;

	assert_int_equal(unlink(ek_join(folder, "audit.json")), 0);
	assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
	assert_fails(ek_report(run, NULL), EK_EDATA, "audit.json");
	ek_run_close(run);
}

/* Numbers of any kind where numbers are expected: a page, or an error, but no accident. */
static void strange_documents_do_no_harm(void **state)
{
	static const char *const audits[] = {
		"{}",
		"[]",
		"{\"clusters\": {\"sizes\": []}, \"skew\": 3, \"attributes\": []}",
		"{\"clusters\": {\"sizes\": [0, 0]}, \"skew\": {\"gini\": null}}",
		"{\"clusters\": {\"sizes\": [1, 2, 3], \"shares\": [null, {\"value\": \"x\", \"ci95\": [1]}, 5, 6, "
		"7]}, "
		"\"skew\": {\"gini\": {\"value\": 1e300, \"ci95\": [null, \"b\"]}, \"effective_clusters\": []}, "
		"\"attributes\": "
		"{\"a\": {\"values\": [1, null, \"x\"], \"counts\": [3], \"by_cluster\": [[1, 2, 3, 4, 5], \"row\", "
		"[]], "
		"\"tail_values\": [{}, 3, {\"ratio\": 1e400}, {\"ratio\": -1}]}, \"b\": null, \"c\": []}, \"method\": "
		"1}",
	};

	const struct ek_fixture fixture = { .k = 3, .images = 40, .side = 8 };
	const char *folder = ek_fixture_make(&fixture);

	for (size_t i = 0; i < sizeof audits / sizeof *audits; i++) {
		struct ek_run *run = NULL;

		print_message("%s\n", audits[i]);
		ek_write_file(ek_join(folder, "audit.json"), audits[i], strlen(audits[i]));
		assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
		(void)ek_report(run, NULL);
		ek_run_close(run);
	}
}

static void strange_plans_do_no_harm(void **state)
{
	static const char *const plans[] = {
		"{}",
		"{\"per_cluster\": [1, null, {\"before\": -1, \"after\": 1e300, \"removal_rate\": \"x\", \"ci95\": "
		"[2]}], "
		"\"per_attribute\": {\"a\": null, \"b\": {\"values\": [null, {}, {\"before\": 3}], "
		"\"disparate_impact\": "
		"{\"value\": 1}}, \"c\": 3}, \"baselines\": [1, null], \"images_before\": -3, \"command\": 7, "
		"\"disparate_impact\": {\"value\": 0.1}, \"skew_before\": 1, \"options\": []}",
		"{\"repeated\": {\"count\": 1e300, \"units\": [null, 4, {\"images\": -7}]}, \"epoch\": -1, \"by\": 3, "
		"\"scheme\": \"\", \"largest_repeat\": []}",
	};
	const struct ek_fixture fixture = { .k = 3, .images = 40, .side = 8 };
	const char *folder = ek_fixture_make(&fixture);

	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		struct ek_buffer page = { 0 };

		print_message("%s\n", plans[i]);
		ek_write_file(ek_join(folder, "subsets/furthest/subset.json"), plans[i], strlen(plans[i]));
		ek_write_file(ek_join(folder, "weights/inverse/weights.json"), plans[i], strlen(plans[i]));
		report_of(&page, folder, NULL);
		assert_lacks(page, "nan");
		assert_lacks(page, "inf,");
		ek_buffer_release(&page);
	}
}

EK_TEST_MAIN(cmocka_unit_test(every_chapter_appears), cmocka_unit_test(text_from_the_data_stays_text),
             cmocka_unit_test(the_policy_forbids_all_but_the_page_itself),
             cmocka_unit_test(same_files_same_bytes_for_any_threads), cmocka_unit_test(times_appear_when_asked_for),
             cmocka_unit_test(a_thousand_clusters_fit_in_ten_megabytes), cmocka_unit_test(the_budget_is_kept),
             cmocka_unit_test(plans_are_told_of), cmocka_unit_test(what_a_plan_leaves_out_is_told),
             cmocka_unit_test(a_plan_of_other_images_has_no_pictures), cmocka_unit_test(inputs_follow_the_plans),
             cmocka_unit_test(strange_plans_do_no_harm), cmocka_unit_test(embeddings_alone_have_no_pictures_and_say_so),
             cmocka_unit_test(chapters_wait_for_their_files), cmocka_unit_test(an_image_that_is_gone_leaves_a_frame),
             cmocka_unit_test(damaged_files_are_named), cmocka_unit_test(damaged_plans_are_named_and_left_out),
             cmocka_unit_test(nothing_to_report_is_an_error), cmocka_unit_test(strange_documents_do_no_harm))
