#include "tests/support/support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "rebalance/base/file.h"
#include "reports/review_file.h"

static struct ek_run *make_run(void)
{
	struct ek_run *run;

	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	return run;
}

static int decide(struct ek_review_file *file, uint32_t sample, const char *who, enum ek_verdict verdict,
                  const char *note)
{
	char own[64];
	struct ek_review_entry entry = { .sample = sample, .verdict = verdict, .note = own };

	(void)snprintf(own, sizeof own, "%s", note);
	assert_ok(ek_review_log_reviewer(&entry.reviewer, &file->log, who));
	return ek_review_file_decide(file, &entry);
}

static const char *text_of(const struct ek_review_file *file)
{
	static char copy[8192];
	struct ek_buffer text = { 0 };

	assert_ok(ek_file_read(&text, file->journal.path, sizeof copy - 1));
	(void)snprintf(copy, sizeof copy, "%s", text.data);
	ek_buffer_release(&text);
	return copy;
}

static int lines_of(const struct ek_review_file *file)
{
	int lines = 0;

	for (const char *c = text_of(file); *c != 0; c++)
		lines += *c == '\n';
	return lines;
}

static void what_was_decided_is_there_when_it_is_opened_again(void **state)
{
	struct ek_run *run = make_run();
	struct ek_review_file file;
	uint32_t sample;

	assert_ok(ek_review_file_open(&file, run, 0, "rare"));
	assert_int_equal(file.log.entry_count, 0);
	assert_ok(decide(&file, 4, "Anna", EK_VERDICT_ACCEPT, ""));
	assert_int_equal(lines_of(&file), 1);
	assert_ok(decide(&file, 9, "Anna", EK_VERDICT_REJECT, "a \"note\"\nof two lines"));
	assert_ok(decide(&file, 4, "Ben", EK_VERDICT_UNSURE, ""));
	/* The same again is no new line; another note is. */
	assert_ok(decide(&file, 4, "Ben", EK_VERDICT_UNSURE, ""));
	assert_int_equal(lines_of(&file), 3);
	assert_ok(decide(&file, 4, "Ben", EK_VERDICT_UNSURE, "hm"));
	assert_int_equal(lines_of(&file), 4);
	assert_ok(ek_review_file_undo(&file, 0, &sample));
	assert_int_equal(sample, 9);
	assert_int_equal(lines_of(&file), 5);
	ek_review_file_release(&file);

	assert_ok(ek_review_file_open(&file, run, 0, "rare"));
	assert_int_equal(file.log.lines.damaged, 0);
	assert_int_equal(file.log.reviewer_count, 2);
	assert_int_equal(ek_review_log_standing(&file.log, 4, 0)->verdict, EK_VERDICT_ACCEPT);
	assert_null(ek_review_log_standing(&file.log, 9, 0));
	assert_string_equal(ek_review_log_standing(&file.log, 4, 1)->note, "hm");
	assert_ok(ek_review_file_undo(&file, 0, &sample));
	assert_fails(ek_review_file_undo(&file, 0, &sample), EK_EUSAGE, "no decision to take back");
	assert_int_equal(lines_of(&file), 6);
	ek_review_file_release(&file);
	ek_run_close(run);
}

static void a_second_process_is_refused(void **state)
{
	struct ek_run *run = make_run();
	struct ek_review_file file, second, other;
	char who[64];

	assert_ok(ek_review_file_open(&file, run, 0, "rare"));
	(void)snprintf(who, sizeof who, "in use by process %ld", (long)getpid());
	assert_fails(ek_review_file_open(&second, run, 0, "rare"), EK_EUSAGE, who);
	ek_review_file_release(&second);
	/* Another review of the run is another file. */
	assert_ok(ek_review_file_open(&other, run, 0, "rare2"));
	ek_review_file_release(&other);
	ek_review_file_release(&file);
	assert_ok(ek_review_file_open(&file, run, 0, "rare"));
	ek_review_file_release(&file);
	assert_fails(ek_review_file_open(&file, run, 0, "../rare"), EK_EUSAGE, "no name for a review");
	ek_review_file_release(&file);
	assert_fails(ek_review_file_open(&file, run, 0, ""), EK_EUSAGE, "no name for a review");
	ek_review_file_release(&file);
	ek_run_close(run);
}

/* What a kill or an editor left at the end does not spoil the next line. */
static void the_end_is_mended(void **state)
{
	static const struct {
		const char *end;
		size_t decisions;
	} ends[] = {
		{ "", 1 },
		{ "{\"sample\": 7, \"decis", 1 },
		{ "{", 1 },
		{ "{\"sample\": 7, \"decision\": \"reject\", \"reviewer\": \"Ben\", \"time\": "
		  "\"2026-11-25T19:00:00Z\"}",
		  2 },
	};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		struct ek_run *run = make_run();
		struct ek_review_file file;
		FILE *stream;

		assert_ok(ek_review_file_open(&file, run, 0, "rare"));
		assert_ok(decide(&file, 4, "Anna", EK_VERDICT_ACCEPT, ""));
		stream = fopen(file.journal.path, "a");
		assert_non_null(stream);
		assert_true(fputs(ends[i].end, stream) >= 0 && fclose(stream) == 0);
		ek_review_file_release(&file);

		assert_ok(ek_review_file_open(&file, run, 0, "rare"));
		assert_int_equal(file.log.entry_count, ends[i].decisions);
		assert_ok(decide(&file, 5, "Anna", EK_VERDICT_REJECT, ""));
		ek_review_file_release(&file);
		assert_ok(ek_review_file_open(&file, run, 0, "rare"));
		assert_int_equal(file.log.entry_count, ends[i].decisions + 1);
		assert_int_equal(file.log.lines.damaged, 0);
		assert_int_equal(file.log.lines.is_cut, 0);
		ek_review_file_release(&file);
		ek_run_close(run);
	}
}

/* A disk that is full in the middle of a line: nothing counts, nothing is left of it, and the next one is whole. */
static void a_full_disk_leaves_no_half_a_line(void **state)
{
	struct ek_run *run = make_run();
	struct ek_review_file file;
	struct rlimit old, low;

	assert_ok(ek_review_file_open(&file, run, 0, "rare"));
	assert_ok(decide(&file, 4, "Anna", EK_VERDICT_ACCEPT, ""));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = strlen(text_of(&file)) + 20;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_fails(decide(&file, 5, "Anna", EK_VERDICT_REJECT, ""), EK_EIO, "cannot write");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_null(ek_review_log_standing(&file.log, 5, 0));
	assert_int_equal(lines_of(&file), 1);
	assert_int_equal(text_of(&file)[strlen(text_of(&file)) - 1], '\n');
	assert_ok(decide(&file, 5, "Anna", EK_VERDICT_REJECT, ""));
	assert_int_equal(lines_of(&file), 2);
	ek_review_file_release(&file);
	ek_run_close(run);
}

static void a_file_that_is_gone_takes_no_more(void **state)
{
	struct ek_run *run = make_run();
	struct ek_review_file file;

	assert_ok(ek_review_file_open(&file, run, 0, "rare"));
	assert_ok(decide(&file, 4, "Anna", EK_VERDICT_ACCEPT, ""));
	assert_int_equal(remove(file.journal.path), 0);
	assert_fails(decide(&file, 5, "Anna", EK_VERDICT_REJECT, ""), EK_EIO, "cannot find");
	assert_null(ek_review_log_standing(&file.log, 5, 0));
	assert_int_equal(mkdir(file.journal.path, 0777), 0);
	assert_fails(decide(&file, 5, "Anna", EK_VERDICT_REJECT, ""), EK_EIO, "no regular file");
	ek_review_file_release(&file);
	ek_run_close(run);
}

/* Change the file of three decisions as another program would. */
static void cut(const char *path, const char *text)
{
	assert_int_equal(truncate(path, (off_t)strlen(text) - 20), 0);
}

static void cut_newline(const char *path, const char *text)
{
	assert_int_equal(truncate(path, (off_t)strlen(text) - 1), 0);
}

static void empty(const char *path, const char *text)
{
	assert_int_equal(truncate(path, 0), 0);
}

static void write_over(const char *path, const char *text)
{
	char other[8192];

	(void)snprintf(other, sizeof other, "%s", text);
	memset(strchr(other, '\n') + 1, '#', 10); /* in the second line */
	ek_write_file(path, other, strlen(other));
}

static void replace(const char *path, const char *text)
{
	char aside[4096];

	(void)snprintf(aside, sizeof aside, "%s~", path);
	ek_write_file(aside, text, (size_t)(strchr(text, '\n') + 1 - text));
	assert_int_equal(rename(aside, path), 0);
}

static void add_half(const char *path, const char *text)
{
	FILE *stream = fopen(path, "a");

	assert_non_null(stream);
	assert_true(fputs("{\"sample\": 9, \"deci", stream) >= 0 && fclose(stream) == 0);
}

static void add_line(const char *path, const char *text)
{
	FILE *stream = fopen(path, "a");
	const char *second = strchr(text, '\n') + 1;

	assert_non_null(stream);
	assert_true(fwrite(second, 1, (size_t)(strchr(second, '\n') + 1 - second), stream) > 0 && fclose(stream) == 0);
}

static void what_another_program_makes_of_the_file_costs_no_decision(void **state)
{
	static const struct {
		void (*change)(const char *path, const char *text);
		int stand[3]; /* do the decisions on 0, 1, 2 stand after it? */
		uint64_t damaged;
	} cases[] = {
		{ cut, { 1, 1, 0 }, 1 },        { cut_newline, { 1, 1, 1 }, 0 }, { empty, { 0, 0, 0 }, 0 },
		{ write_over, { 1, 0, 1 }, 1 }, { replace, { 1, 0, 0 }, 0 },     { add_half, { 1, 1, 1 }, 1 },
		{ add_line, { 1, 1, 1 }, 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ek_run *run = make_run();
		struct ek_review_file file;

		print_message("change %zu\n", i);
		assert_ok(ek_review_file_open(&file, run, 0, "rare"));
		for (uint32_t s = 0; s < 3; s++)
			assert_ok(decide(&file, s, s == 1 ? "Ben" : "Anna", EK_VERDICT_ACCEPT, ""));
		cases[i].change(file.journal.path, text_of(&file));
		assert_ok(decide(&file, 7, "Ben", EK_VERDICT_REJECT, "after it"));
		assert_int_equal(file.journal.edits, 1);
		for (uint32_t s = 0; s < 3; s++)
			assert_int_equal(ek_review_log_standing(&file.log, s, s == 1) != NULL, cases[i].stand[s]);
		/* And no more until the next change. */
		assert_ok(decide(&file, 8, "Anna", EK_VERDICT_REJECT, ""));
		assert_int_equal(file.journal.edits, 1);
		ek_review_file_release(&file);

		/* Whoever reads it next finds the same. */
		assert_ok(ek_review_file_open(&file, run, 0, "rare"));
		assert_int_equal(file.log.lines.damaged, cases[i].damaged);
		for (uint32_t s = 0; s < 9; s++) {
			uint32_t votes[EK_VERDICTS];

			ek_review_log_votes(votes, &file.log, s);
			assert_int_equal(votes[0] + votes[1] + votes[2], s < 3 ? cases[i].stand[s] : s > 6);
		}
		ek_review_file_release(&file);
		ek_run_close(run);
	}
}

EK_TEST_MAIN(cmocka_unit_test(what_was_decided_is_there_when_it_is_opened_again),
             cmocka_unit_test(a_second_process_is_refused), cmocka_unit_test(the_end_is_mended),
             cmocka_unit_test(a_full_disk_leaves_no_half_a_line), cmocka_unit_test(a_file_that_is_gone_takes_no_more),
             cmocka_unit_test(what_another_program_makes_of_the_file_costs_no_decision))
