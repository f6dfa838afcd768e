#!/usr/bin/env python3
"""Whole commands (prune with its two baselines, balance, weights) against NumPy and imbalanced-learn doing the same, in
turn, on a run made of cluster assignments alone.

bench_plan.py build/evenkeel [IMAGES [REPEATS [FOLDER]]]     without peers above 20 million images

One line each: command, clusters, ours (s, median), theirs, ratio, our largest resident size and what of it is mapped
files (MiB; of the moment it was seen largest). NumPy loads the arrays, ranks the images, makes the same two baselines,
counts before and after by cluster, and saves the same arrays (unsynced; ours are synced and hashed, too). The ids kept
must be the same where they are not drawn.
"""
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

KEEP = 0.3
MOST_FOR_PEERS = 20_000_000


def make_run(folder, n, k):
    rng = np.random.default_rng(0)
    clusters = folder / "clusters"
    clusters.mkdir(parents=True)
    bounds = np.cumsum(rng.dirichlet(np.full(k, 0.7 if k < 100 else 2)))
    unit, distance = np.empty(n, np.int32), np.empty(n, np.float32)
    for a in range(0, n, 10_000_000):
        b = min(n, a + 10_000_000)
        unit[a:b] = np.minimum(np.searchsorted(bounds, rng.random(b - a), side="right"), k - 1)
        distance[a:b] = rng.standard_gamma(4, b - a, dtype=np.float32)
    np.save(clusters / "assignment.npy", unit)
    np.save(clusters / "distance.npy", distance)
    (clusters / "clusters.json").write_text('{"k": %d, "images": %d}' % (k, n))
    (folder / "run.json").write_text("{}\n")


def quotas(sizes, total):
    exact = sizes * total
    low, rest = exact // sizes.sum(), exact % sizes.sum()
    more = np.argsort(-rest, kind="stable")[:total - low.sum()]
    low[more] += 1
    return low


def choose(unit, sizes, quota, key, middle):
    """Ranks, and which are kept; key None: one unit of all."""
    order = np.lexsort((key, unit)) if len(sizes) > 1 else np.argsort(key, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.arange(len(unit)) - np.repeat(starts, sizes)
    skip = ((1 - KEEP) / 2 * sizes).astype(np.int64) if middle else np.zeros(len(sizes), np.int64)
    low = np.repeat(np.minimum(skip, sizes - quota), sizes)
    kept = np.zeros(len(unit), bool)
    kept[order[(place >= low) & (place < low + np.repeat(quota, sizes))]] = True
    rank = np.empty(len(unit), np.uint32)
    rank[order] = place
    return rank, kept


def save(out, unit, k, rank, kept):
    out.mkdir()
    ids = np.flatnonzero(kept)
    np.save(out / "keep.npy", ids)
    np.save(out / "decision.npy", kept.astype(np.uint8))
    np.save(out / "rank.npy", rank)
    return ids, np.bincount(unit, minlength=k), np.bincount(unit[ids], minlength=k)


def numpy_subset(folder, out, k, method, score):
    unit = np.load(folder / "clusters/assignment.npy")
    rng = np.random.default_rng(0)
    by_all = method in ("random", "score")
    sizes = np.array([len(unit)]) if by_all else np.bincount(unit, minlength=k)
    if method == "smallest":
        quota = np.minimum(sizes, sizes[sizes > 0].min())
    else:
        quota = quotas(sizes, int(KEEP * len(unit) + 0.5))
    if method.startswith("random"):
        key = rng.random(len(unit), dtype=np.float32)
    else:
        key = np.load(score if method == "score" else folder / "clusters/distance.npy")
        key = key if method == "nearest" else -key
    ids, *_ = save(out / "x", unit, k, *choose(unit, sizes, quota, key, method == "middle"))
    if method != "smallest":
        for name, of in (("all", np.array([len(unit)])), ("within", np.bincount(unit, minlength=k))):
            key = rng.random(len(unit), dtype=np.float32)
            save(out / name, unit, k, *choose(unit, of, quotas(of, len(ids)), key, False))
    return ids


def imblearn_subset(folder, out):
    from imblearn.under_sampling import RandomUnderSampler

    unit = np.load(folder / "clusters/assignment.npy")
    sampler = RandomUnderSampler(random_state=0)
    sampler.fit_resample(np.arange(len(unit)).reshape(-1, 1), unit)
    np.save(out / "keep.npy", np.sort(sampler.sample_indices_))


def numpy_weights(folder, out, k):
    unit = np.load(folder / "clusters/assignment.npy")
    sizes = np.bincount(unit, minlength=k)
    np.save(out / "weights.npy", (1 / np.maximum(sizes, 1) / (sizes > 0).sum())[unit])
    np.save(out / "members.npy", np.argsort(unit, kind="stable").astype(np.uint32))


def run_ours(program, folder, arguments, subset):
    """Seconds, the largest resident size and the part of it that is mapped files (MiB), the ids kept."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        run = pathlib.Path(scratch) / "run"
        shutil.copytree(folder, run, copy_function=os.link)
        (run / "run.json").unlink()
        (run / "run.json").write_text("{}\n")
        start, most, mapped = time.perf_counter(), 0, 0
        process = subprocess.Popen([program, arguments[0], run, *arguments[1:], "--name", "x", "--quiet"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            try:
                text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            sizes = {name: int(value) / 1024 for name, value in re.findall(r"(\w+):\s+(\d+) kB", text)}
            if sizes.get("VmRSS", 0) > most:
                most, mapped = sizes["VmRSS"], sizes["RssFile"]
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        if process.wait() != 0:
            sys.exit(f"{arguments}: exit {process.returncode}")
        return seconds, most, mapped, np.load(run / "subsets/x/keep.npy") if subset else None


def run_theirs(folder, peer):
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        start = time.perf_counter()
        ids = peer(pathlib.Path(scratch))
        return time.perf_counter() - start, ids


def compare(program, folder, k, repeats, name, arguments, peer, peer_name, drawn):
    ours, theirs, most, mapped, same = [], [], 0, 0, "drawn" if drawn else "same ids"
    for _ in range(repeats):
        seconds, size, files, ids = run_ours(program, folder, arguments, arguments[0] != "weights")
        ours.append(seconds)
        if size > most:
            most, mapped = size, files
        if peer is not None:
            seconds, their_ids = run_theirs(folder, peer)
            theirs.append(seconds)
            if not drawn and their_ids is not None and not np.array_equal(ids, their_ids):
                same = "OTHER IDS"
    text = f"{name:22} {k:6} clusters  ours {statistics.median(ours):6.2f} s  "
    if theirs:
        text += (f"{peer_name} {statistics.median(theirs):6.2f} s  "
                 f"{statistics.median(theirs) / statistics.median(ours):5.1f}x  {same}  ")
    print(f"{text}{most:.0f} MiB, {mapped:.0f} of mapped files", flush=True)


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    n = int(float(sys.argv[2])) if len(sys.argv) > 2 else 10_000_000
    repeats = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    with tempfile.TemporaryDirectory(dir=sys.argv[4] if len(sys.argv) > 4 else None) as scratch:
        for k in (24, 10_000):
            folder = pathlib.Path(scratch) / f"run{k}"
            make_run(folder, n, k)
            score = pathlib.Path(scratch) / f"score{k}.npy"
            np.save(score, np.random.default_rng(1).standard_normal(n, dtype=np.float32))

            def against(name, arguments, peer, peer_name="NumPy", drawn=False):
                peer = peer if n <= MOST_FOR_PEERS else None
                compare(program, folder, k, repeats, name, arguments, peer, peer_name, drawn)

            for method in ("furthest", "nearest", "middle", "random-within", "random", "score"):
                more = ["--scores", score, "--order", "high"] if method == "score" else []
                against(f"prune {method}", ["prune", "--method", method, "--keep", str(KEEP), *more],
                        lambda out: numpy_subset(folder, out, k, method, score), drawn=method.startswith("random"))
            against("balance furthest", ["balance", "--to", "smallest", "--rule", "furthest"],
                    lambda out: numpy_subset(folder, out, k, "smallest", score))
            against("balance random", ["balance", "--to", "smallest", "--rule", "random"],
                    lambda out: imblearn_subset(folder, out), "imbalanced-learn", True)
            against("balance total", ["balance", "--total", str(n // 2), "--max-repeat", "3"], None)
            against("weights inverse", ["weights", "--scheme", "inverse"],
                    lambda out: numpy_weights(folder, out, k), drawn=True)
            shutil.rmtree(folder)


main()
