/*
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random
 * numbers: as easy as 1, 2, 3"). Each value is a pure function of (seed, stream, index), so results
 * depend on neither order nor threads. `stream` separates uses: take ek_random_stream("name").
 */
#ifndef EK_BASE_RANDOM_H
#define EK_BASE_RANDOM_H

#include <stdint.h>

/* The raw block function: counter[4], key[2] to out[4]. */
void ek_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* A stream number from a name: FNV-1a 64. */
uint64_t ek_random_stream(const char *name);

/* Uniform over all 64-bit values. */
uint64_t ek_random_u64(uint64_t seed, uint64_t stream, uint64_t index);
/* Uniform in [0, 1), a multiple of 2^-53. */
double ek_random_double(uint64_t seed, uint64_t stream, uint64_t index);
/* Uniform in 0 … n-1, n ≥ 1; bias below n / 2^64 (multiply-shift). */
uint64_t ek_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n);
/* Standard normal (Box–Muller). */
double ek_random_normal(uint64_t seed, uint64_t stream, uint64_t index);

#endif
