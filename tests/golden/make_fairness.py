"""Golden values for analysis/quality/fairness, from NumPy and SciPy by other routes than ours: KL by scipy.stats.entropy,
distances by scipy.spatial, the slope by numpy.polyfit with weights.

	python tests/golden/make_fairness.py > tests/golden/fairness.json
"""
import json
import sys

import numpy as np
import scipy
from scipy import stats
from scipy.spatial import distance


def fairness(target, training, counts):
    t, p, c = (np.array(x, dtype=np.float64) for x in (target, training, counts))
    k, n = len(c), c.sum()
    q = c / n
    smooth = (c + 0.5) / (n + k / 2)
    wanted = t > 0
    rho = q[wanted] / t[wanted]
    full = p > 0
    y = smooth if (c[full] == 0).any() else q
    skewed = len(set(p[full])) > 1
    # polyfit minimises sum (w r)^2.
    slope = np.polyfit(np.log(p[full]), np.log(y[full]), 1, w=np.sqrt(p[full]))[0] if skewed else None
    return {
        "mass_coverage": (rho >= 0.5).mean(),
        "hit_coverage": (c[wanted] > 0).mean(),
        "discrepancy": distance.euclidean(q, t),
        "total_variation": distance.cityblock(q, t) / 2,
        # scipy divides both by their sums; `smooth` sums to 1 over all clusters, t too.
        "kl": stats.entropy(t, smooth),
        "disparate_impact": rho.min() / rho.max() if rho.max() > 0 else None,
        "worst_ratio": rho.min(),
        "difference": np.ptp(q) if np.allclose(t, 1 / k, rtol=1e-12) else None,
        "bias_amplification": slope,
        "worst": int(np.flatnonzero(wanted)[rho.argmin()]),
    }


def disparity(values, weights):
    v = np.array([np.nan if x is None else x for x in values], dtype=np.float64)
    w = np.array(weights, dtype=np.float64)
    has = ~np.isnan(v)
    overall = np.average(v[has], weights=w[has])
    return {"overall": overall, "macro": v[has].mean(), "lowest": v[has].min(), "gap": v[has].min() - overall,
            "worst": int(np.nanargmin(v))}


def main():
    rng = np.random.default_rng(20261125)
    cases = []
    zipf = 1 / np.arange(1, 25)
    zipf /= zipf.sum()
    uniform = np.full(24, 1 / 24)

    def add(target, training, counts):
        target, training = (np.array(x, dtype=np.float64) / np.sum(x) for x in (target, training))
        cases.append({"target": target.tolist(), "training": training.tolist(), "counts": [int(x) for x in counts],
                      "want": fairness(target, training, counts)})

    add(uniform, zipf, rng.multinomial(5000, uniform))
    add(zipf, zipf, rng.multinomial(50000, zipf))
    add(uniform, zipf, rng.multinomial(50000, zipf))
    add(uniform, zipf, rng.multinomial(2000, zipf**1.5 / (zipf**1.5).sum()))
    add(zipf, zipf, [0 if i in (3, 23) else 100 + i for i in range(24)])  # clusters without images
    add([0, 1, 2, 0, 3], [1, 1, 2, 0, 4], [7, 10, 0, 3, 30])  # zero targets, an empty training cluster
    add([1], [1], [17])  # one cluster
    add([1, 1, 1], [1, 1, 1], [5, 5, 5])  # no skew at all
    add([1, 0], [1, 3], [0, 9])  # what is wanted is not there
    add(rng.random(200), rng.random(200), rng.integers(0, 50, 200))
    disparities = []
    for values, weights in [
        ([0.9, 0.5, None, 0.97], [100, 3, 7, 50]),
        ([0.25], [1]),
        ([0.5, 0.5, 0.75], [1, 1, 2]),
        (rng.random(50).tolist(), rng.integers(1, 90, 50).tolist()),
    ]:
        disparities.append({"values": values, "weights": weights, "want": disparity(values, weights)})
    json.dump({"made_by": f"numpy {np.__version__}, scipy {scipy.__version__}", "fairness": cases,
               "disparity": disparities}, sys.stdout)
    print()


main()
