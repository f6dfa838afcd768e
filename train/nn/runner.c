#include "train/nn/runner.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

int ek_runner_check_memory(const struct ek_net *net, int states, int of_one)
{
	const uint64_t needed = (uint64_t)states * ek_net_state_bytes(net), there = ek_device_available();
	const double gib = 0x1p30;
	const int batch = ek_net_batch(net) / of_one;
	int fit;

	if (there == 0 || needed <= there)
		return 0;
	fit = (int)((double)there / (double)needed * batch);
	if (fit < 1)
		return ek_fail(EK_ENOMEM,
		               "a network needs %.2f GiB of memory and %.2f GiB are free: too little for one image",
		               (double)needed / gib, (double)there / gib);
	return ek_fail(EK_ENOMEM,
	               "%d images at a time need %.2f GiB of memory and %.2f GiB are free: %d at a time would fit",
	               batch, (double)needed / gib, (double)there / gib, fit);
}

static int init(struct ek_runner *r, const struct ek_net *net, const struct ek_runner *of)
{
	int rc;

	*r = (struct ek_runner){ .net = net, .workers = of != NULL ? of->workers : ek_device_workers() };
	if (of == NULL)
		EK_TRY(ek_runner_check_memory(net, r->workers, 1));
	EK_TRY(ek_alloc(&r->states, (size_t)r->workers, sizeof *r->states));
	for (int i = 0; i < r->workers; i++)
		EK_TRY(of != NULL ? ek_net_state_share(&r->states[i], net, of->states[i])
		                  : ek_net_state_new(&r->states[i], net));
out:
	if (rc < 0)
		ek_runner_release(r);
	return rc;
}

int ek_runner_init(struct ek_runner *r, const struct ek_net *net)
{
	return init(r, net, NULL);
}

int ek_runner_share(struct ek_runner *r, const struct ek_net *net, const struct ek_runner *of)
{
	return init(r, net, of);
}

void ek_runner_release(struct ek_runner *r)
{
	for (int i = 0; r->states != NULL && i < r->workers; i++)
		ek_net_state_free(r->states[i]);
	free(r->states);
	*r = (struct ek_runner){ 0 };
}

size_t ek_runner_bytes(const struct ek_net *net)
{
	return (size_t)ek_device_workers() * ek_net_state_bytes(net);
}

struct map {
	struct ek_runner *runner;
	const struct ek_runner_work *work;
	uint64_t count;
};

static int run_slice(void *context, uint64_t piece, int worker)
{
	const struct map *m = context;
	struct ek_net_state *s = m->runner->states[worker];
	const uint64_t batch = (uint64_t)ek_net_batch(m->runner->net), first = piece * batch, left = m->count - first;
	const int count = (int)(left < batch ? left : batch);
	int rc;

	EK_TRY(m->work->fill(m->work->context, first, count, s));
	ek_net_clear_inputs(s, count);
	EK_TRY(ek_net_forward(s));
	EK_TRY(m->work->take(m->work->context, first, count, s));
out:
	return rc;
}

int ek_runner_map(struct ek_runner *r, uint64_t count, const struct ek_runner_work *work)
{
	const uint64_t batch = (uint64_t)ek_net_batch(r->net);
	struct map m = { .runner = r, .work = work, .count = count };

	return ek_device_parallel((count + batch - 1) / batch, run_slice, &m);
}
