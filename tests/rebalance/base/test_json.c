#include "tests/support/support.h"

#include <float.h>

#include "rebalance/base/file.h"
#include "rebalance/base/utf8.h"

static cJSON *parse(const char *text)
{
	cJSON *value = NULL;

	assert_ok(ek_json_parse(&value, text, strlen(text), "text"));
	assert_non_null(value);
	return value;
}

static void text_that_is_not_json_is_refused_with_its_place(void **state)
{
	static const char *const wrong[] = { "",          " ",           "{",    "[1,]",      "{\"a\":}", "{\"a\" 1}",
		                             "nul",       "[1] [2]",     "{} x", "\"open",    "[1}",      "{a:1}",
		                             "\"\\u12\"", "\"\\ud800\"", "'a'",  "[\"a\\q\"]" };
	cJSON *value;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		print_message("%s\n", wrong[i]);
		value = (cJSON *)&value;
		assert_fails(ek_json_parse(&value, wrong[i], strlen(wrong[i]), "x.jsonl:7"), EK_EDATA,
		             "x.jsonl:7: not JSON");
		assert_null(value);
	}
	assert_fails(ek_json_parse(&value, "[1, 2, x]", 9, "x"), EK_EDATA, "byte 7");
	assert_fails(ek_json_parse(&value, "", 0, "x"), EK_EDATA, "x: not JSON: it is empty");
	assert_fails(ek_json_parse(&value, "{}\0{}", 5, "x"), EK_EDATA, "at byte 2");
	assert_fails(ek_json_parse(&value, "{}\0", 3, "x"), EK_EDATA, "at byte 2");
}

static void a_value_may_be_any_type_with_space_around(void **state)
{
	static const char *const right[] = {
		"null", " true\n", "-1.5e3", "\t\"a\" \r\n", "[]", "{}", "{\"\":[[],{}]}"
	};
	cJSON *value;

	for (size_t i = 0; i < sizeof right / sizeof *right; i++)
		cJSON_Delete(parse(right[i]));
	/* Only `size` bytes count. */
	assert_ok(ek_json_parse(&value, "[1]]]]", 3, "x"));
	cJSON_Delete(value);
}

static void deep_nesting_is_an_error_not_a_crash(void **state)
{
	enum { DEPTH = 1000000 };
	char *text = malloc(2 * DEPTH);
	cJSON *value;

	assert_non_null(text);
	memset(text, '[', DEPTH);
	memset(text + DEPTH, ']', DEPTH);
	assert_fails(ek_json_parse(&value, text, 2 * DEPTH, "deep"), EK_EDATA, "deep: not JSON");
	assert_ok(ek_json_parse(&value, text + DEPTH - 900, 1800, "less deep"));
	cJSON_Delete(value);
	free(text);
}

static void whole_numbers_are_exact_below_2_53_or_refused(void **state)
{
	cJSON *object = parse("{\"zero\": 0, \"largest\": 9007199254740991, \"limit\": 9007199254740992, "
	                      "\"beyond\": 9007199254740993, \"negative\": -1, \"half\": 0.5, \"huge\": 1e300, "
	                      "\"text\": \"1\", \"null\": null, \"exponent\": 1e3}");
	static const char *const refused[] = { "limit", "beyond", "negative", "half", "huge", "text", "null", "none" };
	uint64_t got = 42;

	assert_ok(ek_json_get_u64(&got, object, "zero", "x"));
	assert_int_equal(got, 0);
	assert_ok(ek_json_get_u64(&got, object, "largest", "x"));
	assert_true(got == 9007199254740991u);
	assert_ok(ek_json_get_u64(&got, object, "exponent", "x"));
	assert_int_equal(got, 1000);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_fails(ek_json_get_u64(&got, object, refused[i], "run.json"), EK_EDATA, refused[i]);
	assert_int_equal(got, 1000);
	cJSON_Delete(object);
}

static void members_are_read_by_type(void **state)
{
	cJSON *object = parse("{\"a\": 1.25, \"A\": \"text\"}");
	const char *text = NULL;
	double number = 0;

	assert_ok(ek_json_get_double(&number, object, "a", "x"));
	assert_close(number, 1.25, 0);
	assert_ok(ek_json_get_string(&text, object, "A", "x"));
	assert_string_equal(text, "text");
	assert_fails(ek_json_get_string(&text, object, "a", "x"), EK_EDATA, "x: \"a\" is not a string");
	assert_fails(ek_json_get_double(&number, object, "A", "x"), EK_EDATA, "x: \"A\" is not a number");
	assert_fails(ek_json_get_double(&number, object, "b", "x"), EK_EDATA, "x: \"b\" is missing");
	assert_fails(ek_json_get_double(&number, NULL, "b", "x"), EK_EDATA, "missing");
	cJSON_Delete(object);
}

static void what_is_written_reads_back(void **state)
{
	const char *path = ek_join(ek_scratch(), "a.json");
	cJSON *object = cJSON_CreateObject(), *array, *child, *again, *none;
	struct ek_buffer text = { 0 };
	const char *name;
	double third;

	assert_ok(ek_json_add_u64(object, "most", UINT64_MAX));
	assert_ok(ek_json_add_array(&array, object, "numbers"));
	assert_ok(ek_json_add_double(array, NULL, 1.0 / 3));
	assert_ok(ek_json_add_double(array, NULL, (double)NAN));
	assert_ok(ek_json_add_double(array, NULL, -(double)INFINITY));
	assert_ok(ek_json_add_bool(array, NULL, 3));
	assert_ok(ek_json_add_null(array, NULL));
	assert_ok(ek_json_add_object(&child, array, NULL));
	assert_ok(ek_json_add_string(child, "name", "<a href=\"\\\">\x01\n\xc3\xa9\xff\xc3(\xed\xa0\x80)"));
	assert_ok(ek_json_save(object, path));
	assert_ok(ek_file_read(&text, path, 1 << 20));
	assert_non_null(strstr(text.data, "18446744073709551615"));
	assert_int_equal(text.data[text.size - 1], '\n');
	assert_int_equal(ek_utf8_valid_prefix(text.data, text.size), text.size);
	assert_ok(ek_json_load(&again, path));
	array = cJSON_GetObjectItem(again, "numbers");
	assert_int_equal(cJSON_GetArraySize(array), 6);
	third = cJSON_GetArrayItem(array, 0)->valuedouble;
	assert_true(third == 1.0 / 3);
	assert_true(cJSON_IsNull(cJSON_GetArrayItem(array, 1)) && cJSON_IsNull(cJSON_GetArrayItem(array, 2)));
	assert_true(cJSON_IsTrue(cJSON_GetArrayItem(array, 3)) && cJSON_IsNull(cJSON_GetArrayItem(array, 4)));
	assert_ok(ek_json_get_string(&name, cJSON_GetArrayItem(array, 5), "name", "x"));
	assert_string_equal(
		name, "<a href=\"\\\">\x01\n\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd)");
	assert_fails(ek_json_add_item(object, "x", NULL), EK_ENOMEM, "memory");
	assert_fails(ek_json_load(&none, ek_join(path, "none")), EK_EIO, "cannot open");
	ek_buffer_release(&text);
	cJSON_Delete(object);
	cJSON_Delete(again);
}

/* Reading and writing again changes no byte, whatever cJSON makes of the numbers in between. */
static void a_document_survives_being_saved_again(void **state)
{
	static const char text[] =
		"{\n\t\"a\": 0.12345678901234566,\n\t\"b\": 9007199254740991,\n\t\"c\": [1, -2.5, true],"
		"\n\t\"d\": [\n\t\t[],\n\t\t{}\n\t],\n\t\"\\n\": null\n}\n";
	const char *path = ek_join(ek_scratch(), "a.json");
	struct ek_buffer again = { 0 };
	cJSON *value = parse(text);

	assert_ok(ek_json_save(value, path));
	assert_ok(ek_file_read(&again, path, 1 << 20));
	assert_string_equal(again.data, text);
	ek_buffer_release(&again);
	cJSON_Delete(value);
}

static void strings_are_escaped_and_made_valid(void **state)
{
	static const struct {
		const char *bytes, *want;
		size_t size;
	} cases[] = {
		{ "", "\"\"", 0 },
		{ "a\"b\\c/", "\"a\\\"b\\\\c/\"", 6 },
		{ "\n\t\r\0\x1f\x7f", "\"\\n\\t\\u000d\\u0000\\u001f\\u007f\"", 6 },
		{ "\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\"", 6 },
		{ "\xff"
		  "a\xc3",
		  "\"\xef\xbf\xbd"
		  "a\xef\xbf\xbd\"",
		  3 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ek_buffer b = { 0 };

		assert_ok(ek_json_append_string(&b, cases[i].bytes, cases[i].size));
		assert_string_equal(b.data, cases[i].want);
		cJSON_Delete(parse(b.data));
		ek_buffer_release(&b);
	}
}

static void doubles_are_short_and_read_back_exactly(void **state)
{
	static const struct {
		double value;
		const char *want;
	} cases[] = {
		{ 0.1, "0.1" }, { 1, "1" }, { 1e300, "1e+300" }, { 0.1 + 0.2, "0.30000000000000004" }, { -2.5, "-2.5" }
	};
	struct ek_buffer b = { 0 };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ek_buffer_clear(&b);
		assert_ok(ek_json_append_double(&b, cases[i].value));
		assert_string_equal(b.data, cases[i].want);
	}
	for (int i = 1; i < 2000; i++) {
		const double value = (i % 2 ? DBL_MIN : 1e17) * sqrt(i);

		ek_buffer_clear(&b);
		assert_ok(ek_json_append_double(&b, value));
		assert_true(strtod(b.data, NULL) == value);
	}
	ek_buffer_clear(&b);
	assert_ok(ek_json_append_double(&b, (double)NAN));
	assert_string_equal(b.data, "null");
	ek_buffer_release(&b);
}

/* Unicode 15, table 3-7: the last and first of each range, and what lies just outside. */
static void utf8_is_told_from_what_only_looks_like_it(void **state)
{
	static const char *const valid[] = { "\x7f",         "\xc2\x80",         "\xdf\xbf",
		                             "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
		                             "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
	static const char *const wrong[] = { "\x80",
		                             "\xbf",
		                             "\xc0\x80",
		                             "\xc1\xbf",
		                             "\xc2",
		                             "\xc2\x41",
		                             "\xe0\x9f\xbf",
		                             "\xe1\x80",
		                             "\xed\xa0\x80",
		                             "\xed\xbf\xbf",
		                             "\xf0\x8f\xbf\xbf",
		                             "\xf4\x90\x80\x80",
		                             "\xf5\x80\x80\x80",
		                             "\xff",
		                             "\xf0\x90\x80",
		                             "\xe2\x82\x41" };

	for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
		assert_int_equal(ek_utf8_valid_prefix(valid[i], strlen(valid[i])), strlen(valid[i]));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(ek_utf8_valid_prefix(wrong[i], strlen(wrong[i])), 0);
	assert_int_equal(ek_utf8_valid_prefix("a\0\xc3\xa9\xc3", 5), 4);
}

EK_TEST_MAIN(cmocka_unit_test(text_that_is_not_json_is_refused_with_its_place),
             cmocka_unit_test(a_value_may_be_any_type_with_space_around),
             cmocka_unit_test(deep_nesting_is_an_error_not_a_crash),
             cmocka_unit_test(whole_numbers_are_exact_below_2_53_or_refused),
             cmocka_unit_test(members_are_read_by_type), cmocka_unit_test(what_is_written_reads_back),
             cmocka_unit_test(a_document_survives_being_saved_again),
             cmocka_unit_test(strings_are_escaped_and_made_valid),
             cmocka_unit_test(doubles_are_short_and_read_back_exactly),
             cmocka_unit_test(utf8_is_told_from_what_only_looks_like_it))
