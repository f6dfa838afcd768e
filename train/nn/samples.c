#include "train/nn/samples.h"

#include "rebalance/base/error.h"
#include "rebalance/base/random.h"
#include "train/nn/device_internal.h"
#include "train/nn/samples_internal.h"

size_t ek_samples_size(const struct ek_samples *s)
{
	return s->count * s->pixels * s->channels;
}

static size_t predicted(const struct ek_samples *s)
{
	return s->count * s->pixels * s->outputs;
}

/* *out is an array on the device. */
static int make(struct ek_samples *s, void *out, size_t bytes)
{
	void *memory;
	int rc;

	EK_TRY(s->device->alloc(&memory, bytes));
	*(void **)out = memory;
out:
	return rc;
}

int ek_samples_init(struct ek_samples *s, int on_device, const uint64_t *seeds)
{
	const size_t size = ek_samples_size(s);
	int rc;

	s->device = on_device ? ek_device() : &ek_device_cpu;
	EK_TRY(make(s, &s->x, size * sizeof *s->x));
	EK_TRY(make(s, &s->slope, size * sizeof *s->slope));
	EK_TRY(make(s, &s->noise, size * sizeof *s->noise));
	EK_TRY(make(s, &s->place, size * sizeof *s->place));
	EK_TRY(make(s, &s->with, predicted(s) * sizeof *s->with));
	EK_TRY(make(s, &s->without, predicted(s) * sizeof *s->without));
	EK_TRY(make(s, &s->seeds, s->count * sizeof *s->seeds));
	s->device->upload(s->seeds, seeds, s->count * sizeof *seeds);
out:
	return rc;
}

void ek_samples_release(struct ek_samples *s)
{
	void *const arrays[] = { s->x, s->slope, s->noise, s->place, s->with, s->without, s->seeds };

	for (size_t i = 0; s->device != NULL && i < sizeof arrays / sizeof *arrays; i++)
		s->device->release(arrays[i]);
	*s = (struct ek_samples){ 0 };
}

int ek_samples_read(const struct ek_samples *s, double *out)
{
	s->device->download(out, s->x, ek_samples_size(s) * sizeof *out);
	return s->device->check != NULL ? s->device->check() : 0;
}

int ek_samples_normals(struct ek_samples *s, double *out, uint64_t stream, uint64_t step)
{
	return s->device->normals(s, out, stream, step);
}

int ek_samples_move(struct ek_samples *s, const struct ek_move *move)
{
	return s->device->move(s, move);
}

int ek_cpu_normals(const struct ek_samples *s, double *out, uint64_t stream, uint64_t step)
{
	const size_t elements = s->pixels * s->channels;

	for (size_t i = 0; i < s->count; i++)
		for (size_t j = 0; j < elements; j++)
			out[i * elements + j] = ek_random_normal(s->seeds[i], stream, step * elements + j);
	return 0;
}

int ek_cpu_move(const struct ek_samples *s, const struct ek_move *move)
{
	const size_t size = ek_samples_size(s);

	for (size_t i = 0; i < size; i++)
		ek_move_number(s, move, i);
	return 0;
}
