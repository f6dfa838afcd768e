"""Golden values for reports/review_log: Cohen's kappa by scikit-learn. Verdicts are 0 accept, 1 reject, 2 unsure, -1 none;
kappa is null where scikit-learn gives NaN.

	python tests/golden/make_review.py > tests/golden/review.json
"""
import json
import math
import sys
import warnings

import numpy as np
import sklearn
from sklearn.metrics import cohen_kappa_score

warnings.simplefilter("ignore")
rng = np.random.default_rng(5)


def case(a, b):
    a, b = np.array(a), np.array(b)
    both = (a >= 0) & (b >= 0)
    kappa = float(cohen_kappa_score(a[both], b[both], labels=[0, 1, 2])) if both.any() else math.nan
    return {
        "a": a.tolist(), "b": b.tolist(), "both": int(both.sum()),
        "observed": float((a[both] == b[both]).mean()) if both.any() else None,
        "kappa": None if math.isnan(kappa) else kappa,
    }


def pair(n, skew, agree):
    a = rng.choice([-1, 0, 1, 2], n, p=skew)
    b = np.where(rng.random(n) < agree, a, rng.choice([-1, 0, 1, 2], n, p=skew))
    return case(a, b)


cases = [
    case([0, 1, 2, 0], [0, 1, 2, 0]),
    case([0, 1, 0, 1], [1, 0, 1, 0]),
    case([0, 0, 0, 0], [0, 0, 0, 0]),
    case([0, 0, 0, -1], [0, 0, 1, 1]),
    case([0, 1, -1, -1], [-1, -1, 2, 0]),
    case([-1, 2], [-1, 2]),
    pair(7, [0.1, 0.3, 0.3, 0.3], 0.5),
    pair(50, [0.2, 0.5, 0.2, 0.1], 0.6),
    pair(400, [0.05, 0.75, 0.15, 0.05], 0.3),
    pair(1000, [0.5, 0.2, 0.2, 0.1], 0.0),
]
json.dump({"versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__}, "agreement": cases}, sys.stdout)
print()
