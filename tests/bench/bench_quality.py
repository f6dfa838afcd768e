"""torch-fidelity's and pytorch-fid's Fréchet term of two covariances, beside bench_quality, in turn.

	python tests/bench/bench_quality.py BUILD/tests/bench/bench_quality [DIMENSIONS [ROUNDS]]

The covariances are of 10,000 rows each whose variances fall by 1 / i. Both sides take all cores; seconds are by the
clock, after a first round that does not count. One line a peer: seconds ours and theirs (medians), the median ratio,
relative difference of the distances.
"""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version

import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_statistics_to_metric

ROWS = 10_000
warnings.simplefilter("ignore")


def moments(d):
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    for shift in (0, 0.02):
        scale = np.sqrt(1 / np.arange(1, d + 1)) * np.exp(shift * 10 * rng.standard_normal(d))
        x = (rng.standard_normal((ROWS, d)) * scale + shift) @ turn
        yield x.mean(0), np.cov(x, rowvar=False)


def torch_fidelity(a, b):
    return fid_statistics_to_metric(*({"mu": m, "sigma": s} for m, s in (a, b)), False)["frechet_inception_distance"]


def pytorch_fid(a, b):
    return calculate_frechet_distance(*a, *b)


def main():
    d = int(sys.argv[2]) if len(sys.argv) > 2 else 2048
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    a, b = moments(d)
    peers = {"torch-fidelity": torch_fidelity, "pytorch-fid": pytorch_fid}
    seconds, values = {name: [] for name in ("ours", *peers)}, {}
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in ("a.npz", "b.npz")]
        for path, (mu, sigma) in zip(files, (a, b)):
            np.savez(path, mu=mu, sigma=sigma)
        for i in range(rounds + 1):
            line = subprocess.run([sys.argv[1], *files, "1"], check=True, capture_output=True, text=True).stdout
            found = re.search(r": ([\d.]+) s, ([\d.]+) s of processors, .* distance ([-\d.e]+)", line)
            took = {"ours": float(found[1])}
            values["ours"] = float(found[3])
            for name, peer in peers.items():
                start = time.perf_counter()
                values[name] = peer(a, b)
                took[name] = time.perf_counter() - start
            for name in took if i > 0 else ():
                seconds[name].append(took[name])
    ours = statistics.median(seconds["ours"])
    for name in peers:
        theirs = statistics.median(seconds[name])
        print(f"frechet, {d} dimensions, {len(os.sched_getaffinity(0))} cores: {ours:.2f} s, {name} {version(name)} "
              f"{theirs:.2f} s, ratio {statistics.median(t / o for t, o in zip(seconds[name], seconds['ours'])):.1f}, "
              f"relative difference {abs(values['ours'] / values[name] - 1):.1e}")


if __name__ == "__main__":
    main()
