#include "reports/svg.h"
#include "tests/support/support.h"

/* The number after `mark` in `text`, from the `nth` occurrence on. */
static double number_after(const char *text, const char *mark, int nth)
{
	for (; text != NULL && nth >= 0; nth--)
		text = (text = strstr(text, mark)) != NULL ? text + strlen(mark) : NULL;
	assert_non_null(text);
	return strtod(text, NULL);
}

static void assert_balanced(const char *text)
{
	int open = 0;

	for (const char *at = text; (at = strstr(at, "<svg")) != NULL; at++)
		open++;
	for (const char *at = text; (at = strstr(at, "</svg>")) != NULL; at++)
		open--;
	assert_int_equal(open, 0);
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "inf"));
}

static void a_bar_is_to_scale(void **state)
{
	struct ek_html h = { .rc = 0 };

	ek_svg_bar(&h, 0.1, 0.08, 0.12, 0.05, 0.2, 1);
	assert_ok(h.rc);
	assert_balanced(h.text.data);
	/* Printed with two decimals. */
	assert_close(number_after(h.text.data, "width=\"", 1), 50, 1e-3);
	assert_close(number_after(h.text.data, "class=\"even\" x1=\"", 0), 25, 1e-3);
	assert_close(number_after(h.text.data, "class=\"interval\" x1=\"", 0), 40, 1e-3);
	assert_close(number_after(h.text.data, "x2=\"", 1), 60, 1e-3);
	assert_non_null(strstr(h.text.data, "marked"));
	ek_html_release(&h);
	ek_svg_bar(&h, 0, NAN, NAN, 0.5, 0, 0);
	assert_ok(h.rc);
	assert_balanced(h.text.data);
	assert_null(strstr(h.text.data, "interval"));
	ek_html_release(&h);
}

static void the_lorenz_curve_passes_through_its_points(void **state)
{
	const double shares[4] = { 0.5, 0.25, 0.15, 0.1 };
	struct ek_html h = { .rc = 0 };
	const char *curve;

	ek_svg_lorenz(&h, shares, 4, 0.325);
	assert_ok(h.rc);
	assert_balanced(h.text.data);
	curve = strstr(h.text.data, "class=\"gap\"");
	assert_non_null(curve);
	/* A square of 300 from (50, 16): the smallest quarter holds 10 %, half 25 %, three quarters 50 %. */
	assert_close(number_after(curve, "L", 0), 50 + 75, 1e-3);
	assert_non_null(strstr(curve, "L125.0 286.0L200.0 241.0L275.0 166.0L350.0 16.0z"));
	assert_non_null(strstr(h.text.data, "25\xe2\x80\xaf%"));
	ek_html_release(&h);
}

static void one_cluster_is_drawn(void **state)
{
	const double share[1] = { 1 };
	struct ek_html h = { .rc = 0 };

	ek_svg_lorenz(&h, share, 1, 0);
	ek_svg_profile(&h, share, 1, 0);
	ek_svg_curve(&h, share, share, 1, 1, "<title>", "x");
	assert_ok(h.rc);
	assert_balanced(h.text.data);
	assert_non_null(strstr(h.text.data, "&lt;title&gt;"));
	ek_html_release(&h);
}

static void markers_differ_for_42_clusters(void **state)
{
	char seen[EK_SVG_COLOURS * EK_SVG_SHAPES][256];

	for (size_t i = 0; i < EK_SVG_COLOURS * EK_SVG_SHAPES; i++) {
		struct ek_html h = { .rc = 0 };

		ek_svg_marker(&h, i);
		assert_ok(h.rc);
		assert_true(h.text.size < sizeof seen[i]);
		memcpy(seen[i], h.text.data, h.text.size + 1);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(seen[i], seen[j]);
		ek_html_release(&h);
	}
}

static void points_outside_the_square_stay_on_the_map(void **state)
{
	const struct ek_svg_point points[] = { { -5, 0.5, 3, 3, "<b>" }, { NAN, 7, 0, 44, "ok" } };
	struct ek_html h = { .rc = 0 };

	ek_svg_scatter(&h, points, 2, "t", "d");
	ek_svg_label(&h, 0.5, 0.5, 7);
	ek_svg_end(&h);
	assert_ok(h.rc);
	assert_balanced(h.text.data);
	assert_close(number_after(h.text.data, "<use href=\"#shape-0\" x=\"", 0), 3, 1e-3);
	assert_close(number_after(h.text.data, " y=\"", 1), 97, 1e-3);
	assert_non_null(strstr(h.text.data, "&lt;b&gt;"));
	ek_html_release(&h);
}

static void a_pair_is_to_scale(void **state)
{
	struct ek_html h = { .rc = 0 };

	ek_svg_pair(&h, 0.1, 0.3, 0.05, 0.2);
	assert_ok(h.rc);
	assert_balanced(h.text.data);
	assert_close(number_after(h.text.data, "width=\"", 1), 50, 1e-3);
	/* Not beyond its column. */
	assert_close(number_after(h.text.data, "width=\"", 2), 100, 1e-3);
	assert_close(number_after(h.text.data, "class=\"even\" x1=\"", 0), 25, 1e-3);
	ek_html_release(&h);
}

EK_TEST_MAIN(cmocka_unit_test(a_bar_is_to_scale), cmocka_unit_test(a_pair_is_to_scale),
             cmocka_unit_test(the_lorenz_curve_passes_through_its_points), cmocka_unit_test(one_cluster_is_drawn),
             cmocka_unit_test(markers_differ_for_42_clusters),
             cmocka_unit_test(points_outside_the_square_stay_on_the_map))
