#include "tests/support/support.h"

#include "rebalance/cli/output.h"

/* As stdio may hand it over: in any two pieces. */
static void assert_tamed(const char *text, const char *want)
{
	const size_t size = strlen(text);

	for (size_t cut = 0; cut <= size; cut++) {
		struct ek_buffer out = { 0 };
		size_t used, more;

		assert_ok(ek_output_tame(&out, &used, text, cut));
		assert_true(used <= cut);
		assert_ok(ek_output_tame(&out, &more, text + used, size - used));
		assert_int_equal(used + more, size);
		assert_string_equal(out.data, want);
		ek_buffer_release(&out);
	}
}

static void what_steers_a_terminal_is_shown(void **state)
{
	assert_tamed("\x1b]0;title\x07\r\x7f.\n", "\\x1b]0;title\\x07\\x0d\\u007f.\n");
	assert_tamed("\xc2\x9b"
	             "31m \x9b"
	             "31m.\n",
	             "\\u009b31m \\u009b31m.\n");
	assert_tamed("\xe2\x80\xaegpj.\xe2\x81\xa9\n", "\\u202egpj.\\u2069\n");
}

static void text_and_our_own_sequences_stay(void **state)
{
	static const char text[] = "\033[1mcaf\xc3\xa9 \xc3\x9b\t\xe2\x80\x94 \xf0\x9f\x98\x80 \xe9\033[0m\n";

	assert_tamed(text, text);
	assert_tamed("\033[2m\n", "\\x1b[2m\n");
}

EK_TEST_MAIN(cmocka_unit_test(what_steers_a_terminal_is_shown), cmocka_unit_test(text_and_our_own_sequences_stay))
