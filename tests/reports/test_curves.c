#include "reports/curves.h"
#include "rebalance/base/file.h"
#include "reports/report.h"
#include "tests/reports/evaluations.h"
#include "tests/reports/fixture.h"
#include "tests/support/support.h"

static size_t occurrences(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

static void axes_are_round_and_hold_the_values(void **state)
{
	static const struct {
		double low, high, first, last, step;
	} cases[] = {
		{ 0, 1, 0, 1, 0.5 },           { 0.41, 0.93, 0.4, 1, 0.2 },
		{ 40, 63.6, 40, 70, 10 },      { -0.3, 1.7, -0.5, 2, 0.5 },
		{ 5, 5, 4.5, 5.5, 0.5 },       { 0, 0, -1, 1, 0.5 },
		{ 1e-7, 9e-7, 0, 1e-6, 2e-7 }, { 14891, 14891, 13000, 17000, 1000 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct ek_axis a = ek_axis_of(cases[i].low, cases[i].high);

		assert_close(a.step / cases[i].step, 1, 1e-9);
		assert_close(a.low / cases[i].step, cases[i].first / cases[i].step, 1e-9);
		assert_close(a.high / cases[i].step, cases[i].last / cases[i].step, 1e-9);
	}
}

static void the_front_is_what_nothing_beats(void **state)
{
	const double x[] = { 10, 20, 20, 30, 40, 5, 50 }, y[] = { 0.3, 0.5, 0.4, 0.5, 0.9, NAN, 0.9 };
	const uint8_t want[] = { 1, 1, 0, 0, 1, 0, 0 };
	uint8_t on[7];

	ek_pareto_front(on, x, y, 7);
	assert_memory_equal(on, want, sizeof want);
}

static void a_chart_tells_every_point(void **state)
{
	struct ek_curve_point up[] = { { 0.25, 10, 8, 12, "a", 0 },
		                       { 0.5, NAN, NAN, NAN, "b", 0 },
		                       { 1, 20, NAN, NAN, "c", 1 } };
	struct ek_curve_point down[] = { { 0.25, 30, NAN, NAN, "<d>", 0 } };
	const struct ek_curve_line lines[] = { { .name = "up", .points = up, .count = 3 },
		                               { .name = "<b>", .dashed = 1, .points = down, .count = 1 } };
	const struct ek_curve_chart chart = { "fd", "T & t", "hint", 0, INFINITY, lines, 2 };
	struct ek_html h = { .rc = 0 };

	ek_curves_chart(&h, &chart);
	assert_ok(h.rc);
	assert_non_null(strstr(h.text.data, "<desc id=\"fd-text\">up: 10.0 at 0.25. &lt;b&gt;: 30.0 at 0.25. </desc>"));
	/* From 5 to 30 by 10, so 0 … 30: 170 pixels from y = 182 up; keep 0.25 at 46 + 282/4. */
	assert_non_null(strstr(h.text.data, "d=\"M116.5 125.3L328.0 68.7\""));
	assert_non_null(strstr(h.text.data, "class=\"whisker\" d=\"M116.5 136.7V114.0\""));
	/* What is missing has no marker, what is another line's neither. */
	assert_int_equal(occurrences(h.text.data, "class=\"mark"), 2);
	assert_int_equal(occurrences(h.text.data, "class=\"mark hollow\""), 1);
	assert_null(strstr(h.text.data, "nan"));
	assert_null(strstr(h.text.data, "<b>:"));
	ek_html_release(&h);
}

/* What cannot be is on no axis: a share below 0 or above 1, a distance below 0. */
static void an_axis_ends_where_its_measure_does(void **state)
{
	static const struct {
		double value, low, high, most;
		const char *first, *last, *whisker; /* ticks from 182 up to 12; keep 0.5 at 187 */
	} cases[] = {
		{ 0.004, -0.002, 0.01, 1, "y=\"186.0\">0.000<", "y=\"16.0\">0.010<", "M187.0 182.0V12.0" },
		{ 0, NAN, NAN, 1, "y=\"186.0\">0.0<", "y=\"16.0\">1.0<", NULL },
		{ 1, 0.9, 1.08, 1, "y=\"186.0\">0.90<", "y=\"16.0\">1.00<", "M187.0 182.0V12.0" },
		{ 0, -2, 4, INFINITY, "y=\"186.0\">0<", "y=\"16.0\">4<", "M187.0 182.0V12.0" },
		{ 2, 1.5, 2.5, 1, "y=\"186.0\">", "y=\"16.0\">", NULL },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ek_curve_point point = { 0.5, cases[i].value, cases[i].low, cases[i].high, "a", 0 };
		const struct ek_curve_line line = { .name = "m", .points = &point, .count = 1 };
		const struct ek_curve_chart chart = { "c", "C", "", 0, cases[i].most, &line, 1 };
		struct ek_html h = { .rc = 0 };

		ek_curves_chart(&h, &chart);
		assert_ok(h.rc);
		assert_non_null(strstr(h.text.data, cases[i].first));
		assert_non_null(strstr(h.text.data, cases[i].last));
		assert_true(cases[i].whisker == NULL || strstr(h.text.data, cases[i].whisker) != NULL);
		assert_null(strstr(h.text.data, "nan"));
		ek_html_release(&h);
	}
}

static void the_front_is_drawn_as_stairs(void **state)
{
	struct ek_curve_point points[] = { { 0, 0, NAN, NAN, "none", 0 },
		                           { 100, 1, NAN, NAN, "all", 0 },
		                           { 100, 0.5, NAN, NAN, "beaten", 0 } };
	const struct ek_curve_line lines[] = { { .name = "m", .grey = 1, .points = points, .count = 3 } };
	const struct ek_curve_chart chart = { "p", "P", "", 0, 1, lines, 1 };
	struct ek_html h = { .rc = 0 };

	ek_curves_pareto(&h, &chart, "images");
	assert_ok(h.rc);
	/* A plot from (46, 266) to (380, 18). */
	assert_non_null(strstr(h.text.data, "class=\"front\" d=\"M46.0 266H46.0V266.0H380.0V18.0H380\""));
	assert_non_null(strstr(h.text.data, ">all</text>"));
	assert_null(strstr(h.text.data, ">beaten</text>"));
	assert_int_equal(occurrences(h.text.data, "class=\"mark"), 3);
	assert_null(strstr(h.text.data, "class=\"stroke"));
	ek_html_release(&h);
}

static void nothing_to_draw_is_said(void **state)
{
	const struct ek_curve_chart chart = { "x", "X", "", 0, 1, NULL, 0 };
	struct ek_html h = { .rc = 0 };

	ek_curves_chart(&h, &chart);
	ek_curves_pareto(&h, &chart, "images");
	assert_ok(h.rc);
	assert_int_equal(occurrences(h.text.data, "No evaluation has it."), 2);
	ek_html_release(&h);
}

/* The chapter comes with the second evaluation, with what was trained on in the same words as `compare`. */
static void the_chapter_shows_what_compare_does(void **state)
{
	static const struct ek_fixture fixture = { .k = 5, .images = 60, .embeddings_only = 1 };
	static const struct ek_made_evaluation made[] = {
		{ .name = "natural", .keep = 1, .fd = 5, .coverage = 0.9, .worst = 0.5, .seeds = 3, .deviation = 0.1 },
		{ .name = "far",
		  .method = EK_HOSTILE_VALUE,
		  .keep = 0.5,
		  .fd = 7,
		  .coverage = 0.91,
		  .worst = 0.25,
		  .seeds = 3,
		  .deviation = 0.1,
		  .training_images = 500 },
		{ .name = "other", .weights = "w", .keep = 1, .images = 30 },
	};
	const char *folder = ek_fixture_make(&fixture);
	struct ek_buffer page = { 0 };

	for (size_t i = 0; i < 3; i++) {
		struct ek_run *run = NULL;

		ek_make_evaluation(folder, &made[i]);
		assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
		assert_ok(ek_report(run, NULL));
		ek_run_close(run);
		ek_buffer_clear(&page);
		assert_ok(ek_file_read(&page, ek_join(folder, "report.html"), 1 << 26));
		assert_int_equal(occurrences(page.data, "id=\"comparison\""), i > 0);
	}
	assert_int_equal(occurrences(page.data, "class=\"plot\""), 5);
	assert_non_null(strstr(page.data, "+2.00 \xe2\x96\xbc<span class=\"hidden\"> worse"));
	assert_non_null(strstr(page.data, "<small>+0.010</small>"));
	assert_non_null(strstr(page.data, "<bdi>other</bdi> is not compared: 30 generated images, not 900"));
	assert_non_null(strstr(page.data, "The charts show the 2 evaluations"));
	assert_null(strstr(page.data, "<script>alert"));
	ek_buffer_release(&page);
}

/* One evaluation has nothing beside it to be drawn with: no chart, and no word of one. */
static void where_none_goes_together_no_chart_is_spoken_of(void **state)
{
	static const struct ek_fixture fixture = { .k = 5, .images = 60, .embeddings_only = 1 };
	static const struct ek_made_evaluation made[] = {
		{ .name = "far", .method = "furthest", .keep = 0.5, .images = 30, .training_images = 500 },
		{ .name = "other", .weights = "w", .keep = 1, .images = 40 },
	};
	const char *folder = ek_fixture_make(&fixture);
	struct ek_buffer page = { 0 };
	struct ek_run *run = NULL;

	for (size_t i = 0; i < 2; i++)
		ek_make_evaluation(folder, &made[i]);
	assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
	assert_ok(ek_report(run, NULL));
	ek_run_close(run);
	assert_ok(ek_file_read(&page, ek_join(folder, "report.html"), 1 << 26));
	assert_int_equal(occurrences(page.data, "id=\"comparison\""), 1);
	assert_int_equal(occurrences(page.data, "class=\"plot\""), 0);
	assert_null(strstr(page.data, "The charts show"));
	ek_buffer_release(&page);
}

EK_TEST_MAIN(cmocka_unit_test(axes_are_round_and_hold_the_values), cmocka_unit_test(the_front_is_what_nothing_beats),
             cmocka_unit_test(a_chart_tells_every_point), cmocka_unit_test(an_axis_ends_where_its_measure_does),
             cmocka_unit_test(the_front_is_drawn_as_stairs), cmocka_unit_test(nothing_to_draw_is_said),
             cmocka_unit_test(the_chapter_shows_what_compare_does),
             cmocka_unit_test(where_none_goes_together_no_chart_is_spoken_of))
