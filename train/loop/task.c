#include "train/loop/task.h"

#include <assert.h>
#include <string.h>

#include "rebalance/base/error.h"

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

static int forward(const struct ek_task *task, const struct ek_task_net *n, int worker, const struct ek_slice *slice,
                   int judging)
{
	struct ek_net_state *s = n->runner.states[worker];
	int parts = 0, rc;

	assert(slice->count == ek_net_batch(n->net));
	while (task->part_names[parts] != NULL)
		parts++;
	if (parts > 0)
		memset(slice->parts, 0, (size_t)(slice->count * parts) * sizeof *slice->parts);
	EK_TRY(task->fill(task->context, worker, slice, judging, s));
	EK_TRY(ek_net_forward(s));
	take(slice->losses, 1, ek_net_view(s, n->loss), slice->count);
	for (int i = 0; i < parts; i++)
		if (n->parts[i] > 0)
			take(slice->parts + i, parts, ek_net_view(s, n->parts[i]), slice->count);
out:
	return rc;
}

int ek_task_learn(const struct ek_task *task, int worker, const struct ek_slice *slice, struct ek_store *store)
{
	const struct ek_task_net *n = task->nets;
	struct ek_net_state *s;
	int rc;

	while (n + 1 < task->nets + task->net_count && slice->step >= n[1].from)
		n++;
	s = n->runner.states[worker];
	EK_TRY(forward(task, n, worker, slice, 0));
	ek_net_write_gradient(s, n->learned, slice->weights);
	EK_TRY(ek_net_backward(s, store, slice->turn));
out:
	return rc;
}

int ek_task_judge(const struct ek_task *task, int worker, const struct ek_slice *slice)
{
	return forward(task, task->nets, worker, slice, 1);
}
