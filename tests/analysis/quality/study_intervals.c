/*
 * study_intervals [RUNS [K …]]: docs/intervals.md on stdout. Fails if an interval holds the truth in less than 93 % of
 * the samples, by more than three standard errors of that share.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/analysis/quality/held.h"

static const uint64_t sizes[] = { 500, 3000, 50000 };
enum { SIZES = sizeof sizes / sizeof *sizes, CASES = EK_HELD_SHAPES * SIZES };

static void print_head(void)
{
	(void)printf("| measure |");
	for (int i = 0; i < CASES; i++)
		(void)printf(" %s, %llu |", ek_held_shapes[i / SIZES], (unsigned long long)sizes[i % SIZES]);
	(void)printf("\n|---|");
	for (int i = 0; i < CASES; i++)
		(void)printf("---|");
	(void)printf("\n");
}

/* "95.5 %, 0.012 (1.1)": how many hold the truth, how wide they are, and in widths of a normal interval. */
static void print_cell(const struct ek_held *h)
{
	(void)printf(" %.1f %%", 100 * h->held);
	if (h->unbounded > 0.5)
		(void)printf(", no bound above |");
	else if (h->normal > 0)
		(void)printf(", %.3g (%.2g) |", h->width, h->width / h->normal);
	else
		(void)printf(", %.3g |", h->width);
}

static int study(size_t k, uint32_t runs)
{
	static struct ek_held held[CASES][EK_HELD_MEASURES];
	const double least = 0.93 - 3 * sqrt(0.93 * 0.07 / runs);
	int bad = 0;

	for (int i = 0; i < CASES; i++)
		ek_held_run(held[i], &(struct ek_held_case){ .shape = (enum ek_held_shape)(i / SIZES),
		                                             .k = k,
		                                             .images = sizes[i % SIZES],
		                                             .runs = runs,
		                                             .resamples = 1000 });
	(void)printf("\n## %zu clusters, %u samples a cell\n\n", k, runs);
	print_head();
	for (int m = 0; m < EK_HELD_MEASURES; m++) {
		(void)printf("| %s |", ek_held_name(m));
		for (int i = 0; i < CASES; i++) {
			print_cell(&held[i][m]);
			bad += held[i][m].held < least;
		}
		(void)printf("\n");
	}
	return bad;
}

int main(int argc, char **argv)
{
	const uint32_t runs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 400;
	int bad = 0;

	for (int i = 2; i < argc; i++)
		bad += study(strtoul(argv[i], NULL, 10), runs);
	if (argc <= 2)
		bad = study(24, runs) + study(10, runs);
	return bad > 0;
}
