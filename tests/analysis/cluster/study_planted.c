/*
 * study_planted [SEEDS [IMAGES]]: the table of docs/verdict.md on stdout; with IMAGES only its rows of so many. Fails
 * if a set without structure, or one whose groups are alike, is called uneven.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/analysis/cluster/planted.h"

static const struct ek_planted structureless[] = {
	{ "one class, features of CIFAR-10", EK_PLANTED_GAUSSIAN, -0.73, 0, 1, 1, 0 },
	{ "one class, features of UTKFace", EK_PLANTED_GAUSSIAN, -1.06, 0, 1, 1, 0 },
	{ "no classes, heavy tails", EK_PLANTED_LAPLACE, -0.73, 0, 1, 1, 0 },
	{ "no classes, one-sided tails", EK_PLANTED_EXPONENTIAL, -0.73, 0, 1, 1, 0 },
	{ "no classes, odd images", EK_PLANTED_HEAVY, -0.73, 0, 1, 1, 0 },
};
static const uint64_t sizes[] = { 40, 150, 1000, 5000, 50000 };
static const double separations[] = { 0.04, 0.2, 1, 3 }, ratios[] = { 1, 3, 10, 50, 100 };
static const char *const encoders[] = { "as races of UTKFace", "as classes of CIFAR-10", "well told apart",
	                                "far apart" };
enum { FAMILIES = 5, SIZES = 5, LARGEST_OF_ALL = 5000, SEPARATIONS = 4, RATIOS = 5 };

static void print_words(const int *counts, int seeds)
{
	static const enum ek_finding shown[] = { EK_FINDING_ONE,      EK_FINDING_UNSTABLE, EK_FINDING_ALIKE,
		                                 EK_FINDING_SOMEWHAT, EK_FINDING_CLEARLY,  EK_FINDING_VERY };

	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		(void)printf(counts[shown[i]] > 0 ? " %.0f %% |" : " |", 100.0 * counts[shown[i]] / seeds);
	(void)printf("\n");
	(void)fflush(stdout);
}

/* One row; the share of seeds that are called uneven. */
static double row(const struct ek_planted *planted, int seeds)
{
	struct ek_planted_finding f;
	int counts[EK_FINDINGS] = { 0 };
	double k = 0, stability = 0, gini = 0, chance = 0, populations = 0, agreement = 0, excess = 0;

	for (int s = 0; s < seeds; s++) {
		ek_planted_find(&f, planted, (uint64_t)s + 1);
		counts[f.finding]++;
		k += f.k / (double)seeds;
		stability += f.stability / seeds;
		gini += f.gini / seeds;
		chance += f.chance / seeds;
		populations += f.populations / (double)seeds;
		agreement += f.agreement / seeds;
		excess += f.excess / seeds;
	}
	(void)printf("| %s | %llu | %.0f : 1 | %.1f | %.2f | %.2f | %.2f | %.1f | %.2f | %.2f |", planted->name,
	             (unsigned long long)planted->n, planted->ratio, k, stability, gini, chance, populations, agreement,
	             excess);
	print_words(counts, seeds);
	return (double)(counts[EK_FINDING_SOMEWHAT] + counts[EK_FINDING_CLEARLY] + counts[EK_FINDING_VERY]) / seeds;
}

int main(int argc, char **argv)
{
	const int seeds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100;
	const uint64_t only = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	int wrong = 0;

	(void)printf("| planted | images | sizes | clusters | they come out again | Gini | by chance | populations | "
	             "agreement "
	             "| excess | none apart | not again | alike | somewhat | clearly | very |\n"
	             "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
	for (int f = 0; f < FAMILIES; f++)
		for (int n = 0; n < SIZES; n++) {
			struct ek_planted planted = structureless[f];

			planted.n = sizes[n];
			if (only == 0 ? planted.n <= LARGEST_OF_ALL : planted.n == only)
				wrong += row(&planted, seeds) > 0;
		}
	for (int s = 0; s < SEPARATIONS && (only == 0 || only >= LARGEST_OF_ALL); s++)
		for (int r = 0; r < RATIOS; r++) {
			const struct ek_planted planted = {
				encoders[s], EK_PLANTED_GAUSSIAN, s == 0 ? -1.06 : -0.73,          separations[s],
				10,          ratios[r],           only > 0 ? only : LARGEST_OF_ALL
			};
			const double uneven = row(&planted, seeds < 20 ? seeds : 20);

			wrong += r == 0 && uneven > 0;
		}
	return wrong > 0;
}
