"""Weights and images by formula, the same in C (tests/analysis/embed/random_weights.c): every number is a function of
a name and an index alone, in integers as far as rounding to float32.

A tensor of two or more dimensions gets filters of mean zero (in integers) and variance gain^2 / fan-in, so that deep
networks neither explode nor map all images to one point. A layer of such filters, then a rectifier that half of the
values pass, multiplies the variance of a small error by gain^2 / 2. EfficientNet's 30 layers get a gain below sqrt(2),
so that rounding errors fade; at 1.5 they grow (by 50 times in float32), and its features in bf16 are noise.
"""
import math

import numpy as np


def stream(name: str) -> int:
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def bits24(name: str, count: int, start: int = 0) -> np.ndarray:
    """24-bit integers: the high bits of SplitMix64's output function at stream(name) + (i + 1) * golden."""
    z = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(stream(name))
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.int32)


def offset_and_scale(name: str, shape) -> tuple[float, float]:
    """The middle and the half width of a tensor's uniform distribution."""
    if name.endswith("running_var"):
        return 1.0, 0.5
    if name.endswith(("lambda1", ".gamma")):
        return 0.5, 0.25
    if name.endswith(("embedding", "token", "tokens", "embeddings", "pos_embed", "embedding.weight")) and \
            "patch" not in name:
        return 0.0, 1.0
    if len(shape) == 1:
        return (1.0, 0.2) if name.endswith("weight") else (0.0, 0.2)
    fan_in = math.prod(shape[1:])
    gain = 1.5 if ".query." in name or ".q_proj." in name or ".key." in name or ".k_proj." in name else \
        1.0 if "layer" in name or "projection" in name else 1.2 if "_conv" in name else 1.5
    return 0.0, gain * math.sqrt(3.0 / fan_in)


def tensor(name: str, shape) -> np.ndarray:
    count = math.prod(shape)
    k = bits24(name, count) - (1 << 23)
    offset, scale = offset_and_scale(name, shape)
    if len(shape) >= 2 and math.prod(shape[1:]) > 8 and offset == 0 and scale != 1:
        k = k.reshape(shape[0], -1)
        k -= (k.sum(1, dtype=np.int64) // k.shape[1]).astype(np.int32)[:, None]
    u = k.astype(np.float32).reshape(-1) * np.float32(2.0**-23)
    return (np.float32(offset) + np.float32(scale) * u).astype(np.float32).reshape(shape)


BLOCKS = (64, 24, 8, 40)


def image(number: int, width: int, height: int) -> np.ndarray:
    """[height, width, 3] uint8: coloured blocks over a gradient."""
    block = BLOCKS[number % 4]
    y, x = np.mgrid[0:height, 0:width]
    out = np.empty((height, width, 3), np.uint8)
    for c in range(3):
        colours = bits24(f"image {number}", 3 * 4096) & 127
        index = ((y // block) * 61 + x // block) * 3 + c
        gradient = (x * (number % 3 + 1) + y * (c + 1)) * 127 // (3 * width + 3 * height)
        out[..., c] = colours[index % (3 * 4096)] + gradient
    return out
