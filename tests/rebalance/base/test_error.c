#include "tests/support/support.h"

#include <errno.h>
#include <pthread.h>

static void a_failure_keeps_its_message_on_one_line(void **state)
{
	assert_int_equal(ek_fail(EK_EDATA, "%s: %d found", "a\nb\x1b[31m\x7f.jpg", 7), EK_EDATA);
	assert_string_equal(ek_error_message(), "a\\x0ab\\x1b[31m\\x7f.jpg: 7 found");
	/* Passing a message on does not change it. */
	assert_int_equal(ek_fail(EK_EIO, "%s", ek_error_message()), EK_EIO);
	assert_string_equal(ek_error_message(), "a\\x0ab\\x1b[31m\\x7f.jpg: 7 found");
	assert_int_equal(ek_fail(EK_EDATA, "\xc2\x9b"
	                                   "2J caf\xc3\xa9 \xc2\xa0"),
	                 EK_EDATA);
	assert_string_equal(ek_error_message(), "\\xc2\\x9b"
	                                        "2J caf\xc3\xa9 \xc2\xa0");
}

static void what_turns_text_about_is_shown(void **state)
{
	char out[128];

	ek_one_line(out, sizeof out,
	            "a\xe2\x80\xae"
	            "b\xe2\x81\xa6"
	            "c\xe2\x80\xa8"
	            "d");
	assert_string_equal(out, "a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6c\\xe2\\x80\\xa8d");
	/* Letters whose last byte looks like a control character, a dash, a bare control byte, a bare letter of
	 * Latin-1. */
	ek_one_line(out, sizeof out, "\xc3\x9b \xe2\x80\x94 \x9b \xe9");
	assert_string_equal(out, "\xc3\x9b \xe2\x80\x94 \\x9b \xe9");
	/* Nothing of a character that does not fit whole. */
	ek_one_line(out, 8, "abcd\xe2\x80\x94");
	assert_string_equal(out, "abcd\xe2\x80\x94");
	ek_one_line(out, 7, "abcd\xe2\x80\x94");
	assert_string_equal(out, "abcd");
}

static void errno_becomes_text_and_code(void **state)
{
	errno = ENOENT;
	assert_int_equal(ek_fail_errno("cannot open %s", "x"), EK_EIO);
	assert_string_equal(ek_error_message(), "cannot open x: No such file or directory");
	errno = ENOMEM;
	assert_int_equal(ek_fail_errno("no"), EK_ENOMEM);
}

static void the_reason_stays_behind_a_path_of_any_length(void **state)
{
	char path[4096];

	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = 0;
	errno = EACCES;
	assert_int_equal(ek_fail_errno("cannot open %s", path), EK_EIO);
	assert_non_null(strstr(ek_error_message(), "xxx: Permission denied"));
}

static void long_messages_are_cut_not_overrun(void **state)
{
	char text[5000], small[8];

	memset(text, '\n', sizeof text - 1);
	text[sizeof text - 1] = 0;
	assert_int_equal(ek_fail(EK_EDATA, "%s", text), EK_EDATA);
	assert_true(strlen(ek_error_message()) < 1024);
	errno = EIO;
	assert_int_equal(ek_fail_errno("%s", text), EK_EIO);
	assert_true(strlen(ek_error_message()) < 1024);

	memset(small, 'x', sizeof small);
	ek_one_line(small, sizeof small, "\n\n");
	assert_string_equal(small, "\\x0a");
	ek_one_line(small, 5, "\t\t");
	assert_string_equal(small, "\\x09");
}

static void *fail_elsewhere(void *argument)
{
	(void)ek_fail(EK_EIO, "in another thread");
	return NULL;
}

static void each_thread_has_its_own_message(void **state)
{
	pthread_t thread;

	(void)ek_fail(EK_EDATA, "here");
	assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(ek_error_message(), "here");
}

static int fails_in_the_middle(int *steps)
{
	int rc;

	EK_TRY(0);
	++*steps;
	EK_TRY(ek_fail(EK_ENOTSUP, "stop"));
	++*steps;
out:
	*steps += 10;
	return rc;
}

static void try_leaves_through_out_with_the_code(void **state)
{
	int steps = 0;

	assert_int_equal(fails_in_the_middle(&steps), EK_ENOTSUP);
	assert_int_equal(steps, 11);
}

EK_TEST_MAIN(cmocka_unit_test(a_failure_keeps_its_message_on_one_line),
             cmocka_unit_test(what_turns_text_about_is_shown), cmocka_unit_test(errno_becomes_text_and_code),
             cmocka_unit_test(the_reason_stays_behind_a_path_of_any_length),
             cmocka_unit_test(long_messages_are_cut_not_overrun), cmocka_unit_test(each_thread_has_its_own_message),
             cmocka_unit_test(try_leaves_through_out_with_the_code))
