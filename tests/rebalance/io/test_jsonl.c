#include "tests/support/support.h"

#include "rebalance/io/jsonl.h"

static void reads_objects_and_skips_blank_lines(void **state)
{
	static const char text[] = "\xef\xbb\xbf{\"a\":1}\r\n\n  \t\n{\"a\":2}\n{\"a\":3}";
	struct ek_jsonl jsonl;
	cJSON *object;
	const uint64_t lines[] = { 1, 4, 5 };

	assert_ok(ek_jsonl_open(&jsonl, ek_put_file("x.jsonl", text, sizeof text - 1)));
	for (int i = 0; i < 3; i++) {
		uint64_t a;

		assert_int_equal(ek_jsonl_next(&jsonl, &object), 1);
		assert_ok(ek_json_get_u64(&a, object, "a", "row"));
		assert_int_equal(a, i + 1);
		assert_int_equal(jsonl.lines.line, lines[i]);
		cJSON_Delete(object);
	}
	assert_int_equal(ek_jsonl_next(&jsonl, &object), 0);
	ek_jsonl_close(&jsonl);
}

static void skip_counts_objects(void **state)
{
	struct ek_buffer text = { 0 };
	struct ek_jsonl jsonl;
	cJSON *object;
	uint64_t a;

	for (int i = 0; i < 50000; i++)
		assert_ok(ek_buffer_printf(&text, "{\"a\":%d}\n%s", i, i % 3 == 0 ? "\n" : ""));
	assert_ok(ek_jsonl_open(&jsonl, ek_put_file("x.jsonl", text.data, text.size)));
	assert_ok(ek_jsonl_skip(&jsonl, 41234));
	assert_int_equal(ek_jsonl_next(&jsonl, &object), 1);
	assert_ok(ek_json_get_u64(&a, object, "a", "row"));
	assert_int_equal(a, 41234);
	cJSON_Delete(object);
	assert_fails(ek_jsonl_skip(&jsonl, 50000), EK_EDATA, "too early");
	ek_jsonl_close(&jsonl);
	ek_buffer_release(&text);
}

static void errors_name_file_and_line(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *message;
	} cases[] = {
		{ "{}\n{\"a\":}\n", 10, "x.jsonl:2: not JSON" },
		{ "{}\n\n[1]\n", 8, "x.jsonl:3: not a JSON object" },
		{ "{}\0{}\n", 6, "x.jsonl:1: not JSON: a NUL byte" },
		{ "{} {}\n", 6, "x.jsonl:1: not JSON: more text" },
		{ "{\"a\":1", 6, "x.jsonl:1: not JSON" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ek_jsonl jsonl;
		cJSON *object;
		int rc;

		assert_ok(ek_jsonl_open(&jsonl, ek_put_file("x.jsonl", cases[i].text, cases[i].size)));
		while ((rc = ek_jsonl_next(&jsonl, &object)) == 1)
			cJSON_Delete(object);
		assert_fails(rc, EK_EDATA, cases[i].message);
		ek_jsonl_close(&jsonl);
	}
}

static void a_line_without_end_is_refused(void **state)
{
	struct ek_buffer text = { 0 };
	struct ek_jsonl jsonl;
	cJSON *object;

	assert_ok(ek_buffer_reserve(&text, EK_LINE_LIMIT + 1000000));
	memset(text.data, ' ', EK_LINE_LIMIT + 1000000);
	assert_ok(ek_jsonl_open(&jsonl, ek_put_file("x.jsonl", text.data, EK_LINE_LIMIT + 1000000)));
	assert_fails(ek_jsonl_next(&jsonl, &object), EK_EDATA, "x.jsonl:1: a line of more than");
	ek_jsonl_close(&jsonl);
	ek_buffer_release(&text);
}

EK_TEST_MAIN(cmocka_unit_test(reads_objects_and_skips_blank_lines), cmocka_unit_test(skip_counts_objects),
             cmocka_unit_test(errors_name_file_and_line), cmocka_unit_test(a_line_without_end_is_refused))
