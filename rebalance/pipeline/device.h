/*
 * Where a command computes: what --device says, and for "auto" whether its work is worth a GPU. It holds for the
 * process: a GPU that was taken stays. Results do not depend on it beyond the bounds that docs/gpu.md states, so
 * nothing is stale because another device would make it now.
 */
#ifndef EK_PIPELINE_DEVICE_H
#define EK_PIPELINE_DEVICE_H

#include "train/nn/bf16.h" /* what the processor has */
#include "train/nn/cuda.h" /* which GPUs there are */

struct ek_device;

/* What a command's work has on a GPU. */
enum ek_device_ways {
	EK_WAYS_NOTHING, /* it does nothing heavy: whatever is wished, the processor does it */
	EK_WAYS_GPU      /* some or all of it can be done there */
};

/* EK_EUSAGE: not "auto", "cpu", "cuda" or "cuda:N". */
int ek_device_check(const char *text);

/* Before any work, what a command was told; text NULL: auto. A GPU that is asked for is opened now, and a line says
 * which it is. EK_EUSAGE, EK_ENOTSUP: there is no such GPU, the driver is missing or too old, or a library is missing.
 */
int ek_device_wish(const char *text, enum ek_device_ways ways);

/* Before the arrays and networks of some work are made: about so many multiply-adds are to come. With "auto" a GPU that
 * can be had is taken if they are worth opening it. Where there is one, a line says whether it is taken or why not. */
void ek_device_for(double work);
/* Where bfloat16 is asked for and the processor does not multiply in it, any work is worth a GPU. */
void ek_device_for_precision(enum ek_nn_precision precision);

/* Of such work a part that has no way on a GPU: until `back` with what this returns, networks are made on the
 * processor. A line says so if a GPU was taken, once for each part. what: "training an autoencoder" */
const struct ek_device *ek_device_without(const char *what);
void ek_device_back(const struct ek_device *before);

#endif
