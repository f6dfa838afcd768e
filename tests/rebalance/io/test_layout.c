#include <fnmatch.h>
#include <glob.h>

#include "rebalance/base/file.h"
#include "rebalance/io/layout.h"
#include "tests/support/support.h"

enum { NAMES = 128 };

/* What docs/files.md lists: the words in `backquotes` of the first column. */
static char *names[NAMES];
static size_t count;

static void take_names(char *row)
{
	char *end = strstr(row, " | ");

	assert_non_null(end);
	*end = 0;
	for (char *at = row; (at = strchr(at, '`')) != NULL; at = end + 1) {
		end = strchr(++at, '`');
		assert_non_null(end);
		*end = 0;
		assert_true(count < NAMES);
		if (strncmp(at, "\xe2\x80\xa6", 3) != 0) /* "…/", a name of several places */
			assert_non_null(names[count++] = strdup(at));
	}
}

static int set_up(void **state)
{
	struct ek_buffer text = { 0 };
	char *line;

	assert_ok(ek_file_read(&text, "docs/files.md", 1 << 20));
	line = strstr(text.data, "\n|---");
	assert_non_null(line);
	line = strchr(line + 1, '\n') + 1;
	while (*line == '|') {
		char *end = strchr(line, '\n');

		*end = 0;
		take_names(line + 2);
		line = end + 1;
	}
	ek_buffer_release(&text);
	assert_true(count > 50);
	return 0;
}

static int tear_down(void **state)
{
	while (count > 0)
		free(names[--count]);
	return 0;
}

static void what_the_document_lists_is_in_the_table(void **state)
{
	for (size_t i = 0; i < count; i++) {
		print_message("%s\n", names[i]);
		assert_non_null(ek_layout_find(EK_PLACE_RUN, names[i]));
	}
}

/* A folder is listed by what is in it. */
static void what_is_in_the_table_the_document_lists(void **state)
{
	for (const struct ek_layout *row = ek_layout; row->pattern != NULL; row++) {
		int listed = row->place != EK_PLACE_RUN || *row->pattern == 0;

		for (size_t i = 0; i < count; i++)
			listed |= fnmatch(row->pattern, names[i], FNM_PATHNAME | FNM_LEADING_DIR) == 0;
		print_message("%s\n", row->pattern);
		assert_true(listed);
	}
}

static void paths_are_made_of_the_patterns(void **state)
{
	char *path;

	assert_ok(ek_layout_path_at(&path, "a/run", "samples/*/embeddings.npy", "x y"));
	assert_string_equal(path, "a/run/samples/x y/embeddings.npy");
	free(path);
	assert_ok(ek_layout_name(&path, "audit.json", NULL));
	assert_string_equal(path, "audit.json");
	free(path);
	assert_ptr_equal(ek_layout_find(EK_PLACE_RUN, "a/b/c"), NULL);
	assert_string_equal(ek_layout_find(EK_PLACE_EXPORT, "a/b.png")->text,
	                    "an image of the export; metadata.jsonl says which of the run it is");
}

static int is_pattern(const char *text, size_t length)
{
	for (const struct ek_layout *row = ek_layout; row->pattern != NULL; row++)
		if (row->place == EK_PLACE_RUN && strlen(row->pattern) == length &&
		    memcmp(row->pattern, text, length) == 0)
			return 1;
	return 0;
}

/* A path that is not of the table ends the program, so no source may ask for one. */
static void sources_ask_for_patterns_of_the_table(void **state)
{
	glob_t sources = { 0 };
	int found = 0;

	assert_int_equal(glob("rebalance/cli/*.c", 0, NULL, &sources), 0);
	assert_int_equal(glob("rebalance/pipeline/*.c", GLOB_APPEND, NULL, &sources), 0);
	for (size_t i = 0; i < sources.gl_pathc; i++) {
		struct ek_buffer text = { 0 };

		assert_ok(ek_file_read(&text, sources.gl_pathv[i], 1 << 20));
		for (const char *at = text.data; (at = strstr(at, "ek_layout_")) != NULL; at++) {
			const char *begin = at + strcspn(at, "\";") + 1;

			if (strncmp(at, "ek_layout_find", 14) == 0 || begin[-1] == ';')
				continue;
			print_message("%s: %.*s\n", sources.gl_pathv[i], (int)strcspn(begin, "\""), begin);
			assert_true(is_pattern(begin, strcspn(begin, "\"")));
			found++;
		}
		ek_buffer_release(&text);
	}
	assert_true(found > 40);
	globfree(&sources);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_document_lists_is_in_the_table),
		cmocka_unit_test(what_is_in_the_table_the_document_lists),
		cmocka_unit_test(paths_are_made_of_the_patterns),
		cmocka_unit_test(sources_ask_for_patterns_of_the_table),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
