"""prdc beside bench_neighbours, in turn, on sets whose distances fit in memory; both on all threads.

	python tests/bench/bench_neighbours.py BUILD/tests/bench/bench_neighbours [N D K ROUNDS]

One line: name, seconds ours and prdc's (medians; of the processor in brackets), ratio, largest memory of each beyond
what it had with the data loaded, and whether the four measures are the same.
"""
import contextlib
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from prdc import compute_prdc

n, d, k, rounds = (int(sys.argv[2 + i]) if len(sys.argv) > 2 + i else v for i, v in enumerate((10000, 2048, 5, 3)))
rng = np.random.default_rng(0)
base = rng.standard_normal((40, d), dtype=np.float32)
ours, theirs, peaks = [], [], []
with tempfile.TemporaryDirectory() as folder:
    paths = [os.path.join(folder, name) for name in ("real.npy", "generated.npy")]
    sets = []
    for path in paths:
        x = rng.standard_normal((n, 40), dtype=np.float32) @ base + rng.standard_normal((n, d), dtype=np.float32)
        np.save(path, x)
        sets.append(x)
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(rounds):
        out = subprocess.run([sys.argv[1], "0", "0", str(k), *paths], check=True, capture_output=True, text=True).stdout
        found = re.search(r"([\d.]+) s \(([\d.]+) s of .* peak (\d+) MiB; precision (\S+) recall (\S+) density (\S+) "
                          r"coverage (\S+)", out)
        ours.append((float(found[1]), float(found[2])))
        peaks.append(int(found[3]))
        start, busy = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(sys.stderr):
            result = compute_prdc(*sets, k)
        theirs.append((time.perf_counter() - start, time.process_time() - busy))
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - loaded) / 1024
mine, other = ([statistics.median(run[i] for run in runs) for i in (0, 1)] for runs in (ours, theirs))
alike = all(f"{result[key]:.5f}" == found[4 + i] for i, key in enumerate(("precision", "recall", "density", "coverage")))
print(f"prdc {n} x {n} x {d}, k {k}: {mine[0]:.2f} s ({mine[1]:.2f}), prdc's {other[0]:.2f} s ({other[1]:.2f}), "
      f"ratio {other[0] / mine[0]:.2f} ({other[1] / mine[1]:.2f}); memory {max(peaks) - sum(x.nbytes for x in sets) // 2**20} "
      f"and {used:.0f} MiB; the same: {'yes' if alike else 'no'}")
