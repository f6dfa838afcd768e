#include <stdlib.h>

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

static size_t size_of(const struct ek_option *o)
{
	static const size_t sizes[] = { sizeof(int), sizeof(int64_t), sizeof(double), sizeof(char *),
		                        sizeof(struct ek_list) };

	return sizes[o->held];
}

static void every_row_is_bound_to_a_field_of_its_kind(void **state)
{
	int rows = 0;

	(void)state;
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
				for (const struct ek_option *other = t->rows; other < o; other++)
					assert_int_not_equal(other->offset, o->offset);
			}
			assert_true(o - t->rows < 64);
		}
		ek_settings_release(&settings);
	}
	assert_true(rows > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_row_is_bound_to_a_field_of_its_kind) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
