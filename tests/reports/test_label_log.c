#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "reports/label_file.h"

static void parse(struct ek_label_log *log, const char *text)
{
	ek_warnings_take();
	*log = (struct ek_label_log){ 0 };
	assert_ok(ek_label_log_parse(log, text, strlen(text), "x.jsonl"));
}

#define WHEN ", \"time\": \"2026-11-25T19:00:00Z\"}\n"
#define ANNA ", \"by\": \"Anna\"" WHEN
#define BEN ", \"by\": \"Ben\"" WHEN

/* "cat", "none", "disputed", "-": nothing is said of it. */
static const char *of(const struct ek_label_log *log, uint64_t image)
{
	const struct ek_label *label = ek_label_log_find(log, image);

	return label == NULL                       ? "-"
	       : label->group == EK_LABEL_NONE     ? "none"
	       : label->group == EK_LABEL_DISPUTED ? "disputed"
	                                           : log->groups[label->group];
}

static void what_a_person_says_last_counts(void **state)
{
	struct ek_label_log log;

	parse(&log, "{\"images\": [3, 1, 2], \"group\": \"cat\"" ANNA "{\"images\": [1], \"group\": \"dog\"" ANNA
	            "{\"images\": [2], \"group\": \"\"" ANNA "{\"images\": [9], \"group\": null" ANNA
	            "{\"images\": [], \"group\": \"frog\"" ANNA);
	assert_string_equal(of(&log, 3), "cat");
	assert_string_equal(of(&log, 1), "dog");
	assert_string_equal(of(&log, 2), "-");
	assert_string_equal(of(&log, 9), "none");
	assert_int_equal(log.group_count, 3);
	assert_int_equal(log.sizes[0], 1);
	assert_int_equal(log.sizes[1], 1);
	assert_int_equal(log.sizes[2], 0);
	assert_int_equal(log.label_count, 3);
	assert_int_equal(log.none, 1);
	ek_label_log_release(&log);
}

static void most_people_decide_and_as_many_dispute(void **state)
{
	struct ek_label_log log;

	parse(&log, "{\"images\": [1, 2, 3], \"group\": \"cat\"" ANNA "{\"images\": [1, 2], \"group\": \"dog\"" BEN
	            "{\"images\": [1], \"group\": \"dog\", \"by\": \"Cy\"" WHEN "{\"images\": [3], \"group\": null" BEN
	            "{\"images\": [3], \"group\": null, \"by\": \"Cy\"" WHEN);
	assert_string_equal(of(&log, 1), "dog");
	assert_string_equal(of(&log, 2), "disputed");
	assert_string_equal(of(&log, 3), "none");
	assert_int_equal(log.disputed, 1);
	assert_int_equal(log.sizes[1], 1);
	assert_int_equal(ek_label_log_find(&log, 1)->people, 3);
	ek_label_log_release(&log);
}

static void a_group_that_is_renamed_takes_its_images_along_or_into_another(void **state)
{
	struct ek_label_log log;

	parse(&log, "{\"images\": [1], \"group\": \"cat\"" ANNA "{\"images\": [2], \"group\": \"dog\"" ANNA
	            "{\"rename\": \"cat\", \"to\": \"kitten\"" BEN "{\"images\": [3], \"group\": \"cat\"" ANNA);
	assert_string_equal(of(&log, 1), "kitten");
	assert_string_equal(of(&log, 3), "cat"); /* a new one */
	assert_int_equal(log.group_count, 3);
	ek_label_log_release(&log);
	parse(&log, "{\"images\": [1], \"group\": \"cat\"" ANNA "{\"images\": [1, 2], \"group\": \"dog\"" BEN
	            "{\"rename\": \"cat\", \"to\": \"dog\"" ANNA);
	assert_string_equal(of(&log, 1), "dog"); /* not disputed any more */
	assert_int_equal(log.group_count, 1);
	assert_int_equal(log.sizes[0], 2);
	ek_label_log_release(&log);
}

static void an_undo_takes_back_the_newest_act_of_its_person(void **state)
{
	struct ek_label_log log;

	parse(&log, "{\"images\": [1, 2], \"group\": \"cat\"" ANNA "{\"images\": [3], \"group\": \"cat\"" BEN
	            "{\"rename\": \"cat\", \"to\": \"dog\"" ANNA "{\"undo\": true" ANNA);
	assert_string_equal(of(&log, 1), "cat");
	assert_ok(ek_label_log_undo(&log, 0));
	assert_string_equal(of(&log, 1), "-");
	assert_string_equal(of(&log, 3), "cat");
	assert_fails(ek_label_log_undo(&log, 0), EK_EUSAGE, "nothing to take back");
	ek_label_log_release(&log);
}

static void what_an_image_is_not_counts_until_it_has_a_label(void **state)
{
	uint64_t images[] = { 7 };
	char frog[] = "frog";
	struct ek_label_log log;
	int32_t cat;

	parse(&log, "{\"images\": [], \"group\": \"cat\"" ANNA "{\"images\": [9], \"group\": \"dog\"" ANNA
	            "{\"images\": [5, 1, 9, 5], \"not\": \"cat\"" ANNA "{\"images\": [1, 5], \"not\": \"cat\"" BEN
	            "{\"images\": [5], \"not\": \"frog\"" BEN "{\"rename\": \"cat\", \"to\": \"kitten\"" BEN);
	cat = ek_label_log_group(&log, "kitten");
	assert_int_equal(log.group_count, 2); /* what is not a frog makes no group of frogs */
	assert_int_equal(log.not_count, 2);
	assert_int_equal(log.label_count, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(log.nots[i].image, i == 0 ? 1 : 5);
		assert_int_equal(log.nots[i].group, cat);
	}
	/* Ben's words are taken back, Anna's stand; what has a label is no longer looked for. */
	for (int i = 0; i < 3; i++)
		assert_ok(ek_label_log_undo(&log, 1));
	assert_int_equal(log.not_count, 2);
	assert_ok(ek_label_log_add(&log, &(struct ek_label_act){ .group = frog, .images = images, .count = 1 }));
	assert_ok(ek_label_log_add(&log,
	                           &(struct ek_label_act){ .group = frog, .images = images, .count = 1, .is_not = 1 }));
	assert_int_equal(log.not_count, 2);
	assert_fails(ek_label_log_check(&log, &(struct ek_label_act){ .group = (char[]){ "bird" }, .is_not = 1 }),
	             EK_EUSAGE, "there is no group \"bird\"");
	ek_label_log_release(&log);
}

static void damaged_lines_are_left_out(void **state)
{
	static const char *const lines[] = {
		"{\"images\": [1], \"group\": 7" ANNA,
		"{\"images\": [-1], \"group\": \"cat\"" ANNA,
		"{\"images\": [0.5], \"group\": \"cat\"" ANNA,
		"{\"images\": 1, \"group\": \"cat\"" ANNA,
		"{\"images\": [1], \"group\": \" cat\"" ANNA,
		"{\"images\": [1], \"not\": null" ANNA,
		"{\"images\": [1], \"not\": \"\"" ANNA,
		"{\"rename\": \"cat\"" ANNA,
		"{\"rename\": \"cat\", \"to\": \"\"" ANNA,
		"{\"undo\": true" ANNA,
		"{\"images\": [1], \"group\": \"cat\", \"by\": \"\"" WHEN,
		"{\"images\": [1], \"group\": \"cat\", \"by\": \"A\", \"time\": \"today\"}\n",
		"[1]\n",
		"cat\n",
	};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct ek_label_log log;

		parse(&log, lines[i]);
		assert_int_equal(log.lines.damaged, 1);
		assert_int_equal(log.label_count, 0);
		ek_label_log_release(&log);
	}
}

static void what_was_said_is_there_when_the_file_is_opened_again(void **state)
{
	uint64_t images[] = { 4, 2 };
	char cat[] = "a \"cat\"", dog[] = "dog", none[] = "";
	const struct ek_label_act *undone;
	struct ek_label_file file;
	struct ek_run *run;
	uint32_t anna;

	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_label_file_open(&file, run, "groups"));
	assert_ok(ek_label_log_person(&anna, &file.log, "Anna"));
	assert_ok(ek_label_file_add(&file, &(struct ek_label_act){ .group = cat, .images = images, .count = 2 }));
	assert_ok(ek_label_file_add(&file, &(struct ek_label_act){ .group = cat, .to = dog }));
	assert_fails(ek_label_file_add(&file, &(struct ek_label_act){ .group = cat, .to = dog }), EK_EUSAGE,
	             "there is no group");
	assert_ok(ek_label_file_add(&file, &(struct ek_label_act){ .group = none, .images = images, .count = 1 }));
	assert_ok(ek_label_file_undo(&undone, &file, anna));
	assert_int_equal(undone->count, 1);
	assert_ok(ek_label_file_add(&file, &(struct ek_label_act){ .group = NULL, .images = images + 1, .count = 1 }));
	images[0] = 6;
	assert_ok(ek_label_file_add(&file,
	                            &(struct ek_label_act){ .group = dog, .images = images, .count = 1, .is_not = 1 }));
	ek_label_file_release(&file);
	assert_ok(ek_label_file_open(&file, run, "groups"));
	assert_int_equal(file.log.lines.damaged, 0);
	assert_int_equal(file.log.not_count, 1);
	assert_int_equal(file.log.nots[0].image, 6);
	assert_string_equal(of(&file.log, 4), "dog");
	assert_string_equal(of(&file.log, 2), "none");
	ek_label_file_release(&file);
	assert_fails(ek_label_file_open(&file, run, "../x"), EK_EUSAGE, "no name for labels");
	ek_label_file_release(&file);
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(what_a_person_says_last_counts), cmocka_unit_test(most_people_decide_and_as_many_dispute),
             cmocka_unit_test(a_group_that_is_renamed_takes_its_images_along_or_into_another),
             cmocka_unit_test(an_undo_takes_back_the_newest_act_of_its_person),
             cmocka_unit_test(what_an_image_is_not_counts_until_it_has_a_label),
             cmocka_unit_test(damaged_lines_are_left_out),
             cmocka_unit_test(what_was_said_is_there_when_the_file_is_opened_again))
