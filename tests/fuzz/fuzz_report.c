/* The first byte chooses a file that commands leave in a run, the others are what it holds: the report is made, and
 * `compare` tells of the evaluations, or the file is refused by a message. */
#include <fcntl.h>

#include "rebalance/base/file.h"
#include "rebalance/base/threads.h"
#include "rebalance/cli/command.h"
#include "rebalance/io/run.h"
#include "reports/report.h"
#include "tests/reports/fixture.h"
#include "tests/support/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = {
	"audit.json",
	"run.json",
	"embeddings.json",
	"rejected.jsonl",
	"clusters/clusters.json",
	"clusters/map.json",
	"clusters/stability.json",
	"clusters/duplicates.json",
	"subsets/furthest/subset.json",
	"weights/inverse/weights.json",
	"models/autoencoder/config.json",
	"models/set-0/config.json",
	"samples/set-0/config.json",
	"samples/set-0/samples.jsonl",
	"evaluations/set-0.json",
	"reviews/set-0.jsonl",
};
enum { FILES = sizeof files / sizeof *files };

static const char *folder;
static struct ek_buffer whole[FILES]; /* what they hold */

static void make_run(void)
{
	/* Words of results go nowhere; libFuzzer and the replay speak on stderr. */
	if (dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO) < 0)
		abort();
	ek_threads_set(1); /* several are slower than so small a report */
	folder = strdup(ek_fixture_make(&(struct ek_fixture){ .k = 3, .images = 8, .side = 4, .made = 2 }));
	for (size_t i = 0; i < FILES; i++)
		if (ek_file_exists(ek_join(folder, files[i])))
			assert_ok(ek_file_read(&whole[i], ek_join(folder, files[i]), 1 << 26));
}

static void compare(int json)
{
	const char *positional[] = { folder };
	struct ek_invocation i = { .command = ek_find_command("compare") };

	assert_ok(ek_settings_init(&i.settings, i.command));
	i.settings.common.json = json;
	i.arguments.count = 1;
	i.arguments.positional = positional;
	(void)i.command->run(&i);
	ek_settings_release(&i.settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ek_report_options options = { .picture_bytes = 1 };
	struct ek_run *run;
	char path[4096];
	size_t file;

	if (folder == NULL)
		make_run();
	if (size == 0)
		return 0;
	file = data[0] % FILES;
	(void)snprintf(path, sizeof path, "%s/%s", folder, files[file]);
	if (whole[file].data == NULL)
		return 0;
	ek_write_file(path, data + 1, size - 1);
	if (ek_run_open(&run, folder, EK_RUN_READ) == 0) {
		(void)ek_report(run, &options);
		ek_run_close(run);
	}
	if (strncmp(files[file], "evaluations/", 12) == 0) {
		compare(0);
		compare(1);
	}
	ek_write_file(path, whole[file].data, whole[file].size);
	return 0;
}
