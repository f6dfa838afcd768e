#include "tests/support/support.h"

#include "rebalance/io/table.h"

static const char *text_file(const char *name, const char *text)
{
	static const char *folder;
	const char *path;

	if (folder == NULL)
		folder = ek_scratch();
	path = ek_join(folder, name);
	ek_write_file(path, text, strlen(text));
	return path;
}

static void check_find(struct ek_attributes *attributes, const char *name, const char *want)
{
	char *text = NULL;
	cJSON *found;

	assert_ok(ek_attributes_find(attributes, name, &found));
	if (want == NULL) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	text = cJSON_PrintUnformatted(found);
	assert_string_equal(text, want);
	cJSON_free(text);
	cJSON_Delete(found);
}

static void rows_are_found_by_name(void **state)
{
	static const struct {
		const char *name, *text, *a, *b;
	} cases[] = {
		{ "x.csv",
		  "age,file_name,id,n\n12,./a.jpg,007,9007199254740993\n,\"b, c.jpg\",1e400,9007199254740991\n",
		  "{\"age\":12,\"id\":\"007\",\"n\":\"9007199254740993\"}",
		  "{\"id\":\"1e400\",\"n\":9007199254740991}" },
		{ "x.jsonl",
		  "{\"file_name\":\"a.jpg\",\"age\":12.5,\"x\":null}\n{\"file_name\":\"b, c.jpg\",\"l\":[1]}\n",
		  "{\"age\":12.5,\"x\":null}", "{\"l\":[1]}" },
	};
	struct ek_attributes *attributes;
	uint64_t unused, line;
	char *name;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_ok(ek_attributes_open(&attributes, text_file(cases[i].name, cases[i].text), NULL));
		assert_int_equal(ek_attributes_rows(attributes), 2);
		check_find(attributes, "a.jpg", cases[i].a);
		check_find(attributes, "none.jpg", NULL);
		assert_ok(ek_attributes_unused(attributes, &unused, &line, &name));
		assert_int_equal(unused, 1);
		assert_int_equal(line, i == 0 ? 3 : 2);
		assert_string_equal(name, "b, c.jpg");
		free(name);
		check_find(attributes, "./b, c.jpg", cases[i].b);
		assert_ok(ek_attributes_unused(attributes, &unused, &line, &name));
		assert_int_equal(unused, 0);
		free(name);
		ek_attributes_close(attributes);
	}
}

static void celebas_list_is_read(void **state)
{
	struct ek_attributes *attributes;

	assert_ok(ek_attributes_open(&attributes,
	                             text_file("list_attr_celeba.txt",
	                                       "2\r\n5_o_Clock_Shadow Male \r\n000001.jpg -1  1\r\n"
	                                       "000002.jpg  1 -1\r\n"),
	                             NULL));
	check_find(attributes, "000001.jpg", "{\"5_o_Clock_Shadow\":-1,\"Male\":1}");
	check_find(attributes, "000002.jpg", "{\"5_o_Clock_Shadow\":1,\"Male\":-1}");
	ek_attributes_close(attributes);
}

static void tables_of_other_programs_are_read(void **state)
{
	static const struct {
		const char *name, *key, *text, *file, *want;
	} cases[] = {
		{ "x.csv", NULL, "image_id;age\na.jpg;12\n", "a.jpg", "{\"age\":12}" },
		{ "x.tsv", NULL, "age\tfilename\n12\ta, b.jpg\n", "a, b.jpg", "{\"age\":12}" },
		{ "x.csv", NULL, "\"a;b;c\",path\n1,x/a.jpg\n", "x/a.jpg", "{\"a;b;c\":1}" },
		{ "x.csv", "who", "who,file_name\na.jpg,b.jpg\n", "a.jpg", "{\"file_name\":\"b.jpg\"}" },
		{ "x.jsonl", NULL, "{\"image_id\":17,\"x\":NaN,\"y\":[-Infinity,\"NaN\"]}\n", "17",
		  "{\"x\":null,\"y\":[null,\"NaN\"]}" },
		{ "list_bbox_celeba.txt", NULL, "1\nimage_id x_1 width\n000001.jpg    95 226\n", "000001.jpg",
		  "{\"x_1\":95,\"width\":226}" },
		{ "list_eval_partition.txt", NULL, "000001.jpg 0\r\n000002.jpg 2\r\n", "000002.jpg",
		  "{\"list_eval_partition\":2}" },
		{ "x.csv", NULL, "\xef\xbb\xbfId,ImageID\n7,a.jpg\n", "a.jpg", "{\"Id\":7}" },
		{ "x.csv", NULL, "n,Image Index\n7,a.jpg\n", "a.jpg", "{\"n\":7}" },
		{ "x.csv", NULL, "FileName,Path\na.jpg,b.jpg\n", "a.jpg", "{\"Path\":\"b.jpg\"}" },
		{ "x.csv", NULL, "file_name,n\ncats\\a.jpg,7\n", "cats/a.jpg", "{\"n\":7}" },
		{ "x.csv", NULL, "ImageID,n\ncats/0,1\ndogs/0,7\n", "dogs/0.jpg", "{\"n\":7}" },
		{ "splits", NULL, "a/1.png\ttrain\t7\n", "a/1.png", "{\"splits_1\":\"train\",\"splits_2\":7}" },
		{ "x.jsonl", "key", "{\"key\":\"a.jpg\",\"x\":1}\n", "a.jpg", "{\"x\":1}" },
	};
	struct ek_attributes *attributes;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_ok(ek_attributes_open(&attributes, text_file(cases[i].name, cases[i].text), cases[i].key));
		check_find(attributes, cases[i].file, cases[i].want);
		ek_attributes_close(attributes);
	}
	assert_fails(ek_attributes_open(&attributes, text_file("split.txt", "a.jpg 1\nb.jpg 1 2\n"), NULL), EK_EDATA,
	             "split.txt:2: 2 values, line 1 has 1");
	assert_fails(ek_attributes_open(&attributes, text_file("x.csv", "file_name,a\nx,1\n"), "who"), EK_EDATA,
	             "there is no column who");
}

static void rows_are_found_by_the_last_part_of_names(void **state)
{
	static const char *const names[] = { "img/1.jpg", "img/2.png", "a/3.jpg", "b/3.jpg",
		                             "c/4.jpg",   "d/5.jpg",   "d/6.jpg" };
	struct ek_attributes *attributes;
	uint64_t unused, line;
	char *name;

	assert_ok(ek_attributes_open(&attributes,
	                             text_file("parts.csv", "image_id,x\n1.jpg,1\n2,2\n3.jpg,3\nc/4.jpg,4\n4.jpg,5\n"
	                                                    "y/5.jpg,6\nz/5.jpg,7\n"),
	                             NULL));
	check_find(attributes, "img/1.jpg", NULL);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_ok(ek_attributes_match(attributes, names[i]));
	check_find(attributes, "img/1.jpg", "{\"x\":1}");
	check_find(attributes, "img/2.png", "{\"x\":2}"); /* without its ending */
	check_find(attributes, "a/3.jpg", NULL);          /* two files */
	check_find(attributes, "c/4.jpg", "{\"x\":4}");   /* whole names first */
	check_find(attributes, "d/5.jpg", NULL);          /* two rows */
	check_find(attributes, "d/6.jpg", NULL);
	assert_ok(ek_attributes_unused(attributes, &unused, &line, &name));
	assert_int_equal(unused, 4);
	assert_string_equal(name, "3.jpg");
	free(name);
	ek_attributes_close(attributes);
}

static void many_rows_are_found_in_any_order(void **state)
{
	struct ek_buffer text = { 0 };
	struct ek_attributes *attributes;
	char name[32], want[32];

	assert_ok(ek_buffer_text(&text, "file_name,x\n"));
	for (int i = 0; i < 50000; i++)
		assert_ok(ek_buffer_printf(&text, "f%d.jpg,%d\n", i, i));
	assert_ok(ek_attributes_open(&attributes, text_file("many.csv", text.data), NULL));
	for (int i = 0; i < 50000; i++) {
		const int k = (int)((unsigned)i * 7919u % 50000u);

		(void)snprintf(name, sizeof name, "f%d.jpg", k);
		(void)snprintf(want, sizeof want, "{\"x\":%d}", k);
		check_find(attributes, name, want);
	}
	ek_attributes_close(attributes);
	ek_buffer_release(&text);
}

static void faults_name_file_and_line(void **state)
{
	static const struct {
		const char *name, *text, *message;
	} cases[] = {
		{ "x.csv", "name,age\na,1\n", "x.csv:1: there is no column file_name with the names of the files" },
		{ "x.json", "[{\"file_name\":\"a\"}]\n", "x.json: a JSON array; one object a line is expected" },
		{ "x.csv", "\n\n", "x.csv:1: empty" },
		{ "x.csv", "file_name,age\n", "x.csv: has no rows" },
		{ "x.csv", "file_name,a,a\nx,1,2\n", "x.csv:1: two columns are named \"a\"" },
		{ "x.csv", "file_name,a\nx,1\ny,1,2\n", "x.csv:3: 3 fields, the header has 2" },
		{ "x.csv", "file_name,a\nx,1\n\"y\n\",1\nx,2\n", "x.csv:5: a second row for \"x\"" },
		{ "x.csv", "file_name,a\n,1\n", "x.csv:2: the name of the file is empty" },
		{ "x.csv", "file_name,a\nx,1\n\"y", "x.csv:3: a quoted field that never closes" },
		{ "x.jsonl", "{\"file_name\":\"x\"}\n{\"a\":1}\n", "x.jsonl:2: \"file_name\" is missing" },
		{ "x.jsonl", "{\"file_name\":true}\n", "x.jsonl:1: \"file_name\" is not a string" },
		{ "x.jsonl", "{\"file_name\":\"x\",\"a\":1,\"a\":2}\n", "x.jsonl:1: two members are named \"a\"" },
		{ "x.jsonl", "{\"file_name\":\"x\"}\n{\"file_name\":\"./x\"}\n", "x.jsonl:2: a second row for \"x\"" },
		{ "x.jsonl", "{\"file_name\":\"x\",\"file_name_bytes\":\"6\"}\n", "x.jsonl:1: \"file_name_bytes\"" },
		{ "x.txt", "2\nMale\n1.jpg 1\n", "x.txt:1: says 2 rows, there are 1" },
		{ "x.txt", "1\nMale Old\n1.jpg 1\n", "x.txt:3: 1 values, line 2 names 2" },
		{ "x.txt", "1\n", "x.txt:2: the line with the names" },
	};
	struct ek_attributes *attributes;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_fails(ek_attributes_open(&attributes, text_file(cases[i].name, cases[i].text), NULL), EK_EDATA,
		             cases[i].message);
}

static void merging_replaces_members(void **state)
{
	cJSON *into = cJSON_Parse("{\"a\":1,\"b\":2}"), *from = cJSON_Parse("{\"b\":3,\"c\":4}");
	char *text;

	assert_ok(ek_merge_attributes(&into, from));
	text = cJSON_PrintUnformatted(into);
	assert_string_equal(text, "{\"a\":1,\"b\":3,\"c\":4}");
	cJSON_free(text);
	cJSON_Delete(into);
}

EK_TEST_MAIN(cmocka_unit_test(rows_are_found_by_name), cmocka_unit_test(celebas_list_is_read),
             cmocka_unit_test(tables_of_other_programs_are_read),
             cmocka_unit_test(rows_are_found_by_the_last_part_of_names),
             cmocka_unit_test(many_rows_are_found_in_any_order), cmocka_unit_test(faults_name_file_and_line),
             cmocka_unit_test(merging_replaces_members))
