/* Write made-up reports into a folder, for browser.py and for the eye: page FOLDER. */

#include "rebalance/base/file.h"
#include "reports/report.h"
#include "tests/reports/fixture.h"
#include "tests/support/support.h"

static const struct {
	const char *name;
	struct ek_fixture fixture;
} pages[] = {
	{ "pictures.html", { .k = 24, .images = 3000, .side = 48, .noise = 20 } },
	{ "thousand.html", { .k = 1000, .images = 6000, .side = 48, .noise = 120 } },
	{ "embeddings.html", { .k = 24, .images = 3000, .embeddings_only = 1 } },
	{ "audit-alone.html", { .k = 2, .images = 3000, .audit_only = 1 } },
	{ "made.html", { .k = 24, .images = 3000, .side = 48, .noise = 20, .made = 3 } },
	{ "made-many.html", { .k = 30, .images = 600, .side = 24, .noise = 20, .made = 10 } },
	{ "one.html", { .k = 1, .images = 4, .side = 8 } },
};

static const char *folder;

static void write_pages(void **state)
{
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		const char *made = ek_fixture_make(&pages[i].fixture);
		struct ek_buffer page = { 0 };
		struct ek_run *run = NULL;

		assert_ok(ek_run_open(&run, made, EK_RUN_READ));
		assert_ok(ek_report(run, NULL));
		ek_run_close(run);
		assert_ok(ek_file_read(&page, ek_join(made, "report.html"), 1 << 24));
		ek_write_file(ek_join(folder, pages[i].name), page.data, page.size);
		ek_buffer_release(&page);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(write_pages) };

	if (argc != 2)
		return 2;
	folder = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
