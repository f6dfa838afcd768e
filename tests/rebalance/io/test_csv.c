#include "tests/support/support.h"

#include "rebalance/io/csv.h"

static void check_rows(const cJSON *rows, struct ek_csv *csv)
{
	const cJSON *row, *field;

	cJSON_ArrayForEach(row, rows)
	{
		size_t i = 0;

		assert_int_equal(ek_csv_next(csv), 1);
		assert_int_equal(csv->count, cJSON_GetArraySize(row));
		cJSON_ArrayForEach(field, row) assert_string_equal(ek_csv_field(csv, i++), field->valuestring);
	}
	assert_int_equal(ek_csv_next(csv), 0);
}

static void reads_what_python_reads(void **state)
{
	cJSON *golden = ek_golden("csv");
	const cJSON *item;
	int good = 0, bad = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItem(golden, "cases"))
	{
		const char *text = cJSON_GetObjectItem(item, "text")->valuestring;
		const cJSON *rows = cJSON_GetObjectItem(item, "rows");
		struct ek_csv csv;
		int rc;

		assert_ok(ek_csv_open(&csv, ek_put_file("x.csv", text, strlen(text))));
		if (cJSON_IsArray(rows)) {
			check_rows(rows, &csv);
			good++;
		} else {
			while ((rc = ek_csv_next(&csv)) == 1)
				;
			assert_int_equal(rc, EK_EDATA);
			bad++;
		}
		ek_csv_close(&csv);
	}
	assert_true(good > 100 && bad > 50);
	cJSON_Delete(golden);
}

static void errors_name_file_and_line(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *message;
	} cases[] = {
		{ "a,b\n1,\"2\n3\n", 11, "x.csv:2: a quoted field that never closes" },
		{ "a,b\n\"x\ny\"z,2\n", 14, "x.csv:3: text after a closing quote" },
		{ "a,b\n\n1,2\n3,\0\n", 13, "x.csv:4: a NUL byte" },
		{ "a\rb\n", 4, "x.csv:1: a carriage return" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ek_csv csv;
		int rc;

		assert_ok(ek_csv_open(&csv, ek_put_file("x.csv", cases[i].text, cases[i].size)));
		while ((rc = ek_csv_next(&csv)) == 1)
			;
		assert_fails(rc, EK_EDATA, cases[i].message);
		ek_csv_close(&csv);
	}
}

static void seek_goes_back_to_a_record(void **state)
{
	struct ek_buffer text = { 0 };
	uint64_t offsets[20000];
	struct ek_csv csv;

	for (int i = 0; i < 20000; i++)
		assert_ok(ek_buffer_printf(&text, "%d,\"a\n%d\"\n", i, i * 7));
	assert_ok(ek_csv_open(&csv, ek_put_file("x.csv", text.data, text.size)));
	for (int i = 0; i < 20000; i++) {
		assert_int_equal(ek_csv_next(&csv), 1);
		assert_int_equal(csv.line, 2 * i + 1);
		offsets[i] = csv.offset;
	}
	for (int i = 19999; i >= 0; i -= 37) {
		char want[32];

		ek_csv_seek(&csv, offsets[i], (uint64_t)(2 * i + 1));
		assert_int_equal(ek_csv_next(&csv), 1);
		(void)snprintf(want, sizeof want, "a\n%d", i * 7);
		assert_string_equal(ek_csv_field(&csv, 1), want);
		assert_int_equal(csv.line, 2 * i + 1);
	}
	ek_csv_close(&csv);
	ek_buffer_release(&text);
}

static void what_is_not_a_file_is_refused_at_once(void **state)
{
	struct ek_csv csv;

	assert_fails(ek_csv_open(&csv, "/dev/null"), EK_EDATA, "not a regular file");
	assert_fails(ek_csv_open(&csv, "/nowhere/x.csv"), EK_EIO, "/nowhere/x.csv");
	ek_csv_close(&csv);
}

EK_TEST_MAIN(cmocka_unit_test(reads_what_python_reads), cmocka_unit_test(errors_name_file_and_line),
             cmocka_unit_test(seek_goes_back_to_a_record), cmocka_unit_test(what_is_not_a_file_is_refused_at_once))
