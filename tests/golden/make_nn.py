"""Golden values of pooling and activations from PyTorch, written to nn.json beside this file.

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


def pool(kind, size, kernel, stride, pad):
    x = torch.randn(2, 3, *size)
    if kind == 0:
        y = F.max_pool2d(x, kernel, stride, pad)
    else:
        y = F.avg_pool2d(x, kernel, stride, pad, count_include_pad=kind == 1)
    return {"kind": kind, "size": size, "kernel": kernel, "stride": stride, "pad": pad, "x": numbers(x),
            "y": numbers(y)}


x = torch.linspace(-8, 8, 41)
golden = {
    "versions": {"torch": torch.__version__},
    "pool": [pool(0, (7, 9), (3, 3), (2, 2), (1, 1)), pool(1, (7, 9), (3, 3), (1, 1), (1, 1)),
             pool(2, (7, 9), (3, 3), (1, 1), (1, 1))],
    # In the order of enum ek_nn_activation.
    "activation": {"x": numbers(x), "y": [numbers(f(x)) for f in (
        lambda v: v, F.relu, F.relu6, F.gelu, lambda v: F.gelu(v, approximate="tanh"),
        lambda v: v * torch.sigmoid(1.702 * v), F.silu)]},
}
pathlib.Path(__file__).with_suffix("").with_name("nn.json").write_text(json.dumps(golden) + "\n")
