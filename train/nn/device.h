/*
 * Where networks compute and what they compute with lies. One device serves a process: it is chosen before the first
 * network or store is made.
 */
#ifndef EK_NN_DEVICE_H
#define EK_NN_DEVICE_H

#include <stdint.h>

#include "train/nn/tensor.h"

struct ek_device;

extern const struct ek_device ek_device_cpu;
extern const struct ek_device ek_device_cuda; /* in a build with CUDA; by ek_cuda_choose (cuda.h) */

/* That of networks and stores that name none: what was set, else the CPU. */
const struct ek_device *ek_device(void);
/* NULL: the CPU again. Not while a network or store of another is there. */
void ek_device_set(const struct ek_device *device);

/* 1 if it has bfloat16 products. */
int ek_device_has_bf16(void);
/* The format that a precision means on it. */
enum ek_nn_type ek_nn_precision_type(enum ek_nn_precision precision);

/* How many slices of a batch the chosen one runs at a time: ek_threads(), or fewer. */
int ek_device_workers(void);
/* 1: it runs one slice after another, each on all of itself, so that whole batches are best. */
int ek_device_takes_batches(void);
/* ek_parallel (base/threads.h) on so many workers: for pieces that run networks. */
int ek_device_parallel(uint64_t count, int (*piece)(void *context, uint64_t i, int worker), void *context);
/* 0, or what went wrong with anything that it was given before: what was read may be wrong then. EK_ENOTSUP. */
int ek_device_fault(void);
/* Bytes of its memory that are free; 0: not known. */
uint64_t ek_device_available(void);

#endif
