#include "tests/reports/reading.h"

#include "rebalance/base/file.h"
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
