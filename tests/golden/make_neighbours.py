"""Golden values for analysis/quality's neighbours and memorisation.

Precision, recall, density and coverage are prdc's, in float64; what prdc has not (the closed form, realism, sets of
k + 1 rows, on which it fails) is NumPy's from the definitions, all differences in float64, and where both are there
they must agree in every count. Memorisation is by scikit-learn and SciPy, C_T as dgm-eval has it.

	python tests/golden/make_neighbours.py > tests/golden/neighbours.json

tests/analysis/quality/made.c makes the same rows from the same integers.
"""
import contextlib
import json
import sys
from importlib import metadata

import numpy as np
import scipy
import sklearn
from prdc import compute_prdc
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors


def bits(seed, n, d):
    """SplitMix64 of seed and place, [n, d] uint64."""
    z = np.arange(n * d, dtype=np.uint64) + np.uint64(seed << 32)
    z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).reshape(n, d)


def bell(seed, n, d):
    """About normal: the sum of four 16-bit parts, less its mean, by its deviation."""
    z = bits(seed, n, d)
    total = sum(((z >> np.uint64(16 * p)) & np.uint64(0xFFFF)).astype(np.float64) for p in range(4))
    return (total - 131070) / 37837


def made(kind, seed, n, d):
    if kind == "lattice":
        return (bits(seed, n, d) % np.uint64(7)).astype(np.float32)
    if kind == "alike":
        return np.full((n, d), 0.5, dtype=np.float32)
    if kind == "far":
        return (1000 + bell(seed, n, d)).astype(np.float32)
    if kind == "twice":
        x = bell(seed, n, d).astype(np.float32)
        x[n // 2 :] = x[: n - n // 2]
        return x
    if kind == "half":
        return bell(seed, n, d).astype(np.float32).astype(np.float16)
    if kind == "places":  # three of them, far apart
        x = bell(seed, n, d)
        x[:, 0] += 40 * (np.arange(n) % 3)
        return x.astype(np.float32)
    return bell(seed, n, d).astype(np.float32)


def distances(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.array([np.sqrt(((row - b) ** 2).sum(axis=1)) for row in a])


def verdict(x, y, k, inside):
    rx, ry = (np.sort(distances(z, z), axis=1)[:, k] for z in (x, y))
    d = distances(x, y)
    balls = inside(d, rx[:, None])
    small = rx < np.median(rx)
    with np.errstate(divide="ignore"):
        realism = (rx[small, None] / d[small]).max(axis=0) if small.any() else np.full(len(y), np.nan)
    return {
        "precision": balls.any(axis=0).mean(),
        "recall": inside(d, ry[None, :]).any(axis=1).mean(),
        "density": balls.sum() / (k * len(y)),
        "coverage": balls.any(axis=1).mean(),
    }, rx, realism


def fidelity(name, kind, n, m, d, k):
    x, y = made(kind, 1, n, d), made(kind, 2, m, d)
    if kind == "twice":
        y[: m // 4] = x[: m // 4]
    opened, radius, realism = verdict(x, y, k, np.less)
    closed, _, _ = verdict(x, y, k, np.less_equal)
    prdc = n > k + 1 and m > k + 1
    if prdc:
        with contextlib.redirect_stdout(sys.stderr):
            theirs = compute_prdc(x.astype(np.float64), y.astype(np.float64), k)
        for key in opened:
            assert abs(theirs[key] - opened[key]) < 1e-12, (name, key, theirs[key], opened[key])
    finite = np.isfinite(realism)
    order = np.argsort(distances(y, x), axis=1, kind="stable")[:4, :k]
    return {
        "name": name, "kind": kind, "n": n, "m": m, "d": d, "k": k, "prdc": prdc,
        "open": opened, "closed": closed,
        "coverage_expected": 1 - np.prod([(n - t) / (n + m - t) for t in range(1, k + 1)]),
        "radius": radius[:8].tolist(), "radius_mean": radius.mean(),
        "realism": realism[finite][:8].tolist(), "realism_infinite": int(np.isinf(realism).sum()),
        "realism_nan": int(np.isnan(realism).sum()),
        "nearest": order.flatten().tolist(),
    }  # fmt: skip


def c_t(x, y, h):
    """dgm-eval's, which is Meehan, Chaudhuri and Dasgupta's."""
    if x.shape[1] > 64:
        pca = PCA(n_components=64, svd_solver="full").fit(x)
        x, y, h = (pca.transform(z) for z in (x, y, h))
    cells = KMeans(n_clusters=3, random_state=0, n_init=10).fit(x)
    cx, cy, ch = (cells.predict(z) for z in (x, y, h))
    total, weight = 0.0, 0
    for c in range(3):
        if (cy == c).sum() <= 20 or (ch == c).sum() == 0:
            continue
        nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(x[cx == c])
        dy, dh = (nearest.kneighbors(z)[0][:, 0] for z in (y[cy == c], h[ch == c]))
        m, n = len(dy), len(dh)
        u = mannwhitneyu(dy, dh).statistic
        total += n * (u - (n * m / 2 - 0.5)) / np.sqrt(n * m * (n + m + 1) / 12)
        weight += n
    return total / weight


def memorisation(name, n, m, held, d, copies):
    """The first `copies` generated rows are training rows with a little noise; two training rows are the same."""
    x, y, h = (made("places", seed, count, d) for seed, count in ((1, n), (2, m), (3, held)))
    y[:copies] = (x[:copies].astype(np.float64) + bell(4, copies, d) / 16).astype(np.float32)
    x[n - 1] = x[0]
    dy, dh, own = distances(y, x), distances(h, x), distances(x, x)
    np.fill_diagonal(own, np.inf)
    own.sort(axis=1)

    def copied(z):
        nearest = z.min(axis=1)
        return (nearest == 0) | (nearest < own[z.argmin(axis=1), 4] / 2)

    ny, nh = dy.min(axis=1), dh.min(axis=1)
    return {
        "name": name, "n": n, "m": m, "held": held, "d": d, "copies": copies,
        "mean": ny.mean(), "median": np.median(ny), "held_out_mean": nh.mean(), "held_out_median": np.median(nh),
        "ratio": np.median(ny) / np.median(nh),
        "authentic": (own[dy.argmin(axis=1), 0] < ny).mean(),
        "copied": copied(dy).mean(), "held_out_copied": copied(dh).mean(),
        "nearest": dy.argmin(axis=1)[:8].tolist(), "own": own[dy.argmin(axis=1)[:8], 0].tolist(),
        "c_t": c_t(x.astype(np.float64), y.astype(np.float64), h.astype(np.float64)),
    }  # fmt: skip


json.dump(
    {
        "made_by": "tests/golden/make_neighbours.py",
        "versions": {
            "python": sys.version.split()[0],
            "numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__,
            "prdc": metadata.version("prdc"),
        },  # fmt: skip
        "fidelity": [
            fidelity("one dimension", "bell", 90, 70, 1, 3),
            fidelity("seven dimensions", "bell", 300, 200, 7, 5),
            fidelity("more generated than real", "bell", 120, 260, 64, 5),
            fidelity("wide", "bell", 150, 140, 1280, 5),
            fidelity("ties", "lattice", 250, 210, 3, 4),
            fidelity("ties in many dimensions", "lattice", 130, 160, 64, 3),
            fidelity("all equal", "alike", 30, 40, 7, 3),
            fidelity("every row twice, some in both", "twice", 160, 120, 7, 5),
            fidelity("k + 1 rows", "bell", 6, 6, 7, 5),
            fidelity("far from the origin", "far", 300, 280, 64, 5),
            fidelity("float16", "half", 200, 180, 64, 5),
        ],
        "memorisation": [
            memorisation("fresh", 300, 150, 120, 7, 0),
            memorisation("copies", 300, 150, 120, 7, 60),
            memorisation("copies, 80 dimensions", 400, 180, 150, 80, 40),
        ],
    },
    sys.stdout,
    default=float,
)
print()
