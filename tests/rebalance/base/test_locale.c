#include "tests/support/support.h"

#include <locale.h>

#include "rebalance/base/file.h"
#include "rebalance/base/locale.h"

/* A host program in a locale with a decimal comma, made here because few machines have one; 0 if it cannot be made. */
static int enter_comma(void)
{
	static const char source[] =
		"LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3\nEND LC_NUMERIC\n";
	const char *folder = ek_scratch();
	const char *from = ek_join(folder, "comma");
	char command[1024], text[8];

	ek_write_file(from, source, strlen(source));
	(void)snprintf(command, sizeof command, "localedef -c -i %s %s/xx_XX >/dev/null 2>&1", from, folder);
	/* It exits with 1 because the source has no more than numbers. */
	if (system(command) < 0 || setenv("LOCPATH", folder, 1) != 0 || setlocale(LC_ALL, "xx_XX") == NULL)
		return 0;
	(void)snprintf(text, sizeof text, "%g", 1.5);
	return strcmp(text, "1,5") == 0;
}

static void numbers_keep_their_point(void **state)
{
	const char *path = ek_join(ek_scratch(), "a.json");
	struct ek_buffer b = { 0 };
	char *text = NULL, *end;
	cJSON *json;
	double value = 0;

	if (!enter_comma())
		skip();
	assert_ok(ek_json_append_double(&b, 0.1));
	assert_ok(ek_buffer_printf(&b, " %.2f", 2.5));
	assert_string_equal(b.data, "0.1 2.50");
	assert_ok(ek_format(&text, "%g", 1.5));
	assert_string_equal(text, "1.5");
	(void)ek_fail(EK_EDATA, "%g", 1.5);
	assert_string_equal(ek_error_message(), "1.5");
	assert_close(ek_strtod("1.5,", &end), 1.5, 0);
	assert_string_equal(end, ",");
	assert_non_null(json = cJSON_CreateObject());
	assert_ok(ek_json_add_double(json, "x", 1.0 / 3));
	assert_ok(ek_json_save(json, path));
	cJSON_Delete(json);
	assert_ok(ek_json_load(&json, path));
	assert_ok(ek_json_get_double(&value, json, "x", path));
	assert_true(value == 1.0 / 3);
	cJSON_Delete(json);
	free(text);
	ek_buffer_release(&b);

	/* The host's own locale is as it was. */
	assert_close(strtod("1,5", NULL), 1.5, 0);
}

EK_TEST_MAIN(cmocka_unit_test(numbers_keep_their_point))
