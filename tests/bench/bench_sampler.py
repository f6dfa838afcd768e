"""PyTorch's WeightedRandomSampler on the sizes of bench_sampler.c, one thread, beside bench_sampler itself, in turn.

	python tests/bench/bench_sampler.py BUILD/tests/bench/bench_sampler [ROUNDS]

One line a size: name, draws/s ours and PyTorch's, ratio. Seconds are of the processor. Sizes beyond its limit of 2^24
images are said to be so.
"""
import re
import statistics
import subprocess
import sys
import time

import torch

DRAWS = 1 << 20
torch.set_num_threads(1)
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
ours = {}
for line in subprocess.run([sys.argv[1], str(rounds)], check=True, capture_output=True, text=True).stdout.splitlines():
    found = re.match(r"sampler, (\d+) images, 24 units, rank 0 of 1: ([\d.]+) M", line)
    if found:
        ours[int(found[1])] = float(found[2])
for n, mine in ours.items():
    name = f"sampler against WeightedRandomSampler of PyTorch {torch.__version__}, {n} images"
    try:
        sampler = torch.utils.data.WeightedRandomSampler(torch.ones(n, dtype=torch.float64), DRAWS)
        seconds = []
        for _ in range(rounds):
            start = time.process_time()
            for _ in sampler:
                pass
            seconds.append(time.process_time() - start)
    except RuntimeError as error:
        print(f"{name}: {mine:.1f} M draws/s, PyTorch refuses: {str(error).splitlines()[0]}")
        continue
    theirs = DRAWS / statistics.median(seconds) / 1e6
    print(f"{name}: {mine:.1f} M draws/s, {theirs:.2f} M, ratio {mine / theirs:.1f}")
