#include "tests/support/support.h"

#include "rebalance/io/content.h"

static void files_are_called_what_they_are(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *words;
	} cases[] = {
		{ "", 0, "an empty file" },
		{ "RIFF\1\2\3\4WEBPVP8 ", 16, "a WebP file" },
		{ "\0\0\0\x18"
		  "ftypheic\0\0\0\0",
		  16, "a HEIC file (convert it to JPEG or AVIF)" },
		{ "\0\0\0\x18"
		  "ftypisom\0\0\0\0",
		  16, "a video (MP4 or QuickTime)" },
		{ "\n  <!DOCTYPE HTML>", 18, "an HTML page (a download that failed?)" },
		{ "version https://git-lfs.github.com/spec/v1\noid", 46,
		  "a Git LFS pointer, not the file itself (git lfs pull brings it)" },
		{ "PK\3\4....", 8, "a zip archive" },
		{ "\0\0\0\0\0\0\0\0\0\0", 10, "zeros (a copy that broke off?)" },
		{ "Not found\nsorry", 15, "text that starts with \"Not found\"" },
		{ "\1\2\3\4\5\6\7\x10\x20", 9, "a file of unknown kind that starts with 01 02 03 04 05 06 07 10" },
	};
	struct ek_buffer out = { 0 };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ek_buffer_clear(&out);
		assert_ok(ek_content_describe(&out, cases[i].bytes, cases[i].size));
		assert_string_equal(out.data, cases[i].words);
	}
	ek_buffer_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(files_are_called_what_they_are) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
