#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/random.h"
#include "rebalance/base/utf8.h"
#include "rebalance/io/jsonl.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/scan.h"
#include "rebalance/io/tar_writer.h"
#include "rebalance/plan/export.h"
#include "rebalance/plan/export_internal.h"

static struct ek_run *scanned(const char *dataset)
{
	static const char *const all[] = { "*", ".hidden.png" };
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_run *run;

	o.datasets = &dataset;
	o.dataset_count = 1;
	o.include = all;
	o.include_count = 2;
	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_scan(run, &o));
	return run;
}

static void put_subset(const struct ek_run *run, const int64_t *ids, uint64_t count)
{
	assert_ok(ek_make_directories(ek_join(ek_run_path(run), "subsets/s")));
	assert_ok(ek_npy_write(ek_join(ek_run_path(run), "subsets/s/keep.npy"), EK_I64, 1, &count, ids));
}

static struct ek_export_options options(enum ek_export_form form, const char *output)
{
	struct ek_export_options o = EK_EXPORT_OPTIONS_INIT;

	o.subset = "s";
	o.form = form;
	o.output = output;
	return o;
}

/* Names that point outside, are taken, hidden, or ours. */
static const char *const odd[][2] = {
	{ "../../up.png", "_/_/up.png" },
	{ "/abs/olute.png", "abs/olute.png" },
	{ "d/new\nline.png", "d/new_line.png" },
	{ "same.png", "same.png" },
	{ "x/../same.png", "x/_/same.png" },
	{ "same.PNG", "same.PNG" },
	{ "metadata.png", "_metadata.png" },
	{ "missing.png", "_missing.png" },
	{ ".hidden.png", "_hidden.png" },
	{ "d/new\tline.png", "d/new_line~id9.png" },
	{ "d/new_line.png/deep.png", "image~id10.png" },
	{ "noending", "noending.png" },
	{ "noending.png", "noending~id12.png" },
};
enum { ODD = sizeof odd / sizeof *odd };

static void odd_names_stay_inside_and_apart(void **state)
{
	const char *folder = ek_scratch(), *tar = ek_join(folder, "x.tar"), *out = ek_join(folder, "out");
	struct ek_export_options o = options(EK_EXPORT_COPIES, out);
	struct ek_buffer bytes = { 0 }, want = { 0 };
	struct ek_export_result result;
	struct ek_tar_writer *w;
	struct ek_jsonl rows;
	struct ek_run *run;
	int64_t ids[ODD];

	assert_ok(ek_file_read(&want, "tests/golden/images/one-pixel.png", 1 << 20));
	assert_ok(ek_tar_writer_open(&w, tar));
	for (int i = 0; i < ODD; i++) {
		assert_ok(ek_tar_writer_add(w, odd[i][0], want.data, want.size));
		ids[i] = i;
	}
	assert_ok(ek_tar_writer_finish(w));
	ek_tar_writer_free(w);
	run = scanned(tar);
	put_subset(run, ids, ODD);
	assert_ok(ek_export(&result, run, &o));
	assert_int_equal(result.images, ODD);
	assert_ok(ek_jsonl_open(&rows, ek_join(out, "metadata.jsonl")));
	for (int i = 0; i < ODD; i++) {
		cJSON *row;
		const char *name;

		assert_int_equal(ek_jsonl_next(&rows, &row), 1);
		assert_ok(ek_json_get_string(&name, row, "file_name", "row"));
		assert_string_equal(name, odd[i][1]);
		ek_buffer_clear(&bytes);
		assert_ok(ek_file_read(&bytes, ek_join(out, name), 1 << 20));
		assert_int_equal(bytes.size, want.size);
		assert_memory_equal(bytes.data, want.data, want.size);
		cJSON_Delete(row);
	}
	ek_jsonl_close(&rows);
	ek_run_close(run);
	ek_buffer_release(&bytes);
	ek_buffer_release(&want);
}

/* As many folders as classes, whatever their names. */
static void classes_of_names_that_look_alike_stay_apart(void **state)
{
	static const char a200[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	/* In JSON; NULL: no label. The folder, where the name says it. */
	static const struct {
		const char *label, *folder;
	} classes[] = { { "a/b", "a_b~3" },   { "a_b", "a_b" },  { "a\\tb", "a_b~2" },
		        { "none", "none~2" }, { NULL, "none" },  { "..", "_~3" },
		        { ".", "_~2" },       { "_", "_" },      { "A_B", "A_B" },
		        { "LONG1", NULL },    { "LONG2", NULL }, { "metadata.jsonl", "metadata.jsonl~2" } };
	enum { CLASSES = sizeof classes / sizeof *classes };
	const char *folder = ek_scratch(), *out = ek_join(ek_scratch(), "out");
	struct ek_export_options o = options(EK_EXPORT_IMAGEFOLDER, out);
	struct ek_buffer png = { 0 }, rows = { 0 };
	char names[CLASSES][256] = { 0 };
	struct ek_export_result result;
	struct ek_jsonl made;
	struct ek_run *run;
	int64_t ids[CLASSES];
	cJSON *row;

	o.by = "label";
	assert_ok(ek_file_read(&png, "tests/golden/images/one-pixel.png", 1 << 20));
	for (int i = 0; i < CLASSES; i++) {
		const char *label = classes[i].label;
		char file[16];

		ids[i] = i;
		(void)snprintf(file, sizeof file, "%02d.png", i);
		ek_write_file(ek_join(folder, file), png.data, png.size);
		assert_ok(ek_buffer_printf(&rows, "{\"file_name\": \"%s\"", file));
		if (label != NULL && strncmp(label, "LONG", 4) == 0)
			assert_ok(ek_buffer_printf(&rows, ", \"label\": \"%s%s\"", a200, label + 4));
		else if (label != NULL)
			assert_ok(ek_buffer_printf(&rows, ", \"label\": \"%s\"", label));
		assert_ok(ek_buffer_text(&rows, "}\n"));
	}
	ek_write_file(ek_join(folder, "metadata.jsonl"), rows.data, rows.size);
	run = scanned(folder);
	put_subset(run, ids, CLASSES);
	assert_ok(ek_export(&result, run, &o));
	assert_int_equal(result.images, CLASSES);
	assert_ok(ek_jsonl_open(&made, ek_join(out, "metadata.jsonl")));
	for (int i = 0; i < CLASSES; i++) {
		const char *name;

		assert_int_equal(ek_jsonl_next(&made, &row), 1);
		assert_ok(ek_json_get_string(&name, row, "file_name", "row"));
		assert_true(ek_file_exists(ek_join(out, name)) == 1);
		(void)snprintf(names[i], sizeof names[i], "%.*s", (int)strcspn(name, "/"), name);
		if (classes[i].folder != NULL)
			assert_string_equal(names[i], classes[i].folder);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
		cJSON_Delete(row);
	}
	ek_jsonl_close(&made);
	ek_run_close(run);
	ek_buffer_release(&png);
	ek_buffer_release(&rows);
}

/* By its list, not by how many there are. */
static void an_export_with_another_file_is_not_replaced(void **state)
{
	const char *folder = ek_scratch(), *out = ek_join(folder, "out"), *data = ek_scratch();
	static const enum ek_export_form forms[] = { EK_EXPORT_COPIES, EK_EXPORT_LIST, EK_EXPORT_TAR };
	static const char *const first[] = { "0.png", "paths.txt", "000000.tar" };
	struct ek_buffer png = { 0 };
	struct ek_export_result result;
	struct ek_run *run;
	int64_t id = 0;

	assert_ok(ek_file_read(&png, "tests/golden/images/one-pixel.png", 1 << 20));
	ek_write_file(ek_join(data, "0.png"), png.data, png.size);
	run = scanned(data);
	put_subset(run, &id, 1);
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct ek_export_options o = options(forms[i], out);

		o.force = 1;
		assert_ok(ek_export(&result, run, &o));
		assert_ok(ek_export(&result, run, &o));
		assert_int_equal(rename(ek_join(out, first[i]), ek_join(out, "mine")), 0);
		assert_fails(ek_export(&result, run, &o), EK_EUSAGE, "out holds mine, which evenkeel did not make");
		assert_int_equal(ek_file_exists(ek_join(out, "mine")), 1);
		assert_false(ek_file_exists(ek_join(folder, "out.evenkeel-partial")));
		assert_int_equal(rename(ek_join(out, "mine"), ek_join(folder, "moved")), 0);
		/* A folder of somebody's blocks nothing for ever, either. */
		assert_ok(ek_make_directories(ek_join(out, "notes")));
		assert_fails(ek_export(&result, run, &o), EK_EUSAGE, "out holds notes");
		assert_int_equal(rename(ek_join(out, "notes"), ek_join(folder, first[i])), 0);
	}
	ek_run_close(run);
	ek_buffer_release(&png);
}

static void bare_pixels_become_png(void **state)
{
	static const uint8_t idx[] = "\0\0\x08\x03\0\0\0\x03\0\0\0\x01\0\0\0\x02"
				     "abcdef";
	static const int64_t ids[] = { 2, 0, 2 };
	const char *folder = ek_scratch(), *data = ek_join(folder, "images-idx3-ubyte"), *out = ek_join(folder, "out");
	struct ek_export_options o = options(EK_EXPORT_COPIES, out);
	struct ek_buffer bytes = { 0 };
	struct ek_export_result result;
	struct ek_jsonl rows;
	struct ek_image image;
	struct ek_run *run;

	ek_write_file(data, idx, sizeof idx - 1);
	run = scanned(data);
	put_subset(run, ids, 3);
	assert_ok(ek_export(&result, run, &o));
	assert_ok(ek_jsonl_open(&rows, ek_join(out, "metadata.jsonl")));
	for (int i = 0; i < 3; i++) {
		const uint8_t *pixels = idx + 16 + (i == 0 ? 0 : 4);
		const char *name;
		cJSON *row;

		assert_int_equal(ek_jsonl_next(&rows, &row), 1);
		assert_ok(ek_json_get_string(&name, row, "file_name", "row"));
		assert_string_equal(name + strlen(name) - 4, ".png");
		ek_buffer_clear(&bytes);
		assert_ok(ek_file_read(&bytes, ek_join(out, name), 1 << 20));
		assert_ok(ek_image_decode(&image, bytes.data, bytes.size, 100, 0));
		assert_true(image.width == 2 && image.height == 1);
		for (int p = 0; p < 6; p++)
			assert_int_equal(image.pixels[p], pixels[p / 3]);
		ek_image_release(&image);
		cJSON_Delete(row);
	}
	ek_jsonl_close(&rows);
	o.output = ek_join(folder, "deep/links");
	o.form = EK_EXPORT_LINKS;
	assert_fails(ek_export(&result, run, &o), EK_EUSAGE, "use 'as' copies");
	assert_false(ek_file_exists(ek_join(folder, "deep")));
	ek_run_close(run);
	ek_buffer_release(&bytes);
}

/* Whatever the bytes of a name: a relative path of parts that are valid, short, and never "..", "." or empty. */
static void no_name_leads_outside(void **state)
{
	static const char alphabet[] = "//...._a~\n\xc3\xa4\xff\xe2\x82";
	char name[600];

	for (uint64_t round = 0; round < 20000; round++) {
		const uint64_t size = ek_random_below(1, round, 0, round % 50 == 0 ? sizeof name : 12);
		struct ek_buffer out = { 0 };

		for (uint64_t i = 0; i < size; i++)
			name[i] = alphabet[ek_random_below(1, round, i + 1, sizeof alphabet - 1)];
		name[size] = 0;
		assert_ok(ek_export_safe_path(&out, name, round % 2 == 1));
		assert_int_equal(ek_utf8_valid_prefix(out.data, out.size), out.size);
		assert_true(round % 2 == 0 || strchr(out.data, '/') == NULL);
		for (const char *part = out.data;; part++) {
			const size_t length = strcspn(part, "/");

			assert_in_range(length, 1, 201);
			assert_true(part[0] != '.');
			part += length;
			if (*part == 0)
				break;
		}
		assert_null(strchr(out.data, '\n'));
		ek_buffer_release(&out);
	}
}

EK_TEST_MAIN(cmocka_unit_test(odd_names_stay_inside_and_apart),
             cmocka_unit_test(classes_of_names_that_look_alike_stay_apart),
             cmocka_unit_test(an_export_with_another_file_is_not_replaced), cmocka_unit_test(bare_pixels_become_png),
             cmocka_unit_test(no_name_leads_outside))
