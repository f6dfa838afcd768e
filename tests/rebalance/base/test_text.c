#include "tests/support/support.h"

#include "rebalance/base/text.h"

static char out[32];

static void counts_have_separators(void **state)
{
	assert_string_equal(ek_text_count(out, 0), "0");
	assert_string_equal(ek_text_count(out, 999), "999");
	assert_string_equal(ek_text_count(out, 1000), "1,000");
	assert_string_equal(ek_text_count(out, UINT64_MAX), "18,446,744,073,709,551,615");
}

static void durations_read_well(void **state)
{
	assert_string_equal(ek_text_duration(out, 0.42), "0.4 s");
	assert_string_equal(ek_text_duration(out, 59.4), "59 s");
	assert_string_equal(ek_text_duration(out, 59.6), "1 min 0 s");
	assert_string_equal(ek_text_duration(out, 7500), "2 h 5 min");
}

static void rates_bytes_and_percents(void **state)
{
	assert_string_equal(ek_text_rate(out, 0.526), "0.53");
	assert_string_equal(ek_text_rate(out, 1203.6), "1,204");
	assert_string_equal(ek_text_bytes(out, 999), "999 bytes");
	assert_string_equal(ek_text_bytes(out, 1500), "1.5 kB");
	assert_string_equal(ek_text_bytes(out, 999999), "1.0 MB");
	assert_string_equal(ek_text_percent(out, 0.412), "41 %");
	assert_string_equal(ek_text_percent(out, 0.0321), "3.2 %");
	assert_string_equal(ek_text_percent(out, 0.0004), "0.04 %");
	assert_string_equal(ek_text_percent(out, 1e-12), "0 %");
}

/* What corrections leave of nothing is no number of seventeen places. */
static void measures_have_what_is_known_of_them(void **state)
{
	static const char *const rows[][2] = {
		{ "{\"value\":0.25}", "0.25" },
		{ "{\"value\":0.25,\"corrected\":0.125,\"ci95\":[0.0625,0.5]}",
		  "0.25, corrected 0.125 (0.0625 to 0.5)" },
		{ "{\"value\":0.25,\"ci95\":[0.125,null]}", "0.25 (at least 0.125)" },
		{ "{\"value\":90,\"ci95\":[9.36,8224.4]}", "90 (9.36 to 8,220)" },
		{ "{\"value\":999.6,\"ci95\":[1234567,1e20]}", "1,000 (1,230,000 to 1e+20)" },
		{ "{\"value\":0.5,\"corrected\":2.7e-17,\"ci95\":[2.7e-17,1]}", "0.5, corrected 0 (0 to 1)" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		cJSON *measure = cJSON_Parse(rows[i][0]);
		char text[96];

		assert_non_null(measure);
		assert_string_equal(ek_text_measure(text, measure), rows[i][1]);
		cJSON_Delete(measure);
	}
}

EK_TEST_MAIN(cmocka_unit_test(counts_have_separators), cmocka_unit_test(durations_read_well),
             cmocka_unit_test(rates_bytes_and_percents), cmocka_unit_test(measures_have_what_is_known_of_them))
