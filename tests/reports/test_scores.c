/* Scores in the report: their order and agreement, and the chapter of a made-up run. */

#include "rebalance/base/file.h"
#include "rebalance/io/npy.h"
#include "reports/scores.h"
#include "tests/reports/fixture.h"
#include "tests/reports/reading.h"
#include "tests/support/support.h"

static const struct ek_fixture fixture = { .k = 12, .images = 400, .side = 24 };

/* scipy.stats.rankdata and spearmanr. */
static void ranks_share_ties_and_agree_as_scipys(void **state)
{
	const float a[] = { 3, 1, (float)NAN, 1, 5, 4 }, b[] = { 1, 2, 7, 2, 9, 3 };
	float rank[6], other[6];
	uint64_t order[6], count;
	double r;

	assert_ok(ek_score_order(order, rank, &count, a, 6, 1));
	assert_int_equal(count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(order[i], ((const uint64_t[]){ 4, 5, 0, 1, 3 })[i]);
	for (size_t i = 0; i < 6; i++)
		assert_true(i == 2 ? isnan(rank[i]) : rank[i] == ((const float[]){ 2, 3.5F, 0, 3.5F, 0, 1 })[i]);
	assert_ok(ek_score_order(order, other, &count, b, 6, 1));
	assert_ok(ek_score_correlation(&r, rank, other, 6));
	assert_close(r, 0.68421053, 1e-6);
	assert_ok(ek_score_correlation(&r, rank, rank, 6));
	assert_close(r, 1, 1e-9);
	for (size_t i = 0; i < 6; i++)
		other[i] = 1;
	assert_ok(ek_score_correlation(&r, rank, other, 6));
	assert_true(isnan(r));
}

static void write_scores(const char *folder, const char *name, const char *json, uint64_t n)
{
	float *values;
	char file[64];

	assert_ok(ek_make_directories(ek_join(folder, "scores")));
	assert_ok(ek_alloc(&values, n, sizeof *values));
	for (uint64_t i = 0; i < n; i++)
		values[i] = i == 3 ? (float)NAN : (float)((i * 37) % n);
	(void)snprintf(file, sizeof file, "scores/%s.npy", name);
	assert_ok(ek_npy_write(ek_join(folder, file), EK_F32, 1, &n, values));
	(void)snprintf(file, sizeof file, "scores/%s.json", name);
	ek_write_file(ek_join(folder, file), json, strlen(json));
	free(values);
}

static const char hard[] =
	"{\"method\":\"probe-<i>\",\"what\":\"x\",\"hard\":\"high\",\"by\":\"label\",\"classes\":3,\"accuracy\":0.5,"
	"\"deviation\":2,\"unscored\":[{\"reason\":\"no label\",\"images\":1,\"first\":3}],"
	"\"quantiles\":{\"median\":200},\"standard_error\":{\"median\":0.5},"
	"\"histogram\":{\"low\":0,\"high\":399,\"images\":[100,200,99]}}";
static const char doubtful[] =
	"{\"method\":\"label-errors\",\"what\":\"x\",\"hard\":\"low\",\"label_errors\":{\"found\":2,\"share\":0.005,"
	"\"labels\":[{\"label\":\"</bdi><b>\",\"images\":100,\"errors\":2,\"mostly\":\"dog\",\"mostly_images\":2},"
	"{\"label\":\"cat\",\"images\":100,\"errors\":0,\"mostly\":null,\"mostly_images\":0}]}}";
static const char table[] = "file_name,id,label,suggested,probability,probability_of_label,quality\n"
			    "a.jpg,7,\"<s>cat, or\",dog,0.93,0.01,0.01\nb.jpg,9,cat,bird,0.5,0.2,0.2\n";

static void scores_are_told_and_shown(void **state)
{
	const char *folder = ek_fixture_make(&fixture);
	struct ek_buffer page = { 0 };

	report_of(&page, folder, NULL);
	assert_lacks(page, "id=\"scores\"");
	write_scores(folder, "a", hard, 400);
	write_scores(folder, "b", doubtful, 400);
	ek_write_file(ek_join(folder, "scores/b.csv"), table, sizeof table - 1);
	ek_buffer_clear(&page);
	report_of(&page, folder, NULL);
	assert_int_equal(occurrences(page.data, "<section class=\"chapter\" id=\"scores\""), 1);
	assert_shows(page, "Method <b>probe-&lt;i&gt;</b>: x. High scores are hard. The 3 classes are by "
	                   "<bdi>label</bdi>; the probe tells 50");
	assert_shows(page, "The standard error of a score is 0.500, 25");
	assert_shows(page, "Not scored: 1 image, the first is 3: no label.");
	assert_shows(page, "from 0.000 to 399, the median is 200. In colour: the hard half.");
	assert_shows(page, "Low scores are doubtful");
	assert_shows(page, "<b>2 labels are likely wrong</b>");
	assert_shows(page, "<s><bdi>&lt;s&gt;cat, or</bdi></s> <b><bdi>dog</bdi></b> <small>93");
	assert_shows(page, "<bdi>&lt;/bdi&gt;&lt;b&gt;</bdi></th>");
	assert_shows(page, "Whom pruning by it takes from");
	/* b is a the other way round: what is low is first. */
	assert_shows(page, "<td class=\"h0\" data-v=\"-1.0000\">\xe2\x88\x92"
	                   "1.00</td>");
	assert_lacks(page, "nan");
	ek_buffer_release(&page);
}

/* Arrays of other images are left alone; what is damaged is left out and named. */
static void what_does_not_fit_is_left_out_and_named(void **state)
{
	static const char wrong[] = "id,label,suggested,probability\n400,a,b,1\n";
	const char *folder = ek_fixture_make(&fixture);
	struct ek_buffer page = { 0 }, left_out = { 0 };
	struct ek_run *run;
	struct ek_scores scores;

	write_scores(folder, "a", hard, 399);
	report_of(&page, folder, NULL);
	assert_shows(page, "Method <b>probe-&lt;i&gt;</b>");
	assert_lacks(page, "Hardest");
	assert_lacks(page, "How far they agree");
	ek_buffer_release(&page);
	assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
	ek_write_file(ek_join(folder, "scores/a.csv"), wrong, sizeof wrong - 1);
	assert_ok(ek_scores_load(&scores, &left_out, run, 400, 8));
	assert_int_equal(scores.count, 0);
	assert_non_null(strstr(left_out.data, "a.csv: there is no image 400\n"));
	ek_scores_release(&scores);
	assert_ok(ek_scores_load(&scores, &left_out, run, 400, 8)); /* a line is there once */
	assert_null(strstr(strchr(left_out.data, '\n'), "a.csv"));
	ek_scores_release(&scores);
	ek_write_file(ek_join(folder, "scores/a.json"), "[1]", 3);
	report_of(&page, folder, NULL);
	assert_shows(page, "<b>Not on this page</b>");
	assert_shows(page, "a.json: no JSON object</bdi></li>");
	ek_buffer_release(&page);
	ek_buffer_release(&left_out);
	ek_run_close(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(ranks_share_ties_and_agree_as_scipys),
		                            cmocka_unit_test(scores_are_told_and_shown),
		                            cmocka_unit_test(what_does_not_fit_is_left_out_and_named) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
