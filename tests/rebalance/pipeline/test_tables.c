/* What is listed in several places is the same everywhere: measures, and methods of plans. */

#include "analysis/quality/fairness.h"
#include "rebalance/base/file.h"
#include "rebalance/cli/command.h"
#include "rebalance/io/measures.h"
#include "rebalance/pipeline/plans.h"
#include "reports/plans.h"
#include "tests/support/support.h"

/* All of a document. */
static char *read_document(const char *path)
{
	struct ek_buffer text = { 0 };

	assert_ok(ek_file_read(&text, path, 1 << 20));
	return text.data;
}

static void assert_says(const char *text, const char *before, const char *name, const char *after)
{
	char word[200];

	(void)snprintf(word, sizeof word, "%s%s%s", before, name, after);
	if (strstr(text, word) == NULL)
		fail_msg("nowhere: %s", word);
}

static void the_document_lists_every_measure(void **state)
{
	char *text = read_document("docs/files.md"), *part = strstr(text, "\n## evaluations/NAME.json"), *end;

	assert_non_null(part);
	end = strstr(part + 1, "\n## ");
	*(end != NULL ? end : part + strlen(part)) = 0;
	for (int m = 0; m < EK_CMP_MEASURES; m++) {
		char path[100];
		int depth = 0;

		(void)snprintf(path, sizeof path, "%s", ek_comparison_measures[m].path);
		for (char *rest = path, *word; (word = strsep(&rest, ".")) != NULL; depth++)
			if (depth == 0)
				assert_says(part, "`", word, "`");
			else
				assert_says(part, "\"", word, "\"");
	}
	free(text);
}

static void measures_are_named_once(void **state)
{
	for (int m = 0; m < EK_CMP_MEASURES; m++) {
		const struct ek_comparison_measure *a = &ek_comparison_measures[m];
		int found = a->expected == NULL;

		assert_non_null(a->name);
		assert_non_null(a->label);
		for (int n = 0; n < EK_CMP_MEASURES; n++) {
			assert_true(n == m || strcmp(a->name, ek_comparison_measures[n].name) != 0);
			found |= a->expected != NULL && strcmp(a->expected, ek_comparison_measures[n].name) == 0;
		}
		assert_true(found);
	}
	/* The rows are those of the enum: a name of each, none moved. */
	assert_string_equal(ek_fairness_name(EK_MASS_COVERAGE), "mass_coverage");
	assert_string_equal(ek_fairness_name(EK_DISPARATE_IMPACT), "disparate_impact");
	assert_string_equal(ek_fairness_name(EK_BIAS_AMPLIFICATION), "bias_amplification");
}

/* Help, the document and the report know the method. */
static void check_method(const char *help, const char *document, const char *name, int scored)
{
	const char *words = ek_plan_method_words(name);

	assert_says(help, "", name, "");
	assert_says(document, "`", name, "");
	if ((words == NULL) != scored)
		fail_msg("the report has no words for %s", name);
}

static void methods_are_known_everywhere(void **state)
{
	static const char *const commands[] = { "prune", "balance", "weights" };
	struct ek_buffer help[3] = { { 0 } };
	char *document = read_document("docs/balancing.md");

	for (int i = 0; i < 3; i++)
		assert_ok(ek_command_help(&help[i], ek_find_command(commands[i]), 100));
	for (const struct ek_prune_method *m = ek_prune_methods; m->name != NULL; m++)
		check_method(help[0].data, document, m->name, m->rule == NULL && m->embedded == NULL);
	for (const struct ek_rule *r = ek_rules; r->name != NULL; r++)
		check_method(help[1].data, document, r->name, 0);
	for (size_t i = 0; ek_scheme_name(i) != NULL; i++) {
		assert_says(help[2].data, "", ek_scheme_name(i), "");
		assert_says(document, "`", ek_scheme_name(i), "");
	}
	for (int i = 0; i < 3; i++)
		ek_buffer_release(&help[i]);
	free(document);
}

EK_TEST_MAIN(cmocka_unit_test(the_document_lists_every_measure), cmocka_unit_test(measures_are_named_once),
             cmocka_unit_test(methods_are_known_everywhere))
