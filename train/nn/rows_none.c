/* In place of rows_cuda.c in a build without CUDA. */
#include "rebalance/base/error.h"
#include "train/nn/rows.h"

static int none(void)
{
	return ek_fail(EK_ENOTSUP, "rows are compared by the processor alone in this build");
}

int ek_nn_rows_there(void)
{
	return 0;
}

void ek_nn_rows_choose(int there)
{
	(void)there;
}

int ek_nn_rows_new(struct ek_nn_rows **out, const struct ek_nn_rows_source *source)
{
	(void)source;
	*out = NULL;
	return none();
}

void ek_nn_rows_free(struct ek_nn_rows *rows)
{
	(void)rows;
}

void ek_nn_rows_limit(uint64_t bytes)
{
	(void)bytes;
}

int ek_nn_rows_nearest(struct ek_nn_rows *rows, int32_t *assignment, double *distance2, const float *centroids,
                       uint32_t k, uint32_t first, uint64_t *changed)
{
	(void)rows, (void)assignment, (void)distance2, (void)centroids, (void)k, (void)first, (void)changed;
	return none();
}

int ek_nn_rows_begin(struct ek_nn_rows *rows, const int32_t *assignment, const double *distance2,
                     const float *centroids, uint32_t k)
{
	(void)rows, (void)assignment, (void)distance2, (void)centroids, (void)k;
	return none();
}

int ek_nn_rows_move(struct ek_nn_rows *rows, int unit)
{
	(void)rows, (void)unit;
	return none();
}

int ek_nn_rows_search(struct ek_nn_rows *rows, const double **distance2, uint64_t *changed)
{
	(void)rows, (void)distance2, (void)changed;
	return none();
}

int ek_nn_rows_result(struct ek_nn_rows *rows, int32_t *assignment, double *distance2, float *centroids)
{
	(void)rows, (void)assignment, (void)distance2, (void)centroids;
	return none();
}

int ek_nn_rows_neighbours(struct ek_nn_rows *queries, struct ek_nn_rows *set, size_t k, int itself,
                          ek_nn_rows_take *take, void *context)
{
	(void)queries, (void)set, (void)k, (void)itself, (void)take, (void)context;
	return none();
}

int ek_nn_rows_within(struct ek_nn_rows *rows, struct ek_nn_rows *columns, const struct ek_nn_rows_balls *balls,
                      ek_nn_rows_take *take, void *context)
{
	(void)rows, (void)columns, (void)balls, (void)take, (void)context;
	return none();
}
