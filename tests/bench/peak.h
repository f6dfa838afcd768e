/* The limit that matrix products are measured against. */
#ifndef EK_BENCH_PEAK_H
#define EK_BENCH_PEAK_H

#include "train/nn/tensor.h"

/* GFLOP/s of multiply-adds on registers alone, on all threads, by their processor time, the best of five; 0 where the
 * processor has no such instruction. */
double ek_bench_peak(enum ek_nn_type type);

#endif
