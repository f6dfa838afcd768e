#!/usr/bin/env python3
"""Golden values of the perceptual loss (train/vae/perceptual.h), by PyTorch in float64:

    pip install torch
    python tests/golden/make_perceptual.py

Writes perceptual.json. The weights are those of the first five blocks of EfficientNet-Lite0, random_weights.tensor(NAME,
SHAPE), names as in PyPI's efficientnet-lite-pytorch; "made" and "wanted" are digests.uniform(NAME, [2, side, side, 3]).
Each stage's squared difference is divided by the mean of gamma^2 of its last batch norm; the three are averaged.
cases: "side", "losses" of the two images, "gradient": digest of that of losses[0] + 2 losses[1] with respect to "made".
"""
import pathlib

import torch
from torch.nn.functional import batch_norm, conv2d, pad

import random_weights as rw
from digests import digest, nchw, nhwc, number, short, uniform, write

STAGES = [(1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40)]  # repeats, kernel, stride, expand, in, out


def weight(name, *shape, dtype):
    return torch.from_numpy(rw.tensor(name, shape)).to(dtype)


def convolve(x, prefix, conv, norm, out, kernel, stride, groups, relu6, see=lambda x: x):
    dtype, size = x.dtype, x.shape[2]
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    x = see(pad(x, (total // 2, total - total // 2) * 2))  # TensorFlow's SAME
    x = conv2d(x, weight(f"{prefix}{conv}.weight", out, x.shape[1] // groups, kernel, kernel, dtype=dtype), None, stride,
               0, 1, groups)
    parts = {p: weight(f"{prefix}{norm}.{p}", out, dtype=dtype) for p in ("weight", "bias", "running_mean",
                                                                         "running_var")}
    x = batch_norm(x, parts["running_mean"], parts["running_var"], parts["weight"], parts["bias"], False, 0, 1e-3)
    return (x.clamp(0, 6) if relu6 else x), (parts["weight"] ** 2).mean()


def features(x):
    # The encoder takes (pixel - 127) / 128; x is pixel / 127.5 - 1, and what pads it is 0.
    x, _ = convolve(x, "", "_conv_stem", "_bn0", 32, 3, 2, 1, True, lambda x: (x * 127.5 + 0.5) / 128)
    number, out = 0, []
    for repeats, kernel, stride, expand, first, width in STAGES:
        for i in range(repeats):
            prefix, before, wide = f"_blocks.{number}.", x, (width if i else first) * expand
            if expand > 1:
                x, _ = convolve(x, prefix, "_expand_conv", "_bn0", wide, 1, 1, 1, True)
            x, _ = convolve(x, prefix, "_depthwise_conv", "_bn1", wide, kernel, 1 if i else stride, wide, True)
            x, variance = convolve(x, prefix, "_project_conv", "_bn2", width, 1, 1, 1, False)
            x = x + before if i else x
            number += 1
        out.append((x, variance))
    return out


def run(side, dtype):
    made, wanted = [nchw(torch.from_numpy(uniform(f"perceptual {n} {side}", [2, side, side, 3])).to(dtype))
                    for n in ("made", "wanted")]
    made.requires_grad_()
    losses = sum(((a - b) ** 2).mean((1, 2, 3)) / v for (a, v), (b, _) in zip(features(made), features(wanted))) / 3
    (losses[0] + 2 * losses[1]).backward()
    return losses.detach(), nhwc(made.grad)


def case(side):
    (losses, gradient), (losses32, gradient32) = run(side, torch.float64), run(side, torch.float32)
    return {"side": side, "losses": [number(v) for v in losses],
            "f32": short(((losses32 - losses).abs() / losses).max()), "gradient": digest(gradient, f32=gradient32)}


if __name__ == "__main__":
    write(pathlib.Path(__file__).with_name("perceptual.json"), {
        "made_by": "make_perceptual.py", "versions": {"torch": torch.__version__}, "cases": [case(16), case(27)]})
