#include "tests/support/support.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "rebalance/base/file.h"
#include "rebalance/io/run.h"

static const char *const no_files[] = { NULL };
static const char *const input[] = { "in.bin", NULL };
static const char *const output[] = { "out.bin", NULL };

struct fixture {
	struct ek_run *run;
	cJSON *options;
	struct ek_step step;
	const char *folder;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->folder = ek_join(ek_scratch(), "a [run]*\nwith a newline");
	f->options = cJSON_CreateObject();
	assert_ok(ek_json_add_u64(f->options, "clusters", 24));
	assert_ok(ek_json_add_string(f->options, "encoder", "pixels"));
	f->step = (struct ek_step){
		.name = "cluster", .version = 1, .options = f->options, .inputs = input, .outputs = output
	};
	assert_ok(ek_run_open(&f->run, f->folder, EK_RUN_CREATE));
	ek_write_file(ek_join(f->folder, "in.bin"), "in", 2);
	ek_write_file(ek_join(f->folder, "out.bin"), "out", 3);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ek_run_close(f->run);
	cJSON_Delete(f->options);
	free(f);
	return 0;
}

static void assert_current(struct fixture *f, int want, const char *want_reason)
{
	const char *reason;
	int current;

	assert_ok(ek_run_is_current(&current, &reason, f->run, &f->step));
	assert_string_equal(reason, want_reason);
	assert_int_equal(current, want);
}

static void reopen(struct fixture *f)
{
	ek_run_close(f->run);
	assert_ok(ek_run_open(&f->run, f->folder, EK_RUN_WRITE));
}

static void a_step_is_current_after_it_was_recorded(void **state)
{
	struct fixture *f = *state;

	assert_current(f, 0, "not made yet");
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	assert_current(f, 1, "current");
	reopen(f);
	assert_current(f, 1, "current");
}

static void a_changed_option_input_output_or_version_is_noticed(void **state)
{
	struct fixture *f = *state;

	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	reopen(f);
	f->step.version = 2;
	assert_current(f, 0, "this version of evenkeel does it differently");
	f->step.version = 1;
	cJSON_ReplaceItemInObject(f->options, "clusters", cJSON_CreateNumber(12));
	assert_current(f, 0, "clusters was 24");
	cJSON_ReplaceItemInObject(f->options, "clusters", cJSON_CreateNumber(24));
	assert_current(f, 1, "current");
	ek_write_file(ek_join(f->folder, "in.bin"), "IN", 2);
	assert_current(f, 0, "in.bin has changed");
	ek_write_file(ek_join(f->folder, "in.bin"), "in", 2); /* the same bytes at another time are the same */
	assert_current(f, 1, "current");
	assert_int_equal(unlink(ek_join(f->folder, "out.bin")), 0);
	assert_current(f, 0, "out.bin is missing");
}

static int make_output(void *context, struct ek_run *run, cJSON *counts)
{
	int *times = context;

	++*times;
	return *times > 2 ? ek_fail(EK_EDATA, "no more") : ek_json_add_u64(counts, "times", (uint64_t)*times);
}

static void a_step_is_done_if_it_is_not_current_or_forced(void **state)
{
	struct fixture *f = *state;
	int times = 0, made;
	const struct ek_work work = { .step = &f->step, .doing = "clustering", .make = make_output, .context = &times };

	assert_ok(ek_run_bring_up(&made, f->run, &work, 0));
	assert_true(made && times == 1);
	assert_current(f, 1, "current");
	assert_ok(ek_run_bring_up(&made, f->run, &work, 0));
	assert_true(!made && times == 1);
	assert_ok(ek_run_bring_up(&made, f->run, &work, 1));
	assert_true(made && times == 2);
	assert_fails(ek_run_bring_up(&made, f->run, &work, 1), EK_EDATA, "no more");
	assert_false(made);
	/* What failed is not recorded. */
	assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(ek_run_recorded(f->run, "cluster"), "counts"), "times")
	                         ->valueint,
	                 2);
}

static void assert_unchanged(struct fixture *f, int deep, int want, const char *want_reason)
{
	const char *reason;
	int unchanged;

	assert_ok(ek_run_is_unchanged(&unchanged, &reason, f->run, "cluster", deep));
	assert_int_equal(unchanged, want);
	assert_string_equal(reason, want_reason);
}

static void what_inputs_were_made_from_is_looked_at_when_asked(void **state)
{
	static const char *const first[] = { "first.bin", NULL };
	struct fixture *f = *state;
	struct ek_step embed = {
		.name = "embed", .version = 1, .options = f->options, .inputs = first, .outputs = input
	};

	assert_unchanged(f, 1, 1, "");
	ek_write_file(ek_join(f->folder, "first.bin"), "a", 1);
	assert_ok(ek_run_record(f->run, &embed, 1700000000, 1, NULL));
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1, NULL));
	assert_unchanged(f, 1, 1, "");
	assert_string_equal(ek_run_writer(f->run, "in.bin")->string, "embed");
	assert_null(ek_run_writer(f->run, "first.bin"));
	/* What no file of the run shows. */
	assert_ok(ek_run_set_stale(f->run, "embed", "the images changed"));
	assert_unchanged(f, 0, 1, "");
	assert_unchanged(f, 1, 0, "in.bin is stale: the images changed");
	ek_run_close(f->run);
	assert_ok(ek_run_open(&f->run, f->folder, EK_RUN_WRITE));
	assert_unchanged(f, 1, 1, "");
	ek_write_file(ek_join(f->folder, "first.bin"), "b", 1);
	assert_unchanged(f, 0, 1, "");
	assert_unchanged(f, 1, 0, "in.bin is stale: first.bin has changed");
	ek_write_file(ek_join(f->folder, "in.bin"), "IN", 2);
	assert_unchanged(f, 0, 0, "in.bin has changed");
}

/* Only a damaged run.json says so. */
static void steps_made_from_each_other_end(void **state)
{
	struct fixture *f = *state;
	struct ek_step embed = {
		.name = "embed", .version = 1, .options = f->options, .inputs = output, .outputs = input
	};

	assert_ok(ek_run_record(f->run, &embed, 1700000000, 1, NULL));
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1, NULL));
	assert_unchanged(f, 1, 1, "");
}

static void an_input_that_was_not_there_may_stay_away(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(unlink(ek_join(f->folder, "in.bin")), 0);
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	assert_current(f, 1, "current");
	ek_write_file(ek_join(f->folder, "in.bin"), "in", 2);
	assert_current(f, 0, "in.bin is new");
}

static void recording_again_takes_new_hashes(void **state)
{
	struct fixture *f = *state;

	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	ek_write_file(ek_join(f->folder, "out.bin"), "new", 3);
	assert_current(f, 0, "out.bin has changed");
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	assert_current(f, 1, "current");
}

static void an_option_within_an_option_is_named(void **state)
{
	struct fixture *f = *state;
	cJSON *model, *deep;

	assert_ok(ek_json_add_object(&model, f->options, "model"));
	assert_ok(ek_json_add_u64(model, "width", 64));
	assert_ok(ek_json_add_object(&deep, model, "deep"));
	assert_ok(ek_json_add_array(&deep, deep, "list"));
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	assert_current(f, 1, "current");
	cJSON_DeleteItemFromObjectCaseSensitive(model, "width");
	assert_current(f, 0, "model changed"); /* it was more */
	assert_ok(ek_json_add_u64(model, "width", 128));
	assert_current(f, 0, "model.width was 64");
	cJSON_DeleteItemFromObjectCaseSensitive(model, "width");
	assert_ok(ek_json_add_u64(model, "width", 64));
	assert_ok(ek_json_add_u64(deep, NULL, 1));
	assert_current(f, 0, "model.deep.list changed");
	cJSON_DeleteItemFromArray(deep, 0);
	assert_ok(ek_json_add_string(model, "hash", "0123456789abcdef"));
	assert_current(f, 0, "model.hash was not set");
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	cJSON_ReplaceItemInObjectCaseSensitive(model, "hash", cJSON_CreateString("0123456789abcdee"));
	assert_current(f, 0, "model changed");
}

static void assert_match(struct fixture *f, const cJSON *entry, enum ek_run_match want, const char *want_reason)
{
	enum ek_run_match match;
	const char *reason;

	assert_ok(ek_run_match(&match, &reason, f->run, &f->step, entry));
	assert_string_equal(reason, want_reason);
	assert_int_equal(match, want);
}

static void what_something_else_keeps_of_a_step_is_compared_as_run_json(void **state)
{
	struct fixture *f = *state;
	cJSON *entry;

	assert_match(f, NULL, EK_RUN_UNKNOWN, "not made yet");
	assert_ok(ek_run_describe(&entry, f->run, &f->step));
	assert_null(ek_run_recorded(f->run, "cluster"));
	assert_match(f, entry, EK_RUN_SAME, "current");
	ek_write_file(ek_join(f->folder, "out.bin"), "new", 3);
	assert_match(f, entry, EK_RUN_DAMAGED, "out.bin has changed");
	ek_write_file(ek_join(f->folder, "in.bin"), "ni", 2);
	assert_match(f, entry, EK_RUN_STALE, "in.bin has changed");
	cJSON_DeleteItemFromObjectCaseSensitive(f->options, "clusters");
	assert_ok(ek_json_add_u64(f->options, "clusters", 3));
	assert_match(f, entry, EK_RUN_OTHER, "clusters was 24");
	f->step.version = 2;
	assert_match(f, entry, EK_RUN_OTHER, "this version of evenkeel does it differently");
	cJSON_Delete(entry);
}

static const char *hash_of(const struct fixture *f, const char *list, const char *file)
{
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(f->run, "cluster"), list);

	return cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(files, file), "xxh64"));
}

static void a_hash_that_is_known_from_writing_is_recorded(void **state)
{
	struct fixture *f = *state;

	f->step.hashed = "out.bin";
	f->step.hash = 0x123;
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	assert_string_equal(hash_of(f, "outputs", "out.bin"), "0000000000000123");
	assert_string_not_equal(hash_of(f, "inputs", "in.bin"), "0000000000000123");
	f->step.hashed = NULL;
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	assert_string_not_equal(hash_of(f, "outputs", "out.bin"), "0000000000000123");
}

static void what_is_forgotten_was_not_made(void **state)
{
	struct fixture *f = *state;

	assert_ok(ek_run_forget(f->run, "cluster"));
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	assert_ok(ek_run_forget(f->run, "cluster"));
	assert_current(f, 0, "not made yet");
	reopen(f);
	assert_current(f, 0, "not made yet");
}

static void inputs_that_a_document_elsewhere_keeps_are_looked_at_deep(void **state)
{
	static const char *const out[] = { "out.bin", NULL };
	struct fixture *f = *state;
	cJSON *document = cJSON_CreateObject();
	const char *reason;
	int unchanged;

	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	assert_ok(ek_run_add_inputs(document, f->run, out));
	/* Of when nothing is said. */
	assert_int_equal(cJSON_GetArraySize(ek_json_member(ek_json_member(document, "inputs"), "out.bin")), 1);
	assert_ok(ek_run_are_inputs_unchanged(&unchanged, &reason, f->run, document));
	assert_int_equal(unchanged, 1);
	ek_write_file(ek_join(f->folder, "in.bin"), "ni", 2);
	assert_ok(ek_run_are_inputs_unchanged(&unchanged, &reason, f->run, document));
	assert_string_equal(reason, "out.bin is stale: in.bin has changed");
	ek_write_file(ek_join(f->folder, "out.bin"), "new", 3);
	assert_ok(ek_run_are_inputs_unchanged(&unchanged, &reason, f->run, document));
	assert_string_equal(reason, "out.bin has changed");
	assert_int_equal(unchanged, 0);
	cJSON_Delete(document);
}

static void a_second_process_is_refused_with_the_first_ones_id(void **state)
{
	struct fixture *f = *state;
	const pid_t child = fork();
	char want[64];
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct ek_run *second;

		(void)snprintf(want, sizeof want, "is in use by process %ld", (long)getppid());
		_exit(ek_run_open(&second, f->folder, EK_RUN_WRITE) == EK_EUSAGE &&
		                      strstr(ek_error_message(), want) != NULL &&
		                      ek_run_open(&second, f->folder, EK_RUN_READ) == 0
		              ? 0
		              : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void what_is_no_run_directory_is_refused(void **state)
{
	const char *folder = ek_scratch(), *file = ek_join(folder, "file");
	struct ek_run *run;

	assert_fails(ek_run_open(&run, ek_join(folder, "none"), EK_RUN_WRITE), EK_EUSAGE, "no such run directory");
	assert_fails(ek_run_open(&run, "", EK_RUN_CREATE), EK_EUSAGE, "has no name");
	ek_write_file(file, "x", 1);
	assert_fails(ek_run_open(&run, file, EK_RUN_CREATE), EK_EUSAGE, "is a file, not a run directory");
	assert_fails(ek_run_open(&run, folder, EK_RUN_CREATE), EK_EUSAGE, "holds other files");
	assert_fails(ek_run_open(&run, folder, EK_RUN_READ), EK_EUSAGE, "it has no run.json");
	ek_write_file(ek_join(folder, "run.json"), "{\"scan\": ", 9);
	assert_fails(ek_run_open(&run, folder, EK_RUN_READ), EK_EDATA, "run.json: not JSON");
}

static void a_damaged_record_is_told_with_what_to_do(void **state)
{
	const char *folder = ek_scratch(), *texts[] = { "", "{\"scan\": ", "[1]" };
	struct ek_run *run;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		ek_write_file(ek_join(folder, ".lock"), "evenkeel 12\n", 12);
		ek_write_file(ek_join(folder, "run.json"), texts[i], strlen(texts[i]));
		assert_fails(ek_run_open(&run, folder, EK_RUN_WRITE), EK_EDATA,
		             "; put a copy of it back, or remove it: evenkeel audit DATASET -o ");
	}
	assert_int_equal(unlink(ek_join(folder, "run.json")), 0);
	assert_ok(ek_run_open(&run, folder, EK_RUN_CREATE));
	ek_run_close(run);
}

/* Other programs have files of these names, too. */
static void a_folder_that_does_not_say_it_is_a_run_is_left_alone(void **state)
{
	static const struct {
		const char *name, *text;
	} foreign[] = { { ".lock", "4711\n" },
		        { ".lock", "pinned by hand\n" },
		        { ".lock", "evenkeel-server 12\n" },
		        { "run.json", "{}" },
		        { "run.json", "{\"steps\": []}" },
		        { "run.json", "{\"scan\": {\"version\": 1}}" },
		        { "run.json", "[{\"evenkeel\": \"1\", \"version\": 1}]" },
		        { "run.json", "not JSON" } };

	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		const char *folder = ek_scratch(), *file = ek_join(folder, foreign[i].name);
		struct ek_run *run;

		ek_write_file(file, foreign[i].text, strlen(foreign[i].text));
		assert_false(ek_run_is_at(folder));
		assert_fails(ek_run_open(&run, folder, EK_RUN_CREATE), EK_EUSAGE, "holds other files");
		if (strcmp(foreign[i].text, "{}") != 0)
			assert_true(ek_run_open(&run, folder, EK_RUN_WRITE) < 0);
		ek_assert_holds(file, foreign[i].text);
	}
}

static void become(uid_t user)
{
	assert_int_equal(seteuid(user), 0);
}

static void a_run_that_is_read_only_is_told_of_and_can_be_read(void **state)
{
	const char *scratch = ek_scratch(), *folder = ek_join(scratch, "run");
	const uid_t before = geteuid();
	struct ek_run *run;

	assert_ok(ek_run_open(&run, folder, EK_RUN_CREATE));
	ek_write_file(ek_join(folder, "run.json"), "{}", 2);
	ek_run_close(run);
	assert_int_equal(chmod(scratch, 0755) | chmod(folder, 0555) | chmod(ek_join(folder, ".lock"), 0444), 0);
	if (before == 0)
		become(65534); /* nothing is read-only to root */
	assert_fails(ek_run_open(&run, folder, EK_RUN_WRITE), EK_EIO,
	             "cannot be written in (Permission denied): to read it needs no more");
	assert_fails(ek_run_open(&run, folder, EK_RUN_CREATE), EK_EIO, "take another place, or a copy of the run");
	assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
	ek_run_close(run);
	assert_fails(ek_run_open(&run, ek_join(folder, "new"), EK_RUN_CREATE), EK_EIO, "cannot make the directory");
	become(before);
	assert_int_equal(chmod(folder, 0755), 0);
}

static void a_run_is_known_by_its_record_or_its_lock(void **state)
{
	struct fixture *f = *state;
	const char *lock = ek_join(f->folder, ".lock"), *other = ek_scratch();
	struct ek_run *run;

	assert_true(ek_run_is_at(f->folder)); /* its lock alone: nothing is recorded yet */
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	ek_run_close(f->run);
	assert_int_equal(unlink(lock), 0);
	assert_true(ek_run_is_at(f->folder));
	ek_write_file(lock, "12\n", 3); /* as older versions left it */
	assert_ok(ek_run_open(&f->run, f->folder, EK_RUN_CREATE));
	assert_current(f, 1, "current");
	ek_run_close(f->run);
	ek_write_file(lock, "pinned by hand\n", 15);
	assert_fails(ek_run_open(&f->run, f->folder, EK_RUN_WRITE), EK_EUSAGE, "not a lock that evenkeel made");
	ek_assert_holds(lock, "pinned by hand\n");
	assert_int_equal(unlink(lock), 0);
	assert_ok(ek_run_open(&f->run, f->folder, EK_RUN_WRITE));
	/* Killed between the making of the lock and the first byte in it. */
	ek_write_file(ek_join(other, ".lock"), "", 0);
	assert_false(ek_run_is_at(other));
	assert_ok(ek_run_open(&run, other, EK_RUN_CREATE));
	ek_run_close(run);
	/* The same where there are no locks, by another machine: it is told who is there. */
	ek_write_file(ek_join(other, ".lock"), "", 0);
	ek_write_file(ek_join(other, ".lock.held"), "evenkeel far/pid 12 1\n", 22);
	assert_fails(ek_run_open(&run, other, EK_RUN_CREATE), EK_EUSAGE, "in use by process 12 of far");
	assert_int_equal(unlink(ek_join(other, ".lock.held")), 0);
	/* Killed in its first scan, by an older version. */
	ek_write_file(ek_join(other, ".lock"), "4711\n", 5);
	assert_fails(ek_run_open(&run, other, EK_RUN_CREATE), EK_EUSAGE, "holds other files");
	ek_write_file(ek_join(other, "images.jsonl.tmp"), "{", 1);
	ek_write_file(ek_join(other, ".lock"), "another's\n", 10);
	assert_fails(ek_run_open(&run, other, EK_RUN_CREATE), EK_EUSAGE, "not a lock that evenkeel made");
	ek_write_file(ek_join(other, ".lock"), "4711\n", 5);
	assert_ok(ek_run_open(&run, other, EK_RUN_CREATE));
	ek_run_close(run);
	/* By hand, of arrays from elsewhere. */
	assert_int_equal(unlink(ek_join(other, ".lock")), 0);
	ek_write_file(ek_join(other, "run.json"), "{}", 2);
	assert_ok(ek_run_open(&run, other, EK_RUN_READ));
	ek_run_close(run);
}

static void a_run_without_a_record_leaves_nothing_that_it_made(void **state)
{
	const char *scratch = ek_scratch(), *made = ek_join(scratch, "a"), *deep = ek_join(made, "b//c/");
	struct ek_run *run;
	char *list;

	assert_ok(ek_run_open(&run, deep, EK_RUN_CREATE));
	assert_ok(ek_run_file(&list, run, "list.txt"));
	ek_write_file(list, "1.png\n", 6);
	free(list);
	ek_run_close(run);
	assert_int_not_equal(access(made, F_OK), 0);
	assert_int_equal(access(scratch, F_OK), 0);
	/* What was there before, and what somebody else put there meanwhile. */
	assert_int_equal(mkdir(made, 0777), 0);
	assert_ok(ek_run_open(&run, made, EK_RUN_CREATE));
	ek_run_close(run);
	assert_int_equal(rmdir(made), 0);
	assert_ok(ek_run_open(&run, made, EK_RUN_CREATE));
	ek_write_file(ek_join(made, "list.txt"), "mine", 4);
	ek_write_file(ek_join(made, "other"), "mine", 4);
	ek_run_close(run);
	ek_assert_holds(ek_join(made, "list.txt"), "mine");
	assert_true(ek_run_is_at(made));
	/* Folders of results, likewise. */
	assert_int_equal(mkdir(ek_join(made, "subsets"), 0777), 0);
	assert_ok(ek_run_open(&run, made, EK_RUN_WRITE));
	assert_int_equal(mkdir(ek_join(made, "scores"), 0777), 0);
	assert_ok(ek_make_directories(ek_join(made, "cache/features")));
	assert_ok(ek_make_directories(ek_join(made, "models/a")));
	ek_run_close(run);
	assert_true(ek_run_is_at(made));
	assert_int_equal(ek_file_exists(ek_join(made, "subsets")), 1);
	assert_int_equal(ek_file_exists(ek_join(made, "scores")), 0);
	assert_int_equal(ek_file_exists(ek_join(made, "cache")), 0);
	assert_int_equal(ek_file_exists(ek_join(made, "models/a")), 1);
}

static void counts_are_kept(void **state)
{
	struct fixture *f = *state;
	cJSON *counts = cJSON_CreateObject();
	uint64_t images;

	f->step.inputs = f->step.outputs = no_files;
	assert_ok(ek_json_add_u64(counts, "images", 9007199254740991u));
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, counts));
	cJSON_Delete(counts);
	assert_ok(ek_json_get_u64(&images,
	                          cJSON_GetObjectItemCaseSensitive(ek_run_recorded(f->run, "cluster"), "counts"),
	                          "images", "run.json"));
	assert_true(images == 9007199254740991u);
	assert_null(ek_run_recorded(f->run, "scan"));
}

static void what_the_user_asked_is_kept_for_the_next_time(void **state)
{
	struct fixture *f = *state;
	cJSON *asked = cJSON_CreateObject();
	const cJSON *kept;

	assert_ok(ek_json_add_string(asked, "clusters", "auto"));
	ek_run_set_asked(f->run, asked);
	assert_ok(ek_run_record(f->run, &f->step, 1700000000, 1.5, NULL));
	ek_run_set_asked(f->run, NULL);
	cJSON_Delete(asked);
	kept = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(f->run, "cluster"), "asked");
	assert_string_equal(cJSON_GetObjectItemCaseSensitive(kept, "clusters")->valuestring, "auto");
	assert_non_null(asked = cJSON_CreateObject());
	assert_ok(ek_json_add_string(asked, "clusters", "9"));
	assert_ok(ek_run_ask_again(f->run, "cluster", asked));
	cJSON_Delete(asked);
	kept = ek_run_recorded(f->run, "cluster");
	assert_non_null(cJSON_GetObjectItemCaseSensitive(kept, "outputs"));
	kept = cJSON_GetObjectItemCaseSensitive(kept, "asked");
	assert_string_equal(cJSON_GetObjectItemCaseSensitive(kept, "clusters")->valuestring, "9");
}

static void files_are_found_by_pattern(void **state)
{
	struct fixture *f = *state;
	glob_t found;

	assert_ok(ek_run_glob(&found, f->run, "*.bin"));
	assert_int_equal(found.gl_pathc, 2);
	assert_string_equal(found.gl_pathv[0], ek_join(f->folder, "in.bin"));
	globfree(&found);
	assert_ok(ek_run_glob(&found, f->run, "none*"));
	assert_int_equal(found.gl_pathc, 0);
	globfree(&found);
}

/* run.json by hand, and whether its first step is unchanged. */
static int is_unchanged(struct fixture *f, const char *record, const char **reason)
{
	int unchanged;

	ek_write_file(ek_join(f->folder, "run.json"), record, strlen(record));
	reopen(f);
	assert_ok(ek_run_is_unchanged(&unchanged, reason, f->run, ek_run_first(f->run)->string, 1));
	return unchanged;
}

static void only_files_of_the_run_are_read(void **state)
{
	/* Each is there, and could be read for ever or is not the run's. */
	static const char *const names[] = { "../../../../../../../../dev/zero", "sub/../../x", "..", "link",
		                             "folder" };
	struct fixture *f = *state;
	const char *reason;
	char record[256];

	assert_int_equal(symlink("/dev/zero", ek_join(f->folder, "link")), 0);
	assert_ok(ek_make_directories(ek_join(f->folder, "folder")));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		(void)snprintf(record, sizeof record,
		               "{\"a\": {\"inputs\": {\"%s\": {\"bytes\": 1, \"mtime_ns\": \"1\", \"xxh64\": \"0\"}}}}",
		               names[i]);
		assert_int_equal(is_unchanged(f, record, &reason), 0);
		assert_non_null(strstr(reason, " is missing"));
	}
}

static void steps_that_name_each_other_are_compared_once(void **state)
{
	enum { STEPS = 40, FILES = 12 };
	struct fixture *f = *state;
	struct ek_buffer record = { 0 };
	const char *reason;

	/* Every step reads and writes the same files, which are not there and were not: 12^64 ways through them. */
	for (int i = 0; i < STEPS; i++) {
		assert_ok(ek_buffer_printf(&record, "%s\"%d\": {", i > 0 ? ", " : "{", i));
		for (int list = 0; list < 2; list++) {
			assert_ok(ek_buffer_printf(&record, "%s\"%s\": {", list > 0 ? ", " : "",
			                           list > 0 ? "outputs" : "inputs"));
			for (int j = 0; j < FILES; j++)
				assert_ok(
					ek_buffer_printf(&record, "%s\"x%d\": {}", j > 0 ? ", " : "", (i + j) % STEPS));
			assert_ok(ek_buffer_text(&record, "}"));
		}
		assert_ok(ek_buffer_text(&record, "}"));
	}
	assert_ok(ek_buffer_text(&record, "}"));
	assert_int_equal(is_unchanged(f, record.data, &reason), 1);
	ek_buffer_release(&record);
}

EK_TEST_MAIN(cmocka_unit_test_setup_teardown(a_step_is_current_after_it_was_recorded, setup, teardown),
             cmocka_unit_test_setup_teardown(a_changed_option_input_output_or_version_is_noticed, setup, teardown),
             cmocka_unit_test_setup_teardown(a_step_is_done_if_it_is_not_current_or_forced, setup, teardown),
             cmocka_unit_test_setup_teardown(what_inputs_were_made_from_is_looked_at_when_asked, setup, teardown),
             cmocka_unit_test_setup_teardown(an_option_within_an_option_is_named, setup, teardown),
             cmocka_unit_test_setup_teardown(what_something_else_keeps_of_a_step_is_compared_as_run_json, setup,
                                             teardown),
             cmocka_unit_test_setup_teardown(a_hash_that_is_known_from_writing_is_recorded, setup, teardown),
             cmocka_unit_test_setup_teardown(what_is_forgotten_was_not_made, setup, teardown),
             cmocka_unit_test_setup_teardown(inputs_that_a_document_elsewhere_keeps_are_looked_at_deep, setup,
                                             teardown),
             cmocka_unit_test_setup_teardown(steps_made_from_each_other_end, setup, teardown),
             cmocka_unit_test_setup_teardown(an_input_that_was_not_there_may_stay_away, setup, teardown),
             cmocka_unit_test_setup_teardown(recording_again_takes_new_hashes, setup, teardown),
             cmocka_unit_test_setup_teardown(a_second_process_is_refused_with_the_first_ones_id, setup, teardown),
             cmocka_unit_test_setup_teardown(only_files_of_the_run_are_read, setup, teardown),
             cmocka_unit_test_setup_teardown(steps_that_name_each_other_are_compared_once, setup, teardown),
             cmocka_unit_test(what_is_no_run_directory_is_refused),
             cmocka_unit_test(a_damaged_record_is_told_with_what_to_do),
             cmocka_unit_test(a_folder_that_does_not_say_it_is_a_run_is_left_alone),
             cmocka_unit_test_setup_teardown(a_run_is_known_by_its_record_or_its_lock, setup, teardown),
             cmocka_unit_test(a_run_that_is_read_only_is_told_of_and_can_be_read),
             cmocka_unit_test(a_run_without_a_record_leaves_nothing_that_it_made),
             cmocka_unit_test_setup_teardown(files_are_found_by_pattern, setup, teardown),
             cmocka_unit_test_setup_teardown(counts_are_kept, setup, teardown),
             cmocka_unit_test_setup_teardown(what_the_user_asked_is_kept_for_the_next_time, setup, teardown))
