/* Any bytes as run.json: `info` tells of the run, its files and its folders, in words and as JSON, or refuses it; what
 * it prints has no character that a terminal obeys. */
#include <fcntl.h>

#include "rebalance/base/file.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/output.h"
#include "tests/support/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *run, *printed;

static void make_run(void)
{
	static const char *const folders[] = { "clusters", "subsets/a", "weights/b", "samples/c/images" };
	static const char *const files[] = { "audit.json", "images.jsonl", "clusters/clusters.json",
		                             "subsets/a/subset.json", "weights/b/weights.json" };

	run = strdup(ek_join(ek_scratch(), "R"));
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		assert_ok(ek_make_directories(ek_join(run, folders[i])));
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		ek_write_file(ek_join(run, files[i]), "{}\n", 3);
	ek_write_file(ek_join(run, ".lock"), "evenkeel 1\n", 11);
	/* libFuzzer and the replay speak on stderr. */
	printed = strdup(ek_join(ek_scratch(), "printed"));
	if (dup2(open(printed, O_RDWR | O_CREAT, 0600), STDOUT_FILENO) < 0 || ek_output_guard() < 0)
		abort();
}

static void check_printed(void)
{
	struct ek_buffer text = { 0 };
	int obeyed;

	if (fflush(stdout) != 0 || ek_file_read(&text, printed, 1 << 26) < 0)
		abort();
	for (size_t at = 0; at < text.size;) {
		at += ek_character(&obeyed, text.data + at, text.size - at);
		if (obeyed && text.data[at - 1] != '\n' && text.data[at - 1] != '\t')
			abort();
	}
	ek_buffer_release(&text);
	if (ftruncate(STDOUT_FILENO, 0) != 0 || lseek(STDOUT_FILENO, 0, SEEK_SET) != 0)
		abort();
}

static void tell(const char *path, int json)
{
	const char *positional[] = { path };
	struct ek_invocation i = { .command = ek_find_command("info") };

	if (ek_settings_init(&i.settings, i.command) < 0)
		abort();
	i.settings.common.json = json;
	i.arguments.count = 1;
	i.arguments.positional = positional;
	(void)i.command->run(&i);
	i.arguments.positional = NULL; /* is not the arguments' own */
	ek_settings_release(&i.settings);
	ek_arguments_release(&i.arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const inside[] = { "",
		                              "audit.json",
		                              "subsets",
		                              "subsets/a",
		                              "weights/b/weights.json",
		                              "samples/c",
		                              "clusters/clusters.json" };
	char path[4096];

	if (run == NULL)
		make_run();
	ek_write_file(ek_join(run, "run.json"), data, size);
	for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", run, inside[i]);
		tell(path, 0);
		tell(path, 1);
	}
	check_printed();
	return 0;
}
