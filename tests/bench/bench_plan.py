#!/usr/bin/env python3
"""prune and balance against NumPy doing the same, in turn, on a run made of cluster assignments alone.

bench_plan.py build/tests/bench/bench_plan [IMAGES]

One line each: name, clusters, ours (s), NumPy (s), ratio, our largest resident size (MiB). The ids must be the same.
"""
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

REPEATS = 3


def quotas(sizes, total):
    exact = sizes * total
    low, rest = exact // sizes.sum(), exact % sizes.sum()
    more = np.argsort(-rest, kind="stable")[:total - low.sum()]
    low[more] += 1
    return low


def choose(unit, distance, k, method, keep):
    sizes = np.bincount(unit, minlength=k)
    if method == "smallest":
        quota = np.minimum(sizes, sizes[sizes > 0].min())
    else:
        quota = quotas(sizes, int(keep * len(unit) + 0.5))
    order = np.lexsort((distance if method == "nearest" else -distance, unit))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.arange(len(unit)) - np.repeat(starts, sizes)
    skip = ((1 - keep) / 2 * sizes).astype(np.int64) if method == "middle" else np.zeros(k, np.int64)
    skip = np.minimum(skip, sizes - quota)
    low = np.repeat(skip, sizes)
    kept = np.zeros(len(unit), bool)
    kept[order[(rank >= low) & (rank < low + np.repeat(quota, sizes))]] = True
    return np.flatnonzero(kept)


def checksum(ids):
    with np.errstate(over="ignore"):
        return int(((ids.astype(np.uint64) + 1) * np.arange(1, len(ids) + 1, dtype=np.uint64)).sum())


def main():
    program, n = sys.argv[1], int(float(sys.argv[2])) if len(sys.argv) > 2 else 10_000_000
    rng = np.random.default_rng(0)
    for k in (24, 10_000):
        shares = rng.dirichlet(np.full(k, 0.7 if k < 100 else 2))
        unit = rng.choice(k, n, p=shares).astype(np.int32)
        distance = rng.gamma(4, 1, n).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            clusters = pathlib.Path(folder) / "clusters"
            clusters.mkdir()
            (pathlib.Path(folder) / "run.json").write_text("{}\n")
            np.save(clusters / "assignment.npy", unit)
            np.save(clusters / "distance.npy", distance)
            (clusters / "clusters.json").write_text('{"k": %d, "images": %d}' % (k, n))
            for method in ("furthest", "nearest", "middle", "random", "random-within", "smallest"):
                out = subprocess.run([program, folder, method, "0.3", str(REPEATS)], check=True, capture_output=True,
                                     text=True).stdout.split()
                theirs = []
                for _ in range(REPEATS if not method.startswith("random") else 0):
                    start = time.perf_counter()
                    ids = choose(unit, distance, k, method, 0.3)
                    theirs.append(time.perf_counter() - start)
                same = "drawn"
                if theirs:
                    same = "same ids" if checksum(ids) == int(out[3]) else "OTHER"
                peer = statistics.median(theirs) if theirs else float("nan")
                print(f"{method:14} {k:6} clusters  ours {float(out[0]):.2f} s  NumPy {peer:.2f} s  "
                      f"{peer / float(out[0]):.1f}x  {out[1]} MiB  {same}", flush=True)


main()
