#!/usr/bin/env python3
"""Golden values of forgetting over a recorded log of losses, from NumPy:

    pip install numpy
    python tests/golden/make_forgetting.py

Writes forgetting.json: the rate as the paper's code has it, the count as Toneva and others (2019) have it.
"""
import json
import pathlib

import numpy

rng = numpy.random.default_rng(7)
checks, images = 9, 17
losses = (1 + numpy.cumsum(rng.normal(-0.05, 0.2, (checks, images)), 0)).astype(numpy.float32)
losses[4] = losses[3]  # no loss rises there
losses[:, 5] = losses[0, 5]  # never rises
losses[:, 6] = 10  # never learned
losses[:, 8] = numpy.linspace(2, 1, checks)  # falls throughout
rate = (losses[1:] > losses[:-1]).sum(0) / checks
threshold = float(numpy.sort(losses[-1])[(images - 1) // 2])
learned = losses <= threshold
count = (learned[:-1] & ~learned[1:]).sum(0)
count[~learned.any(0)] = checks
result = {"numpy": numpy.__version__,
           "checks": checks, "images": images, "losses": losses.astype(float).ravel().tolist(),
           "rate": rate.tolist(), "threshold": threshold, "count": count.tolist()}
pathlib.Path(__file__).with_name("forgetting.json").write_text(json.dumps(result) + "\n")
