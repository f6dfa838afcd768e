/*
 * Choose images of a run in memory, a few times, and print: seconds (median), the largest resident size, images kept
 * and a checksum of their ids. tests/bench/bench_plan.py makes the runs and does the same with NumPy.
 *
 *	bench_plan RUN METHOD KEEP REPEATS        METHOD: of prune, or "smallest" (balance, furthest)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/plan/balance.h"
#include "rebalance/plan/prune.h"

enum { MOST = 101 };

static int rising(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int choose(struct ek_selection *out, struct ek_run *run, const char *method, double keep)
{
	const struct ek_prune_options prune = { .method = method,
		                                .keep = { .fraction = keep },
		                                .order = EK_PRUNE_NO_ORDER };
	const struct ek_balance_options balance = {
		.name = "x", .by = "cluster", .rule = "furthest", .smallest = 1, .max_repeat = 1
	};

	return strcmp(method, "smallest") == 0 ? ek_balance_select(out, run, &balance)
	                                       : ek_prune_select(out, run, &prune);
}

static uint64_t checksum(const struct ek_selection *s)
{
	uint64_t sum = 0, place = 0;

	for (uint64_t i = 0; i < s->n; i++)
		for (uint64_t copies = ek_selection_copies(s, i); copies > 0; copies--)
			sum += (i + 1) * ++place;
	return sum;
}

static int bench(char **argv)
{
	const long repeats = strtol(argv[4], NULL, 10) < MOST ? strtol(argv[4], NULL, 10) : MOST;
	struct ek_selection selection = { 0 };
	struct ek_run *run = NULL;
	double seconds[MOST];
	uint64_t hash = 0, kept = 0;
	int rc;

	EK_TRY(ek_run_open(&run, argv[1], EK_RUN_READ));
	for (long i = 0; i < repeats; i++) {
		const double start = ek_clock();

		EK_TRY(choose(&selection, run, argv[2], strtod(argv[3], NULL)));
		seconds[i] = ek_clock() - start;
		kept = selection.kept;
		hash = checksum(&selection);
		ek_selection_release(&selection);
	}
	qsort(seconds, (size_t)repeats, sizeof *seconds, rising);
	(void)printf("%.3f %.0f %" PRIu64 " %" PRIu64 "\n", seconds[repeats / 2], (double)ek_memory_peak() / 0x1p20,
	             kept, hash);
out:
	ek_selection_release(&selection);
	ek_run_close(run);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc != 5 || strtol(argv[4], NULL, 10) < 1) {
		(void)fprintf(stderr, "usage: bench_plan RUN METHOD KEEP REPEATS\n");
		return 2;
	}
	if (bench(argv) < 0) {
		(void)fprintf(stderr, "bench_plan: %s\n", ek_error_message());
		return 1;
	}
	return 0;
}
