#include "tests/support/support.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/jsonl.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/scan.h"

static void put(const char *folder, const char *name, const void *bytes, size_t size)
{
	char *path = NULL, *slash;

	assert_ok(ek_format(&path, "%s/%s", folder, name));
	slash = strrchr(path, '/');
	*slash = 0;
	assert_ok(ek_make_directories(path));
	*slash = '/';
	ek_write_file(path, bytes, size);
	free(path);
}

/* folder/name = the first `size` bytes of a golden image, all for SIZE_MAX. */
static void put_image(const char *folder, const char *name, const char *golden, size_t size)
{
	struct ek_buffer bytes = ek_read_file(ek_join("tests/golden/images", golden));

	put(folder, name, bytes.data, size < bytes.size ? size : bytes.size);
	ek_buffer_release(&bytes);
}

static int scan(const char *run_path, const struct ek_scan_options *o, cJSON **counts)
{
	struct ek_run *run;
	int rc;

	*counts = NULL;
	assert_ok(ek_run_open(&run, run_path, EK_RUN_CREATE));
	rc = ek_scan(run, o);
	if (rc == 0)
		*counts = cJSON_Duplicate(cJSON_GetObjectItem(ek_run_recorded(run, "scan"), "counts"), 1);
	ek_run_close(run);
	return rc;
}

static uint64_t count_of(const cJSON *counts, const char *name)
{
	uint64_t value;

	assert_ok(ek_json_get_u64(&value, counts, name, "counts"));
	return value;
}

/* A folder with everything that may go wrong in it. */
static const char *hostile_folder(void)
{
	const char *root = ek_scratch();
	static const char absurd[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\x01\0\0\0\x01\0\0\x08\x02\0\0\0\0\0\0\0";

	put_image(root, "a/1.jpg", "baseline-420.jpg", SIZE_MAX);
	put_image(root, "a/2.png", "one-pixel.png", SIZE_MAX);
	put_image(root, "b/no extension", "grey.jpg", SIZE_MAX);
	put_image(root, "b/<script>.jpg", "cmyk.jpg", SIZE_MAX);
	put_image(root, "b/caf\xe9\n.jpg", "baseline-444.jpg", SIZE_MAX);
	put_image(root, "b/cut.jpg", "baseline-420.jpg", 900);
	put(root, "b/empty.jpg", "", 0);
	put(root, "b/text.png", "hello", 5);
	put(root, "b/absurd.png", absurd, sizeof absurd - 1);
	put(root, "b/notes.txt", "hello", 5);
	put(root, "b/empty.txt", "", 0);
	assert_int_equal(mkfifo(ek_join(root, "b/fifo.jpg"), 0600), 0);
	assert_int_equal(symlink("nothing", ek_join(root, "b/gone.jpg")), 0);
	assert_int_equal(link(ek_join(root, "a/1.jpg"), ek_join(root, "a/1 again.jpg")), 0);
	return root;
}

static void bad_images_are_rows_and_good_ones_are_described(void **state)
{
	static const struct {
		const char *name, *reason;
	} rejected[] = {
		{ "b/absurd.png", "" },
		{ "b/cut.jpg", "" },
		{ "b/empty.jpg", "an empty file" },
		{ "b/fifo.jpg", "not a regular file" },
		{ "b/gone.jpg", "a link to nothing" },
		{ "b/text.png", "text that starts with \"hello\"" },
	};
	static const char *const names[] = { "a/1 again.jpg",           "a/1.jpg",       "a/2.png", "b/<script>.jpg",
		                             "b/caf\xef\xbf\xbd\n.jpg", "b/no extension" };
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *root = hostile_folder(), *run = ek_scratch(), *text;
	struct ek_buffer bytes = ek_read_file(ek_join("tests/golden/images", "one-pixel.png"));
	uint8_t digest[EK_SHA256_SIZE];
	char hex[EK_SHA256_HEX];
	struct ek_jsonl rows;
	cJSON *row, *counts;

	o.datasets = &root;
	o.dataset_count = 1;
	assert_ok(scan(run, &o, &counts));
	assert_int_equal(count_of(counts, "images"), 6);
	assert_int_equal(count_of(counts, "rejected"), 6);
	assert_int_equal(count_of(counts, "other_files"), 2);
	assert_ok(ek_json_get_string(&text, counts, "root", "counts"));
	assert_string_equal(text, root);
	cJSON_Delete(counts);

	assert_ok(ek_jsonl_open(&rows, ek_join(run, "rejected.jsonl")));
	for (size_t i = 0; i < sizeof rejected / sizeof *rejected; i++) {
		assert_int_equal(ek_jsonl_next(&rows, &row), 1);
		assert_ok(ek_json_get_string(&text, row, "file_name", "row"));
		assert_string_equal(text, rejected[i].name);
		assert_ok(ek_json_get_string(&text, row, "reason", "row"));
		assert_true(*text != 0);
		if (*rejected[i].reason != 0)
			assert_string_equal(text, rejected[i].reason);
		cJSON_Delete(row);
	}
	assert_int_equal(ek_jsonl_next(&rows, &row), 0);
	ek_jsonl_close(&rows);

	assert_ok(ek_sha256(digest, bytes.data, bytes.size));
	ek_hex(hex, digest, sizeof digest);
	assert_ok(ek_jsonl_open(&rows, ek_join(run, "images.jsonl")));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(ek_jsonl_next(&rows, &row), 1);
		assert_int_equal(count_of(row, "id"), i);
		assert_ok(ek_json_get_string(&text, row, "file_name", "row"));
		assert_string_equal(text, names[i]);
		assert_ok(ek_json_get_string(&text, row, "label", "row"));
		assert_string_equal(text, i < 3 ? "a" : "b");
		if (i == 2) {
			assert_int_equal(count_of(row, "bytes"), bytes.size);
			assert_int_equal(count_of(row, "width"), 1);
			assert_int_equal(count_of(row, "height"), 1);
			assert_ok(ek_json_get_string(&text, row, "sha256", "row"));
			assert_string_equal(text, hex);
			assert_ok(ek_json_get_string(&text, row, "format", "row"));
			assert_string_equal(text, "png");
		}
		if (i == 4) {
			assert_ok(ek_json_get_string(&text, row, "file_name_bytes", "row"));
			assert_string_equal(text, "622f636166e90a2e6a7067");
		}
		cJSON_Delete(row);
	}
	assert_int_equal(ek_jsonl_next(&rows, &row), 0);
	ek_jsonl_close(&rows);
	ek_buffer_release(&bytes);
}

static void the_header_check_takes_what_only_a_decoder_finds(void **state)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *root = hostile_folder();
	cJSON *counts;

	o.datasets = &root;
	o.dataset_count = 1;
	o.check = EK_SCAN_HEADER;
	assert_ok(scan(ek_scratch(), &o, &counts));
	assert_int_equal(count_of(counts, "images"), 7); /* the cut one too */
	cJSON_Delete(counts);
	o.max_pixels = 1;
	assert_ok(scan(ek_scratch(), &o, &counts));
	assert_int_equal(count_of(counts, "images"), 1); /* the single pixel */
	assert_int_equal(count_of(counts, "rejected"), 11);
	cJSON_Delete(counts);
}

static void rows_do_not_depend_on_threads(void **state)
{
	static const int threads[] = { 1, 2, 16 };
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *root = ek_scratch();
	struct ek_buffer first[2] = { { 0 } };
	char name[64];
	cJSON *counts;

	for (int i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof name, "c%d/%d.jpg", i % 7, i);
		if (i % 50 == 0)
			put(root, name, "bad", 3);
		else
			put_image(root, name, i % 3 ? "grey.jpg" : "one-pixel.jpg", SIZE_MAX);
	}
	o.datasets = &root;
	o.dataset_count = 1;
	for (int i = 0; i < 3; i++) {
		const char *run = ek_scratch();
		struct ek_buffer images, rejected;

		ek_threads_set(threads[i]);
		assert_ok(scan(run, &o, &counts));
		assert_int_equal(count_of(counts, "images"), 1960);
		assert_int_equal(count_of(counts, "rejected"), 40);
		cJSON_Delete(counts);
		images = ek_read_file(ek_join(run, "images.jsonl"));
		rejected = ek_read_file(ek_join(run, "rejected.jsonl"));
		if (i == 0) {
			first[0] = images;
			first[1] = rejected;
			continue;
		}
		assert_string_equal(images.data, first[0].data);
		assert_string_equal(rejected.data, first[1].data);
		ek_buffer_release(&images);
		ek_buffer_release(&rejected);
	}
	ek_threads_set(0);
	ek_buffer_release(&first[0]);
	ek_buffer_release(&first[1]);
}

static void attributes_become_members_and_never_hide_ours(void **state)
{
	static const char csv[] = "file_name,label,width,age,width_,zip\n1.jpg,cat,9,4,8,007\n";
	const char *root = ek_scratch(), *run = ek_scratch(), *table = ek_join(ek_scratch(), "x.csv"), *text;
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_jsonl rows;
	cJSON *row, *counts;

	put_image(root, "1.jpg", "one-pixel.jpg", SIZE_MAX);
	ek_write_file(table, csv, sizeof csv - 1);
	o.datasets = &root;
	o.dataset_count = 1;
	o.attributes = table;
	assert_ok(scan(run, &o, &counts));
	cJSON_Delete(counts);
	assert_ok(ek_jsonl_open(&rows, ek_join(run, "images.jsonl")));
	assert_int_equal(ek_jsonl_next(&rows, &row), 1);
	assert_int_equal(count_of(row, "width"), 1);
	assert_int_equal(count_of(row, "width_"), 8);
	assert_int_equal(count_of(row, "width__"), 9);
	assert_int_equal(count_of(row, "age"), 4);
	assert_ok(ek_json_get_string(&text, row, "label", "row"));
	assert_string_equal(text, "cat");
	assert_ok(ek_json_get_string(&text, row, "zip", "row"));
	assert_string_equal(text, "007");
	cJSON_Delete(row);
	ek_jsonl_close(&rows);
}

static void held_out_images_are_chosen_by_content(void **state)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *root = ek_scratch(), *run = ek_scratch();
	struct ek_buffer image = ek_read_file(ek_join("tests/golden/images", "one-pixel.jpg"));
	struct ek_jsonl rows;
	cJSON *row, *counts;
	char name[64];
	uint64_t held = 0;

	/* Bytes behind the end of a JPEG change its hash only; each content twice. */
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof name, "%04d.jpg", i);
		assert_ok(ek_buffer_printf(&image, "%03d", i / 2));
		put(root, name, image.data, image.size);
		image.size -= 3;
	}
	o.datasets = &root;
	o.dataset_count = 1;
	o.held_out = 0.25;
	assert_ok(scan(run, &o, &counts));
	assert_ok(ek_jsonl_open(&rows, ek_join(run, "images.jsonl")));
	for (int i = 0, twin = 0; i < 1000; i++) {
		int chosen;

		assert_int_equal(ek_jsonl_next(&rows, &row), 1);
		chosen = cJSON_IsTrue(cJSON_GetObjectItem(row, "held_out"));
		assert_true(i % 2 == 0 || chosen == twin);
		twin = chosen;
		held += (uint64_t)chosen;
		cJSON_Delete(row);
	}
	assert_int_equal(held, count_of(counts, "held_out"));
	/* 500 contents, 125 expected; five standard deviations of the binomial are 48. */
	assert_true(held / 2 > 77 && held / 2 < 173);
	cJSON_Delete(counts);
	ek_jsonl_close(&rows);
	ek_buffer_release(&image);
	o.held_out = 1.5;
	assert_fails(scan(run, &o, &counts), EK_EUSAGE, "held-out");
}

static void nothing_to_scan_is_told_and_changes_nothing(void **state)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *good = ek_scratch(), *empty = ek_scratch(), *bad = ek_scratch(), *run = ek_scratch();
	const char *table = ek_join(ek_scratch(), "x.csv");
	struct ek_buffer before, after;
	cJSON *counts;

	put_image(good, "1.jpg", "one-pixel.jpg", SIZE_MAX);
	put(bad, "1.jpg", "", 0);
	put(bad, "2.jpg", "x", 1);
	put(empty, "readme.txt", "x", 1);
	o.dataset_count = 1;
	o.datasets = &good;
	assert_ok(scan(run, &o, &counts));
	cJSON_Delete(counts);
	before = ek_read_file(ek_join(run, "images.jsonl"));
	o.datasets = &empty;
	assert_fails(scan(run, &o, &counts), EK_EDATA, "no image in it (1 other file)");
	o.datasets = &bad;
	assert_fails(scan(run, &o, &counts), EK_EDATA, "all 2 images were rejected, the first: 1.jpg: an empty file");
	assert_int_equal(remove(ek_join(bad, "2.jpg")), 0);
	assert_fails(scan(run, &o, &counts), EK_EDATA, "the only image was rejected: 1.jpg: an empty file");
	o.datasets = &good;
	o.attributes = table;
	ek_write_file(table, "file_name,a\n3.jpg,1\n4.jpg,2\n", 28);
	assert_fails(scan(run, &o, &counts), EK_EDATA, "x.csv: none of its 2 rows is for an image of the data set");
	after = ek_read_file(ek_join(run, "images.jsonl"));
	assert_string_equal(before.data, after.data);
	assert_false(ek_file_exists(ek_join(run, "images.jsonl.tmp")));
	ek_buffer_release(&before);
	ek_buffer_release(&after);
}

static void embeddings_alone_leave_no_list_of_images(void **state)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *folder = ek_scratch(), *run = ek_scratch();
	const char *npy = ek_join(folder, "e.npy"), *text;
	const uint64_t shape[2] = { 3, 2 }, flat[1] = { 6 };
	const float rows[6] = { 1, 2, 3, 4, 5, 6 };
	cJSON *counts;

	put_image(folder, "1.jpg", "one-pixel.jpg", SIZE_MAX);
	o.datasets = &folder;
	o.dataset_count = 1;
	assert_ok(scan(run, &o, &counts));
	cJSON_Delete(counts);
	assert_ok(ek_npy_write(npy, EK_F32, 2, shape, rows));
	o.datasets = &npy;
	assert_ok(scan(run, &o, &counts));
	assert_int_equal(count_of(counts, "images"), 3);
	assert_int_equal(count_of(counts, "dimensions"), 2);
	assert_ok(ek_json_get_string(&text, counts, "embeddings", "counts"));
	assert_string_equal(text, npy);
	assert_ok(ek_json_get_string(&text, counts, "kind", "counts"));
	assert_string_equal(text, "embeddings");
	cJSON_Delete(counts);
	assert_false(ek_file_exists(ek_join(run, "images.jsonl")));
	assert_ok(ek_npy_write(npy, EK_F32, 1, flat, rows));
	assert_fails(scan(run, &o, &counts), EK_EDATA, "embeddings are [n, d]");
}

static int is_current(const char *run_path, const struct ek_scan_options *o)
{
	cJSON *options;
	struct ek_step step;
	struct ek_run *run;
	const char *reason;
	int current;

	assert_ok(ek_run_open(&run, run_path, EK_RUN_WRITE));
	assert_ok(ek_scan_step(&step, &options, o, 1));
	assert_ok(ek_scan_is_current(&current, &reason, run, &step));
	cJSON_Delete(options);
	ek_run_close(run);
	return current;
}

static void what_cannot_be_read_is_told_apart_from_what_is_damaged(void **state)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *root = ek_scratch(), *run = ek_scratch();
	struct ek_buffer rejected;
	cJSON *counts;

	put_image(root, "a/1.jpg", "one-pixel.jpg", SIZE_MAX);
	put(root, "a/3.jpg", "bad", 3);
	/* To read at its beginning is an error of input and output, though it opens. */
	assert_int_equal(symlink("/proc/self/mem", ek_join(root, "a/2.jpg")), 0);
	o.datasets = &root;
	o.dataset_count = 1;
	assert_ok(scan(run, &o, &counts));
	assert_int_equal(count_of(counts, "images"), 1);
	assert_int_equal(count_of(counts, "rejected"), 2);
	assert_int_equal(count_of(counts, "unread"), 1);
	cJSON_Delete(counts);
	rejected = ek_read_file(ek_join(run, "rejected.jsonl"));
	assert_non_null(strstr(rejected.data, "Input/output error\", \"unread\": true}\n{\"file_name\": \"a/3.jpg\""));
	assert_null(strstr(strstr(rejected.data, "a/3.jpg"), "unread"));
	ek_buffer_release(&rejected);
}

/* As a user whom permissions bind. */
static void without_rights(const char *folder, int rights)
{
	if (rights == 0 && geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	else if (rights != 0 && getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	else
		assert_int_equal(chmod(folder, rights != 0 ? 0700 : 0), 0);
}

static void a_folder_that_could_not_be_read_is_tried_again(void **state)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *root = ek_scratch(), *run = ek_scratch(), *locked = ek_join(root, "locked");
	cJSON *counts;

	put_image(root, "a/1.jpg", "one-pixel.jpg", SIZE_MAX);
	put_image(root, "locked/2.jpg", "one-pixel.jpg", SIZE_MAX);
	assert_int_equal(chmod(root, 0755) | chmod(run, 0777) | chmod(locked, 0700), 0);
	o.datasets = &root;
	o.dataset_count = 1;
	without_rights(locked, 0);
	assert_ok(scan(run, &o, &counts));
	assert_int_equal(count_of(counts, "images"), 1);
	assert_int_equal(count_of(counts, "unread"), 1);
	cJSON_Delete(counts);
	assert_true(is_current(run, &o));
	without_rights(locked, 1);
	/* Nothing has changed but that it can be read. */
	assert_false(is_current(run, &o));
	assert_ok(scan(run, &o, &counts));
	assert_int_equal(count_of(counts, "images"), 2);
	assert_int_equal(count_of(counts, "unread"), 0);
	cJSON_Delete(counts);
	assert_true(is_current(run, &o));
}

static struct rlimit most_descriptors;

/* From the first warning on, no file can be opened. */
static void starve(void *context, enum ek_log_level level, const char *text)
{
	const struct rlimit none = { 3, most_descriptors.rlim_max };

	if (level == EK_LOG_WARNING)
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void want_of_descriptors_rejects_nothing(void **state)
{
	static const struct ek_log_sink hungry = { .message = starve }, quiet = { 0 };
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *root = ek_scratch(), *run = ek_scratch();
	cJSON *counts;
	char name[16];
	int rc;

	/* A row too many is warned of when the folder is left: after the outputs are open, before the images are. */
	put(root, "a/metadata.csv", "file_name,x\n1.jpg,1\n2.jpg,2\n", 28);
	put_image(root, "a/1.jpg", "one-pixel.jpg", SIZE_MAX);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof name, "b%02d.jpg", i);
		put_image(root, name, "one-pixel.jpg", SIZE_MAX);
	}
	o.datasets = &root;
	o.dataset_count = 1;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &most_descriptors), 0);
	ek_log_set_sink(&hungry);
	rc = scan(run, &o, &counts);
	ek_log_set_sink(&quiet);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &most_descriptors), 0);
	assert_fails(rc, EK_EIO, "Too many open files");
	assert_false(ek_file_exists(ek_join(run, "images.jsonl")));
	assert_ok(scan(run, &o, &counts));
	assert_int_equal(count_of(counts, "images"), 21);
	cJSON_Delete(counts);
}

static void patterns_belong_to_the_step(void **state)
{
	static const char *const patterns[] = { "*.png" };
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *root = ek_scratch(), *run = ek_scratch();
	cJSON *counts;

	put_image(root, "a/1.jpg", "one-pixel.jpg", SIZE_MAX);
	put_image(root, "a/2.png", "one-pixel.png", SIZE_MAX);
	put_image(root, ".hidden/3.png", "one-pixel.png", SIZE_MAX);
	o.datasets = &root;
	o.dataset_count = 1;
	assert_ok(scan(run, &o, &counts));
	assert_int_equal(count_of(counts, "images"), 2);
	assert_int_equal(count_of(cJSON_GetObjectItem(counts, "left_out"), "hidden"), 1);
	cJSON_Delete(counts);
	assert_true(is_current(run, &o));
	o.exclude = patterns;
	o.exclude_count = 1;
	assert_false(is_current(run, &o));
	assert_ok(scan(run, &o, &counts));
	assert_int_equal(count_of(counts, "images"), 1);
	assert_int_equal(count_of(cJSON_GetObjectItem(counts, "left_out"), "excluded"), 1);
	cJSON_Delete(counts);
	assert_true(is_current(run, &o));
}

static void the_step_is_current_until_the_data_change(void **state)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *root = ek_scratch(), *run_path = ek_scratch();
	cJSON *counts;

	/* Of everything that a walk may meet, the scan has seen what a look sees. */
	put_image(root, "a/1.jpg", "one-pixel.jpg", SIZE_MAX);
	put_image(root, "a/cut.jpg", "one-pixel.jpg", 20);
	put_image(root, "other.txt", "one-pixel.jpg", 4);
	put_image(root, "sub/2.jpg", "one-pixel.jpg", SIZE_MAX);
	ek_write_file(ek_join(root, "empty.jpg"), "", 0);
	ek_write_file(ek_join(root, "metadata.csv"), "file_name,x\na/1.jpg,1\n", 22);
	assert_int_equal(symlink("nothing", ek_join(root, "dangling.jpg")), 0);
	assert_int_equal(symlink("nothing", ek_join(root, "dangling")), 0);
	assert_int_equal(symlink(".", ek_join(root, "loop")), 0);
	assert_int_equal(mkfifo(ek_join(root, "pipe.jpg"), 0666), 0);
	o.datasets = &root;
	o.dataset_count = 1;
	assert_ok(scan(run_path, &o, &counts));
	cJSON_Delete(counts);
	assert_true(is_current(run_path, &o));
	put_image(root, "a/2.jpg", "one-pixel.jpg", SIZE_MAX);
	assert_false(is_current(run_path, &o));
	assert_ok(scan(run_path, &o, &counts));
	cJSON_Delete(counts);
	assert_true(is_current(run_path, &o));
	/* The same bytes, written again. */
	assert_int_equal(usleep(20000), 0);
	put_image(root, "a/2.jpg", "one-pixel.jpg", SIZE_MAX);
	assert_false(is_current(run_path, &o));
}

EK_TEST_MAIN(cmocka_unit_test(bad_images_are_rows_and_good_ones_are_described),
             cmocka_unit_test(the_header_check_takes_what_only_a_decoder_finds),
             cmocka_unit_test(rows_do_not_depend_on_threads),
             cmocka_unit_test(attributes_become_members_and_never_hide_ours),
             cmocka_unit_test(held_out_images_are_chosen_by_content),
             cmocka_unit_test(nothing_to_scan_is_told_and_changes_nothing),
             cmocka_unit_test(embeddings_alone_leave_no_list_of_images),
             cmocka_unit_test(what_cannot_be_read_is_told_apart_from_what_is_damaged),
             cmocka_unit_test(a_folder_that_could_not_be_read_is_tried_again),
             cmocka_unit_test(want_of_descriptors_rejects_nothing), cmocka_unit_test(patterns_belong_to_the_step),
             cmocka_unit_test(the_step_is_current_until_the_data_change))
