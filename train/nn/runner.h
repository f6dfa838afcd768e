/*
 * A net with a state for each of ek_device_workers() workers, and images cut into slices of the net's batch for them.
 */
#ifndef EK_NN_RUNNER_H
#define EK_NN_RUNNER_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/net.h"

struct ek_runner {
	const struct ek_net *net;
	struct ek_net_state **states; /* [workers] */
	int workers;
};

/* Before so many states of a net are made: EK_ENOMEM if that much of the device's memory is not free; the message says
 * how many images at a time would fit, so many of the net's being one that was asked for. */
int ek_runner_check_memory(const struct ek_net *net, int states, int of_one);
/* The net is finished, and outlives the runner. `= { 0 }` can be released. EK_ENOMEM, by the check above, too. */
int ek_runner_init(struct ek_runner *r, const struct ek_net *net);
/* The same with each state in the memory of one of another's (ek_net_state_share), which it must not outlive. */
int ek_runner_share(struct ek_runner *r, const struct ek_net *net, const struct ek_runner *of);
void ek_runner_release(struct ek_runner *r);
/* Bytes of all states of a runner of this net. */
size_t ek_runner_bytes(const struct ek_net *net);

/* What is done with images first … first + count - 1, the first of a slice: before forward, which finds the inputs of
 * what is left of the slice 0, and after it. On any worker, in any order. */
struct ek_runner_work {
	void *context;
	int (*fill)(void *context, uint64_t first, int count, struct ek_net_state *s);
	int (*take)(void *context, uint64_t first, int count, struct ek_net_state *s);
};
/* Forward of `count` images, slice i being images i · batch …: what comes out does not depend on the threads. 0, or the
 * code of what failed. Not from within a piece. */
int ek_runner_map(struct ek_runner *r, uint64_t count, const struct ek_runner_work *work);

#endif
