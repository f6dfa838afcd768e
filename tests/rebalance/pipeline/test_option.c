#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "tests/support/support.h"

/* The kinds of options that a field of a type can have. */
static int fits(const struct ek_option *o)
{
	static const enum ek_held held[] = {
		[EK_KIND_FLAG] = EK_HOLDS_INT,      [EK_KIND_INTEGER] = EK_HOLDS_INT64,
		[EK_KIND_NUMBER] = EK_HOLDS_DOUBLE, [EK_KIND_STRING] = EK_HOLDS_TEXT,
		[EK_KIND_PATH] = EK_HOLDS_TEXT,     [EK_KIND_CHOICE] = EK_HOLDS_INT,
		[EK_KIND_LIST] = EK_HOLDS_LIST,
	};

	return o->held == held[o->kind];
}

/* Whatever the names with spaces say, NAME or NAME=WORD, is an option of the table. */
static void names_options(const struct ek_option_table *table, const char *names)
{
	for (; names != NULL && *names != 0; names += strspn(names, " ")) {
		const size_t length = strcspn(names, " ");
		char name[64];

		(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(names, "= "), names);
		assert_non_null(ek_option_find(table, name));
		names += length;
	}
}

static size_t size_of(const struct ek_option *o)
{
	static const size_t sizes[] = { sizeof(int), sizeof(int64_t), sizeof(double), sizeof(char *),
		                        sizeof(struct ek_list) };

	return sizes[o->held];
}

static void every_row_is_bound_to_a_field_of_its_kind(void **state)
{
	int rows = 0;

	for (const struct ek_command *c = ek_commands; c->name != NULL; c++) {
		struct ek_option_table tables[EK_MAX_TABLES];
		struct ek_settings settings;

		assert_ok(ek_settings_init(&settings, c));
		ek_command_tables(tables, c, &settings);
		for (const struct ek_option_table *t = tables; t->title != NULL; t++) {
			const size_t size = t->values == settings.own ? c->own->size : sizeof settings;
			const struct ek_option *o = t->rows;

			for (; o->name != NULL; o++, rows++) {
				print_message("%s --%s\n", c->name, o->name);
				assert_true(fits(o));
				assert_true(o->offset + size_of(o) <= size);
				assert_true((o->kind == EK_KIND_CHOICE) <= (o->choices != NULL));
				names_options(t, o->needs);
				names_options(t, o->excludes);
				for (const struct ek_option *other = t->rows; other < o; other++)
					assert_int_not_equal(other->offset, o->offset);
			}
			assert_true(o - t->rows < 64);
		}
		ek_settings_release(&settings);
	}
	assert_true(rows > 200);
}

struct together {
	const char *kind, *of;
	int64_t size;
	int plain, form;
};

static const struct ek_choice forms[] = { { "list", "" }, { "tar", "" }, { NULL, NULL } };
static const struct ek_option together_rows[] = {
	{ .name = "kind", .kind = EK_KIND_STRING, EK_FIELD(struct together, kind) },
	{ .name = "of", .kind = EK_KIND_STRING, EK_FIELD(struct together, of), .needs = "kind" },
	{ .name = "size", .kind = EK_KIND_INTEGER, EK_FIELD(struct together, size), .needs = "form=tar kind=big" },
	{ .name = "plain", .kind = EK_KIND_FLAG, EK_FIELD(struct together, plain), .excludes = "of", .needs = "size" },
	{ .name = "form", .kind = EK_KIND_CHOICE, EK_FIELD(struct together, form), .choices = forms },
	{ .name = NULL },
};

/* What the check says of these values, those of the bits given. */
static int check(struct together values, uint64_t given)
{
	const struct ek_option_table table = { "", together_rows, &values, &given };

	return ek_options_check(&table);
}

static void what_goes_with_another_needs_it(void **state)
{
	enum { KIND = 1, OF = 2, SIZE = 4, PLAIN = 8 };

	assert_ok(check((struct together){ .of = "a" }, 0)); /* not given now */
	assert_int_equal(check((struct together){ .of = "a" }, OF), EK_EUSAGE);
	assert_string_equal(ek_error_message(), "'of' goes with 'kind'");
	assert_int_equal(check((struct together){ .of = "a", .kind = "none" }, OF | KIND), EK_EUSAGE);
	assert_ok(check((struct together){ .of = "a", .kind = "b" }, OF)); /* remembered */
	assert_int_equal(check((struct together){ .size = 1, .kind = "small" }, SIZE), EK_EUSAGE);
	assert_string_equal(ek_error_message(), "'size' goes with 'form' tar or 'kind' big");
	assert_ok(check((struct together){ .size = 1, .kind = "small,big" }, SIZE));
	assert_ok(check((struct together){ .size = 1, .form = 1 }, SIZE));
	assert_ok(check((struct together){ .plain = 0 }, PLAIN)); /* taken back */
	assert_int_equal(check((struct together){ .plain = 1, .size = 1 }, PLAIN), EK_EUSAGE);
	assert_ok(check((struct together){ .plain = 1, .size = 1, .form = 1 }, PLAIN | SIZE));
	assert_int_equal(check((struct together){ "b", "a", 1, 1, 1 }, PLAIN | SIZE | OF), EK_EUSAGE);
	assert_string_equal(ek_error_message(), "give either 'of' or 'plain'");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_row_is_bound_to_a_field_of_its_kind),
		                            cmocka_unit_test(what_goes_with_another_needs_it) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
