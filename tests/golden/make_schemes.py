"""Golden values for rebalance/plan/schemes.c: visits per image and epoch, from definitions.md, section 7, by other routes:
powers and effective numbers in 60 digits with mpmath, the cap by bisection, reweighing per sample with AIF360's
formula, W = P(a) P(b) / P(a, b), in NumPy.

	python tests/golden/make_schemes.py > tests/golden/schemes.json
"""
import json
import sys

import mpmath as mp
import numpy as np

mp.mp.dps = 60


def visits(sizes, weights):
    total = mp.fsum(n * w for n, w in zip(sizes, weights) if n)
    images = sum(sizes)
    return [float(w * images / total) if n else 0.0 for n, w in zip(sizes, weights)]


def alpha(sizes, a):
    return visits(sizes, [mp.mpf(n) ** -mp.mpf(a) if n else mp.mpf(0) for n in sizes])


def effective(sizes, beta):
    b = mp.mpf(beta)  # the double, exactly
    return visits(sizes, [(1 - b) / (1 - b**n) if n else mp.mpf(0) for n in sizes])


def repeat_factor(sizes, t):
    n = sum(sizes)
    return visits(sizes, [max(mp.mpf(1), mp.sqrt(mp.mpf(t) * n / s)) if s else mp.mpf(0) for s in sizes])


def cap(sizes, v, c):
    low, high = 0.0, 1e12
    n, v = np.array(sizes, dtype=np.float64), np.array(v)
    for _ in range(200):
        middle = (low + high) / 2
        if (n * np.minimum(c, middle * v)).sum() < n.sum():
            low = middle
        else:
            high = middle
    return np.minimum(c, high * v).tolist()


cases = []


def add(scheme, sizes, v, c=0.0):
    cases.append({"scheme": scheme, "sizes": sizes, "cap": c, "visits": cap(sizes, v, c) if c else v})


example = [1000, 100, 10]
rng = np.random.default_rng(0)
tail = [int(x) for x in 60000 / (np.arange(40) + 1) ** 1.5]
tail[7] = 0
for sizes in (example, tail, [5], [3, 3, 3], [1, 10**12]):
    add("inverse", sizes, alpha(sizes, 1))
    add("sqrt", sizes, alpha(sizes, "0.5"))
    add("alpha=0", sizes, alpha(sizes, 0))
    add("alpha=0.3", sizes, alpha(sizes, 0.3))
    add("alpha=-1.5", sizes, alpha(sizes, -1.5))
    add("alpha=2", sizes, alpha(sizes, 2))
    for beta in ("0", "0.9", "0.99", "0.999", "0.9999", "0.999999999999", "0.99999999999999989"):
        add("effective-number=" + beta, sizes, effective(sizes, float(beta)))
    n = sum(sizes)
    add("effective-number=auto", sizes, effective(sizes, 1 - mp.mpf(1) / n) if n > 1 else [1.0])
    for t in ("0.001", "0.01", "1"):
        add("repeat-factor=" + t, sizes, repeat_factor(sizes, float(t)))
for sizes in (example, tail):
    for c in (1.0, 1.5, 3.0, 10.0, 1e6):
        add("inverse", sizes, alpha(sizes, 1), c)
        add("sqrt", sizes, alpha(sizes, "0.5"), c)

gender = rng.choice(3, 400, p=[0.7, 0.2, 0.1])
label = np.where(rng.random(400) < 0.8, gender % 2, rng.choice(4, 400))
reweigh = [
    float((gender == g).mean() * (label == l).mean() / ((gender == g) & (label == l)).mean())
    for g, l in zip(gender, label)
]
json.dump(
    {
        "made_by": {"python": sys.version.split()[0], "numpy": np.__version__, "mpmath": mp.__version__},
        "cases": cases,
        "reweigh": {"gender": gender.tolist(), "label": label.tolist(), "weights": reweigh},
    },
    sys.stdout,
    indent=None,
    separators=(",", ":"),
)
print()
