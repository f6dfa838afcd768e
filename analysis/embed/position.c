#include "analysis/embed/position.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

/* Keys' cubic kernel. */
static double cubic(double x, double a)
{
	x = fabs(x);
	if (x < 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	if (x < 2)
		return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
	return 0;
}

/* Row `i` of the [new_side, side] matrix that resizes one axis; `scale`: old patches a new one. */
static void plain_row(double *row, int i, double scale, int side)
{
	const double centre = (i + 0.5) * scale - 0.5, start = floor(centre);

	for (int tap = -1; tap <= 2; tap++) {
		const int at = (int)start + tap;

		row[at < 0 ? 0 : at >= side ? side - 1 : at] += cubic(start + tap - centre, -0.75);
	}
}

static void antialiased_row(double *row, int i, double scale, int side)
{
	const double widening = scale > 1 ? scale : 1, support = 2 * widening;
	const double centre = (i + 0.5) * scale;
	const int first = (int)fmax(centre - support + 0.5, 0), end = (int)fmin(centre + support + 0.5, side);
	double sum = 0;

	for (int at = first; at < end; at++)
		sum += row[at] = cubic((at - centre + 0.5) / widening, -0.5);
	for (int at = first; at < end; at++)
		row[at] /= sum;
}

int ek_position_interpolate(float *out, int new_side, const float *in, int side, int width, enum ek_position_rule rule)
{
	const double scale = side / (rule == EK_POSITION_OFFSET ? new_side + 0.1 : new_side);
	const size_t row_size = (size_t)side * (size_t)width;
	double *matrix = NULL, *line = NULL;
	int rc;

	EK_TRY(ek_alloc(&matrix, (size_t)new_side * (size_t)side, sizeof *matrix));
	EK_TRY(ek_alloc(&line, row_size, sizeof *line));
	for (int i = 0; i < new_side; i++)
		(rule == EK_POSITION_ANTIALIAS ? antialiased_row : plain_row)(matrix + (size_t)i * (size_t)side, i,
		                                                              scale, side);
	for (int y = 0; y < new_side; y++) {
		memset(line, 0, row_size * sizeof *line);
		for (int from = 0; from < side; from++) {
			const double weight = matrix[y * side + from];

			for (size_t j = 0; weight != 0 && j < row_size; j++)
				line[j] += weight * (double)in[(size_t)from * row_size + j];
		}
		for (int x = 0; x < new_side; x++, out += width)
			for (int j = 0; j < width; j++) {
				double sum = 0;

				for (int from = 0; from < side; from++)
					sum += matrix[x * side + from] * line[(size_t)from * (size_t)width + (size_t)j];
				out[j] = (float)sum;
			}
	}
out:
	free(matrix);
	free(line);
	return rc;
}
