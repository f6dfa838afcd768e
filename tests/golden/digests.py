"""Inputs by formula, and digests of large results: what the golden makers of training share.

Input: offset + scale * u, u_i = (bits24(NAME)_i - 2^23) * 2^-23 in [-1, 1), all in float32 (random_weights.py). Labels
and other indices: bits24(NAME)_i mod count.

Digest of a tensor x, from float64:
  shape  its dimensions, row-major; images are channels-last, weights in PyTorch's order
  norm   its L2 norm
  probe  the dot products of x, flat, with u of "probe 0" ... "probe 3"
  first  its first four numbers
  f32    |x32 - x| / |x| (L2) with x32 the same computation by PyTorch in float32: the scale for tolerances
  bf16   the same in bf16 (weights, activations and gradients; made only where it says so)
A tensor that is 0 in theory (norm below 1e-12 in float64: rounding) has zeros, and f32 and bf16 are |x32| and |x16|.

If a result y has |y - x| <= e |x|, and its error knows nothing of the probes, then each dot product of y differs by a
number of mean 0 and standard deviation e |x| / sqrt(3) at most: |probe(y) - probe(x)| <= 3 e |x| holds within 5.2
standard deviations. The first numbers differ by e |x| at most, the norm too. f32 is one draw of the error of one order
of summation; that of a scalar or of a few numbers can be small by luck: take the larger of it and that of the tensor
it comes from (for a loss, of the model's output).
"""
import json
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import random_weights as rw

PROBES = 4
ZERO = 1e-12


def unit(name: str, count: int) -> np.ndarray:
    return (rw.bits24(name, count) - (1 << 23)).astype(np.float32) * np.float32(2.0**-23)


def uniform(name: str, shape, scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
    u = unit(name, int(np.prod(shape)))
    return (np.float32(offset) + np.float32(scale) * u).astype(np.float32).reshape(shape)


def indices(name: str, shape, count: int) -> np.ndarray:
    return (rw.bits24(name, int(np.prod(shape))) % count).astype(np.int64).reshape(shape)


def number(x) -> float:
    return float(f"{float(x):.17g}")


def short(x: float) -> float:
    return float(f"{x:.3g}")


def deviation(x: torch.Tensor, truth: torch.Tensor) -> float:
    norm = truth.double().norm().item()
    return short((x.double() - truth.double()).norm().item() / norm) if norm > 0 else short(x.double().norm().item())


PROBE = [np.empty(0, np.float64)] * PROBES


def probe(k: int, count: int) -> np.ndarray:
    if len(PROBE[k]) < count:
        PROBE[k] = unit(f"probe {k}", count).astype(np.float64)
    return PROBE[k][:count]


def digest(truth: torch.Tensor, **others) -> dict:
    """others: the same tensor of a run in f32 or bf16, or None."""
    truth = truth.detach().double()
    truth = truth if truth.norm() >= ZERO else torch.zeros_like(truth)
    x = truth.contiguous().numpy().reshape(-1)
    d = {"shape": list(truth.shape), "norm": number(np.sqrt(x @ x)),
         "probe": [number(x @ probe(k, len(x))) for k in range(PROBES)], "first": [number(v) for v in x[:4]]}
    d |= {name: deviation(other.detach(), truth) for name, other in others.items() if other is not None}
    return d


def nhwc(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def nchw(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 3, 1, 2)


def write(path: pathlib.Path, golden: dict, lists: int = 2):
    """JSON with one line per entry down to this depth."""

    def text(value, depth):
        if depth == 0 or not isinstance(value, (dict, list)) or not value:
            return json.dumps(value)
        pad = " " * (lists - depth + 1)
        inner = [f"{json.dumps(k)}: {text(v, depth - 1)}" for k, v in value.items()] if isinstance(value, dict) else \
            [text(v, depth - 1) for v in value]
        ends = "{}" if isinstance(value, dict) else "[]"
        return f"{ends[0]}\n" + ",\n".join(pad + line for line in inner) + f"\n{pad[1:]}{ends[1]}"

    path.write_text(text(golden, lists) + "\n")
