/*
 * Scan a data set as often as asked, and print one line: images, seconds (the best), images and bytes a second, and the
 * largest resident size. tests/bench/scan.sh makes the data sets and measures find, cat and tar beside it.
 *
 *	bench_scan RUN header|decode REPEATS ATTRIBUTES|- DATASET...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/scan.h"

static void show(void *context, enum ek_log_level level, const char *text)
{
	(void)context;
	(void)fprintf(stderr, "%s%s\n", level == EK_LOG_WARNING ? "warning: " : "", text);
}

static int bench(char **argv, int argc)
{
	const struct ek_log_sink sink = { .message = show };
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_run *run = NULL;
	const cJSON *counts;
	double best = 1e30;
	uint64_t images, bytes, rejected;
	int rc;

	ek_log_set_sink(&sink);
	o.check = strcmp(argv[2], "header") == 0 ? EK_SCAN_HEADER : EK_SCAN_DECODE;
	o.attributes = strcmp(argv[4], "-") == 0 ? NULL : argv[4];
	o.datasets = (const char *const *)(argv + 5);
	o.dataset_count = (size_t)argc - 5;
	EK_TRY(ek_run_open(&run, argv[1], EK_RUN_CREATE));
	for (long i = strtol(argv[3], NULL, 10); i > 0; i--) {
		const double start = ek_clock();

		EK_TRY(ek_scan(run, &o));
		best = ek_clock() - start < best ? ek_clock() - start : best;
	}
	counts = cJSON_GetObjectItem(ek_run_recorded(run, "scan"), "counts");
	EK_TRY(ek_json_get_u64(&images, counts, "images", "counts"));
	EK_TRY(ek_json_get_u64(&rejected, counts, "rejected", "counts"));
	EK_TRY(ek_json_get_u64(&bytes, counts, "bytes", "counts"));
	printf("scan %s: %llu images, %llu rejected, %.3f s, %.0f images/s, %.1f MB/s, peak %.1f MiB\n", argv[2],
	       (unsigned long long)images, (unsigned long long)rejected, best, (double)images / best,
	       (double)bytes / best / 1e6, (double)ek_memory_peak() / 1048576);
out:
	ek_run_close(run);
	if (rc < 0)
		(void)fprintf(stderr, "%s\n", ek_error_message());
	return rc < 0;
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		(void)fprintf(stderr, "usage: bench_scan RUN header|decode REPEATS ATTRIBUTES|- DATASET...\n");
		return 2;
	}
	return bench(argv, argc);
}
