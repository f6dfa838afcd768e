/*
 * Precision, recall, density and coverage of two sets at once.
 *
 *	bench_neighbours [n d k [real.npy generated.npy]]
 *
 * Without files, n rows of each are made up and mapped from a temporary folder (by default 50,000 x 2048, k 5).
 * One line: name, seconds of ours, multiply-adds done per second of the machine's processor time and as a share of
 * what its registers do in the same run, the largest memory in use (the mapped files included) and the results.
 * bench_neighbours.py measures prdc in turn with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "analysis/quality/neighbours.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "tests/bench/clock.h"
#include "tests/bench/peak.h"

enum { KINDS = 300, DIRECTIONS = 40 };

static void check(int rc)
{
	if (rc < 0) {
		(void)fprintf(stderr, "%s\n", ek_error_message());
		exit(1);
	}
}

/* Features of 300 kinds of unequal size with 40 directions of variation, as embeddings of images have. */
static void make(const char *path, uint64_t seed, uint64_t n, size_t d)
{
	const uint64_t shape[] = { n, d };
	struct ek_npy_writer *writer;
	float *base, *row;
	uint64_t done;

	check(ek_alloc(&base, DIRECTIONS * d, sizeof *base));
	check(ek_alloc(&row, d, sizeof *row));
	for (size_t i = 0; i < DIRECTIONS * d; i++)
		base[i] = (float)ek_random_normal(1, 0, i);
	check(ek_npy_writer_open(&writer, &done, path, EK_F32, 2, shape, "bench"));
	for (uint64_t i = 0; i < n; i++) {
		const double u = ek_random_double(seed, 1, i);
		const uint64_t kind = (uint64_t)(KINDS * u * u);

		for (size_t j = 0; j < d; j++)
			row[j] = 0.3F * (float)ek_random_normal(seed, 2, i * d + j);
		for (size_t r = 0; r < DIRECTIONS; r++) {
			const float factor = (float)(ek_random_normal(3, kind, r) +
			                             0.7 * ek_random_normal(seed, 4, i * DIRECTIONS + r));

			for (size_t j = 0; j < d; j++)
				row[j] += factor * base[r * d + j] / 6.3F;
		}
		check(ek_npy_writer_append(writer, row, 1));
	}
	check(ek_npy_writer_commit(writer));
	ek_npy_writer_free(writer);
	free(base);
	free(row);
}

int main(int argc, char **argv)
{
	const uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 50000;
	const size_t d = argc > 2 ? strtoull(argv[2], NULL, 10) : 2048, k = argc > 3 ? strtoull(argv[3], NULL, 10) : 5;
	char folder[] = "/tmp/evenkeel-bench-XXXXXX", made[2][64] = { "", "" };
	const char *path[2] = { argc > 5 ? argv[4] : made[0], argc > 5 ? argv[5] : made[1] };
	struct ek_fidelity f;
	struct ek_npy array[2];
	struct ek_rows rows[2];
	double seconds, busy, work, peak;

	if (argc <= 5 && mkdtemp(folder) == NULL)
		return 1;
	for (int i = 0; i < 2; i++) {
		(void)snprintf(made[i], sizeof made[i], "%s/%d.npy", folder, i);
		if (argc <= 5)
			make(made[i], (uint64_t)i + 10, n, d);
		check(ek_npy_open(&array[i], path[i]));
		check(ek_rows_of(&rows[i], &array[i], 0));
	}
	seconds = ek_clock();
	busy = ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID);
	check(ek_fidelity(&f, &rows[0], &rows[1], k, 0));
	seconds = ek_clock() - seconds;
	busy = ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID) - busy;
	peak = ek_bench_peak(EK_NN_FLOAT32);
	work = 2 * (double)rows[0].dimensions *
	       (((double)f.real * (double)f.real + (double)f.generated * (double)f.generated) / 2 +
	        (double)f.real * (double)f.generated) /
	       1e9;
	(void)printf("prdc %llu x %llu x %zu k %zu: %.2f s (%.2f s of processor time on %d threads), %.0f GFLOP/s of "
	             "processor time, %.2f of registers' %.0f; peak %.0f MiB; precision %.5f recall %.5f density %.5f "
	             "coverage %.5f\n",
	             (unsigned long long)f.real, (unsigned long long)f.generated, rows[0].dimensions, k, seconds, busy,
	             ek_threads(), work / busy * ek_threads(), work / busy * ek_threads() / peak, peak,
	             (double)ek_memory_peak() / 1048576, f.precision, f.recall, f.density, f.coverage);
	ek_fidelity_release(&f);
	for (int i = 0; i < 2; i++) {
		ek_npy_close(&array[i]);
		if (argc <= 5)
			(void)unlink(made[i]);
	}
	if (argc <= 5)
		(void)rmdir(folder);
	return 0;
}
