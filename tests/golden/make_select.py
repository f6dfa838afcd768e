#!/usr/bin/env python3
"""Golden data of rebalance/plan/embedded.h and greedy.h: which images each method keeps, by a NumPy reference.

make_select.py > select.json
"""
import json

import numpy as np
import scipy
from make_plan import largest_remainder, ordered, proportional
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components


def cosine_distance(a, b):
    return 1 - (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))


def first_of_all(unit, k, values, falling, total, share):
    """Each unit its floor, then the first of all that are left."""
    sizes = np.bincount(unit, minlength=k)
    floor = int(share * total / np.count_nonzero(sizes))
    order = ordered(values, falling)
    kept = {int(i) for u in range(k) for i in order[unit[order] == u][:floor]}
    for i in order:
        if len(kept) == total:
            break
        kept.add(int(i))
    return sorted(kept)


def density(x, unit, k, centroids, difficulty, total, tau=0.5, balance=0.5):
    sizes = np.bincount(unit, minlength=k)
    full = np.flatnonzero(sizes)
    complexity = []
    for c in full:
        others = np.sort(cosine_distance(centroids[c:c + 1], centroids[full[full != c]])[0])
        complexity.append(difficulty[unit == c].astype(float).mean() * others[:20].mean())
    p = np.exp(np.array(complexity) / tau)
    p /= p.sum()
    low = np.minimum(np.floor(balance * total / len(full)), sizes[full] - 1)

    def at(shift):
        return np.clip(p * total + shift, low, sizes[full])

    left, right = -1e6, 1e6
    for _ in range(200):
        middle = (left + right) / 2
        left, right = (middle, right) if at(middle).sum() < total else (left, middle)
    quota = np.zeros(k, int)
    quota[full] = largest_remainder(at(right).tolist(), total, sizes[full].tolist())
    order = ordered(difficulty, True)
    return sorted(int(i) for u in range(k) for i in order[unit[order] == u][:quota[u]])


def semdedup(x, unit, k, total):
    similarity = np.full(len(x), -2, np.float32)
    cosine = 1 - cosine_distance(x, x)
    for i in range(len(x)):
        earlier = [j for j in range(i) if unit[j] == unit[i]]
        if earlier:
            similarity[i] = np.float32(max(cosine[i, j] for j in earlier))
    return first_of_all(unit, k, similarity, False, total, 0)


def near_duplicates(x, unit, k, eps, rule):
    """SemDeDup by eps: images by rising id, compared inside their unit."""
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32).astype(float)
    cosine = 1 - cosine_distance(x, x)
    assert np.abs(cosine[~np.eye(len(x), dtype=bool)] - (1 - eps)).min() > 1e-9, "a pair on the edge"
    near = np.tril((cosine > 1 - eps) & (unit[:, None] == unit[None, :]), -1)
    if rule == "one-pass":
        kept = ~near.any(1)
    elif rule == "greedy":
        kept = np.ones(len(x), bool)
        for j in range(len(x)):
            kept[j] = not (near[j] & kept).any()
    else:
        _, label = connected_components(csr_matrix(near), directed=False)
        kept = np.zeros(len(x), bool)
        kept[np.unique(label, return_index=True)[1]] = True
    return np.flatnonzero(kept).tolist()


def lloyd(x, start):
    centroids = start
    for _ in range(100):
        unit = ((x[:, None] - centroids[None]) ** 2).sum(2).argmin(1)
        centroids = np.array([x[unit == u].mean(0) for u in range(len(start))])
    return unit, centroids


def d4(x, unit, k, total, dedup, blobs):
    """SemDeDup to a fraction, k-means anew, prototypes. blobs: the best clustering, so far apart that it is no matter
    where k-means starts; that Lloyd's iteration from it stays is checked."""
    left = np.array(semdedup(x, unit, k, int(np.floor(dedup * len(x) + 0.5))))
    y = x[left]
    start = np.array([y[blobs[left] == u].mean(0) for u in range(blobs.max() + 1)])
    again, centroids = lloyd(y, start)
    assert (again == blobs[left]).all()
    wide = centroids.astype(np.float32).astype(float)
    difficulty = np.array([cosine_distance(y[i:i + 1], wide[again[i]:again[i] + 1])[0, 0] for i in range(len(y))])
    kept = first_of_all(again, len(start), difficulty.astype(np.float32), True, total, 0.5)
    return sorted(left[kept].tolist())


def copies(seed):
    """Blobs with copies and near copies, and clusters that are not the blobs: SemDeDup by eps, and D4."""
    rng = np.random.default_rng(seed)
    blobs_count, n, d = int(rng.integers(2, 7)), 180, int(rng.integers(4, 30))
    centres = rng.choice([-20, 20], (blobs_count, d)) + rng.normal(0, 3, (blobs_count, d))
    blobs = rng.permutation(np.concatenate([np.arange(blobs_count).repeat(8),
                                            rng.integers(0, blobs_count, n - 8 * blobs_count)]))
    x = centres[blobs] + rng.gamma(2, 0.5, blobs_count)[blobs][:, None] * rng.normal(0, 1, (n, d))
    for j in range(n // 2, n):
        earlier = np.flatnonzero(blobs[:j] == blobs[j])
        if j % 2 and len(earlier):  # every fourth a copy, as many a near one
            x[j] = x[rng.choice(earlier)] + (rng.normal(0, 0.2, d) if j % 4 == 1 else 0)
    x = np.round(x, 3).astype(np.float32).astype(float)
    k = blobs_count
    unit = blobs % max(1, k - 1)  # two blobs in one cluster, and a cluster that is empty
    centroids = np.array([x[unit == u].mean(0) if (unit == u).any() else np.ones(d) for u in range(k)])
    centroids = centroids.round(4).astype(np.float32).astype(float)
    one, cases = np.zeros(n, int), []
    for eps in (0.0005, 0.001, 0.004, 0.05):
        for rule in ("one-pass", "greedy", "components"):
            for by, units, count in (("cluster", unit, k), ("all", one, 1)):
                cases.append({"method": "semdedup", "by": by, "eps": eps, "rule": rule,
                              "ids": near_duplicates(x, units, count, eps, rule)})
    for keep, dedup in ((0.3, 0.75), (0.6, 0.75), (0.75, 0.75), (0.4, 0.9), (0.2, 0.6), (1.0, 1.0)):
        for by, units, count in (("cluster", unit, k), ("all", one, 1)):
            ids = d4(x, units, count, int(np.floor(keep * n + 0.5)), dedup, blobs)
            cases.append({"method": "d4", "by": by, "keep": keep, "dedup": dedup, "ids": ids})
    return {"n": n, "k": k, "d": d, "unit": unit.tolist(), "embeddings": x.round(3).ravel().tolist(),
            "centroids": centroids.round(4).ravel().tolist(), "cases": cases}


def k_centre(x, quota):
    """Greedy, from the image nearest to the mean."""
    if quota == 0:
        return []
    mean = x.mean(0).astype(np.float32).astype(float)
    chosen = [int(np.argmin(((x - mean) ** 2).sum(1)))]
    nearest = ((x - x[chosen[0]]) ** 2).sum(1)
    while len(chosen) < quota:
        nearest[chosen] = -1
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((x - x[chosen[-1]]) ** 2).sum(1))
    return chosen


def herding(x, quota):
    mean, total, chosen = x.mean(0), np.zeros(x.shape[1]), []
    for i in range(quota):
        target = ((i + 1) * mean - total).astype(np.float32).astype(float)
        distance = ((x - target) ** 2).sum(1)
        distance[chosen] = np.inf
        chosen.append(int(np.argmin(distance)))
        total += x[chosen[-1]]
    return chosen


def greedily(method, x, unit, k, total):
    quota = proportional(np.bincount(unit, minlength=k).tolist(), total)
    kept = []
    for u in range(k):
        ids = np.flatnonzero(unit == u)
        kept += ids[method(x[ids], quota[u])].tolist() if quota[u] else []
    return sorted(kept)


def data_set(seed):
    rng = np.random.default_rng(seed)
    k, n, d = int(rng.integers(2, 30)), int(rng.integers(150, 220)), int(rng.integers(3, 40))
    unit = rng.permutation(np.concatenate([np.arange(k).repeat(2),
                                           rng.choice(k, n - 2 * k, p=rng.dirichlet(np.full(k, 0.5)))]))
    if seed % 2:
        unit[unit == 0] = 1  # an empty cluster
    x = rng.normal(0, 1, (k, d))[unit] + rng.gamma(2, 0.3, k)[unit][:, None] * rng.normal(0, 1, (n, d))
    x = np.round(x, 3).astype(np.float32)
    x[n // 2] = x[n // 3]  # a copy
    unit[n // 2] = unit[n // 3]
    centroids = np.array([x[unit == u].astype(float).mean(0) if (unit == u).any() else np.ones(d) for u in range(k)])
    centroids = centroids.round(4).astype(np.float32)
    wide, centres = x.astype(float), centroids.astype(float)
    difficulty = np.array([cosine_distance(wide[i:i + 1], centres[unit[i]:unit[i] + 1])[0, 0] for i in range(n)])
    difficulty = difficulty.astype(np.float32)
    one = np.zeros(n, int)
    cases = []
    for keep in (0.1, 0.3, 0.5, 0.8, 1.0):
        total = int(np.floor(keep * n + 0.5))
        for method, by, ids in (
                ("ssp-hard", "cluster", first_of_all(unit, k, difficulty, True, total, 0.5)),
                ("ssp-easy", "cluster", first_of_all(unit, k, difficulty, False, total, 0.5)),
                ("ssp-easy", "all", first_of_all(one, 1, difficulty, False, total, 0.5)),
                ("density", "cluster", density(wide, unit, k, centres, difficulty, total)),
                ("semdedup", "cluster", semdedup(wide, unit, k, total)),
                ("semdedup", "all", semdedup(wide, one, 1, total)),
                ("k-centre", "all", greedily(k_centre, wide, one, 1, total)),
                ("k-centre", "cluster", greedily(k_centre, wide, unit, k, total)),
                ("herding", "all", greedily(herding, wide, one, 1, total)),
                ("herding", "cluster", greedily(herding, wide, unit, k, total))):
            assert len(set(ids)) == total, (method, by, keep)
            cases.append({"method": method, "by": by, "keep": keep, "ids": ids})
    return {"n": n, "k": k, "d": d, "unit": unit.tolist(), "embeddings": wide.round(3).ravel().tolist(),
            "centroids": centres.round(4).ravel().tolist(), "cases": cases}


if __name__ == "__main__":
    print(json.dumps({"made_by": "tests/golden/make_select.py", "numpy": np.__version__,
                      "scipy": scipy.__version__,
                      "data": [data_set(s) for s in range(6)] + [copies(s) for s in range(4)]}))
