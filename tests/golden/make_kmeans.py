#!/usr/bin/env python3
"""Golden k-means runs: scikit-learn's Lloyd and faiss's Kmeans from one start.

Numbers of the data are multiples of 1/256, so that JSON holds them exactly.

	python tests/golden/make_kmeans.py > tests/golden/kmeans.json
"""
import json
import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"
import faiss
import numpy
import sklearn
from sklearn.cluster import KMeans

N, D, K = 300, 6, 12
ITERATIONS = 6


def main():
    random = numpy.random.default_rng(3)
    centres = random.normal(size=(K, D)) * 0.8
    x = centres[random.integers(0, K, N)] + random.normal(size=(N, D))
    x = (numpy.round(x * 256) / 256).astype(numpy.float32)
    start = x[random.choice(N, K, replace=False)]
    objective = []
    for iterations in range(1, ITERATIONS + 1):
        model = KMeans(K, init=start, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd")
        model.fit(x.astype(numpy.float64))
        objective.append(float(model.inertia_))
    last = KMeans(K, init=start, n_init=1, max_iter=1000, tol=0, algorithm="lloyd").fit(x.astype(numpy.float64))
    kmeans = faiss.Kmeans(D, K, niter=ITERATIONS + 1, min_points_per_centroid=1, max_points_per_centroid=N)
    kmeans.train(x, init_centroids=start)
    json.dump(
        {
            "versions": {"faiss": faiss.__version__, "numpy": numpy.__version__, "scikit-learn": sklearn.__version__},
            "n": N,
            "d": D,
            "k": K,
            "x": [float(v) for v in x.ravel()],
            "start": [float(v) for v in start.ravel()],
            "sklearn_objective": objective,
            "sklearn_converged": float(last.inertia_),
            "sklearn_labels": last.labels_.tolist(),
            "faiss_objective": [float(v) for v in kmeans.obj],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
