/*
 * study_planted [SEEDS [IMAGES [NAME]]]: the table of docs/verdict.md on stdout; with IMAGES, above 0, only its rows of
 * so many, with NAME those of that name. One process a processor, each with seeds of its own. Fails if a set without
 * structure, or one whose groups are alike, is called uneven, or one of 50 : 1 or more is called even by ten labels a
 * group.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rebalance/base/threads.h"
#include "tests/analysis/cluster/planted.h"

static const struct ek_planted structureless[] = {
	{ "one class, features of CIFAR-10", EK_PLANTED_GAUSSIAN, -0.73, 0, 1, 1, 0 },
	{ "one class, features of UTKFace", EK_PLANTED_GAUSSIAN, -1.06, 0, 1, 1, 0 },
	{ "no classes, heavy tails", EK_PLANTED_LAPLACE, -0.73, 0, 1, 1, 0 },
	{ "no classes, one-sided tails", EK_PLANTED_EXPONENTIAL, -0.73, 0, 1, 1, 0 },
	{ "no classes, odd images", EK_PLANTED_HEAVY, -0.73, 0, 1, 1, 0 },
};
static const uint64_t sizes[] = { 40, 150, 1000, 5000, 50000 };
static const struct ek_planted encoders[] = {
	{ "as races of UTKFace", EK_PLANTED_GAUSSIAN, -1.06, 0.04, 10, 0, 0 },
	{ "as classes of CIFAR-10", EK_PLANTED_GAUSSIAN, -0.73, 0.2, 10, 0, 0 },
	{ "well told apart", EK_PLANTED_GAUSSIAN, -0.73, 1, 10, 0, 0 },
	{ "far apart", EK_PLANTED_GAUSSIAN, -0.73, 3, 10, 0, 0 },
	{ "three groups, well told apart", EK_PLANTED_GAUSSIAN, -0.73, 1, 3, 0, 0 },
	{ "two groups, well told apart", EK_PLANTED_GAUSSIAN, -0.73, 1, 2, 0, 0 },
};
static const double almost_even = 0.10; /* as a report has it of groups that are known */
static const double ratios[] = { 1, 3, 10, 50, 100 };
enum { FAMILIES = 5, SIZES = 5, LARGEST_OF_ALL = 5000, ENCODERS = 6, RATIOS = 5 };

/* What one seed finds. */
union found {
	struct ek_planted_finding words;
	double gini; /* by ten labels a group */
};

void omp_set_num_threads(int count);

static void find_words(union found *out, const struct ek_planted *planted, uint64_t seed)
{
	ek_planted_find(&out->words, planted, seed);
}

static void find_by_labels(union found *out, const struct ek_planted *planted, uint64_t seed)
{
	out->gini = ek_planted_by_labels(planted, seed);
}

static int find_some(union found *out, const struct ek_planted *planted, int first, int seeds, int step,
                     void (*find)(union found *, const struct ek_planted *, uint64_t))
{
	ek_threads_set(1);
	omp_set_num_threads(1);
	for (int s = first; s < seeds; s += step)
		find(&out[s], planted, (uint64_t)s + 1);
	return 0;
}

/* out: [seeds]. The processes share it. A failed one ends the study. */
static void find_all(union found *out, const struct ek_planted *planted, int seeds,
                     void (*find)(union found *, const struct ek_planted *, uint64_t))
{
	const int processes = ek_threads() < seeds ? ek_threads() : seeds;
	int failed = 0, status;

	for (int p = 0; p < processes; p++) {
		const pid_t child = fork();

		if (child == 0)
			_exit(find_some(out, planted, p, seeds, processes, find));
		failed |= child < 0;
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	if (failed) {
		(void)fprintf(stderr, "%s: a process failed\n", planted->name);
		exit(2);
	}
}

static union found *found_new(int seeds)
{
	union found *found =
		mmap(NULL, (size_t)seeds * sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (found == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return found;
}

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
	union found *found = found_new(seeds);
	int counts[EK_FINDINGS] = { 0 };
	double k = 0, stability = 0, gini = 0, chance = 0, populations = 0, agreement = 0, excess = 0;

	find_all(found, planted, seeds, find_words);
	for (int s = 0; s < seeds; s++) {
		const struct ek_planted_finding f = found[s].words;

		counts[f.finding]++;
		k += f.k / (double)seeds;
		stability += f.stability / seeds;
		gini += f.gini / seeds;
		chance += f.chance / seeds;
		populations += f.populations / (double)seeds;
		agreement += f.agreement / seeds;
		excess += f.excess / seeds;
	}
	(void)printf("| %s | %d | %llu | %.0f : 1 | %.1f | %.2f | %.2f | %.2f | %.1f | %.2f | %.2f |", planted->name,
	             seeds, (unsigned long long)planted->n, planted->ratio, k, stability, gini, chance, populations,
	             agreement, excess);
	(void)munmap(found, (size_t)seeds * sizeof *found);
	print_words(counts, seeds);
	return (double)(counts[EK_FINDING_SOMEWHAT] + counts[EK_FINDING_CLEARLY] + counts[EK_FINDING_VERY]) / seeds;
}

/* With ten labels a group: the Gini coefficient of the groups' shares. Returns how many seeds come out as even. */
static int row_by_labels(const struct ek_planted *planted, int seeds)
{
	union found *found = found_new(seeds);
	double gini = 0, least = 1;
	int even = 0;

	find_all(found, planted, seeds, find_by_labels);
	for (int s = 0; s < seeds; s++) {
		const double own = found[s].gini;

		gini += own / seeds;
		least = fmin(least, own);
		even += own < almost_even;
	}
	(void)printf("| %s | %d | %llu | %.0f : 1 | %.2f | %.2f | %d |\n", planted->name, seeds,
	             (unsigned long long)planted->n, planted->ratio, gini, least, even);
	(void)munmap(found, (size_t)seeds * sizeof *found);
	(void)fflush(stdout);
	return even;
}

static int is_asked(const char *own, const char *name)
{
	return name == NULL || strcmp(own, name) == 0;
}

int main(int argc, char **argv)
{
	const int seeds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100;
	const uint64_t only = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	const char *name = argc > 3 ? argv[3] : NULL;
	const int told = argc > 1 ? seeds : 20; /* of sets with groups */
	int wrong = 0;

	(void)printf("| planted | seeds | images | sizes | clusters | they come out again | Gini | by chance | "
	             "populations | "
	             "agreement "
	             "| excess | none apart | not again | alike | somewhat | clearly | very |\n"
	             "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
	for (int f = 0; f < FAMILIES; f++)
		for (int n = 0; n < SIZES && is_asked(structureless[f].name, name); n++) {
			struct ek_planted planted = structureless[f];

			planted.n = sizes[n];
			if (only == 0 ? planted.n <= LARGEST_OF_ALL : planted.n == only)
				wrong += row(&planted, seeds) > 0;
		}
	for (int e = 0; e < ENCODERS && (only == 0 || only >= LARGEST_OF_ALL); e++)
		for (int r = 0; r < RATIOS && is_asked(encoders[e].name, name); r++) {
			struct ek_planted planted = encoders[e];
			double uneven;

			planted.ratio = ratios[r];
			planted.n = only > 0 ? only : LARGEST_OF_ALL;
			uneven = row(&planted, told);
			wrong += r == 0 && uneven > 0;
		}
	(void)printf("\n| ten labels a group | seeds | images | sizes | Gini by labels | the least | called even |\n"
	             "|---|---|---|---|---|---|---|\n");
	for (int e = 0; e < ENCODERS && (only == 0 || only >= LARGEST_OF_ALL); e++)
		for (int r = 0; r < RATIOS && is_asked(encoders[e].name, name); r++) {
			struct ek_planted planted = encoders[e];
			int even;

			planted.ratio = ratios[r];
			planted.n = LARGEST_OF_ALL;
			even = row_by_labels(&planted, told);
			wrong += ratios[r] >= 50 && even > 0;
		}
	return wrong > 0;
}
