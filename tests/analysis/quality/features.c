#include "tests/analysis/quality/features.h"

#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"

static void fill(float *x, const char *name, uint64_t n, size_t d, int decay, double shift)
{
	float *u = NULL;

	assert_ok(ek_alloc(&u, n * d, sizeof *u));
	ek_random_units(u, name, n * d);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < d; j++) {
			const double next = (double)u[i * d + (j + 1) % d];

			x[i * d + j] = (float)(((double)u[i * d + j] + 0.5 * next + shift) *
			                       ldexp(1, -(int)(j % (size_t)decay)));
		}
	free(u);
}

void ek_features_copy(struct ek_features *out, const float *data, uint64_t n, size_t d)
{
	float *copy = NULL;

	assert_ok(ek_alloc(&copy, n * d, sizeof *copy));
	memcpy(copy, data, n * d * sizeof *copy);
	*out = (struct ek_features){ .array = ek_rows_memory(copy, n, d), .data = copy };
	assert_ok(ek_rows_of(&out->rows, &out->array, 0));
}

void ek_features_make(struct ek_features *out, const char *name, uint64_t n, size_t d, int decay, double shift,
                      const char *kind)
{
	float *x = NULL;
	uint16_t *halves;

	assert_ok(ek_alloc(&x, n * d, sizeof *x));
	fill(x, name, n, d, decay, shift);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(kind, "twice") == 0)
			memcpy(x + i * d + d / 2, x + i * d, (d - d / 2) * sizeof *x);
		if (strcmp(kind, "constant") == 0 && i > 0)
			memcpy(x + i * d, x, d * sizeof *x);
	}
	ek_features_copy(out, x, n, d);
	if (strcmp(kind, "f2") == 0) {
		halves = out->data;
		for (size_t i = 0; i < n * d; i++)
			halves[i] = ek_float_to_half(x[i]);
		out->array.type = EK_F16;
	}
	free(x);
	assert_ok(ek_rows_of(&out->rows, &out->array, 0));
}

void ek_features_release(struct ek_features *f)
{
	free(f->data);
	*f = (struct ek_features){ 0 };
}

double ek_number(const cJSON *object, const char *name)
{
	double value = 0;

	assert_ok(ek_json_get_double(&value, object, name, "quality.json"));
	return value;
}

const char *ek_text(const cJSON *object, const char *name)
{
	const char *value = NULL;

	assert_ok(ek_json_get_string(&value, object, name, "quality.json"));
	return value;
}
