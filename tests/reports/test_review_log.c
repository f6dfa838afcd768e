#include "tests/support/support.h"

#include "rebalance/base/log.h"
#include "reports/review_log.h"

/* Terms of chance agreement are whole numbers below 2^53; then four roundings (2e-16 each), and 1 - chance is not below
 * 0.2 in these cases. */
#define TOLERANCE 5e-15

static void parse(struct ek_review_log *log, const char *text)
{
	ek_warnings_take();
	*log = (struct ek_review_log){ 0 };
	assert_ok(ek_review_log_parse(log, text, strlen(text), "x.jsonl"));
}

#define WHEN ", \"time\": \"2026-11-25T19:00:00Z\"}\n"
#define ANNA ", \"reviewer\": \"Anna\"" WHEN
#define BEN ", \"reviewer\": \"Ben\"" WHEN

static const char *standing(const struct ek_review_log *log, uint64_t sample, uint32_t reviewer)
{
	const struct ek_review_entry *entry = ek_review_log_standing(log, sample, reviewer);

	return entry != NULL ? ek_verdict_name(entry->verdict) : "none";
}

static void what_stands_is_the_last_that_was_not_undone(void **state)
{
	struct ek_review_log log;
	uint64_t tally[EK_VERDICTS];

	parse(&log, "{\"sample\": 3, \"decision\": \"accept\"" ANNA "{\"sample\": 3, \"decision\": \"reject\"" BEN
	            "{\"sample\": 3, \"decision\": \"unsure\", \"note\": \"blurred \\u2013 left\"" ANNA
	            "{\"sample\": 100, \"decision\": \"accept\"" ANNA "{\"sample\": 3, \"undo\": true" ANNA
	            "\n{\"sample\": 100, \"undo\": true" ANNA "{\"sample\": 5, \"decision\": \"reject\"" ANNA);
	assert_int_equal(ek_warnings.count, 0);
	assert_int_equal(log.lines.damaged, 0);
	assert_int_equal(log.reviewer_count, 2);
	assert_string_equal(log.reviewers[1], "Ben");
	assert_int_equal(log.samples, 101);
	assert_string_equal(standing(&log, 3, 0), "accept");
	assert_string_equal(standing(&log, 3, 1), "reject");
	assert_string_equal(standing(&log, 100, 0), "none");
	assert_string_equal(standing(&log, 5, 0), "reject");
	assert_string_equal(standing(&log, 5, 1), "none");
	assert_string_equal(standing(&log, 1u << 30, 0), "none");
	assert_string_equal(log.entries[2].note, "blurred – left");
	assert_int_equal(ek_review_log_newest(&log, 0)->sample, 5);
	ek_review_log_tally(tally, &log, 0);
	assert_int_equal(tally[EK_VERDICT_ACCEPT], 1);
	assert_int_equal(tally[EK_VERDICT_REJECT], 1);
	assert_int_equal(tally[EK_VERDICT_UNSURE], 0);
	/* Undone to the ground, and once more. */
	assert_ok(ek_review_log_undo(&log, 3, 0));
	assert_fails(ek_review_log_undo(&log, 3, 0), EK_EUSAGE, "no decision on sample 3");
	assert_string_equal(standing(&log, 3, 0), "none");
	ek_review_log_void(&log, ek_review_log_standing(&log, 3, 1));
	assert_null(ek_review_log_newest(&log, 1));
	ek_review_log_release(&log);
}

static const struct {
	const char *text, *warning;
} damaged[] = {
	{ "hello\n", "x.jsonl:1: not JSON" },
	{ "{\"sample\": 1, \"decision\": \"accept\", \"note\": \"\xff\"" ANNA, "not UTF-8" },
	{ "[1]\n", "x.jsonl:1: not a JSON object" },
	{ "{\"decision\": \"accept\"" ANNA, "sample" },
	{ "{\"sample\": -1, \"decision\": \"accept\"" ANNA, "sample" },
	{ "{\"sample\": 1.5, \"decision\": \"accept\"" ANNA, "sample" },
	{ "{\"sample\": 16777216, \"decision\": \"accept\"" ANNA, "not below 16777216" },
	{ "{\"sample\": 1, \"decision\": \"perhaps\"" ANNA, "\"perhaps\"" },
	{ "{\"sample\": 1, \"decision\": 1" ANNA, "decision" },
	{ "{\"sample\": 1, \"decision\": \"accept\", \"note\": 1" ANNA, "note" },
	{ "{\"sample\": 1, \"decision\": \"accept\", \"sha256\": \"12\"" ANNA, "sha256" },
	{ "{\"sample\": 1, \"decision\": \"accept\", \"reviewer\": \"\"" WHEN, "no name of a reviewer" },
	{ "{\"sample\": 1, \"decision\": \"accept\", \"reviewer\": \" x\"" WHEN, "no name of a reviewer" },
	{ "{\"sample\": 1, \"decision\": \"accept\", \"reviewer\": \"a\\nb\"" WHEN, "no name of a reviewer" },
	{ "{\"sample\": 1, \"decision\": \"accept\", \"reviewer\": \"a\", \"time\": \"yesterday\"}\n", "yesterday" },
	{ "{\"sample\": 1, \"decision\": \"accept\", \"reviewer\": \"a\"}\n", "time" },
	{ "{\"sample\": 1, \"undo\": true" ANNA, "no decision on sample 1" },
	{ "{\"sample\": 1, \"undo\": false" ANNA, "decision" },
};

static void damaged_lines_are_named_and_left_out(void **state)
{
	for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		struct ek_review_log log;
		char text[1024];

		(void)snprintf(text, sizeof text, "%s{\"sample\": 2, \"decision\": \"accept\"" BEN, damaged[i].text);
		parse(&log, text);
		print_message("%s\n", ek_warnings.last);
		assert_int_equal(ek_warnings.count, 1);
		assert_non_null(strstr(ek_warnings.last, damaged[i].warning));
		assert_non_null(strstr(ek_warnings.last, "x.jsonl:1: "));
		assert_int_equal(log.lines.damaged, 1);
		assert_int_equal(log.lines.first_damaged, 1);
		assert_int_equal(log.entry_count, 1);
		assert_int_equal(log.entries[0].sample, 2);
		assert_int_equal(log.lines.is_cut, 0);
		ek_review_log_release(&log);
	}
}

/* A kill leaves a line at any length: every decision before it stands, and nothing is said of damage. */
static void a_last_line_cut_anywhere_costs_no_other(void **state)
{
	static const char whole[] = "{\"sample\": 1, \"decision\": \"accept\"" ANNA;
	static const char last[] = "{\"sample\": 2, \"decision\": \"reject\", \"note\": \"é\"" ANNA;

	for (size_t cut = 0; cut < sizeof last - 1; cut++) {
		struct ek_review_log log;
		char text[512];

		(void)snprintf(text, sizeof text, "%s%.*s", whole, (int)cut, last);
		parse(&log, text);
		assert_int_equal(ek_warnings.count, 0);
		assert_string_equal(standing(&log, 1, 0), "accept");
		/* Without its newline alone it is whole. */
		assert_int_equal(log.lines.is_cut, cut > 0 && cut < sizeof last - 2);
		assert_int_equal(log.lines.ends_open, cut == sizeof last - 2);
		assert_int_equal(log.entry_count, cut == sizeof last - 2 ? 2 : 1);
		assert_int_equal(log.lines.whole_bytes, cut == sizeof last - 2 ? strlen(text) : sizeof whole - 1);
		ek_review_log_release(&log);
	}
}

/* What a power cut or another program left at the end is no line that a kill cut: it is told of, and stays. */
static void an_end_that_nobody_wrote_is_damage(void **state)
{
	static const char ends[][24] = { { 0 }, "{\"sample\": 2\0\0\0", "not a line" };
	static const size_t sizes[] = { 7, 16, 10 };
	static const char whole[] = "{\"sample\": 1, \"decision\": \"accept\"" ANNA;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct ek_review_log log = { 0 };
		char text[512] = { 0 };

		memcpy(text, whole, sizeof whole - 1);
		memcpy(text + sizeof whole - 1, ends[i], sizes[i]);
		ek_warnings.count = 0;
		assert_ok(ek_review_log_parse(&log, text, sizeof whole - 1 + sizes[i], "x.jsonl"));
		assert_int_equal(ek_warnings.count, 1);
		assert_non_null(strstr(ek_warnings.last, "x.jsonl:2: "));
		assert_int_equal(log.lines.damaged, 1);
		assert_int_equal(log.lines.is_cut, 0);
		assert_int_equal(log.lines.ends_open, 1);
		assert_int_equal(log.lines.whole_bytes, sizeof whole - 1 + sizes[i]);
		assert_int_equal(log.entry_count, 1);
		ek_review_log_release(&log);
	}
}

static void a_line_reads_back(void **state)
{
	struct ek_review_log log = { 0 }, back;
	struct ek_review_entry entry = { .sample = 7, .verdict = EK_VERDICT_UNSURE, .time = "2026-11-25T19:00:00Z" };
	char note[] = "a \"quoted\"\nline, tab\t, </script>, \x01, 漢字";
	struct ek_buffer text = { 0 };

	entry.note = note;
	memset(entry.sha256, 'a', 64);
	assert_ok(ek_review_log_reviewer(&entry.reviewer, &log, "Zoë \"Z\" \\ O'Neil"));
	assert_ok(ek_review_log_add(&log, &entry));
	assert_ok(ek_review_log_format(&text, &log, &log.entries[0]));
	assert_ok(ek_review_log_format_undo(&text, &log, &log.entries[0]));
	assert_ok(ek_review_log_format(&text, &log, &log.entries[0]));
	parse(&back, text.data);
	assert_int_equal(ek_warnings.count, 0);
	assert_int_equal(back.entry_count, 2);
	assert_int_equal(back.entries[0].undone, 1);
	assert_string_equal(back.entries[1].note, note);
	assert_string_equal(back.entries[1].sha256, entry.sha256);
	assert_string_equal(back.reviewers[0], log.reviewers[0]);
	assert_string_equal(standing(&back, 7, 0), "unsure");
	entry.reviewer = 1;
	assert_fails(ek_review_log_add(&log, &entry), EK_EUSAGE, "no such");
	ek_buffer_release(&text);
	ek_review_log_release(&back);
	ek_review_log_release(&log);
}

static void outcomes_follow_the_votes(void **state)
{
	static const struct {
		const char *votes; /* one letter a reviewer */
		enum ek_review_outcome want;
	} cases[] = {
		{ "", EK_REVIEW_OPEN },       { "a", EK_REVIEW_ACCEPTED },   { "r", EK_REVIEW_REJECTED },
		{ "u", EK_REVIEW_UNSURE },    { "au", EK_REVIEW_UNSURE },    { "aau", EK_REVIEW_ACCEPTED },
		{ "ar", EK_REVIEW_DISPUTED }, { "ru", EK_REVIEW_REJECTED },  { "aaar", EK_REVIEW_DISPUTED },
		{ "aauu", EK_REVIEW_UNSURE }, { "rrr", EK_REVIEW_REJECTED },
	};
	enum { CASES = sizeof cases / sizeof *cases };
	struct ek_review_log log = { 0 };
	uint64_t counts[EK_REVIEW_OUTCOMES];

	for (uint32_t i = 0; i < CASES; i++)
		for (size_t j = 0; cases[i].votes[j] != 0; j++) {
			struct ek_review_entry entry = { .sample = i, .time = "2026-11-25T19:00:00Z" };
			const char name[2] = { (char)('A' + (int)j), 0 };

			entry.verdict = cases[i].votes[j] == 'a'   ? EK_VERDICT_ACCEPT
			                : cases[i].votes[j] == 'r' ? EK_VERDICT_REJECT
			                                           : EK_VERDICT_UNSURE;
			assert_ok(ek_review_log_reviewer(&entry.reviewer, &log, name));
			assert_ok(ek_review_log_add(&log, &entry));
		}
	for (uint32_t i = 0; i < CASES; i++) {
		print_message("\"%s\" is %s\n", cases[i].votes, ek_review_outcome_name(cases[i].want));
		assert_int_equal(ek_review_log_outcome(&log, i), cases[i].want);
	}
	ek_review_log_outcomes(counts, &log, CASES + 5);
	assert_int_equal(counts[EK_REVIEW_OPEN], 6);
	assert_int_equal(counts[EK_REVIEW_ACCEPTED], 2);
	assert_int_equal(counts[EK_REVIEW_REJECTED], 3);
	assert_int_equal(counts[EK_REVIEW_DISPUTED], 2);
	assert_int_equal(counts[EK_REVIEW_UNSURE], 3);
	ek_review_log_release(&log);
}

static void add_column(struct ek_review_log *log, const cJSON *column, const char *name)
{
	struct ek_review_entry entry = { .time = "2026-11-25T19:00:00Z" };
	const cJSON *one;

	assert_ok(ek_review_log_reviewer(&entry.reviewer, log, name));
	cJSON_ArrayForEach(one, column)
	{
		entry.verdict = (enum ek_verdict)one->valueint;
		if (one->valueint >= 0)
			assert_ok(ek_review_log_add(log, &entry));
		entry.sample++;
	}
}

static void agreement_equals_scikit_learn(void **state)
{
	cJSON *golden = ek_golden("review");
	const cJSON *one;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "agreement"))
	{
		const cJSON *kappa = cJSON_GetObjectItem(one, "kappa"), *same = cJSON_GetObjectItem(one, "observed");
		struct ek_review_log log = { 0 };
		struct ek_review_agreement got;

		add_column(&log, cJSON_GetObjectItem(one, "a"), "a");
		add_column(&log, cJSON_GetObjectItem(one, "b"), "b");
		ek_review_log_agreement(&got, &log, 0, 1);
		print_message("case %d: both %d, kappa %g\n", done++, (int)got.both, got.kappa);
		assert_int_equal(got.both, cJSON_GetObjectItem(one, "both")->valueint);
		if (cJSON_IsNull(same))
			assert_true(isnan(got.observed));
		else
			assert_close(got.observed, same->valuedouble, TOLERANCE);
		if (cJSON_IsNull(kappa))
			assert_true(isnan(got.kappa));
		else
			assert_close(got.kappa, kappa->valuedouble, TOLERANCE);
		ek_review_log_release(&log);
	}
	assert_int_equal(done, 10);
	cJSON_Delete(golden);
}

EK_TEST_MAIN(cmocka_unit_test(what_stands_is_the_last_that_was_not_undone),
             cmocka_unit_test(damaged_lines_are_named_and_left_out),
             cmocka_unit_test(a_last_line_cut_anywhere_costs_no_other),
             cmocka_unit_test(an_end_that_nobody_wrote_is_damage), cmocka_unit_test(a_line_reads_back),
             cmocka_unit_test(outcomes_follow_the_votes), cmocka_unit_test(agreement_equals_scikit_learn))
