"""Golden values of network operators from PyTorch, written to nn.json beside this file.

Run with torch installed: python3 tests/golden/make_nn.py
"""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_num_threads(1)


def numbers(x):
    return [float(f"{v:.9g}") for v in x.flatten().tolist()]


def conv(channels, out, size, kernel, stride, pad, groups, relu6):
    x = torch.randn(2, channels, *size)
    w = torch.randn(out, channels // groups, *kernel) / 4
    mean, var, gamma, beta = torch.randn(out) / 4, torch.rand(out) + 0.5, torch.randn(out), torch.randn(out) / 4
    y = F.conv2d(F.pad(x, (pad[2], pad[3], pad[0], pad[1])), w, None, stride, 0, 1, groups)
    y = F.batch_norm(y, mean, var, gamma, beta, False, 0.0, 1e-3)
    y = F.relu6(y) if relu6 else y
    return {"channels": channels, "out": out, "size": size, "kernel": kernel, "stride": stride, "pad": pad,
            "groups": groups, "relu6": int(relu6), "x": numbers(x), "weight": numbers(w), "mean": numbers(mean),
            "variance": numbers(var), "gamma": numbers(gamma), "beta": numbers(beta), "y": numbers(y)}


def pool(kind, size, kernel, stride, pad):
    x = torch.randn(2, 3, *size)
    if kind == 0:
        y = F.max_pool2d(x, kernel, stride, pad)
    else:
        y = F.avg_pool2d(x, kernel, stride, pad, count_include_pad=kind == 1)
    return {"kind": kind, "size": size, "kernel": kernel, "stride": stride, "pad": pad, "x": numbers(x),
            "y": numbers(y)}


def attention(tokens, heads, width):
    x = torch.randn(2, tokens, 3 * heads * width) * 1.5
    q, k, v = x.reshape(2, tokens, 3, heads, width).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, tokens, heads * width)
    return {"tokens": tokens, "features": 3 * heads * width, "heads": heads, "x": numbers(x), "y": numbers(y)}


def layer_norm(tokens, features):
    x = torch.randn(2, tokens, features) * 3 + 1
    gamma, beta = torch.randn(features), torch.randn(features)
    return {"tokens": tokens, "features": features, "gamma": numbers(gamma), "beta": numbers(beta), "x": numbers(x),
            "y": numbers(F.layer_norm(x, (features,), gamma, beta, 1e-6))}


x = torch.linspace(-8, 8, 41)
golden = {
    "versions": {"torch": torch.__version__},
    "conv": [conv(5, 7, (9, 6), (3, 2), (2, 1), (0, 1, 1, 0), 1, False),
             conv(6, 6, (7, 7), (5, 5), (2, 2), (1, 2, 1, 2), 6, True)],
    "pool": [pool(0, (7, 9), (3, 3), (2, 2), (1, 1)), pool(1, (7, 9), (3, 3), (1, 1), (1, 1)),
             pool(2, (7, 9), (3, 3), (1, 1), (1, 1))],
    "attention": [attention(13, 3, 8)],
    "layer_norm": [layer_norm(3, 37)],
    # In the order of enum ek_nn_activation.
    "activation": {"x": numbers(x), "y": [numbers(f(x)) for f in (
        lambda v: v, F.relu, F.relu6, F.gelu, lambda v: F.gelu(v, approximate="tanh"),
        lambda v: v * torch.sigmoid(1.702 * v), F.silu)]},
}
pathlib.Path(__file__).with_suffix("").with_name("nn.json").write_text(json.dumps(golden) + "\n")
