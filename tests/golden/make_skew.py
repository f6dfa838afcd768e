"""Golden values for analysis/skew, from NumPy, SciPy and scikit-learn by other routes than ours:
Gini by its pairwise form, entropies by scipy.stats, agreement by sklearn.metrics, Wilson by scipy.stats.binomtest.

	python tests/golden/make_skew.py > tests/golden/skew.json
"""
import json
import sys

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn import metrics


def inequality(sizes):
    n = np.array(sizes, dtype=np.float64)
    k, total = len(n), n.sum()
    p = n / total
    uniform = np.full(k, 1 / k)
    entropy = stats.entropy(p)
    pairwise = np.abs(n[:, None] - n[None, :]).sum() / (2 * k * k * n.mean())
    chi_square = stats.chisquare(n).statistic
    descending = np.sort(n)[::-1]
    top = max(1, k // 10)
    tail = [i for i in range(k) if 2 * k * int(sizes[i]) < int(total)]
    return {
        "gini": pairwise,
        "gini_normalised": pairwise * k / (k - 1) if k > 1 else 0.0,
        "normalised_entropy": entropy / np.log(k) if k > 1 else 1.0,
        "kl_to_uniform": stats.entropy(p, uniform),
        "d0": int((n > 0).sum()),
        "d1": np.exp(entropy),
        "d2": 1 / (p**2).sum(),
        "dinf": 1 / p.max(),
        "imbalance_ratio": n.max() / n[n > 0].min(),
        "top_share": descending[:top].sum() / total,
        "cv": stats.variation(n),
        "chi_square": chi_square,
        "effect_size": np.sqrt(((p - uniform) ** 2 / uniform).sum()),
        "tail_count": len(tail),
        "tail_share": n[tail].sum() / total,
        "empty": int((n == 0).sum()),
        "top_clusters": top,
        "datalab_flag": bool(p.min() < 0.1 / k),
        "tail": tail,
    }


def agreement(table):
    """table: rows are the judged partition, columns the labels."""
    t = np.array(table)
    r, c = np.nonzero(t)
    judged, labels = np.repeat(r, t[r, c]), np.repeat(c, t[r, c])
    return {
        "purity": t.max(axis=1).sum() / t.sum(),
        "mutual_information": metrics.mutual_info_score(labels, judged),
        "nmi": metrics.normalized_mutual_info_score(labels, judged, average_method="arithmetic"),
        "ari": metrics.adjusted_rand_score(labels, judged),
    }


def wilson(count, n):
    interval = stats.binomtest(count, n).proportion_ci(method="wilson", confidence_level=0.95)
    return [interval.low, interval.high]


def exact(count, n, alpha):
    """One-sided limits of Clopper and Pearson, and the distribution function at a third of the upper one."""
    low = stats.beta.ppf(alpha, count, n - count + 1) if count > 0 else 0.0
    high = stats.beta.ppf(1 - alpha, count + 1, n - count) if count < n else 1.0
    return [low, high, stats.binom.cdf(count, n, high / 3)]


def main():
    rng = np.random.default_rng(3)
    sizes = [
        [5, 5, 5, 5],
        [0, 9, 0, 0],
        [1, 2, 4, 8],
        [8, 1, 4, 2],
        [7],
        [0, 3],
        [1, 20, 20, 20],
        [1, 10**8 - 1],
        [3 * 10**8, 10**8, 0, 5],
        [int(x) for x in np.round(6000 * 100 ** (-np.arange(24) / 23))],
        [int(x) for x in rng.multinomial(5000, rng.dirichlet(np.full(25, 0.3)))],
        [int(x) for x in rng.multinomial(100000, rng.dirichlet(np.full(1000, 1.0)))],
    ]
    tables = [
        [[3, 0], [0, 4]],
        [[5]],
        [[2, 3]],
        [[2], [3]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 1], [1, 1]],
        [[0, 0, 7], [0, 0, 0], [2, 0, 1]],
        [[50, 3, 2], [4, 40, 11], [0, 9, 60], [5, 5, 5]],
        rng.integers(0, 40, (24, 10)).tolist(),
        (rng.integers(0, 200, (7, 13)) * rng.integers(0, 2, (7, 13))).tolist(),
    ]
    counts = [(0, 1), (1, 1), (0, 50), (3, 50), (25, 50), (50, 50), (1, 10**8), (4 * 10**7, 10**8), (6, 24)]
    json.dump(
        {
            "made_by": "tests/golden/make_skew.py",
            "versions": {
                "python": sys.version.split()[0],
                "numpy": np.__version__,
                "scipy": scipy.__version__,
                "scikit-learn": sklearn.__version__,
            },
            "inequality": [{"sizes": s, "want": inequality(s)} for s in sizes],
            "agreement": [{"table": t, "want": agreement(t)} for t in tables],
            "wilson": [{"count": c, "n": n, "want": wilson(c, n)} for c, n in counts],
            "exact": [
                {"count": c, "n": n, "alpha": a, "want": exact(c, n, a)}
                for c, n in counts
                for a in (0.025, 0.0125 / 24, 0.025 / 10000)
            ],
            "percentile": [
                {
                    "values": v,
                    "want": [float(np.percentile(v, 2.5)), float(np.percentile(v, 97.5))],
                }
                for v in ([1.0], [2.0, 1.0], rng.normal(size=41).tolist(), rng.normal(size=100).tolist())
            ],
        },
        sys.stdout,
        default=float,
    )
    print()


if __name__ == "__main__":
    main()
