#!/usr/bin/env python3
"""Golden data of rebalance/plan: a NumPy reference of the definitions, SciPy's quadratic programme, imbalanced-learn.

make_plan.py > plan.json
"""
import json
from fractions import Fraction

import imblearn
import numpy as np
import scipy
from imblearn.under_sampling import RandomUnderSampler
from scipy.optimize import minimize


def largest_remainder(real, total, cap=None):
    """real: exact Fractions or floats that sum to total."""
    low = [int(x // 1) for x in real]
    order = sorted(range(len(real)), key=lambda i: (-(real[i] - low[i]), i))
    missing = total - sum(low)
    for i in order:
        if missing == 0:
            break
        if cap is None or low[i] < cap[i]:
            low[i] += 1
            missing -= 1
    assert missing == 0
    return low


def proportional(sizes, total):
    n = sum(sizes)
    return largest_remainder([Fraction(total * s, n) for s in sizes], total)


def shares_with_caps(shares, cap, total):
    """The exact water-filling: fix what is full until nothing more fills."""
    full = set()
    while True:
        rest = total - sum(cap[i] for i in full)
        weight = sum(Fraction(shares[i]) for i in range(len(cap)) if i not in full)
        more = {i for i in range(len(cap))
                if i not in full and shares[i] > 0 and Fraction(shares[i]) * rest >= cap[i] * weight}
        if not more:
            break
        full |= more
    real = [Fraction(cap[i]) if i in full else (Fraction(shares[i]) * rest / weight if weight else Fraction(0))
            for i in range(len(cap))]
    return largest_remainder(real, total, cap)


def smallest(sizes, least):
    size = min(s for s in sizes if s > 0 and s >= least)
    return [min(s, size) for s in sizes]


def density(complexity, sizes, total, tau, balance):
    """min 1/2 |x - P T|^2 over the non-empty units, by SciPy's SLSQP."""
    units = [i for i, s in enumerate(sizes) if s > 0]
    c = np.array([complexity[i] for i in units], float)
    c[~np.isfinite(c)] = np.mean(c[np.isfinite(c)])
    p = np.exp((c - c.max()) / tau)
    p /= p.sum()
    n = np.array([sizes[i] for i in units], float)
    low = np.minimum(np.floor(balance * total / len(units)), n - 1)
    start = low + (n - low) * (total - low.sum()) / (n - low).sum()
    got = minimize(lambda x: 0.5 * np.sum((x - p * total) ** 2) / total, start, jac=lambda x: (x - p * total) / total,
                   bounds=list(zip(low, n)), constraints={"type": "eq", "fun": lambda x: x.sum() - total,
                                                          "jac": lambda x: np.ones_like(x)},
                   method="SLSQP", options={"ftol": 1e-16, "maxiter": 2000})
    # 8: no descent is left within rounding. Either way all free units must have the same gradient.
    assert got.status in (0, 8), got
    free = (got.x > low + 1e-5) & (got.x < n - 1e-5)
    slope = (got.x - p * total)[free]
    assert slope.size == 0 or np.ptp(slope) < 2e-7, got
    real = np.zeros(len(sizes))
    real[units] = got.x
    return real.tolist()


def ordered(values, falling):
    return np.argsort(-values if falling else values, kind="stable")


def select(unit, k, values, falling, quota, middle, keep):
    kept = []
    for u in range(k):
        ids = np.flatnonzero(unit == u)
        ids = ids[ordered(values[ids], falling)]
        n = len(ids)
        skip = 0
        if middle:
            skip = int((1 - keep) / 2 * n) if keep else (n - quota[u]) // 2
            skip = min(skip, n - quota[u])
        kept += ids[skip:skip + quota[u]].tolist()
    return sorted(kept)


def cases(unit, k, distance, score, fractions):
    everything = np.zeros(len(unit), int)
    out = []
    for keep in fractions:
        for rounding in ("exact", "floor"):
            for method, by, values, falling, middle in (
                    ("furthest", "cluster", distance, True, False), ("nearest", "cluster", distance, False, False),
                    ("middle", "cluster", distance, True, True), ("furthest", "all", distance, True, False),
                    ("high", "cluster", score, True, False), ("low", "all", score, False, False),
                    ("middle score", "all", score, True, True)):
                groups, count = (unit, k) if by == "cluster" else (everything, 1)
                sizes = np.bincount(groups, minlength=count).tolist()
                if rounding == "exact":
                    quota = proportional(sizes, int(np.floor(keep * len(unit) + 0.5)))
                else:
                    quota = [int(np.floor(keep * s)) for s in sizes]
                if sum(quota) == 0:
                    continue
                out.append({"method": method, "by": by, "keep": keep, "rounding": rounding,
                            "ids": select(groups, count, values, falling, quota, middle, keep)})
    return out


def data_set(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 9))
    n = int(rng.integers(1, 120)) if seed else 1
    unit = rng.choice(k, n, p=rng.dirichlet(np.full(k, 0.5)))
    distance = np.round(rng.gamma(2, 1, n), 1 if seed % 2 else 6).astype(np.float32)
    score = np.round(rng.normal(0, 2, n), 1 if seed % 2 else 9)
    sizes = np.bincount(unit, minlength=k).tolist()
    balanced = []
    for least in (0, 3):
        if max(sizes) < max(least, 1):
            continue
        quota = smallest(sizes, least)
        for rule, falling, middle in (("furthest", True, False), ("nearest", False, False), ("middle", True, True)):
            balanced.append({"min_cluster": least, "rule": rule,
                             "ids": select(unit, k, distance, falling, quota, middle, None)})
    if len(set(unit.tolist())) > 1:
        sampler = RandomUnderSampler(random_state=seed)
        _, resampled = sampler.fit_resample(np.arange(n).reshape(-1, 1), unit)
        assert np.bincount(resampled, minlength=k).tolist() == smallest(sizes, 0)
    return {"n": n, "k": k, "unit": unit.tolist(), "distance": distance.astype(float).tolist(),
            "score": score.tolist(), "cases": cases(unit, k, distance, score, (0.1, 0.3, 0.5, 0.77, 1.0)),
            "balanced": balanced}


def quotas(seed):
    rng = np.random.default_rng(1000 + seed)
    k = int(rng.integers(1, 12))
    sizes = rng.integers(0, 40, k)
    sizes[rng.random(k) < 0.2] = 0
    sizes[int(rng.integers(k))] += 5
    sizes = sizes.tolist()
    n = sum(sizes)
    total = int(rng.integers(1, n + 1))
    # Multiples of 1/64 are exact in binary, so no tie is broken by rounding.
    weights = rng.integers(0, 9, k) * (np.array(sizes) > 0)
    if weights.sum() == 0:
        weights = (np.array(sizes) > 0).astype(int)
    shares = (weights / 64).tolist()
    room = sum(s for s, w in zip(sizes, weights) if w > 0)
    shared = min(total, room)
    complexity = [None if rng.random() < 0.1 else float(rng.gamma(2, 0.3)) for _ in range(k)]
    if all(c is None for c, s in zip(complexity, sizes) if s > 0):
        complexity = [0.5] * k
    tau, balance = float(rng.choice([0.1, 0.5, 2])), float(rng.choice([0, 0.5, 1]))
    numbers = [float("nan") if c is None else c for c in complexity]
    return {"sizes": sizes, "total": total, "proportional": proportional(sizes, total),
            "shares": shares, "shared_total": shared, "shared": shares_with_caps(shares, sizes, shared),
            "complexity": complexity, "tau": tau, "balance": balance,
            "density": density(numbers, sizes, total, tau, balance)}


if __name__ == "__main__":
    print(json.dumps({"made_by": "tests/golden/make_plan.py", "numpy": np.__version__, "scipy": scipy.__version__,
                      "imbalanced_learn": imblearn.__version__, "data": [data_set(s) for s in range(10)],
                      "quotas": [quotas(s) for s in range(40)]}))
