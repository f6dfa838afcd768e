#include <fcntl.h>

#include "rebalance/base/file.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/demo_changes.h"
#include "rebalance/cli/demo_generate.h"
#include "rebalance/io/run.h"
#include "tests/support/support.h"

/* RUN/evaluations/NAME.json of three sets of a model after `steps`, with what the demo reads of it. */
static void make_evaluation(const char *run, const char *name, int steps, double coverage, double distance)
{
	struct ek_buffer text = { 0 };
	char file[128];

	(void)snprintf(file, sizeof file, "samples/%s-1", name);
	assert_ok(ek_make_directories(ek_join(run, file)));
	(void)snprintf(file, sizeof file, "samples/%s-1/config.json", name);
	assert_ok(ek_buffer_printf(&text, "{\"model_step\": %d}", steps));
	ek_write_file(ek_join(run, file), text.data, text.size);
	ek_buffer_clear(&text);
	assert_ok(ek_buffer_printf(
		&text,
		"{\"generated\": {\"images\": 3000, \"model\": \"m\", \"samples\": [\"%s-1\"]},"
		" \"reference\": {\"images\": 10000}, \"encoder\": {\"name\": \"e\"}, \"k\": 5, \"frechet_distance\": "
		"%g,"
		" \"group_coverage\": {\"value\": %g, \"ci95\": [%g, %g]}, \"worst_group\": {\"group\": \"bag\"},"
		" \"per_group\": [{\"group\": \"shirt\", \"training_share\": 0.9, \"generated_share\": 0.95},"
		" {\"group\": \"bag\", \"training_share\": 0.1, \"generated_share\": {\"value\": 0.05},"
		" \"coverage\": {\"value\": %g, \"ci95\": [%g, %g]}}],"
		" \"spread\": {\"frechet_distance\": {\"mean\": 1, \"std\": 2, \"n\": 3}}}",
		name, distance, coverage, coverage - 0.01, coverage + 0.01, coverage / 2, coverage / 2 - 0.005,
		coverage / 2 + 0.005));
	(void)snprintf(file, sizeof file, "evaluations/%s.json", name);
	ek_write_file(ek_join(run, file), text.data, text.size);
	ek_buffer_release(&text);
}

/* What `call` prints. To be released. */
static void print(struct ek_buffer *out, int (*call)(const char *run), const char *run)
{
	const char *path = ek_join(run, "printed");
	const int kept = dup(STDOUT_FILENO), file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int rc;

	assert_true(kept >= 0 && file >= 0);
	(void)fflush(stdout);
	assert_true(dup2(file, STDOUT_FILENO) >= 0);
	rc = call(run);
	(void)fflush(stdout);
	assert_true(dup2(kept, STDOUT_FILENO) >= 0);
	(void)close(kept);
	(void)close(file);
	assert_ok(rc);
	ek_buffer_clear(out);
	assert_ok(ek_file_read(out, path, 1 << 16));
}

static void labels_are_credited_with_what_equal_steps_show(void **state)
{
	const char *run = ek_scratch();
	struct ek_buffer out = { 0 };

	ek_write_file(ek_join(run, "run.json"), "{}", 2);
	assert_ok(ek_make_directories(ek_join(run, "evaluations")));
	make_evaluation(run, "natural", 1400, 0.02, 373);
	make_evaluation(run, "natural-equal", 1400, 0.03, 347);
	make_evaluation(run, "mended", 1400, 0.08, 371);
	print(&out, ek_demo_changes_print, run);
	/* 0.06 against the hypotenuse of 0.01 and 0.01; by t(4) = 2.776: 2 against 2 * 0.8165 * 2.776 = 4.53. */
	assert_non_null(strstr(out.data, "covers 8.0 %, mean over the groups, with weights and samples evened out, and "
	                                 "2.0 % without, more than chance makes;"));
	assert_non_null(strstr(out.data, "the rarest group's share of what is generated went from 5.0 % to 5.0 %"));
	assert_non_null(strstr(out.data, "from 373.0 to 371.0, no more than chance makes."));
	assert_non_null(strstr(out.data, "Covered least was bag, to 1.0 %: now 4.0 %, more than chance makes."));
	make_evaluation(run, "natural", 426, 0.02, 373);
	make_evaluation(run, "mended", 648, 0.08, 371);
	print(&out, ek_demo_changes_print, run);
	assert_non_null(strstr(out.data,
	                       "What ten labels changed cannot be told: the two generators were trained for 426 "
	                       "and 648 steps"));
	assert_null(strstr(out.data, "evened out"));
	ek_buffer_release(&out);
}

/* Commands that do nothing but take time: the linker puts them, and the clock, in place of the true ones. */

const struct ek_command *__real_ek_find_command(const char *name);
const struct ek_command *__wrap_ek_find_command(const char *name);
double __wrap_ek_clock(void);

static double now, slower; /* than the pace that the demo expects */

double __wrap_ek_clock(void)
{
	return now;
}

static int take_time(struct ek_invocation *i)
{
	now += slower * (strcmp(i->command->name, "train vae") == 0    ? 96
	                 : strcmp(i->command->name, "train flow") == 0 ? 150
	                                                               : 20);
	return 0;
}

const struct ek_command *__wrap_ek_find_command(const char *name)
{
	static struct ek_command command;

	command = *__real_ek_find_command(name);
	command.run = take_time;
	return &command;
}

static int generate(const char *run)
{
	return ek_demo_generate(run, EK_DEMO_STEPS, 7, 0);
}

static int generate_half(const char *run)
{
	return ek_demo_generate(run, EK_DEMO_STEPS / 2, 7, 0);
}

/* 652 s in all at the expected pace, of which the autoencoder has 96 and each generator 150. */
static void the_time_left_follows_the_pace(void **state)
{
	const char *run = ek_scratch();
	struct ek_buffer out = { 0 };

	slower = 1;
	print(&out, generate, run);
	assert_non_null(strstr(out.data, "\n[1 of 17, about 11 min left] evenkeel train vae "));
	assert_non_null(strstr(out.data, "\n[2 of 17, about 10 min left] evenkeel train flow "));
	assert_non_null(strstr(out.data, "\n[4 of 17, about 5 min left] evenkeel generate "));
	assert_non_null(strstr(out.data, "\n[17 of 17, about 1 min left] evenkeel report "));
	slower = 2; /* behind the autoencoder (30 + 192) / (30 + 96) as slow: 556 s are 980 */
	print(&out, generate, run);
	assert_non_null(strstr(out.data, "\n[1 of 17, about 11 min left] "));
	assert_non_null(strstr(out.data, "\n[2 of 17, about 17 min left] "));
	slower = 0; /* what is done already says nothing of the pace */
	print(&out, generate, run);
	assert_non_null(strstr(out.data, "\n[2 of 17, about 10 min left] "));
	assert_non_null(strstr(out.data, "\n[3 of 17, about 7 min left] "));
	slower = 1; /* generators of half the steps */
	print(&out, generate_half, run);
	assert_non_null(strstr(out.data, "\n[1 of 17, about 9 min left] "));
	ek_buffer_release(&out);
}

EK_TEST_MAIN(cmocka_unit_test(the_time_left_follows_the_pace),
             cmocka_unit_test(labels_are_credited_with_what_equal_steps_show))
