#include "tests/support/support.h"

#include <archive.h>
#include <archive_entry.h>

#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/images.h"
#include "rebalance/io/ranges.h"
#include "rebalance/io/scan.h"

static const char *const golden[] = { "grey.jpg", "baseline-420.jpg", "one-pixel.png", "cmyk.jpg" };
#define ANY UINT64_MAX

static struct ek_run *scanned(const char *dataset)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_run *run;

	o.datasets = &dataset;
	o.dataset_count = 1;
	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_scan(run, &o));
	return run;
}

/* `to` = `from` packed by gzip or zstd. */
static void pack(const char *to, const char *from, int (*filter)(struct archive *))
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	struct ek_buffer bytes = { 0 };

	assert_ok(ek_file_read(&bytes, from, 1 << 26));
	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(filter(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, to), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, bytes.data, bytes.size), bytes.size);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	archive_entry_free(entry);
	ek_buffer_release(&bytes);
}

/* A tar of the golden images, `copies` times. */
static void write_tar(const char *path, int copies)
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	struct ek_buffer bytes = { 0 };
	char name[300];

	assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (int i = 0; i < copies * (int)(sizeof golden / sizeof *golden); i++) {
		const char *file = golden[(size_t)i % (sizeof golden / sizeof *golden)];

		(void)snprintf(name, sizeof name, "tests/golden/images/%s", file);
		ek_buffer_clear(&bytes);
		assert_ok(ek_file_read(&bytes, name, 1 << 20));
		archive_entry_clear(entry);
		(void)snprintf(name, sizeof name, "%d-%0*d-%s", i, i % 5 == 0 ? 150 : 1, i, file);
		archive_entry_set_pathname(entry, name);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_size(entry, (la_int64_t)bytes.size);
		assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
		assert_int_equal(archive_write_data(a, bytes.data, bytes.size), bytes.size);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	archive_entry_free(entry);
	ek_buffer_release(&bytes);
}

/* Every record's bytes have the hash of its row, in order and then backwards in steps; the images decode. */
static void check_bytes(struct ek_run *run, uint64_t want)
{
	struct ek_image_record *records;
	struct ek_image_loader *loader;
	struct ek_images *images;
	struct ek_buffer bytes = { 0 };
	struct ek_image image;
	uint64_t count;

	assert_ok(ek_images_count(&count, run));
	assert_true(count == want || (want == ANY && count > 0));
	assert_ok(ek_alloc(&records, (size_t)count + 1, sizeof *records));
	assert_ok(ek_images_open(&images, run));
	assert_ok(ek_image_loader_new(&loader, run));
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(ek_images_next(images, &records[i]), 1);
	assert_int_equal(ek_images_next(images, &records[count]), 0);
	for (uint64_t i = 0; i < 2 * count; i++) {
		const struct ek_image_record *r = &records[i < count ? i : 2 * count - 1 - i];
		uint8_t digest[EK_SHA256_SIZE];
		char hex[EK_SHA256_HEX];

		assert_ok(ek_image_loader_bytes(loader, r, &bytes));
		assert_int_equal(bytes.size, r->bytes);
		assert_ok(ek_sha256(digest, bytes.data, bytes.size));
		ek_hex(hex, digest, sizeof digest);
		assert_string_equal(hex, r->sha256);
		assert_ok(ek_image_loader_decode(loader, r, 0, &image));
		assert_true(image.width == r->width && image.height == r->height);
		ek_image_release(&image);
	}
	for (uint64_t i = 0; i < count; i++) {
		const uint64_t id = i * 7919 % count;
		struct ek_image_record r;

		assert_ok(ek_images_go(images, id));
		assert_int_equal(ek_images_next(images, &r), 1);
		assert_int_equal(r.id, id);
		assert_string_equal(r.sha256, records[id].sha256);
		ek_image_record_release(&r);
	}
	assert_fails(ek_images_go(images, count + 64), EK_EDATA, "too early");
	for (uint64_t i = 0; i < count; i++)
		ek_image_record_release(&records[i]);
	free(records);
	ek_images_close(images);
	ek_image_loader_free(loader);
	ek_buffer_release(&bytes);
	ek_run_close(run);
}

static void bytes_are_found_in_every_kind_of_data_set(void **state)
{
	static const char idx[] = "\0\0\x08\x03\0\0\0\x03\0\0\0\x01\0\0\0\x02"
				  "abcdef";
	const char *folder = ek_scratch();
	const char *tar = ek_join(folder, "x.tar"), *other = ek_join(folder, "y");
	enum { COPIES = 40, IMAGES = COPIES * sizeof golden / sizeof *golden };

	check_bytes(scanned("tests/golden/images"), ANY);
	write_tar(tar, COPIES);
	check_bytes(scanned(tar), IMAGES);
	pack(other, tar, archive_write_add_filter_gzip);
	assert_int_equal(rename(other, ek_join(folder, "x.tar.gz")), 0);
	check_bytes(scanned(ek_join(folder, "x.tar.gz")), IMAGES);
	pack(other, tar, archive_write_add_filter_zstd);
	assert_int_equal(rename(other, ek_join(folder, "x.tar.zst")), 0);
	check_bytes(scanned(ek_join(folder, "x.tar.zst")), IMAGES);
	ek_write_file(other, idx, sizeof idx - 1);
	check_bytes(scanned(other), 3);
	pack(ek_join(folder, "z"), other, archive_write_add_filter_gzip);
	check_bytes(scanned(ek_join(folder, "z")), 3);
}

static void seek_goes_forward_to_an_id(void **state)
{
	const char *folder = ek_scratch();
	struct ek_image_record record;
	struct ek_images *images;
	struct ek_run *run;

	write_tar(ek_join(folder, "x.tar"), 10);
	run = scanned(ek_join(folder, "x.tar"));
	assert_ok(ek_images_open(&images, run));
	assert_ok(ek_images_seek(images, 7));
	assert_int_equal(ek_images_next(images, &record), 1);
	assert_int_equal(record.id, 7);
	ek_image_record_release(&record);
	assert_ok(ek_images_seek(images, 8));
	assert_ok(ek_images_seek(images, 19));
	assert_int_equal(ek_images_next(images, &record), 1);
	assert_int_equal(record.id, 19);
	ek_image_record_release(&record);
	assert_fails(ek_images_seek(images, 3), EK_EUSAGE, "lies before");
	assert_fails(ek_images_seek(images, 1000), EK_EDATA, "too early");
	ek_images_close(images);
	ek_run_close(run);
}

static void files_that_changed_since_the_scan_are_named(void **state)
{
	const char *folder = ek_scratch();
	struct ek_image_record record;
	struct ek_image_loader *loader;
	struct ek_buffer bytes = { 0 };
	struct ek_images *images;
	struct ek_run *run;

	assert_ok(ek_file_read(&bytes, "tests/golden/images/grey.jpg", 1 << 20));
	ek_write_file(ek_join(folder, "caf\xe9.jpg"), bytes.data, bytes.size);
	run = scanned(folder);
	assert_ok(ek_images_open(&images, run));
	assert_ok(ek_image_loader_new(&loader, run));
	assert_int_equal(ek_images_next(images, &record), 1);
	assert_string_equal(record.file_name, "caf\xe9.jpg");
	assert_ok(ek_image_loader_bytes(loader, &record, &bytes));
	ek_write_file(ek_join(folder, "caf\xe9.jpg"), "x", 1);
	assert_fails(ek_image_loader_bytes(loader, &record, &bytes), EK_EDATA, "has changed since the scan: 1 bytes");
	assert_int_equal(truncate(ek_join(folder, "caf\xe9.jpg"), 1 << 20), 0);
	assert_fails(ek_image_loader_bytes(loader, &record, &bytes), EK_EDATA,
	             "has changed since the scan: 1048576 bytes");
	assert_int_equal(unlink(ek_join(folder, "caf\xe9.jpg")), 0);
	assert_fails(ek_image_loader_bytes(loader, &record, &bytes), EK_EIO, folder);
	ek_image_record_release(&record);
	ek_image_loader_free(loader);
	ek_images_close(images);
	ek_run_close(run);
	ek_buffer_release(&bytes);
}

static void damaged_rows_name_file_and_line(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "{\"id\": 1}\n", "images.jsonl:1: \"file_name\" is missing" },
		{ "{\"id\": 0, \"file_name\": \"a\", \"bytes\": 1, \"width\": 0, \"height\": 1, \"format\": "
		  "\"png\"}\n",
		  "images.jsonl:1: \"width\" is 0" },
		{ "{\"id\": 0, \"file_name\": \"a\", \"bytes\": 1, \"width\": 1, \"height\": 1, \"format\": \"x\"}\n",
		  "images.jsonl:1: \"format\" is \"x\"" },
		{ "{\"id\": 0, \"file_name\": \"a\", \"source\": \"b\"}\n", "\"offset\" is missing" },
		{ "", NULL },
	};
	struct ek_run *run = scanned("tests/golden/images");
	struct ek_image_record record;
	struct ek_images *images;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ek_write_file(ek_join(ek_run_path(run), "images.jsonl"), cases[i].text, strlen(cases[i].text));
		assert_ok(ek_images_open(&images, run));
		if (cases[i].message != NULL)
			assert_fails(ek_images_next(images, &record), EK_EDATA, cases[i].message);
		else
			assert_int_equal(ek_images_next(images, &record), 0);
		ek_images_close(images);
	}
	ek_run_close(run);
}

/* A run of `count` one-pixel images with the attributes that row(i) writes. */
static struct ek_run *with_attributes(int count, int (*row)(struct ek_buffer *, int))
{
	const char *folder = ek_scratch();
	struct ek_buffer image = { 0 }, table = { 0 };
	struct ek_run *run;
	char name[64];

	assert_ok(ek_file_read(&image, "tests/golden/images/one-pixel.png", 1 << 20));
	for (int i = 0; i < count; i++) {
		(void)snprintf(name, sizeof name, "%05d.png", i);
		ek_write_file(ek_join(folder, name), image.data, image.size);
		assert_ok(ek_buffer_printf(&table, "{\"file_name\": \"%s\"", name));
		assert_ok(row(&table, i));
		assert_ok(ek_buffer_text(&table, "}\n"));
	}
	ek_write_file(ek_join(folder, "metadata.jsonl"), table.data, table.size);
	run = scanned(folder);
	ek_buffer_release(&image);
	ek_buffer_release(&table);
	return run;
}

static const struct ek_column *column(const struct ek_columns *columns, const char *name)
{
	for (size_t i = 0; i < columns->count; i++)
		if (strcmp(columns->items[i].name, name) == 0)
			return &columns->items[i];
	return NULL;
}

static int mixed_row(struct ek_buffer *b, int i)
{
	static const char *const words[] = { "\"red\"", "\"green\"", "null" };

	return ek_buffer_printf(b,
	                        ", \"label\": \"l%d\", \"colour\": %s, \"few\": %d, \"many\": %d.5, \"name\": \"n%d\", "
	                        "\"flag\": %s, \"list\": [1], \"mixed\": %s%s",
	                        i % 2, words[i % 3], 19 - i % 20, i, i, i % 2 ? "true" : "false", i % 2 ? "1" : "\"1\"",
	                        i == 5 ? ", \"late\": 1" : "");
}

static void columns_are_categories(void **state)
{
	struct ek_run *run = with_attributes(1000, mixed_row);
	struct ek_columns columns;
	const struct ek_column *c;
	uint64_t counts[5] = { 0 };

	ek_warnings.count = 0;
	assert_ok(ek_columns_load(&columns, run));
	assert_int_equal(columns.images, 1000);
	assert_int_equal(ek_warnings.count, 1); /* "name" */
	assert_null(column(&columns, "name"));
	assert_null(column(&columns, "list"));
	assert_null(column(&columns, "width"));
	assert_null(column(&columns, "file_name"));

	c = column(&columns, "label");
	assert_int_equal(c->value_count, 2);
	assert_string_equal(c->values[0], "l0");
	assert_int_equal(c->codes[999], 1);
	assert_null(c->note);
	c = column(&columns, "colour");
	assert_int_equal(c->value_count, 2);
	assert_string_equal(c->values[1], "green");
	assert_int_equal(c->codes[2], -1);
	c = column(&columns, "few");
	assert_int_equal(c->value_count, 20);
	assert_string_equal(c->values[0], "0");
	assert_string_equal(c->values[19], "19");
	assert_int_equal(c->codes[0], 19);
	assert_null(c->note);
	c = column(&columns, "many");
	assert_int_equal(c->value_count, 5);
	assert_string_equal(c->values[0], "0 to 200");
	assert_string_equal(c->values[4], "800 to 1000");
	assert_string_equal(c->note, "0.5 to 999.5 in steps of 200");
	assert_true(c->ordered);
	for (int i = 0; i < 1000; i++)
		counts[c->codes[i]]++;
	for (int i = 0; i < 5; i++)
		assert_int_equal(counts[i], 200);
	c = column(&columns, "flag");
	assert_string_equal(c->values[c->codes[1]], "true");
	c = column(&columns, "mixed");
	assert_int_equal(c->value_count, 2);
	c = column(&columns, "late");
	assert_int_equal(c->value_count, 1);
	assert_int_equal(c->codes[4], -1);
	assert_int_equal(c->codes[5], 0);
	ek_columns_release(&columns);
	ek_run_close(run);
}

static int skewed_row(struct ek_buffer *b, int i)
{
	/* Nine in ten have 0; the text has 1,001 values, but fewer than images. */
	return ek_buffer_printf(b, ", \"x\": %d, \"t\": \"t%d\"", i % 10 == 0 ? i : 0, i % 1001);
}

static void many_numbers_are_cut_by_whole_steps_and_too_many_texts_are_left_out(void **state)
{
	struct ek_run *run = with_attributes(1100, skewed_row);
	struct ek_columns columns;
	const struct ek_column *c;

	ek_warnings.count = 0;
	assert_ok(ek_columns_load(&columns, run));
	assert_int_equal(ek_warnings.count, 1);
	assert_null(column(&columns, "t"));
	c = column(&columns, "x");
	assert_string_equal(c->values[0], "0 to 199");
	assert_string_equal(c->values[4], "800 and more");
	assert_int_equal(c->value_count, 5);
	assert_string_equal(c->note, "0 to 1090 in steps of 200");
	ek_columns_release(&columns);
	ek_run_close(run);
}

static int aged_row(struct ek_buffer *b, int i)
{
	/* Ages 1 to 60 alike, one of 116 and one without. */
	return i == 7   ? 0
	       : i == 8 ? ek_buffer_text(b, ", \"age\": 116")
	                : ek_buffer_printf(b, ", \"age\": %d", 1 + i % 60);
}

static void numbers_are_cut_as_asked(void **state)
{
	static const char *const names[] = { "below 10", "10 to 19", "20", "21 to 99", "100 to 199" };
	struct ek_run *run = with_attributes(600, aged_row);
	const char *path = ek_join(ek_run_path(run), "ranges.json");
	static const char asked[] = "{\"age\": [10, 20, 21, 100, 200], \"other\": [1]}",
			  wrong[] = "{\"age\": [10, 10]}";
	uint64_t counts[5] = { 0 };
	struct ek_columns columns;

	assert_ok(ek_columns_load(&columns, run));
	assert_int_equal(columns.items[0].value_count, 7);
	assert_string_equal(columns.items[0].values[0], "0 to 9");
	assert_string_equal(columns.items[0].values[6], "60 and more");
	assert_string_equal(columns.items[0].note, "1 to 116 in steps of 10");
	ek_columns_release(&columns);

	ek_write_file(path, asked, strlen(asked));
	assert_ok(ek_columns_load(&columns, run));
	assert_int_equal(columns.items[0].value_count, 5); /* nobody is 200 */
	for (int i = 0; i < 600; i++)
		if (i != 7)
			counts[columns.items[0].codes[i]]++;
	assert_int_equal(columns.items[0].codes[7], -1);
	for (int i = 0; i < 5; i++)
		assert_string_equal(columns.items[0].values[i], names[i]);
	assert_int_equal(counts[0], 88); /* of 10 each of 1 to 9, ids 7 and 8 less */
	assert_int_equal(counts[1], 100);
	assert_int_equal(counts[2], 10);
	assert_int_equal(counts[3], 400);
	assert_int_equal(counts[4], 1);
	ek_columns_release(&columns);

	ek_write_file(path, wrong, strlen(wrong));
	assert_int_equal(ek_columns_load(&columns, run), EK_EDATA);
	assert_non_null(strstr(ek_error_message(), "no rising numbers"));
	ek_run_close(run);
}

static void ranges_are_parsed_strictly(void **state)
{
	static const char *const wrong[] = {
		"age", "=1", "age=1,1", "age=2,1", "age=x", "age=1,", "age=1;2", "age=nan"
	};
	cJSON *ranges = cJSON_CreateObject();

	assert_ok(ek_ranges_add(ranges, "age=0,10"));
	assert_ok(ek_ranges_add(ranges, "a=b=-1.5"));
	assert_ok(ek_ranges_add(ranges, "age=0,20"));
	assert_int_equal(cJSON_GetArraySize(ranges), 2);
	assert_true(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(ranges, "age"), 1)->valuedouble == 20);
	assert_true(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(ranges, "a=b"), 0)->valuedouble == -1.5);
	assert_ok(ek_ranges_add(ranges, "age="));
	assert_null(cJSON_GetObjectItemCaseSensitive(ranges, "age"));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(ek_ranges_add(ranges, wrong[i]), EK_EUSAGE);
	cJSON_Delete(ranges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_found_in_every_kind_of_data_set),
		cmocka_unit_test(seek_goes_forward_to_an_id),
		cmocka_unit_test(files_that_changed_since_the_scan_are_named),
		cmocka_unit_test(damaged_rows_name_file_and_line),
		cmocka_unit_test(columns_are_categories),
		cmocka_unit_test(many_numbers_are_cut_by_whole_steps_and_too_many_texts_are_left_out),
		cmocka_unit_test(numbers_are_cut_as_asked),
		cmocka_unit_test(ranges_are_parsed_strictly),
	};

	ek_warnings_take();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
