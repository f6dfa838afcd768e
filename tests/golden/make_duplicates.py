#!/usr/bin/env python3
"""Golden near-duplicates by brute force: the whole cosine matrix in NumPy, components by SciPy.

	python tests/golden/make_duplicates.py > tests/golden/duplicates.json
"""
import json
import sys

import numpy
import scipy
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

N, D = 260, 5
EPS = [0.001, 0.01, 0.05]


def counts(cosine, eps):
    near = numpy.tril(cosine > 1 - eps, -1)
    kept = numpy.ones(N, bool)
    for j in range(N):
        kept[j] = not (near[j] & kept).any()
    groups, label = connected_components(csr_matrix(near), directed=False)
    sizes = numpy.bincount(label)
    return {
        "eps": eps,
        "pairs": int(near.sum()),
        "one_pass_removed": int(near.any(1).sum()),
        "greedy_removed": int((~kept).sum()),
        "groups": int((sizes > 1).sum()),
        "component_removed": int(N - groups),
    }


def main():
    random = numpy.random.default_rng(5)
    x = numpy.round(random.normal(size=(N, D)) * 64) / 64
    for j in range(N // 2, N):  # half of them near an earlier one, some the same up to length
        x[j] = x[random.integers(0, j)] * (2 if j % 7 == 0 else 1)
        if j % 3:
            x[j] = numpy.round((x[j] + random.normal(size=D) * 0.05) * 64) / 64
    unit = (x / numpy.linalg.norm(x, axis=1, keepdims=True)).astype(numpy.float32).astype(numpy.float64)
    length = numpy.linalg.norm(unit, axis=1)
    cosine = unit @ unit.T / numpy.outer(length, length)
    earlier = numpy.where(numpy.tril(numpy.ones((N, N), bool), -1), cosine, -2)
    similarity = earlier.max(1)
    similarity[0] = -1
    json.dump(
        {
            "versions": {"numpy": numpy.__version__, "scipy": scipy.__version__},
            "n": N,
            "d": D,
            "x": [float(v) for v in x.ravel()],
            "similarity": [float(v) for v in similarity],
            "eps": [counts(cosine, e) for e in EPS],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
