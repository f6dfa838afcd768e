#include "reports/html.h"
#include "tests/support/support.h"

static void texts_from_the_data_are_escaped(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "plain", "plain" },
		{ "<script>alert(1)</script>.jpg", "&lt;script&gt;alert(1)&lt;/script&gt;.jpg" },
		{ "a\"b'c&d", "a&quot;b&#39;c&amp;d" },
		{ "two\nlines\x7f", "two\\x0alines\\x7f" },
		{ "caf\xc3\xa9 caf\xe9!", "caf\xc3\xa9 caf\xef\xbf\xbd!" },
		{ "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "", "" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ek_html h = { .rc = 0 };

		ek_html(&h, "[%s]", cases[i].text);
		assert_ok(h.rc);
		assert_int_equal(h.text.size, strlen(cases[i].want) + 2);
		assert_memory_equal(h.text.data + 1, cases[i].want, strlen(cases[i].want));
		ek_html_release(&h);
	}
}

static void formats_like_printf(void **state)
{
	struct ek_html h = { .rc = 0 };

	ek_html(&h, "<i a=\"%d%%\">%lu %zu %.2f %g %5.1f|%s</i>", -3, 18446744073709551615UL, (size_t)7, 1.005, 0.5,
	        2.25, "<");
	assert_ok(h.rc);
	assert_string_equal(h.text.data, "<i a=\"-3%\">18446744073709551615 7 1.00 0.5   2.2|&lt;</i>");
	ek_html_release(&h);
}

static void base64_is_that_of_rfc_4648(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },        { "f", "Zg==" },        { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "foobar", "Zm9vYmFy" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ek_html h = { .rc = 0 };

		ek_html(&h, "|");
		ek_html_base64(&h, cases[i][0], strlen(cases[i][0]));
		assert_ok(h.rc);
		assert_string_equal(h.text.data + 1, cases[i][1]);
		ek_html_release(&h);
	}
}

#define NARROW "\xe2\x80\xaf"
#define DASH "\xe2\x80\x93"

static void numbers_read_well(void **state)
{
	assert_string_equal(ek_count(0).s, "0");
	assert_string_equal(ek_count(999).s, "999");
	assert_string_equal(ek_count(1000).s, "1,000");
	assert_string_equal(ek_count(18446744073709551615UL).s, "18,446,744,073,709,551,615");
	assert_string_equal(ek_decimal(-1234567.891, 1).s, "\xe2\x88\x92"
	                                                   "1,234,567.9");
	assert_string_equal(ek_decimal(-123.4, 1).s, "\xe2\x88\x92"
	                                             "123.4");
	assert_string_equal(ek_decimal(-0.004, 2).s, "0.00"); /* what is rounded to 0 has no sign */
	assert_string_equal(ek_decimal(NAN, 2).s, DASH);
	assert_string_equal(ek_decimal(INFINITY, 2).s, DASH);
	assert_string_equal(ek_percent(0).s, "0" NARROW "%");
	assert_string_equal(ek_percent(1).s, "100" NARROW "%");
	assert_string_equal(ek_percent(0.1234).s, "12.3" NARROW "%");
	assert_string_equal(ek_percent(0.00996).s, "1.0" NARROW "%");
	assert_string_equal(ek_percent(0.0045).s, "0.45" NARROW "%");
	assert_string_equal(ek_percent(0.00001).s, "<" NARROW "0.01" NARROW "%");
	assert_string_equal(ek_percent_whole(0.414).s, "41" NARROW "%");
	assert_string_equal(ek_percent_whole(0.0123).s, "1.2" NARROW "%");
	assert_string_equal(ek_percent_range(0.031, 0.0422).s, "3.1" DASH "4.2" NARROW "%");
	assert_string_equal(ek_duration(0.44).s, "0.4" NARROW "s");
	assert_string_equal(ek_duration(125.4).s, "2" NARROW "min 5" NARROW "s");
	assert_string_equal(ek_duration(3599.7).s, "1" NARROW "h 0" NARROW "min");
	assert_string_equal(ek_duration(-1).s, DASH);
	assert_string_equal(ek_bytes(999).s, "999" NARROW "bytes");
	assert_string_equal(ek_bytes(1234567890).s, "1.2" NARROW "GB");
}

EK_TEST_MAIN(cmocka_unit_test(texts_from_the_data_are_escaped), cmocka_unit_test(formats_like_printf),
             cmocka_unit_test(base64_is_that_of_rfc_4648), cmocka_unit_test(numbers_read_well))
