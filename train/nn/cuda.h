/*
 * GPUs by CUDA. The driver, and the library cuBLASLt, are looked for when they are first wanted: a program that is
 * built for them starts on a machine without any. In a build without CUDA every function here fails with EK_ENOTSUP and
 * says so.
 *
 * Libraries are taken from the system's paths, from $CUDA_HOME, or from ${XDG_CACHE_HOME:-~/.cache}/evenkeel/cuda,
 * which may be laid out as Python's site-packages are: nvidia/NAME/lib.
 */
#ifndef EK_NN_CUDA_H
#define EK_NN_CUDA_H

#include <stdint.h>

#include "train/nn/device.h"

/* The GPUs of this machine: 1 or more, or EK_ENOTSUP: no driver, one that is too old, no GPU. */
int ek_cuda_count(void);
/* 1: there seems to be one, by its file in /dev; unlike ek_cuda_count this does not wake the driver, which takes a
 * while. 0 in a build without CUDA. */
int ek_cuda_seen(void);

struct ek_cuda_gpu {
	char name[256];
	int major, minor;     /* compute capability */
	uint64_t bytes, free; /* memory */
};
/* GPU number … of ek_cuda_count(). */
int ek_cuda_gpu(struct ek_cuda_gpu *out, int number);

struct ek_cuda_library {
	const char *name;
	char version[32], path[1024]; /* path: where it was loaded from; it must not be freed, it stays loaded */
};
/* cuBLASLt. EK_ENOTSUP with the places that were looked at. */
int ek_cuda_library(struct ek_cuda_library *out);
/* CUDA's version that this program is built with, and the newest that the driver knows (0 without one), as "13.0". */
int ek_cuda_versions(char built[16], char driver[16]);

/* The device for ek_device_set on this GPU, which this process keeps. EK_ENOTSUP: no such GPU, or one that is too old,
 * or cuBLASLt is missing; EK_EUSAGE: another one was chosen before. */
int ek_cuda_choose(const struct ek_device **out, int number);
/* Wait until all work on the GPU that was chosen is done, for times; 0 in a build without CUDA. */
int ek_cuda_wait(void);

#endif
