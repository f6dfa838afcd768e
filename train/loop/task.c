#include "train/loop/task.h"

#include <assert.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/threads.h"
#include "train/nn/device.h"

void ek_task_net_release(struct ek_task_net *n)
{
	ek_runner_release(&n->runner);
	ek_net_free(n->net);
	*n = (struct ek_task_net){ 0 };
}

int ek_task_load(const struct ek_task *task, const struct ek_store *store, enum ek_family family)
{
	int rc = 0;

	for (int i = 0; i < task->net_count; i++)
		EK_TRY(ek_net_load_from(task->nets[i].net, store, family));
out:
	return rc;
}

/* A number of each image, as a net gives them: out[j · stride] = x[j]. */
static void take(double *out, int stride, const float *x, int count)
{
	for (int j = 0; j < count; j++)
		out[j * stride] = (double)x[j];
}

static int part_count(const struct ek_task *task)
{
	int count = 0;

	while (task->part_names[count] != NULL)
		count++;
	return count;
}

int ek_task_each(int count, int worker, int (*image)(void *context, uint64_t j, int worker), void *context)
{
	int rc = 0;

	if (ek_device_takes_batches())
		return ek_parallel((uint64_t)count, image, context);
	for (int j = 0; j < count && rc == 0; j++)
		rc = image(context, (uint64_t)j, worker);
	return rc;
}

static int forward(const struct ek_task *task, const struct ek_task_net *n, int worker, const struct ek_slice *slice,
                   int judging)
{
	const size_t parts = (size_t)(slice->count * part_count(task));
	int rc;

	assert(slice->count == ek_net_batch(n->net));
	if (parts > 0)
		memset(slice->parts, 0, parts * sizeof *slice->parts);
	if (judging || ek_net_marked(n->runner.states[worker]) != slice->position + 1)
		EK_TRY(task->fill(task->context, worker, slice, judging, n->runner.states[worker]));
	EK_TRY(ek_net_forward(n->runner.states[worker]));
out:
	return rc;
}

/* The one that learns. */
static const struct ek_task_net *net_of(const struct ek_task *task, const struct ek_slice *slice)
{
	const struct ek_task_net *n = task->nets;

	while (n + 1 < task->nets + task->net_count && slice->step >= n[1].from)
		n++;
	return n;
}

/* If it fails, it is tried again in its turn. */
void ek_task_ahead(const struct ek_task *task, int worker, const struct ek_slice *next)
{
	struct ek_net_state *s = net_of(task, next)->runner.states[worker];

	if (task->fills_ahead && ek_device_takes_batches() && task->fill(task->context, worker, next, 0, s) == 0)
		ek_net_mark(s, next->position + 1);
}

static void fetch(const struct ek_task *task, const struct ek_task_net *n, int worker)
{
	struct ek_net_state *s = n->runner.states[worker];

	ek_net_fetch(s, n->loss);
	for (int i = 0; i < part_count(task); i++)
		if (n->parts[i] > 0)
			ek_net_fetch(s, n->parts[i]);
}

static void report(const struct ek_task *task, const struct ek_task_net *n, int worker, const struct ek_slice *slice)
{
	struct ek_net_state *s = n->runner.states[worker];
	const int parts = part_count(task);

	take(slice->losses, 1, ek_net_fetched(s, n->loss), slice->count);
	for (int i = 0; i < parts; i++)
		if (n->parts[i] > 0)
			take(slice->parts + i, parts, ek_net_fetched(s, n->parts[i]), slice->count);
}

void ek_task_report(const struct ek_task *task, int worker, const struct ek_slice *slice)
{
	report(task, net_of(task, slice), worker, slice);
}

int ek_task_learn(const struct ek_task *task, int worker, const struct ek_slice *slice, struct ek_store *store)
{
	const struct ek_task_net *n = net_of(task, slice);
	int rc;

	EK_TRY(forward(task, n, worker, slice, 0));
	ek_net_write_gradient(n->runner.states[worker], n->learned, slice->weights);
	EK_TRY(ek_net_backward(n->runner.states[worker], store, slice->turn));
	fetch(task, n, worker);
	if (!slice->unread)
		report(task, n, worker, slice);
out:
	return rc;
}

int ek_task_judge(const struct ek_task *task, int worker, const struct ek_slice *slice)
{
	int rc;

	EK_TRY(forward(task, task->nets, worker, slice, 1));
	fetch(task, task->nets, worker);
	report(task, task->nets, worker, slice);
out:
	return rc;
}
