/*
 * Quotas: how many images of each unit a plan keeps. Pure arithmetic on sizes (definitions.md, sections 5 and 6).
 *
 * sizes: [k] images of each unit, in; their sum below 2^53. out: [k]. Ties: lower index first.
 * Every function returns 0, EK_ENOMEM, or what is said below; `out` is then undefined.
 */
#ifndef EK_PLAN_QUOTA_H
#define EK_PLAN_QUOTA_H

#include <stddef.h>
#include <stdint.h>

/*
 * The same fraction of each, sum(out) = total: floor(total size / n), and one more for the largest remainders, in exact
 * integers. total <= n. (As every largest-remainder rule it may give a tiny unit one image less for a larger total.)
 */
int ek_quota_proportional(uint64_t *out, const uint64_t *sizes, size_t k, uint64_t total);

/* The paper's counts: floor(keep size) in double, as the authors' code has it. 0 < keep <= 1. */
void ek_quota_floor(uint64_t *out, const uint64_t *sizes, size_t k, double keep);

/*
 * `total` divided by shares [k] >= 0, each unit at most cap[k]: x = min(cap, lambda share) with sum x = total, so that
 * what a full unit cannot take goes to the others in proportion; then largest remainders.
 * EK_EDATA: no share is above 0, or the caps of the units with a share do not reach the total.
 */
int ek_quota_shares(uint64_t *out, const double *shares, const uint64_t *cap, size_t k, uint64_t total);

/* The largest total that ek_quota_shares can divide with every share met: floor(min cap / share), shares summing to 1;
 * 0 if an empty unit has a share. */
uint64_t ek_quota_largest_total(const double *shares, const uint64_t *cap, size_t k);

/* Every unit cut to the smallest non-empty one of at least min_size images; smaller ones are left whole.
 * EK_EDATA: no unit is that large. */
int ek_quota_smallest(uint64_t *out, const uint64_t *sizes, size_t k, uint64_t min_size);

/*
 * Water-filling with a repeat cap (Vo et al. 2024; facebookresearch/ssl-data-curation): the largest integer L with
 * sum min(L, repeat size) <= total; each unit gets min(L, repeat size), and what is left goes one each to units drawn
 * by seed among those still above L. Everything, repeat size, if that is no more than total. repeat >= 1.
 */
int ek_quota_water_filling(uint64_t *out, const uint64_t *sizes, size_t k, uint64_t total, uint64_t repeat,
                           uint64_t seed);

/*
 * Density-based pruning (Abbas et al. 2024): minimise 1/2 sum (x_k - P_k total)^2 with sum x = total and
 * lo_k <= x_k <= size_k, where P = softmax(complexity / tau) and lo_k = min(floor(balance total / K), size_k - 1), over
 * the K non-empty units: x_k = clip(P_k total + lambda, lo_k, size_k), lambda by bisection; then largest remainders.
 *
 * complexity: [k]; not finite counts as the mean of the others. real: [k] x, or NULL. total <= n; tau > 0; balance in
 * [0, 1]. EK_EDATA: all units are empty.
 */
int ek_quota_density(uint64_t *out, double *real, const double *complexity, const uint64_t *sizes, size_t k,
                     uint64_t total, double tau, double balance);

#endif
