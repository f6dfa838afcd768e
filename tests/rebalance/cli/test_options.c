#include "tests/support/support.h"

#include "rebalance/cli/options.h"

static const struct ek_choice choices[] = { { "furthest", "far" }, { "nearest", "near" }, { NULL, NULL } };

struct values {
	int flag, rule;
	int64_t clusters, workers;
	double keep;
	const char *name, *path;
};

/* The words of a test live until it ends, as argv does. */
static char *kept[512];
static size_t kept_count;

static const struct ek_option rows[] = {
	{ .name = "force", .letter = 'f', .kind = EK_KIND_FLAG, EK_FIELD(struct values, flag), .help = "recompute" },
	{ .name = "rule",
	  .kind = EK_KIND_CHOICE,
	  EK_FIELD(struct values, rule),
	  .argument = "NAME",
	  .help = "which",
	  .choices = choices,
	  .recorded = 1 },
	{ .name = "clusters",
	  .letter = 'k',
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct values, clusters),
	  .argument = "K",
	  .help = "how many",
	  .low = 1,
	  .high = 1000,
	  .zero = "auto",
	  .recorded = 1 },
	{ .name = "keep",
	  .kind = EK_KIND_NUMBER,
	  EK_FIELD(struct values, keep),
	  .argument = "F",
	  .help = "share",
	  .low = 0,
	  .high = 1,
	  .recorded = 1 },
	{ .name = "name",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct values, name),
	  .argument = "NAME",
	  .help = "its name",
	  .recorded = 1 },
	{ .name = "weights",
	  .kind = EK_KIND_PATH,
	  EK_FIELD(struct values, path),
	  .argument = "FILE",
	  .help = "file",
	  .recorded = 1 },
	{ .name = "workers",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct values, workers),
	  .argument = "N",
	  .help = "hands",
	  .low = 1,
	  .high = 9,
	  .standard = "4, or as many as there are",
	  .recorded = 1 },
	{ .name = NULL },
};

static struct values v;
static struct ek_arguments arguments;
static struct ek_option options[9]; /* the rows, to be changed by a test */
static uint64_t given;
static const struct ek_option_table table = { "Options", options, &v, &given };

static int parse(int argc, const char *const *argv)
{
	const struct ek_option_table tables[] = { table, { .title = NULL } };
	char *words[16];

	memcpy(options, rows, sizeof rows);
	given = 0;
	for (int i = 0; i < argc; i++) {
		assert_true(kept_count < sizeof kept / sizeof *kept);
		words[i] = kept[kept_count++] = strdup(argv[i]);
	}
	arguments = (struct ek_arguments){ 0 };
	return ek_options_parse(&arguments, tables, argc, words);
}

#define PARSE(...)                                                                                                     \
	parse((int)(sizeof((const char *[]){ "cmd", __VA_ARGS__ }) / sizeof(char *)),                                  \
	      (const char *const[]){ "cmd", __VA_ARGS__ })

static int reset(void **state)
{
	v = (struct values){ .clusters = 24, .workers = -1, .keep = 0.5 };
	return 0;
}

static int release(void **state)
{
	ek_arguments_release(&arguments);
	while (kept_count > 0)
		free(kept[--kept_count]);
	return 0;
}

static void values_are_read_in_every_form(void **state)
{
	assert_ok(PARSE("a", "--clusters=12", "--keep", "0.25", "-f", "b", "--rule", "nearest", "--name=x=y", "--",
	                "--c"));
	assert_int_equal(v.clusters, 12);
	assert_close(v.keep, 0.25, 0);
	assert_int_equal(v.flag, 1);
	assert_int_equal(v.rule, 1);
	assert_string_equal(v.name, "x=y");
	assert_int_equal(arguments.count, 3);
	assert_string_equal(arguments.positional[2], "--c");
	assert_true(ek_option_is_given(&table, "clusters"));
	assert_false(ek_option_is_given(&table, "weights"));
}

static void short_forms_words_for_zero_and_paths(void **state)
{
	assert_ok(PARSE("-k", "auto", "--weights", "a b", "-"));
	assert_int_equal(v.clusters, 0);
	assert_int_equal(v.path[0], '/');
	assert_string_equal(v.path + strlen(v.path) - 4, "/a b");
	assert_string_equal(arguments.positional[0], "-");
}

static void wrong_words_are_named(void **state)
{
	static const struct {
		const char *word, *value, *message;
	} cases[] = {
		{ "--cluster", "3", "unknown option --cluster; did you mean --clusters?" },
		{ "--clsuters=3", NULL, "did you mean --clusters?" },
		{ "--zzzzzz", NULL, "unknown option --zzzzzz; --help lists the options" },
		{ "-z", NULL, "unknown option -z" },
		{ "--clusters", NULL, "--clusters needs a value: K" },
		{ "--clusters", "0", "'clusters' is \"0\", not auto or a whole number from 1 to 1000" },
		{ "--clusters", "12x", "not auto or a whole number" },
		{ "--clusters", "", "not auto or a whole number" },
		{ "--clusters", "99999999999999999999", "not auto or a whole number" },
		{ "--keep", "1.5", "'keep' is \"1.5\", not a number from 0 to 1" },
		{ "--keep", "nan", "not a number from 0 to 1" },
		{ "--rule", "middle", "'rule' is \"middle\", not one of furthest, nearest" },
		{ "--force=1", NULL, "--force takes no value" },
		{ "--weights", "", "'weights' needs a name, not an empty one" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *words[] = { "cmd", cases[i].word, cases[i].value };

		print_message("%s %s\n", cases[i].word, cases[i].value != NULL ? cases[i].value : "");
		assert_fails(parse(cases[i].value != NULL ? 3 : 2, words), EK_EUSAGE, cases[i].message);
		ek_arguments_release(&arguments);
	}
}

static void names_of_options_get_their_dashes(void **state)
{
	const struct ek_option_table tables[] = { table, { .title = NULL } };
	struct ek_buffer text = { 0 };

	assert_ok(PARSE("a"));
	assert_ok(ek_options_name(&text, "'keep' is 2, it's not 'kept'; give 'rule' or 'clusters'", tables));
	assert_string_equal(text.data, "--keep is 2, it's not 'kept'; give --rule or --clusters");
	ek_buffer_release(&text);
}

static void the_record_gives_back_what_was_used(void **state)
{
	struct ek_strings second = { 0 };
	cJSON *json;

	assert_ok(PARSE("--clusters", "7", "--rule=nearest", "--keep=0.75", "--name", "n"));
	assert_ok(ek_options_to_json(&json, options, &v));
	assert_null(cJSON_GetObjectItem(json, "force"));
	v = (struct values){ .clusters = 24, .workers = -1, .keep = 0.5 };
	given = UINT64_C(1) << 3; /* the user says --keep 0.5 now: that stays */
	assert_ok(ek_options_from_json(&second, &table, json));
	assert_int_equal(v.clusters, 7);
	assert_int_equal(v.rule, 1);
	assert_close(v.keep, 0.5, 0);
	assert_string_equal(v.name, "n");
	assert_null(v.path);
	cJSON_Delete(json);
	ek_strings_release(&second);
}

static void a_default_that_depends_stays_one(void **state)
{
	struct ek_strings second = { 0 };
	cJSON *json;

	assert_ok(PARSE("a"));
	assert_ok(ek_options_to_json(&json, options, &v));
	assert_string_equal(cJSON_GetObjectItem(json, "workers")->valuestring, "default");
	v.workers = 3;
	assert_ok(ek_options_from_json(&second, &table, json));
	assert_int_equal(v.workers, -1);
	cJSON_Delete(json);
	ek_arguments_release(&arguments);
	assert_ok(PARSE("--workers", "5"));
	assert_int_equal(v.workers, 5);
	ek_arguments_release(&arguments);
	assert_ok(PARSE("--workers=default"));
	assert_int_equal(v.workers, -1);
	ek_arguments_release(&arguments);
	ek_strings_release(&second);
}

static void an_option_given_now_drops_the_record_of_what_it_replaces(void **state)
{
	struct ek_strings second = { 0 };
	cJSON *json;

	assert_ok(PARSE("--clusters", "7", "--name", "n", "--keep", "0.75"));
	assert_ok(ek_options_to_json(&json, options, &v));
	v = (struct values){ .clusters = 24, .workers = -1, .keep = 0.5 };
	given = UINT64_C(1) << 1; /* --rule */
	options[1].forgets = "names name";
	assert_ok(ek_options_from_json(&second, &table, json));
	assert_int_equal(v.clusters, 7);
	assert_close(v.keep, 0.75, 0);
	assert_null(v.name);
	cJSON_Delete(json);
	ek_strings_release(&second);
}

static int replay(const char *text)
{
	struct ek_strings second = { 0 };
	cJSON *json;
	int rc;

	assert_ok(ek_json_parse(&json, text, strlen(text), "test"));
	rc = ek_options_replay(&second, &table, json, "r.json");
	cJSON_Delete(json);
	for (int i = 0; i < second.count && kept_count < sizeof kept / sizeof *kept; i++)
		kept[kept_count++] = second.items[i];
	free(second.items);
	return rc;
}

static void a_recipe_counts_as_given_but_what_the_user_gave_wins(void **state)
{
	assert_ok(PARSE("--clusters", "7"));
	options[2].forgets = "name";
	options[3].forgets = "rule"; /* of the recipe, which has both: nothing is dropped */
	assert_ok(
		replay("{\"clusters\": 9, \"keep\": 0.25, \"rule\": \"nearest\", \"name\": \"n\", \"weights\": null}"));
	assert_int_equal(v.clusters, 7);
	assert_close(v.keep, 0.25, 0);
	assert_int_equal(v.rule, 1);
	assert_null(v.name);
	assert_int_equal(given, 1 << 1 | 1 << 2 | 1 << 3);
}

static void a_recipe_that_does_not_fit_is_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "{\"cluster\": 9}", "r.json: unknown option \"cluster\"; did you mean \"clusters\"?" },
		{ "{\"force\": true}", "r.json: unknown option \"force\"" }, /* not one that changes results */
		{ "{\"clusters\": 9.5}", "r.json: 'clusters' is \"9.5\", not auto or a whole number" },
		{ "{\"keep\": 2}", "r.json: 'keep' is \"2\", not a number from 0 to 1" },
		{ "{\"keep\": true}", "r.json: 'keep' is neither a text nor a number" },
		{ "{\"rule\": \"middle\"}", "r.json: 'rule' is \"middle\", not one of" },
		{ "[1]", "r.json: options that are not an object" },
	};

	assert_ok(PARSE("a"));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_fails(replay(cases[i].text), EK_EDATA, cases[i].message);
}

static void help_fits_the_width_and_tells_defaults(void **state)
{
	const struct ek_option_table tables[] = { table, { .title = NULL } };
	struct ek_buffer text = { 0 };

	assert_ok(PARSE("a"));
	assert_ok(ek_options_help(&text, tables, tables, 60));
	assert_non_null(strstr(text.data, "\nOptions:\n"));
	assert_non_null(strstr(text.data, "  -k, --clusters K            how many (default 24)\n"));
	assert_non_null(strstr(text.data, "hands (default: 4, or as many"));
	assert_non_null(strstr(text.data, "furthest"));
	for (const char *line = text.data; *line != 0;) {
		const size_t length = strcspn(line, "\n");

		assert_true(length <= 60);
		line += length + (line[length] != 0);
	}
	ek_buffer_release(&text);
}

EK_TEST_MAIN(cmocka_unit_test_setup_teardown(values_are_read_in_every_form, reset, release),
             cmocka_unit_test_setup_teardown(short_forms_words_for_zero_and_paths, reset, release),
             cmocka_unit_test_setup_teardown(wrong_words_are_named, reset, release),
             cmocka_unit_test_setup_teardown(names_of_options_get_their_dashes, reset, release),
             cmocka_unit_test_setup_teardown(the_record_gives_back_what_was_used, reset, release),
             cmocka_unit_test_setup_teardown(a_default_that_depends_stays_one, reset, release),
             cmocka_unit_test_setup_teardown(an_option_given_now_drops_the_record_of_what_it_replaces, reset, release),
             cmocka_unit_test_setup_teardown(a_recipe_counts_as_given_but_what_the_user_gave_wins, reset, release),
             cmocka_unit_test_setup_teardown(a_recipe_that_does_not_fit_is_refused, reset, release),
             cmocka_unit_test_setup_teardown(help_fits_the_width_and_tells_defaults, reset, release))
