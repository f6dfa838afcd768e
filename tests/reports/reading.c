#include "tests/reports/reading.h"

#include "rebalance/base/file.h"
#include "rebalance/base/threads.h"
#include "tests/support/support.h"

void report_of(struct ek_buffer *page, const char *folder, const struct ek_report_options *options)
{
	struct ek_run *run = NULL;

	assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
	assert_ok(ek_report(run, options));
	ek_run_close(run);
	ek_buffer_clear(page);
	assert_ok(ek_file_read(page, ek_join(folder, "report.html"), 1 << 26));
}

size_t occurrences(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

void assert_left_out(const char *folder, const struct damage *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *path = ek_join(folder, cases[i].file);
		struct ek_buffer sound = { 0 }, page = { 0 };

		assert_ok(ek_file_read(&sound, path, 1 << 24));
		ek_write_file(path, cases[i].content, strlen(cases[i].content));
		report_of(&page, folder, NULL);
		assert_shows(page, "Not on this page");
		assert_shows(page, cases[i].message);
		assert_shows(page, "id=\"finding\"");
		ek_write_file(path, sound.data, sound.size);
		ek_buffer_release(&sound);
		ek_buffer_release(&page);
	}
}

void report_of_threads(struct ek_buffer *page, const char *folder)
{
	struct ek_buffer one = { 0 };

	ek_threads_set(1);
	report_of(&one, folder, NULL);
	ek_threads_set(16);
	report_of(page, folder, NULL);
	ek_threads_set(0);
	assert_int_equal(one.size, page->size);
	assert_memory_equal(one.data, page->data, one.size);
	ek_buffer_release(&one);
}

int holds(const char *const *names, const char *name)
{
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return 1;
	return 0;
}
