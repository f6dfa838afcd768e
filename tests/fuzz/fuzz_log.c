/* Any bytes as the log.jsonl of a training: the report reads it or says which line it cannot; a training goes on with
 * the lines up to its step, and drops the others. */

#include "rebalance/base/file.h"
#include "reports/loss_curve.h"
#include "tests/support/support.h"
#include "train/loop/trainer_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_models(const char *folder)
{
	struct ek_models models = { 0 };
	struct ek_html page = { 0 };
	struct ek_buffer left_out = { 0 };
	struct ek_run *run;

	assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
	if (ek_models_load(&models, &left_out, run, 8) == 0 && models.count > 0 && models.items[0].point_count >= 2)
		ek_svg_loss(&page, models.items[0].points, models.items[0].point_count, "m");
	if (models.count > 0 && models.items[0].point_count > EK_LOG_POINTS)
		abort();
	ek_html_release(&page);
	ek_buffer_release(&left_out);
	ek_models_release(&models);
	ek_run_close(run);
}

static void go_on(const char *model, uint64_t step)
{
	static const char *const parts[] = { "a", NULL };
	struct ek_trainer_log log;
	struct ek_buffer before = { 0 }, after = { 0 };
	const char *path = ek_join(model, "log.jsonl");

	assert_ok(ek_file_read(&before, path, 1 << 26));
	assert_ok(ek_trainer_log_init(&log, parts, 2));
	assert_ok(ek_trainer_log_open(&log, model, step));
	assert_ok(ek_file_read(&after, path, 1 << 26));
	if (after.size > before.size || (after.size > 0 && (memcmp(after.data, before.data, after.size) != 0 ||
	                                                    after.data[after.size - 1] != '\n')))
		abort();
	ek_trainer_log_release(&log);
	ek_buffer_release(&before);
	ek_buffer_release(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char record[] = "{\"a\": {\"evenkeel\": \"1\", \"version\": 1}}";
	static const char config[] = "{\"evenkeel\": \"flow\"}";
	static const char *run, *model;

	if (run == NULL) {
		run = strdup(ek_join(ek_scratch(), "R"));
		model = strdup(ek_join(run, "models/m"));
		assert_ok(ek_make_directories(model));
		ek_write_file(ek_join(run, "run.json"), record, sizeof record - 1);
		ek_write_file(ek_join(model, "config.json"), config, sizeof config - 1);
	}
	ek_write_file(ek_join(model, "log.jsonl"), data, size);
	read_models(run);
	go_on(model, 100);
	go_on(model, 0);
	return 0;
}
