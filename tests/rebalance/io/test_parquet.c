/* Golden shards: tests/golden/make_parquet.py. Without the module the program is skipped; as test_io_parquet_absent it
 * never finds the module. */
#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/dataset.h"
#include "rebalance/io/images.h"
#include "rebalance/io/parquet.h"
#include "rebalance/io/scan.h"

#define FOLDER "tests/golden/"

static void hash_hex(char hex[EK_SHA256_HEX], const struct ek_buffer *bytes)
{
	uint8_t digest[EK_SHA256_SIZE];

	assert_ok(ek_sha256(digest, bytes->data, bytes->size));
	ek_hex(hex, digest, sizeof digest);
}

static void check_item(const struct ek_dataset_item *item, const cJSON *row)
{
	const cJSON *label = cJSON_GetObjectItem(row, "label"), *hash = cJSON_GetObjectItem(row, "sha256");
	const cJSON *attributes = cJSON_GetObjectItem(row, "attributes");
	char hex[EK_SHA256_HEX];

	assert_string_equal(item->name.data, cJSON_GetObjectItem(row, "name")->valuestring);
	assert_int_equal(item->problem == NULL, cJSON_IsString(hash));
	assert_int_equal(item->has_label, cJSON_IsString(label));
	if (item->has_label)
		assert_string_equal(item->label.data, label->valuestring);
	if (item->attributes != NULL)
		assert_true(cJSON_Compare(item->attributes, attributes, 1));
	else
		assert_int_equal(cJSON_GetArraySize(attributes), 0);
	if (cJSON_IsString(hash)) {
		hash_hex(hex, &item->bytes);
		assert_string_equal(hex, hash->valuestring);
	}
}

static void rows_are_as_others_read_them(void **state)
{
	cJSON *golden = ek_golden("parquet"), *shard, *row;
	struct ek_dataset_item item = { 0 };

	cJSON_ArrayForEach(shard, cJSON_GetObjectItem(golden, "shards"))
	{
		const char *path = ek_join("tests/golden", cJSON_GetObjectItem(shard, "file")->valuestring);
		struct ek_dataset *dataset;

		assert_ok(ek_dataset_open(&dataset, &path, 1, NULL, NULL));
		assert_int_equal(ek_dataset_kind(dataset), EK_DATASET_PARQUET);
		cJSON_ArrayForEach(row, cJSON_GetObjectItem(shard, "rows"))
		{
			assert_int_equal(ek_dataset_next(dataset, &item), 1);
			check_item(&item, row);
		}
		assert_int_equal(ek_dataset_next(dataset, &item), 0);
		assert_ok(ek_dataset_finish(dataset));
		ek_dataset_close(dataset);
	}
	ek_dataset_item_release(&item);
	cJSON_Delete(golden);
}

static uint64_t rows_with(const struct ek_image_record *records, size_t count, int is_packed)
{
	uint64_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += (records[i].parquet_column != NULL) == is_packed;
	return found;
}

/* All shards at once; the images are read again, forward and back, in files of three packings in turn. */
static void images_are_found_again(void **state)
{
	const char *const paths[] = { FOLDER "parquet-hf.parquet", FOLDER "parquet-old.parquet",
		                      FOLDER "parquet-other.parquet" };
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_image_record records[34]; /* 10 of them and 2 without an image, 12 and 12 */
	struct ek_image_loader *loader;
	struct ek_buffer bytes = { 0 };
	struct ek_images *images;
	struct ek_run *run;
	char hex[EK_SHA256_HEX];

	o.datasets = paths;
	o.dataset_count = 3;
	ek_warnings.count = 0;
	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_scan(run, &o));
	assert_int_equal(ek_warnings.count, 1);
	assert_non_null(strstr(ek_warnings.last, "parquet-hf.parquet: 1 column is not used, being neither numbers"));
	assert_ok(ek_images_open(&images, run));
	for (int i = 0; i < 34; i++)
		assert_int_equal(ek_images_next(images, &records[i]), 1);
	ek_images_close(images);
	assert_int_equal(rows_with(records, 34, 0), 10);
	assert_ok(ek_image_loader_new(&loader, run));
	for (int i = 0; i < 34; i++) {
		const struct ek_image_record *r = &records[i * 13 % 34];

		assert_ok(ek_image_loader_bytes(loader, r, &bytes));
		hash_hex(hex, &bytes);
		assert_string_equal(hex, r->sha256);
	}
	ek_image_loader_free(loader);
	for (int i = 0; i < 34; i++)
		ek_image_record_release(&records[i]);
	ek_buffer_release(&bytes);
	ek_run_close(run);
}

/* The rows of a file, their problems, and what the open or the walk returned. */
static int walk(struct ek_buffer *problems, int *rows, const char *path)
{
	struct ek_dataset_item item = { 0 };
	struct ek_dataset *dataset;
	int rc;

	*rows = 0;
	ek_buffer_clear(problems);
	EK_TRY(ek_buffer_text(problems, ""));
	EK_TRY(ek_dataset_open(&dataset, &path, 1, NULL, NULL));
	while ((rc = ek_dataset_next(dataset, &item)) == 1) {
		++*rows;
		if (item.problem != NULL)
			EK_TRY(ek_buffer_printf(problems, "%s: %s\n", item.name.data, item.problem));
	}
	ek_dataset_item_release(&item);
	ek_dataset_close(dataset);
out:
	return rc;
}

/* The golden file with other bytes at a place, as `path`. */
static const char *damage(const char *path, const char *golden, size_t from, size_t size, char with)
{
	struct ek_buffer bytes = { 0 };

	assert_ok(ek_file_read(&bytes, golden, 1 << 20));
	for (size_t i = from; i < from + size && i < bytes.size; i++)
		bytes.data[i] = with;
	ek_write_file(path, bytes.data, bytes.size);
	ek_buffer_release(&bytes);
	return path;
}

/* Damage in a page costs the rest of its row group, which is said; the others go on. */
static void a_damaged_page_is_one_rejected_row(void **state)
{
	const char *path = ek_join(ek_scratch(), "shard.parquet");
	struct ek_buffer problems = { 0 };
	int rows;

	assert_ok(walk(&problems, &rows, damage(path, FOLDER "parquet-old.parquet", 80, 40, 'x')));
	print_message("%s", problems.data);
	assert_non_null(strstr(problems.data, "shard.parquet/000000: "));
	assert_non_null(strstr(problems.data, "damaged, or cut off: "));
	assert_non_null(strstr(problems.data, "(and the 4 rows behind it)\n"));
	assert_int_equal(rows, 1 + 7);
	ek_buffer_release(&problems);
}

static void what_is_no_whole_file_is_refused(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "a.parquet"), *list = ek_join(folder, "list");
	struct ek_buffer bytes = { 0 }, problems = { 0 };
	int rows;

	assert_ok(ek_file_read(&bytes, FOLDER "parquet-hf.parquet", 1 << 20));
	for (size_t size = 4; size < bytes.size; size = size < 40 ? size + 1 : size * 2) {
		ek_write_file(path, bytes.data, size);
		assert_fails(walk(&problems, &rows, path), EK_EDATA, "a.parquet: damaged, or cut off: ");
	}
	ek_write_file(path, "PAR1 is a text", 14);
	assert_fails(walk(&problems, &rows, path), EK_EDATA, "a.parquet: damaged, or cut off: ");
	/* A list may start as it likes. */
	ek_write_file(list, "PAR1/x.jpg\n", 11);
	assert_ok(walk(&problems, &rows, list));
	assert_int_equal(rows, 1);
	ek_buffer_release(&bytes);
	ek_buffer_release(&problems);
}

/* The first shard must be whole; of a later one it is told. */
static void a_broken_shard_is_a_rejected_row(void **state)
{
	const char *folder = ek_scratch();
	struct ek_buffer bytes = { 0 }, problems = { 0 };
	int rows;

	assert_ok(ek_file_read(&bytes, FOLDER "parquet-hf.parquet", 1 << 20));
	ek_write_file(ek_join(folder, "s-00000.parquet"), bytes.data, bytes.size);
	ek_write_file(ek_join(folder, "s-00001.parquet"), bytes.data, 4000);
	ek_write_file(ek_join(folder, "s-00002.parquet"), bytes.data, bytes.size);
	ek_write_file(ek_join(folder, "README.md"), "", 0);
	assert_ok(walk(&problems, &rows, folder));
	assert_int_equal(rows, 25);
	assert_non_null(strstr(problems.data, "\ns-00001.parquet: "));
	assert_ok(walk(&problems, &rows, ek_join(folder, "s-{00000..00002}.parquet")));
	assert_int_equal(rows, 25);
	assert_ok(walk(&problems, &rows, ek_join(folder, "s-*0.parquet")));
	assert_int_equal(rows, 12);
	assert_fails(walk(&problems, &rows, ek_join(folder, "s-00001.parquet")), EK_EDATA, "s-00001.parquet: damaged");
	ek_buffer_release(&bytes);
	ek_buffer_release(&problems);
}

/* Each byte changed in turn: an error or a problem, or other values; no crash, and no more rows than the file's bytes.
 */
static void no_changed_byte_does_harm(void **state)
{
	static const char *const shards[] = { FOLDER "parquet-hf.parquet", FOLDER "parquet-old.parquet",
		                              FOLDER "parquet-other.parquet" };
	const char *path = ek_join(ek_scratch(), "shard.parquet");
	struct ek_buffer problems = { 0 };
	int rows;

	for (size_t i = 0; i < 3; i++)
		for (size_t at = 4; at < 9500; at += 13) {
			const int rc = walk(&problems, &rows, damage(path, shards[i], at, 1, (char)(at * 7)));

			assert_true(rc == 0 || rc == EK_EDATA);
			assert_true(rows < 10000);
		}
	ek_buffer_release(&problems);
}

static void without_the_module_the_reader_is_named(void **state)
{
	struct ek_parquet *file;

	assert_fails(
		ek_parquet_open(&file, FOLDER "parquet-hf.parquet"), EK_ENOTSUP,
		"parquet-hf.parquet: a Parquet file, and their reader is not there: ./quickstart --parquet brings");
}

enum { SKIPPED = 77 };

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_as_others_read_them),
		cmocka_unit_test(images_are_found_again),
		cmocka_unit_test(a_damaged_page_is_one_rejected_row),
		cmocka_unit_test(what_is_no_whole_file_is_refused),
		cmocka_unit_test(a_broken_shard_is_a_rejected_row),
		cmocka_unit_test(no_changed_byte_does_harm),
	};
	const struct CMUnitTest absent[] = { cmocka_unit_test(without_the_module_the_reader_is_named) };
	struct ek_parquet *file;

	if (argc == 2 && strcmp(argv[1], "absent") == 0)
		return cmocka_run_group_tests(absent, NULL, NULL);
	if (ek_parquet_open(&file, FOLDER "parquet-hf.parquet") == EK_ENOTSUP)
		return SKIPPED;
	ek_parquet_close(file);
	ek_warnings_take();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
