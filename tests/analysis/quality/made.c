#include "tests/analysis/quality/made.h"
#include "tests/support/support.h"

uint64_t made_bits(uint64_t seed, uint64_t index)
{
	uint64_t z = (index + (seed << 32) + 1) * UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

double made_bell(uint64_t seed, uint64_t index)
{
	const uint64_t z = made_bits(seed, index);
	double total = 0;

	for (int part = 0; part < 4; part++)
		total += (double)(z >> (16 * part) & 0xFFFF);
	return (total - 131070) / 37837;
}

static float value_of(const char *kind, uint64_t seed, uint64_t i, size_t j, size_t d)
{
	const uint64_t at = i * d + j;
	const double bell = made_bell(seed, at);

	if (strcmp(kind, "lattice") == 0)
		return (float)(made_bits(seed, at) % 7);
	if (strcmp(kind, "alike") == 0)
		return 0.5F;
	if (strcmp(kind, "far") == 0)
		return (float)(1000 + bell);
	if (strcmp(kind, "half") == 0)
		return ek_half_to_float(ek_float_to_half((float)bell));
	if (strcmp(kind, "places") == 0)
		return (float)(bell + (j == 0 ? 40 * (double)(i % 3) : 0));
	return (float)bell;
}

void made_init(struct made *m, const char *kind, uint64_t seed, uint64_t n, size_t d)
{
	*m = (struct made){ .n = n, .d = d, .x = calloc(n * d, sizeof *m->x) };
	assert_non_null(m->x);
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t from = strcmp(kind, "twice") == 0 && i >= n / 2 ? i - n / 2 : i;

		for (size_t j = 0; j < d; j++)
			m->x[i * d + j] = value_of(kind, seed, from, j, d);
	}
	m->array = ek_rows_memory(m->x, n, d);
	if (strcmp(kind, "half") == 0) {
		m->half = calloc(n * d, sizeof *m->half);
		assert_non_null(m->half);
		for (uint64_t i = 0; i < n * d; i++)
			m->half[i] = ek_float_to_half(m->x[i]);
		m->array.type = EK_F16;
		m->array.data = m->half;
	}
	assert_ok(ek_rows_of(&m->rows, &m->array, 0));
}

void made_release(struct made *m)
{
	free(m->x);
	free(m->half);
}
