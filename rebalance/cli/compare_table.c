/* The tables of `compare`: columns as wide as what is in them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/compare.h"
#include "rebalance/cli/terminal.h"
#include "rebalance/base/text.h"

enum { CELL = 40, COLUMNS = 12 };

struct table {
	char (*cells)[COLUMNS][CELL]; /* [rows] */
	size_t rows;
	int columns, left; /* the first ones stand to the left */
};

/* Columns on the screen: bytes but those that go on with a character. */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text != 0; text++)
		width += ((unsigned char)*text & 0xC0) != 0x80;
	return width;
}

/* Bytes to print: no blank ends a line. */
static int length_of(const char *text, int is_last)
{
	const size_t length = strlen(text);

	return (int)(length - (size_t)(is_last && length > 0 && text[length - 1] == ' '));
}

static void print_table(const struct table *t)
{
	int widths[COLUMNS] = { 0 };

	for (size_t r = 0; r < t->rows; r++)
		for (int c = 0; c < t->columns; c++)
			widths[c] = width_of(t->cells[r][c]) > widths[c] ? width_of(t->cells[r][c]) : widths[c];
	for (size_t r = 0; r < t->rows; r++) {
		(void)fputs(r == 0 ? ek_bold() : "", stdout);
		for (int c = 0; c < t->columns; c++) {
			const int pad = widths[c] - width_of(t->cells[r][c]);

			if (c < t->left)
				(void)printf("%s%s%*s", c > 0 ? "  " : "", t->cells[r][c], c + 1 < t->columns ? pad : 0,
				             "");
			else
				(void)printf("  %*s%.*s", pad, "", length_of(t->cells[r][c], c + 1 == t->columns),
				             t->cells[r][c]);
		}
		(void)printf("%s\n", r == 0 ? ek_plain() : "");
	}
}

/* Three figures. */
static int places_of(double x)
{
	const double size = fabs(x);

	return size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
}

static void write_value(char out[CELL], double x)
{
	if (isfinite(x))
		(void)snprintf(out, CELL, "%.*f", places_of(x), x);
	else
		(void)snprintf(out, CELL, "-");
}

static void write_share(char out[CELL], double x)
{
	char text[32];

	(void)snprintf(out, CELL, "%s", isfinite(x) ? ek_text_percent(text, x) : "-");
}

static const struct {
	enum ek_compared_measure measure;
	const char *head;
} shown_measures[] = { { EK_CMP_FD, "FD" },
	               { EK_CMP_PRECISION, "precision" },
	               { EK_CMP_RECALL, "recall" },
	               { EK_CMP_COVERAGE, "coverage" },
	               { EK_CMP_WORST, "worst" },
	               { EK_CMP_MASS, "mass" },
	               { EK_CMP_RATIO, "nearest" },
	               { EK_CMP_COPIES, "copies" },
	               { EK_CMP_GROUP_WORST, "worst group" } };
enum { SHOWN = sizeof shown_measures / sizeof *shown_measures };

/* The last column is there where a run has named groups. */
static int columns_of(const struct ek_comparison *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (isfinite(c->rows[i].values[EK_CMP_GROUP_WORST].value))
			return SHOWN;
	return SHOWN - 1;
}

static void write_names(char cells[COLUMNS][CELL], const struct ek_comparison_row *row, int several)
{
	char name[CELL], label[CELL];

	ek_one_line(label, sizeof label, row->label);
	if (several) {
		char *whole = NULL;

		if (ek_format(&whole, "%s/%s", row->run, row->name) == 0)
			ek_one_line(name, sizeof name, whole);
		free(whole);
	} else {
		ek_one_line(name, sizeof name, row->name);
	}
	memcpy(cells[0], name, CELL);
	memcpy(cells[1], label, CELL);
}

static void write_values(char cells[COLUMNS][CELL], const struct ek_comparison_row *row)
{
	const struct ek_compared *v = row->values;
	char count[32], value[CELL], name[CELL - 16];

	(void)snprintf(cells[2], CELL, "%s", ek_text_count(count, row->generated));
	for (int i = 0; i < SHOWN; i++)
		write_value(cells[3 + i], v[shown_measures[i].measure].value);
	write_value(value, v[EK_CMP_EXPECTED].value);
	if (isfinite(v[EK_CMP_COVERAGE].value) && isfinite(v[EK_CMP_EXPECTED].value)) {
		char coverage[CELL];

		memcpy(coverage, cells[3 + 3], CELL);
		(void)snprintf(cells[3 + 3], CELL, "%.16s (%.16s)", coverage, value);
	}
	if (isfinite(v[EK_CMP_WORST].value) && row->worst_cluster >= 0) {
		char worst[CELL];

		memcpy(worst, cells[3 + 4], CELL);
		(void)snprintf(cells[3 + 4], CELL, "%.16s (%" PRId64 ")", worst, row->worst_cluster);
	}
	write_share(cells[3 + 7], v[EK_CMP_COPIES].value);
	if (isfinite(v[EK_CMP_GROUP_WORST].value)) {
		const char *group =
			cJSON_GetStringValue(ek_json_member(ek_json_member(row->json, "worst_group"), "group"));

		write_value(value, v[EK_CMP_GROUP_WORST].value);
		ek_one_line(name, sizeof name, group != NULL ? group : "?");
		(void)snprintf(cells[3 + 8], CELL, "%.10s (%s)", value, name);
	}
}

static void write_difference(char out[CELL], const struct ek_compared *v, int is_share)
{
	static const char marks[] = { ' ', ' ', '*', '?', '!' };

	if (v->verdict == EK_DIFFERENCE_UNLIKE)
		(void)snprintf(out, CELL, "!");
	else if (v->verdict == EK_DIFFERENCE_NONE)
		(void)snprintf(out, CELL, "- ");
	else if (fabs(v->difference) * (is_share ? 100 : 1) < 0.5 * pow(10, is_share ? -2 : -places_of(v->value)))
		(void)snprintf(out, CELL, "0%c", marks[v->verdict]);
	else if (is_share)
		(void)snprintf(out, CELL, "%+.2f %%%c", 100 * v->difference, marks[v->verdict]);
	else
		(void)snprintf(out, CELL, "%+.*f%c", places_of(v->value), v->difference, marks[v->verdict]);
}

/* Is the row shown with differences? */
static int has_differences(const struct ek_comparison_row *row)
{
	return row->unlike == NULL && row->baseline != row;
}

static int several_runs(const struct ek_comparison *c)
{
	return c->count > 0 && strcmp(c->rows[0].run, c->rows[c->count - 1].run) != 0;
}

static int print_values(const struct ek_comparison *c, const uint8_t *shown)
{
	static const char *const first[] = { "evaluation", "trained on", "generated" };
	struct table t = { .columns = 3 + columns_of(c), .left = 2, .rows = 1 };
	int rc;

	EK_TRY(ek_alloc(&t.cells, c->count + 1, sizeof *t.cells));
	for (int i = 0; i < 3 + SHOWN; i++)
		(void)snprintf(t.cells[0][i], CELL, "%s", i < 3 ? first[i] : shown_measures[i - 3].head);
	for (size_t i = 0; i < c->count; i++)
		if (shown[i]) {
			write_names(t.cells[t.rows], &c->rows[i], several_runs(c));
			write_values(t.cells[t.rows++], &c->rows[i]);
		}
	print_table(&t);
	(void)printf(
		"\ncoverage (expected of equal distributions); worst: the lowest coverage of a cluster (which); mass: "
		"share of clusters\nthat get half of their share; nearest: distance to the nearest training image "
		"over that of held-out images%s\n",
		columns_of(c) == SHOWN ? ";\nworst group: the lowest coverage of a named group" : "");
out:
	free(t.cells);
	return rc;
}

/* One table a baseline. */
static int print_against(const struct ek_comparison *c, const uint8_t *shown, const struct ek_comparison_row *base)
{
	struct table t = { .columns = 1 + columns_of(c), .left = 1, .rows = 1 };
	char name[256];
	int rc;

	EK_TRY(ek_alloc(&t.cells, c->count + 1, sizeof *t.cells));
	ek_one_line(name, sizeof name, base->name);
	for (int i = 0; i < SHOWN; i++)
		(void)snprintf(t.cells[0][1 + i], CELL, "%s ", shown_measures[i].head);
	for (size_t i = 0; i < c->count; i++) {
		const struct ek_comparison_row *row = &c->rows[i];
		char names[COLUMNS][CELL];

		if (!shown[i] || row->baseline != base || !has_differences(row))
			continue;
		write_names(names, row, several_runs(c));
		memcpy(t.cells[t.rows][0], names[0], CELL);
		for (int m = 0; m < SHOWN; m++)
			write_difference(t.cells[t.rows][1 + m], &row->values[shown_measures[m].measure],
			                 shown_measures[m].measure == EK_CMP_COPIES);
		t.rows++;
	}
	if (t.rows > 1) {
		(void)printf("\ndifference to %s%s%s\n", several_runs(c) ? base->run : "", several_runs(c) ? "/" : "",
		             name);
		print_table(&t);
	}
out:
	free(t.cells);
	return rc;
}

static void print_words(const struct ek_comparison *c, const uint8_t *shown)
{
	int marks[EK_DIFFERENCE_UNLIKE + 1] = { 0 };
	char names[COLUMNS][CELL], words[1024];
	int listed = 0;

	for (size_t i = 0; i < c->count; i++)
		for (int m = 0; shown[i] && has_differences(&c->rows[i]) && m < columns_of(c); m++)
			marks[c->rows[i].values[shown_measures[m].measure].verdict]++;
	if (marks[EK_DIFFERENCE_BEYOND] + marks[EK_DIFFERENCE_WITHIN] > 0)
		(void)printf(
			"\n* more than the spread over sample sets (or the interval, where there is one set): %d of "
			"%d; chance alone makes one in 20\n",
			marks[EK_DIFFERENCE_BEYOND], marks[EK_DIFFERENCE_BEYOND] + marks[EK_DIFFERENCE_WITHIN]);
	if (marks[EK_DIFFERENCE_UNKNOWN] > 0)
		(void)printf(
			"? it is not known how much this differs by chance: evaluate several sample sets (generate "
			"with other seeds)\n");
	if (marks[EK_DIFFERENCE_UNLIKE] > 0)
		(void)printf("! measured against other clusters or other target shares: no difference can be told\n");
	for (size_t i = 0; i < c->count; i++) {
		const struct ek_comparison_row *row = &c->rows[i];

		if (!shown[i] || (row->unlike == NULL && row->note == NULL))
			continue;
		write_names(names, row, several_runs(c));
		ek_one_line(words, sizeof words, row->unlike != NULL ? row->unlike : row->note);
		(void)printf("%s%s %s: %s\n", listed++ == 0 ? "\n" : "", names[0],
		             row->unlike != NULL ? "is not compared" : "was made in another way", words);
	}
}

int ek_compare_print(const struct ek_comparison *c, const uint8_t *shown)
{
	int rc;

	EK_TRY(print_values(c, shown));
	for (size_t i = 0; i < c->count; i++)
		if (c->rows[i].baseline == &c->rows[i])
			EK_TRY(print_against(c, shown, &c->rows[i]));
	print_words(c, shown);
out:
	return rc;
}

void ek_compare_print_line(const struct ek_comparison_row *row)
{
	const struct ek_compared *v = row->values;
	char fd[CELL], coverage[CELL], worst[CELL], count[32];

	write_value(fd, v[EK_CMP_FD].value);
	write_value(coverage, v[EK_CMP_COVERAGE].value);
	write_value(worst, v[EK_CMP_WORST].value);
	(void)printf("%9s images  FD %s  coverage %s  worst cluster %s", ek_text_count(count, row->training_images), fd,
	             coverage, worst);
	if (row->worst_cluster >= 0)
		(void)printf(" (%" PRId64 ")", row->worst_cluster);
}
