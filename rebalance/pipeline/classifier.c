#include "rebalance/pipeline/classifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/groups.h"
#include "rebalance/io/layout.h"

static const char file[] = "clusters/classifier.npy";

/* w · axes (e - mean) + b, without the shares of the rows that the probe learned from; then what is told of left-out
 * images. */
static void fill_row(double *row, const struct ek_probe *probe, const double *told, uint32_t group,
                     const struct ek_components *c)
{
	const double *w = probe->w + group * (probe->k + 1);

	for (size_t k = 0; k < probe->k; k++)
		for (size_t j = 0; j < c->d; j++)
			row[j] += w[k] / probe->temperature * (double)c->axes[k * c->d + j];
	row[c->d] = w[probe->k] / probe->temperature - log(probe->train[group]);
	for (size_t j = 0; j < c->d; j++)
		row[c->d] -= row[j] * c->mean[j];
	memcpy(row + c->d + 1, told + group * probe->groups, probe->groups * sizeof *row);
}

/* c NULL: over unit embeddings themselves, and `told` is not there. */
static int save(const struct ek_run *run, const struct ek_probe *probe, const double *told,
                const struct ek_components *c)
{
	const uint64_t shape[2] = { probe->groups, c != NULL ? c->d + 1 + probe->groups : probe->k + 1 };
	double *rows = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_layout_path(&path, run, file, NULL));
	EK_TRY(ek_alloc(&rows, shape[0] * shape[1], sizeof *rows));
	for (uint32_t g = 0; g < probe->groups && c != NULL; g++)
		fill_row(rows + g * shape[1], probe, told, g, c);
	for (uint64_t i = 0; i < shape[0] * shape[1] && c == NULL; i++)
		rows[i] = probe->w[i] / probe->temperature;
	EK_TRY(ek_npy_write(path, EK_F64, 2, shape, rows));
out:
	free(rows);
	free(path);
	return rc;
}

int ek_classifier_save(const struct ek_run *run, const struct ek_probe *probe, const double *told,
                       const struct ek_components *c)
{
	return save(run, probe, told, c);
}

int ek_classifier_save_words(const struct ek_run *run, const struct ek_probe *probe)
{
	return save(run, probe, NULL, NULL);
}

int ek_classifier_open(struct ek_classifier *c, const struct ek_run *run)
{
	struct ek_groups groups;
	uint64_t shape[2];
	char *path = NULL;
	int rc;

	*c = (struct ek_classifier){ 0 };
	EK_TRY(ek_groups_load(&groups, run));
	EK_TRY(ek_layout_path(&path, run, file, NULL));
	if (!groups.named || groups.count < 2 || !ek_file_exists(path))
		goto out;
	shape[0] = groups.count + (uint32_t)groups.none;
	shape[1] = UINT64_MAX;
	EK_TRY(ek_npy_open_as(&c->logits, path, EK_F64, 2, shape));
	c->groups = groups.count;
	c->rows = groups.count + (uint32_t)groups.none;
	c->unit = groups.by_words;
	c->columns = (size_t)c->logits.shape[1];
	c->d = c->columns - 1 - (c->unit || c->columns <= c->groups ? 0 : c->groups);
out:
	ek_groups_release(&groups);
	free(path);
	return rc;
}

void ek_classifier_release(struct ek_classifier *c)
{
	ek_npy_close(&c->logits);
	*c = (struct ek_classifier){ 0 };
}

/* q [groups] of logits [rows]. */
static void softmax(float *q, const double *logits, const struct ek_classifier *c)
{
	double most = -INFINITY, sum = 0;

	for (uint32_t g = 0; g < c->rows; g++)
		most = fmax(most, logits[g]);
	for (uint32_t g = 0; g < c->rows; g++)
		sum += exp(logits[g] - most);
	for (uint32_t g = 0; g < c->groups; g++)
		q[g] = (float)(exp(logits[g] - most) / sum);
}

int ek_classifier_tell(float *q, const struct ek_classifier *c, const struct ek_rows *rows, const char *what)
{
	const double *all = c->logits.data;
	struct ek_rows scaled = *rows;
	double *logits = NULL;
	float *room = NULL;
	int rc;

	if (!c->unit && rows->dimensions + 1 == c->columns)
		return ek_fail(EK_EDATA, "%s is of an earlier version of evenkeel: learn the groups again (cluster)",
		               file);
	if (rows->dimensions != c->d)
		return ek_fail(EK_EDATA, "%s: embeddings of %zu dimensions, the groups were learned from %zu", what,
		               rows->dimensions, c->d);
	scaled.unit |= c->unit;
	EK_TRY(ek_alloc(&logits, c->rows, sizeof *logits));
	EK_TRY(ek_alloc_aligned(&room, c->d, sizeof *room));
	for (uint64_t i = 0; i < rows->count; i++) {
		const float *x = ek_rows_at(&scaled, i, room);

		for (uint32_t g = 0; g < c->rows; g++) {
			const double *row = all + g * c->columns;

			logits[g] = row[c->d];
			for (size_t j = 0; j < c->d; j++)
				logits[g] += row[j] * (double)x[j];
		}
		softmax(q + i * c->groups, logits, c);
		if (i % 65536 == 0)
			EK_TRY(ek_check_interrupt());
	}
out:
	free(logits);
	free(room);
	return rc;
}

int ek_classifier_correct(float *q, const struct ek_classifier *c, uint64_t rows, enum ek_classifier_rounds rounds)
{
	const double *all = c->logits.data;
	double *told = NULL, *mean = NULL, *share = NULL;
	int rc;

	if (c->unit)
		return 0;
	EK_TRY(ek_alloc(&told, (size_t)c->groups * c->groups, sizeof *told));
	EK_TRY(ek_alloc(&mean, c->groups, sizeof *mean));
	EK_TRY(ek_alloc(&share, c->groups, sizeof *share));
	for (uint32_t g = 0; g < c->groups; g++)
		memcpy(told + g * c->groups, all + g * c->columns + c->d + 1, c->groups * sizeof *told);
	for (uint64_t i = 0; i < rows; i++)
		for (uint32_t g = 0; g < c->groups; g++)
			mean[g] += (double)q[i * c->groups + g] / (double)rows;
	ek_probe_unfold(share, told, mean, (int)rounds, c->groups);
	ek_probe_rake(q, share, rows, c->groups);
out:
	free(told);
	free(mean);
	free(share);
	return rc;
}
