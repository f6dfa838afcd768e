#!/usr/bin/env python3
"""What the attention of bench_cuda is measured against: cuDNN's, by PyTorch, in bf16.

    python tests/bench/rival_cuda.py HEADS WIDTH        256 tokens, batch 256, forward and with backward
"""
import statistics
import sys

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

WARMUP = 5


def median_ms(run, count):
    times = []
    for i in range(WARMUP + count):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times[WARMUP:])


def attention(heads, width):
    q, k, v = (torch.randn(256, heads, 256, width, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
    d = torch.randn_like(q)
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        forward = median_ms(lambda: F.scaled_dot_product_attention(q, k, v), 30)
        both = median_ms(lambda: F.scaled_dot_product_attention(q, k, v).backward(d), 30)
    print(f"cuDNN attention {heads} x {width}: {forward * 1e3:.0f} us forward, {both * 1e3:.0f} us with backward")


if __name__ == "__main__":
    torch.set_default_device("cuda")
    attention(int(sys.argv[1]), int(sys.argv[2]))
