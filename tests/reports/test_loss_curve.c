#include "reports/loss_curve.h"
#include "tests/support/support.h"

static void thinning_keeps_means_and_the_end(void **state)
{
	struct ek_log_point points[1000];
	size_t left;

	for (size_t i = 0; i < 1000; i++)
		points[i] = (struct ek_log_point){ (double)i + 1, (double)i, i == 7 || i == 999 ? 5 : NAN };
	left = ek_log_thin(points, 1000, EK_LOG_POINTS);
	/* Groups of four. */
	assert_int_equal(left, 250);
	assert_close(points[0].step, 4, 0);
	assert_close(points[0].loss, 1.5, 0);
	assert_true(isnan(points[0].held_out));
	assert_close(points[1].held_out, 5, 0);
	assert_close(points[249].step, 1000, 0);
	assert_close(points[249].loss, 997.5, 0);
	assert_close(points[249].held_out, 5, 0);
	/* Few enough stay as they are; a group may be cut off. */
	assert_int_equal(ek_log_thin(points, 250, EK_LOG_POINTS), 250);
	assert_int_equal(ek_log_thin(points, 250, 100), 84);
	assert_close(points[83].step, 1000, 0);
	assert_int_equal(ek_log_thin(points, 0, 100), 0);
}

static void a_curve_goes_from_corner_to_corner(void **state)
{
	/* From e² to 1: logarithmic, so that the middle is half the way. */
	const struct ek_log_point points[] = { { 10, exp(2), NAN }, { 20, exp(1), 2 }, { 30, 1, NAN } };
	struct ek_html h = { .rc = 0 };

	ek_svg_loss(&h, points, 3, "<b>");
	assert_ok(h.rc);
	assert_non_null(strstr(h.text.data, "d=\"M0.0 0.0L500.0 95.0L1000.0 190.0\""));
	assert_non_null(strstr(h.text.data, "<circle class=\"dot\" cx=\"50.00%\""));
	assert_non_null(strstr(h.text.data, "Loss of &lt;b&gt;"));
	assert_non_null(strstr(h.text.data, ">5</text>"));
	assert_null(strstr(h.text.data, "nan"));
	ek_html_release(&h);
}

static void a_loss_below_zero_and_a_flat_one_are_drawn(void **state)
{
	const struct ek_log_point below[] = { { 0, 1, NAN }, { 1, -1, NAN } };
	const struct ek_log_point flat[] = { { 5, 2, NAN }, { 5, 2, 2 } };
	struct ek_html h = { .rc = 0 };

	ek_svg_loss(&h, below, 2, "a");
	assert_non_null(strstr(h.text.data, "d=\"M0.0 0.0L1000.0 190.0\""));
	assert_non_null(strstr(h.text.data, ">-0.5</text>"));
	ek_svg_loss(&h, flat, 2, "a");
	assert_ok(h.rc);
	assert_null(strstr(h.text.data, "nan"));
	assert_null(strstr(h.text.data, "inf"));
	ek_html_release(&h);
}

EK_TEST_MAIN(cmocka_unit_test(thinning_keeps_means_and_the_end), cmocka_unit_test(a_curve_goes_from_corner_to_corner),
             cmocka_unit_test(a_loss_below_zero_and_a_flat_one_are_drawn))
