#!/usr/bin/env python3
"""Golden values for tests/reports/test_comparison.c: quantiles of Student's t, and verdicts on differences.

Welch's test by scipy.stats.ttest_ind_from_stats, its quantile at the degrees of freedom rounded down; intervals of a
difference by the formula of Zou and Donner (2008).
"""
import json
import math
import os

import numpy
import scipy
import scipy.stats

rng = numpy.random.default_rng(0)


def welch():
    cases = []
    while len(cases) < 40:
        n, m = (int(v) for v in rng.integers(2, 9, 2))
        a, b = rng.normal(0, rng.uniform(0.2, 2), n), rng.normal(rng.uniform(0, 3), rng.uniform(0.2, 2), m)
        s, t = a.std(ddof=1), b.std(ddof=1)
        u, v = s * s / n, t * t / m
        freedom = (u + v) ** 2 / (u * u / (n - 1) + v * v / (m - 1))
        reach = scipy.stats.t.ppf(0.975, math.floor(freedom)) * math.sqrt(u + v)
        d = abs(a.mean() - b.mean())
        exact = scipy.stats.ttest_ind_from_stats(a.mean(), s, n, b.mean(), t, m, equal_var=False)
        # Rounding down only ever makes a difference count less.
        assert not (d > reach and exact.pvalue > 0.05)
        if abs(d - reach) < 1e-3:  # printed quantiles have six decimals
            continue
        cases.append([a.mean(), s, n, b.mean(), t, m, int(d > reach)])
    return cases


def mover():
    cases = []
    while len(cases) < 40:
        a, b = rng.uniform(0, 1, 2)
        la, ua = a - rng.uniform(0, 0.3), a + rng.uniform(0, 0.3)
        lb, ub = b - rng.uniform(0, 0.3), b + rng.uniform(0, 0.3)
        low = a - b - math.hypot(a - la, ub - b)
        high = a - b + math.hypot(ua - a, b - lb)
        if min(abs(low), abs(high)) < 1e-6:
            continue
        cases.append([a, la, ua, b, lb, ub, int(low > 0 or high < 0)])
    return cases


def main():
    golden = {
        "made_with": {"numpy": numpy.__version__, "scipy": scipy.__version__},
        "quantiles": [float(scipy.stats.t.ppf(0.975, n)) for n in range(1, 31)],
        "welch": [float(v) for case in welch() for v in case],
        "intervals": [float(v) for case in mover() for v in case],
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "comparison.json")
    with open(path, "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


main()
