/*
 * The architecture, checked on the text of the tree: a module includes only what the table allows, no two files of one
 * include each other, only its owner knows a foreign library, nothing below the command line prints, exits or speaks of
 * --options, no function is too long to be read, and CMake knows every source.
 */
#include "tests/support/support.h"

#include <ctype.h>
#include <dirent.h>

#include "rebalance/base/file.h"
#include "tests/arch/circles.h"

/* A module is a folder, or one public header; a folder below it belongs to it. "*": everything of ours but tests. */
static const struct {
	const char *folder, *may_use;
} modules[] = {
	{ "rebalance/base", "" },
	{ "rebalance/io", "rebalance/base" },
	{ "rebalance/plan", "rebalance/base rebalance/io analysis/skew analysis/cluster" },
	{ "rebalance/evenkeel.h", "" }, /* what is installed */
	{ "rebalance/lib", "rebalance/base rebalance/evenkeel.h rebalance/io rebalance/plan" },
	{ "rebalance/pipeline",
	  "rebalance/base rebalance/io rebalance/plan analysis/skew analysis/cluster analysis/quality analysis/embed "
	  "train/nn train/loop train/vae train/flow train/score reports reports/server" },
	{ "rebalance/cli", "rebalance/base rebalance/pipeline" },
	{ "analysis/skew", "rebalance/base rebalance/io" },
	{ "analysis/cluster", "rebalance/base rebalance/io train/nn analysis/skew" },
	{ "analysis/quality", "rebalance/base rebalance/io train/nn analysis/skew analysis/cluster" },
	{ "analysis/embed", "rebalance/base rebalance/io train/nn train/nets" },
	{ "train/nn", "rebalance/base" },
	{ "train/nets", "rebalance/base rebalance/io train/nn" },
	{ "train/loop", "rebalance/base rebalance/io train/nn" },
	{ "train/vae", "rebalance/base rebalance/io train/nn train/nets train/loop" },
	{ "train/flow", "rebalance/base rebalance/io train/nn train/loop train/vae" },
	{ "train/score", "rebalance/base rebalance/io train/nn train/loop train/vae train/flow" },
	{ "reports/server", "rebalance/base" }, /* before the folder it lies in */
	{ "reports", "rebalance/base rebalance/io reports/server" },
	{ "tests", "* tests" },
};
enum { MODULES = sizeof modules / sizeof *modules };

/* Headers that begin so belong to a library that only these folders (and tests) may know. */
static const struct {
	const char *prefix, *folders;
} libraries[] = {
	{ "archive", "rebalance/io" },
	{ "arrow/", "rebalance/io" },
	{ "cblas", "analysis/cluster analysis/quality" },
	{ "cjson/", "rebalance/base" },
	{ "cmocka", "tests" },
	{ "cublas", "train/nn" },
	{ "cuda", "train/nn" },
	{ "dnnl", "train/nn" },
	{ "faiss/", "analysis/cluster" },
	{ "jerror.h", "rebalance/io" },
	{ "jpeglib.h", "rebalance/io" },
	{ "lapack", "analysis/cluster analysis/quality" },
	{ "microhttpd", "reports/server" },
	{ "nccl", "train/nn" },
	{ "oneapi/", "train/nn" },
	{ "openssl/", "rebalance/base" },
	{ "parquet/", "rebalance/io" },
	{ "png.h", "rebalance/io" },
	{ "spng.h", "rebalance/io" },
	{ "turbojpeg.h", "rebalance/io" },
	{ "xxhash.h", "rebalance/base" },
	{ "zlib.h", "rebalance/io" },
};

/* Who sees argv, stdout or exit: the command line and tests. */
static const char *const reserved_words[] = { "abort(",   "_Exit(", "_exit(", "exit(",  "perror(", "printf(",
	                                      "putchar(", "puts(",  "stderr", "stdout", "vprintf(" };

static const char *const top_folders[] = { "analysis", "rebalance", "reports", "tests", "train" };

enum { LONGEST = 100 }; /* lines of a function */

struct survey {
	const char *root;
	struct ek_buffer violations; /* one line each */
	struct circles includes;     /* within modules */
	int sources;
};

static int starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int is_in_folder(const char *path, const char *folder)
{
	return starts_with(path, folder) && path[strlen(folder)] == '/';
}

static int module_of(const char *path)
{
	for (int i = 0; i < MODULES; i++)
		if (is_in_folder(path, modules[i].folder) || strcmp(path, modules[i].folder) == 0)
			return i;
	return -1;
}

static int is_word_character(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Is `word` in `text`, not as a part of a longer one? Words are of letters, digits, _ and what `also` lists. */
static int has_word(const char *text, const char *word, const char *also)
{
	const size_t length = strlen(word);
	const int ends_open = word[length - 1] == '(';

	for (const char *p = text; (p = strstr(p, word)) != NULL; p++) {
		const char before = p == text ? ' ' : p[-1], after = p[length];
		const int begins = !is_word_character(before) && strchr(also, before) == NULL;
		const int ends = ends_open || after == 0 || (!is_word_character(after) && strchr(also, after) == NULL);

		if (begins && ends)
			return 1;
	}
	return 0;
}

/* May a file of module `from` use module `to`? */
static int may_use(int from, int to)
{
	const char *list = modules[from].may_use;

	return from == to || has_word(list, modules[to].folder, "/") ||
	       (list[0] == '*' && strcmp(modules[to].folder, "tests") != 0);
}

/* Blank comments in `text`, and in `bare` the insides of strings too. */
static void blank(char *text, char *bare)
{
	char quote = 0; /* ", ', * for a block comment, / for a line comment */

	for (size_t i = 0; text[i] != 0; i++) {
		const char c = text[i], following = text[i + 1];

		bare[i] = c;
		if (quote == '*' && c == '*' && following == '/') {
			text[i] = text[i + 1] = bare[i] = bare[i + 1] = ' ';
			i++;
			quote = 0;
		} else if (quote == '*' || (quote == '/' && c != '\n')) {
			if (c != '\n')
				text[i] = bare[i] = ' ';
		} else if (quote == '/') {
			quote = 0;
		} else if (quote != 0) {
			bare[i] = ' ';
			if (c == '\\' && following != 0)
				bare[++i] = ' ';
			else if (c == quote)
				quote = 0;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '/' && (following == '*' || following == '/')) {
			quote = following;
			text[i] = text[i + 1] = bare[i] = bare[i + 1] = ' ';
			i++;
		}
	}
	bare[strlen(text)] = 0;
}

static void violate(struct survey *s, const char *path, const char *what, const char *detail)
{
	assert_ok(ek_buffer_printf(&s->violations, "%s %s %s\n", path, what, detail));
}

static void check_own_header(struct survey *s, const char *path, const char *header)
{
	const int from = module_of(path), to = module_of(header);
	const char *file = ek_join(s->root, header);
	char made[4096];

	(void)snprintf(made, sizeof made, "%s.in", file); /* made by configure_file */
	if (!ek_file_exists(file) && !ek_file_exists(made))
		violate(s, path, "includes what is not there (paths start at the root):", header);
	else if (to < 0 || !may_use(from, to))
		violate(s, path, "may not use", header);
	else if (from == to)
		circles_note(&s->includes, path, header);
}

static void check_foreign_header(struct survey *s, const char *path, const char *header)
{
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
		if (starts_with(header, libraries[i].prefix) && !is_in_folder(path, "tests") &&
		    !has_word(libraries[i].folders, modules[module_of(path)].folder, "/"))
			violate(s, path, "may not know", header);
}

static void check_includes(struct survey *s, const char *path, char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		char header[1024], opening;

		if (sscanf(line, " # include %c%1023[^\">]", &opening, header) != 2)
			continue;
		if (opening == '"')
			check_own_header(s, path, header);
		else
			check_foreign_header(s, path, header);
	}
}

static void check_words(struct survey *s, const char *path, const char *bare)
{
	if (is_in_folder(path, "rebalance/cli") || is_in_folder(path, "tests"))
		return;
	for (size_t i = 0; i < sizeof reserved_words / sizeof *reserved_words; i++)
		if (has_word(bare, reserved_words[i], ""))
			violate(s, path, "may not say", reserved_words[i]);
}

/* "--name" or "--%s" in a string, but for what the script that sets a machine up is told. */
static void check_options(struct survey *s, const char *path, const char *text, const char *bare)
{
	static const char script[] = "./quickstart ";
	const size_t length = strlen(script);

	if (is_in_folder(path, "rebalance/cli") || is_in_folder(path, "tests"))
		return;
	for (const char *p = text; (p = strstr(p, "--")) != NULL; p += 2) {
		const char *from = (size_t)(p - text) < length ? text : p - length;
		char option[64];

		if (bare[p - text] == '-' || (p > text && is_word_character(p[-1])) ||
		    !(islower((unsigned char)p[2]) || p[2] == '%') || starts_with(from, script))
			continue;
		(void)snprintf(option, sizeof option, "%.*s", (int)strcspn(p, " \"\\"), p);
		violate(s, path, "may not say", option);
	}
}

/* Functions begin and end with a brace alone in its line, in the tree's format. */
static void check_lengths(struct survey *s, const char *path, const char *bare)
{
	int line = 1, start = 0;

	for (const char *p = bare; *p != 0; p += strcspn(p, "\n"), p += *p != 0, line++) {
		char detail[64];

		if (starts_with(p, "{\n"))
			start = line;
		if (!starts_with(p, "}\n") || start == 0)
			continue;
		(void)snprintf(detail, sizeof detail, "of %d lines, at line %d", line - start + 2, start - 1);
		if (line - start + 2 > LONGEST)
			violate(s, path, "has a function", detail);
		start = 0;
	}
}

/* In tests a helper may wait for its first user; a program that CMake does not know would never run. */
static int must_be_listed(const char *path)
{
	static const char *const programs[] = { "bench_", "fuzz_", "test_" };
	const char *name = strrchr(path, '/') + 1;

	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		if (starts_with(name, programs[i]))
			return 1;
	return !is_in_folder(path, "tests");
}

/* A source is named in CMakeLists.txt of its folder or of the one above, or in what all of them use. */
static void check_listed(struct survey *s, const char *path)
{
	const char *places[] = { "/CMakeLists.txt", "/../CMakeLists.txt", NULL };
	const char *name = strrchr(path, '/') + 1;
	int listed = 0;

	for (int i = 0; i < 3 && !listed; i++) {
		struct ek_buffer text = { 0 };
		char place[8192];

		(void)snprintf(place, sizeof place, "%s/%.*s%s", s->root, (int)(name - 1 - path), path,
		               places[i] != NULL ? places[i] : "");
		if (places[i] == NULL)
			(void)snprintf(place, sizeof place, "%s/cmake/Evenkeel.cmake", s->root);
		if (ek_file_exists(place)) {
			assert_ok(ek_file_read(&text, place, 1 << 20));
			listed = has_word(text.data, name, ".-");
		}
		ek_buffer_release(&text);
	}
	if (!listed)
		violate(s, path, "is not in its", "CMakeLists.txt");
}

static int ends_with(const char *text, const char *end)
{
	const size_t length = strlen(text), end_length = strlen(end);

	return length > end_length && strcmp(text + length - end_length, end) == 0;
}

static void check_file(struct survey *s, const char *path)
{
	const int is_source = ends_with(path, ".c") || ends_with(path, ".cpp") || ends_with(path, ".cu");
	struct ek_buffer text = { 0 };
	char *bare;

	if (!is_source && !ends_with(path, ".h") && !ends_with(path, ".h.in"))
		return;
	s->sources += is_source;
	if (module_of(path) < 0) {
		violate(s, path, "is in no module of", "the table");
		return;
	}
	assert_ok(ek_file_read(&text, ek_join(s->root, path), 1 << 24));
	bare = calloc(text.size + 1, 1);
	assert_non_null(bare);
	blank(text.data, bare);
	check_words(s, path, bare);
	check_options(s, path, text.data, bare);
	check_lengths(s, path, bare);
	check_includes(s, path, text.data);
	if (is_source && must_be_listed(path))
		check_listed(s, path);
	free(bare);
	ek_buffer_release(&text);
}

static void check_folder(struct survey *s, const char *folder)
{
	struct dirent **entries;
	char place[8192];
	int count;

	(void)snprintf(place, sizeof place, "%s/%s", s->root, folder);
	if ((count = scandir(place, &entries, NULL, alphasort)) < 0)
		return;
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		char path[4096];

		(void)snprintf(path, sizeof path, "%s/%s", folder, name);
		if (name[0] != '.' && entries[i]->d_type == DT_DIR)
			check_folder(s, path);
		else if (name[0] != '.')
			check_file(s, path);
		free(entries[i]);
	}
	free(entries);
}

static void look_at(struct survey *s, const char *root)
{
	*s = (struct survey){ .root = root };
	assert_ok(ek_buffer_text(&s->violations, ""));
	for (size_t i = 0; i < sizeof top_folders / sizeof *top_folders; i++)
		check_folder(s, top_folders[i]);
	circles_tell(&s->includes, &s->violations);
}

static void look_away(struct survey *s)
{
	circles_release(&s->includes);
	ek_buffer_release(&s->violations);
}

static void the_tree_keeps_to_the_architecture(void **state)
{
	struct survey s;

	look_at(&s, ".");
	print_message("%d sources\n%s", s.sources, s.violations.data);
	assert_true(s.sources > 30);
	assert_string_equal(s.violations.data, "");
	look_away(&s);
}

/* What one source of a small tree is found guilty of; NULL: of nothing. */
static const struct {
	const char *path, *text, *violation;
} cases[] = {
	{ "analysis/skew/a.c", "#include \"rebalance/io/there.h\"\n", NULL },
	{ "analysis/skew/a.c", "#include \"analysis/cluster/there.h\"\n", "may not use analysis/cluster/there.h" },
	{ "analysis/cluster/a.c", "#include \"analysis/skew/there.h\"\n", NULL },
	{ "rebalance/base/a.c", "  #  include \"rebalance/io/there.h\" /* why */\n", "may not use" },
	{ "rebalance/base/a.c", "/* \"\n#include \"rebalance/io/there.h\"\n*/ // #include \"x\"\n", NULL },
	{ "rebalance/base/a.h", "#include \"rebalance/io/there.h\"\n", "may not use" },
	{ "rebalance/cli/a.c", "#include \"rebalance/base/there.h\"\nint f(void) { exit(1); }\n", NULL },
	{ "rebalance/cli/a.c", "#include \"reports/there.h\"\n", "may not use reports/there.h" },
	{ "rebalance/cli/a.c", "#include \"tests/there.h\"\n", "may not use tests/there.h" },
	{ "reports/a.c", "#include \"analysis/skew/there.h\"\n", "may not use" },
	{ "reports/a.c", "#include \"a.h\"\n", "includes what is not there (paths start at the root): a.h" },
	{ "reports/a.c", "#include \"../reports/there.h\"\n", "not there" },
	{ "rebalance/io/a.c", "#include <faiss/c_api/Index_c.h>\n", "may not know faiss/c_api/Index_c.h" },
	{ "tests/a.c", "#include <zlib.h>\n#include \"train/nn/there.h\"\nvoid f(void) { printf(\"\"); }\n", NULL },
	{ "rebalance/io/a.c", "void f(void) { printf(\"\"); }\n", "may not say printf" },
	{ "rebalance/io/a.c", "FILE *f = stdout;\n", "may not say stdout" },
	{ "rebalance/io/a.c", "void f(int) __attribute__((format(printf, 1, 2)));\n", NULL },
	{ "rebalance/io/a.c", "char c = '\"'; void f(void) { abort(); }\n", "may not say abort" },
	{ "rebalance/io/a.c", "char *s = \"\\\" exit(1)\"; /* exit */ int my_exit; void f(void) { snprintf(); }\n",
	  NULL },
	{ "rebalance/io/a.c", "char *s = \"use --force\";\n", "may not say --force\n" },
	{ "rebalance/io/a.c", "char *s = \"--%s\";\n", "may not say --%s\n" },
	{ "rebalance/io/a.c", "char *s = \"a --\", *t = \"./quickstart --x\"; /* --force */ int i = j --k;\n", NULL },
	{ "rebalance/cli/a.c", "char *s = \"use --force\";\n", NULL },
	{ "rebalance/io/unlisted.c", "", "is not in its CMakeLists.txt" },
	{ "rebalance/io/a.c.c", "", "is not in its CMakeLists.txt" },
	{ "tests/test_unlisted.c", "", "is not in its CMakeLists.txt" },
	{ "tests/helper.c", "", NULL },
	{ "rebalance/other/a.c", "", "is in no module of the table" },
	{ "train/a.c", "", "is in no module of the table" },
};

static const char *make_tree(void)
{
	static const char *const folders[] = { "analysis/skew", "analysis/cluster", "rebalance/base", "rebalance/io",
		                               "rebalance/cli", "rebalance/other",  "reports",        "tests",
		                               "train/nn" };
	const char *root = ek_scratch();

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		const char *folder = ek_join(root, folders[i]);

		assert_ok(ek_make_directories(folder));
		ek_write_file(ek_join(folder, "CMakeLists.txt"), "SOURCES a.c\n", 12);
		ek_write_file(ek_join(folder, "there.h"), "", 0);
	}
	/* rebalance/other is no module: what lies there is reported, so only the case may put a source in it. */
	assert_int_equal(remove(ek_join(root, "rebalance/other/there.h")), 0);
	return root;
}

static void expect(const char *root, const char *violation)
{
	struct survey s;

	look_at(&s, root);
	print_message("%s", s.violations.data);
	if (violation == NULL)
		assert_string_equal(s.violations.data, "");
	else
		assert_non_null(strstr(s.violations.data, violation));
	look_away(&s);
}

static void each_violation_is_found(void **state)
{
	const char *root = make_tree();

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *path = ek_join(root, cases[i].path);

		ek_write_file(path, cases[i].text, strlen(cases[i].text));
		expect(root, cases[i].violation);
		assert_int_equal(remove(path), 0);
	}
}

static void write_text(const char *root, const char *name, const char *text)
{
	ek_write_file(ek_join(root, name), text, strlen(text));
}

/* A header of a file's insides is no other file; a circle is one whether short or long. */
static void circles_are_found(void **state)
{
	const char *root = make_tree();

	write_text(root, "rebalance/io/a.c", "#include \"rebalance/io/a_internal.h\"\n");
	write_text(root, "rebalance/io/a_internal.h", "#include \"rebalance/io/a.h\"\n");
	write_text(root, "rebalance/io/a.h", "#include \"rebalance/io/b.h\"\n#include \"rebalance/io/c.h\"\n");
	write_text(root, "rebalance/io/b.h", "#include \"rebalance/io/c.h\"\n");
	write_text(root, "rebalance/io/c.h", "");
	expect(root, NULL);
	write_text(root, "rebalance/io/c_internal.h", "#include \"rebalance/io/b.h\"\n");
	expect(root, "rebalance/io/b -> rebalance/io/c -> rebalance/io/b\n");
	write_text(root, "rebalance/io/c_internal.h", "#include \"rebalance/io/a.h\"\n");
	expect(root, "rebalance/io/a -> rebalance/io/b -> rebalance/io/c -> rebalance/io/a\n");
}

/* Tables may be as long as they are. */
static void long_functions_are_found(void **state)
{
	const char *root = make_tree();

	for (int lines = LONGEST; lines <= LONGEST + 1; lines++) {
		struct ek_buffer text = { 0 };

		assert_ok(ek_buffer_text(&text, "static const char *const table[] = {\n"));
		for (int i = 0; i < 2 * LONGEST; i++)
			assert_ok(ek_buffer_printf(&text, "\t\"row\",\n"));
		assert_ok(ek_buffer_printf(&text, "};\n\nvoid f(void)\n{\n"));
		for (int i = 3; i < lines; i++)
			assert_ok(ek_buffer_printf(&text, "\tg();\n"));
		assert_ok(ek_buffer_printf(&text, "}\n"));
		write_text(root, "rebalance/io/a.c", text.data);
		expect(root, lines > LONGEST ? "rebalance/io/a.c has a function of 101 lines, at line 204" : NULL);
		ek_buffer_release(&text);
	}
}

EK_TEST_MAIN(cmocka_unit_test(each_violation_is_found), cmocka_unit_test(circles_are_found),
             cmocka_unit_test(long_functions_are_found), cmocka_unit_test(the_tree_keeps_to_the_architecture))
