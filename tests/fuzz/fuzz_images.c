/* Any bytes as images.jsonl: every record that is read is whole and of its place, found in any order, and loaded or
 * refused; columns count what there is. */

#include "rebalance/base/file.h"
#include "rebalance/io/images.h"
#include "tests/support/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 1 << 20, RECORDS = 64 };

static void load(const struct ek_run *run, const struct ek_image_record *record)
{
	struct ek_image_loader *loader = NULL;
	struct ek_buffer bytes = { 0 };

	/* What lies elsewhere on this machine is no part of the test. */
	if (record->source == NULL && record->bytes < LARGEST && strstr(record->file_name, "..") == NULL &&
	    record->file_name[0] != '/' && ek_image_loader_new(&loader, run) == 0)
		(void)ek_image_loader_bytes(loader, record, &bytes);
	ek_image_loader_free(loader);
	ek_buffer_release(&bytes);
}

static uint64_t walk(const struct ek_run *run)
{
	struct ek_images *images = NULL;
	struct ek_image_record record = { 0 };
	uint64_t count = 0;

	if (ek_images_open(&images, run) < 0)
		return 0;
	while (count < RECORDS && ek_images_next(images, &record) == 1) {
		if (record.id != count++ || record.file_name == NULL || !cJSON_IsObject(record.row) ||
		    strlen(record.sha256) > 64)
			abort();
		load(run, &record);
		ek_image_record_release(&record);
	}
	/* And backwards. */
	for (uint64_t id = count; id-- > 0;) {
		if (ek_images_go(images, id) < 0 || ek_images_next(images, &record) != 1 || record.id != id)
			abort();
		ek_image_record_release(&record);
	}
	ek_images_close(images);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char scan[] = "{\"scan\": {\"evenkeel\": \"1\", \"version\": 1, \"inputs\": {}, \"outputs\": {}, "
				   "\"counts\": {\"images\": 3, \"root\": \"/nowhere\"}}}";
	static const char *folder;
	struct ek_columns columns = { 0 };
	struct ek_run *run;

	if (folder == NULL) {
		folder = strdup(ek_join(ek_scratch(), "R"));
		assert_ok(ek_make_directories(folder));
		ek_write_file(ek_join(folder, "run.json"), scan, sizeof scan - 1);
	}
	ek_write_file(ek_join(folder, "images.jsonl"), data, size);
	assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
	(void)walk(run);
	if (ek_columns_load(&columns, run) == 0)
		for (size_t i = 0; i < columns.count; i++)
			for (uint64_t j = 0; j < columns.images; j++)
				if (columns.items[i].codes[j] < -1 ||
				    columns.items[i].codes[j] >= (int32_t)columns.items[i].value_count)
					abort();
	ek_columns_release(&columns);
	ek_run_close(run);
	return 0;
}
