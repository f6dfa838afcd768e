"""Golden values for components, weights of single images, probes and density ratios, by NumPy and SciPy:
definitions.md, section 9. Inputs are by formula, so that the tests make the same:

	u(i) = ((i * 2654435761) mod 2^32) / 2^32 - 0.5, for i from 1 on (Knuth's multiplicative hash)

	python tests/golden/make_groups.py > tests/golden/groups.json
"""
import json
import sys

import numpy as np
import scipy
from scipy.linalg import eigh


def u(count, start):
    i = np.arange(start, start + count, dtype=np.uint64)
    return ((i * np.uint64(2654435761)) % np.uint64(1 << 32)).astype(np.float64) / 2**32 - 0.5


def signs(axes):
    return axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]


def components():
    n, views, d = 40, 3, 7
    base = u(n * d, 1).reshape(n, 1, d) * np.arange(1, d + 1)
    x = (base + 0.3 * u(n * views * d, 5000).reshape(n, views, d)).astype(np.float32).astype(np.float64)
    rows = x.reshape(-1, d)
    t = np.cov(rows.T, bias=True)
    within = x - x.mean(1, keepdims=True)
    noise = np.einsum("nvi,nvj->ij", within, within) / (n * (views - 1))
    values, axes = eigh(t, noise + 0.05 * np.trace(t) / d * np.eye(d))
    spread, principal = np.linalg.eigh(np.cov(x[:, 0].T, bias=True))
    return {
        "values": values[::-1].tolist(),
        "axes": signs(axes.T[::-1]).ravel().tolist(),
        "spread": spread[::-1].tolist(),
        "principal": (signs(principal.T[::-1]) / np.sqrt(spread[::-1])[:, None]).ravel().tolist(),
    }


json.dump({"made_by": {"numpy": np.__version__, "scipy": scipy.__version__}, "components": components()}, sys.stdout,
          separators=(",", ":"))
print()
