#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/samples.h"
#include "rebalance/pipeline/samples_folder.h"

/* A step "samples x" of six images, made from model.bin. */
struct fixture {
	const char *folder;
	char *path;
	struct ek_run *run;
	cJSON *options;
	struct ek_step step;
	struct ek_samples_wish wish;
	struct ek_samples_folder place;
};

static void set_seed(struct fixture *f, uint64_t seed)
{
	cJSON_DeleteItemFromObjectCaseSensitive(f->options, "seed");
	assert_ok(ek_json_add_u64(f->options, "seed", seed));
}

static int setup(void **state)
{
	static const char *const inputs[] = { "model.bin", NULL }, *const outputs[] = { "samples/x/config.json", NULL };
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->folder = strdup(ek_scratch());
	f->options = cJSON_CreateObject();
	set_seed(f, 1);
	f->step = (struct ek_step){
		.name = "samples x", .version = 1, .options = f->options, .inputs = inputs, .outputs = outputs
	};
	f->wish = (struct ek_samples_wish){ .step = &f->step, .count = 6 };
	assert_ok(ek_run_open(&f->run, f->folder, EK_RUN_CREATE));
	assert_ok(ek_run_file(&f->path, f->run, "samples/x"));
	ek_write_file(ek_join(f->folder, "model.bin"), "one", 3);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ek_run_close(f->run);
	cJSON_Delete(f->options);
	free(f->path);
	free((char *)(uintptr_t)f->folder);
	free(f);
	return 0;
}

/* As a command that makes the images up to `end` and is stopped then, or ends with the sixth. Those that it found. */
static uint64_t make(struct fixture *f, uint64_t end)
{
	static const uint8_t pixels[4 * 4 * 3];
	uint64_t found;

	assert_ok(ek_samples_folder_open(&f->place, f->run, f->path, &f->wish));
	found = f->place.done;
	for (uint64_t i = found; !f->place.whole && i < end; i++)
		assert_ok(ek_samples_write_image(f->place.place.fresh, i, pixels, 4));
	if (!f->place.whole && end == f->wish.count) {
		ek_write_file(ek_join(f->place.place.fresh, "samples.jsonl"), "", 0);
		ek_write_file(ek_join(f->place.place.fresh, "sheet.png"), "", 0);
		assert_ok(ek_samples_folder_publish(&f->place, f->run, f->step.name));
		assert_null(ek_run_recorded(f->run, f->step.name));
		assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1, NULL));
	}
	ek_samples_folder_close(&f->place);
	return found;
}

static void refused(struct fixture *f, const char *why)
{
	assert_fails(ek_samples_folder_open(&f->place, f->run, f->path, &f->wish), EK_EUSAGE, why);
	ek_samples_folder_close(&f->place);
}

static void a_stopped_set_is_gone_on_with_by_the_same_command(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(make(f, 4), 0);
	assert_false(ek_file_exists(f->path));
	set_seed(f, 2);
	refused(f, "begun otherwise: seed was 1");
	set_seed(f, 1);
	assert_int_equal(make(f, 6), 4);
	assert_false(ek_file_exists(ek_join(f->path, "step.json")));
	assert_ok(ek_samples_folder_open(&f->place, f->run, f->path, &f->wish));
	assert_true(f->place.whole);
	ek_samples_folder_close(&f->place);
	set_seed(f, 2);
	refused(f, "made otherwise: seed was 1");
}

/* Half of its images by one model and half by another is no set. */
static void a_stopped_set_of_a_model_that_changed_is_begun_anew(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(make(f, 4), 0);
	ek_write_file(ek_join(f->folder, "model.bin"), "two", 3);
	assert_int_equal(make(f, 5), 0);
	assert_int_equal(make(f, 6), 5);
}

static void a_set_of_a_model_that_changed_is_made_anew(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(make(f, 6), 0);
	ek_write_file(ek_join(f->folder, "model.bin"), "two", 3);
	assert_ok(ek_samples_folder_open(&f->place, f->run, f->path, &f->wish));
	assert_true(f->place.stale && !f->place.whole);
	assert_string_equal(f->place.why, "model.bin has changed");
	ek_samples_folder_close(&f->place);
	assert_true(ek_file_exists(f->path)); /* until the other is whole */
	assert_int_equal(make(f, 6), 0);
}

/* Whatever evaluate and review put beside the images is ours: it does not stop a command that is given again, and goes
 * when the set is made anew. */
static void all_that_the_layout_names_is_ours(void **state)
{
	static const char beside[] = "samples/*/";
	struct fixture *f = *state;
	int written = 0;

	assert_int_equal(make(f, 6), 0);
	for (const struct ek_layout *row = ek_layout; row->pattern != NULL; row++) {
		const char *name = row->pattern + strlen(beside);

		if (row->place != EK_PLACE_RUN || strncmp(row->pattern, beside, strlen(beside)) != 0 ||
		    strpbrk(name, "*/") != NULL || ek_file_exists(ek_join(f->path, name)))
			continue;
		ek_write_file(ek_join(f->path, name), "", 0);
		written++;
	}
	assert_true(written > 5);
	assert_ok(ek_samples_folder_open(&f->place, f->run, f->path, &f->wish));
	assert_true(f->place.whole);
	ek_samples_folder_close(&f->place);
	ek_write_file(ek_join(f->folder, "model.bin"), "two", 3);
	assert_int_equal(make(f, 6), 0);
	assert_false(ek_file_exists(ek_join(f->path, "groups.npy")));
}

/* Neither run.json nor step.json speak of it: an earlier version made it, or a kill came just before. */
static void a_set_that_is_not_recorded_is_known_by_what_it_says(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(make(f, 6), 0);
	assert_ok(ek_run_forget(f->run, f->step.name));
	assert_ok(ek_samples_folder_open(&f->place, f->run, f->path, &f->wish));
	assert_true(f->place.whole);
	ek_samples_folder_close(&f->place);
	set_seed(f, 2);
	refused(f, "made otherwise: seed was 1");
	f->wish.force = 1;
	assert_int_equal(make(f, 3), 0);
	assert_ok(ek_remove(ek_join(f->folder, "samples/.x.new/step.json")));
	f->wish.force = 0;
	assert_int_equal(make(f, 6), 3);
}

EK_TEST_MAIN(cmocka_unit_test_setup_teardown(a_stopped_set_is_gone_on_with_by_the_same_command, setup, teardown),
             cmocka_unit_test_setup_teardown(a_stopped_set_of_a_model_that_changed_is_begun_anew, setup, teardown),
             cmocka_unit_test_setup_teardown(a_set_of_a_model_that_changed_is_made_anew, setup, teardown),
             cmocka_unit_test_setup_teardown(all_that_the_layout_names_is_ours, setup, teardown),
             cmocka_unit_test_setup_teardown(a_set_that_is_not_recorded_is_known_by_what_it_says, setup, teardown))
