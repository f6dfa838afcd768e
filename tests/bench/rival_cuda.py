#!/usr/bin/env python3
"""What bench_cuda is measured against: PyTorch compiled, bf16, with cuDNN's attention.

    python tests/bench/rival_cuda.py step NAME [BATCH [STEPS]]    training: NAME is SiT-S/2, SiT-B/2, …
    python tests/bench/rival_cuda.py sample NAME [BATCH [STEPS]]  one evaluation of each of a batch's images
    python tests/bench/rival_cuda.py attention HEADS WIDTH        256 tokens, batch 256, forward and with backward
"""
import math
import pathlib
import statistics
import sys

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))

WARMUP, DROP, DECAY = 5, 0.1, 0.9999
SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}


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


def network(name):
    from sit_model import SiT, TimeEmbedding

    def embed(self, t):
        half = 128
        angle = t[:, None] * torch.exp(-math.log(10000) / half * torch.arange(half, device="cuda"))
        return self.mlp(torch.cat([angle.cos(), angle.sin()], 1).to(self.mlp[0].weight.dtype))

    TimeEmbedding.forward = embed  # the model's own makes its rates on the processor
    width, depth, heads = SIZES[name.removeprefix("SiT-").split("/")[0]]
    model = SiT(width, depth, heads, 2, 32, 4, 1000).cuda()
    for p in model.parameters():
        if p.requires_grad and p.dim() > 1:
            torch.nn.init.xavier_uniform_(p.flatten(1))
    return model


def sample(name, batch=256, steps=20):
    model = torch.compile(network(name).bfloat16())
    x, t = torch.randn(batch, 4, 32, 32, device="cuda"), torch.rand(batch, device="cuda")
    labels = torch.randint(0, 1000, (batch,), device="cuda")

    def run():
        with torch.no_grad(), sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]):
            model(x.bfloat16(), t, labels).float()

    ms = median_ms(run, steps)
    print(f"PyTorch samples {name} batch {batch}: {batch / ms * 1e3:.0f} evaluations/s ({ms:.2f} ms)")


def step(name, batch=256, steps=20):
    model = network(name)
    values = [p for p in model.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in values]
    optimizer = torch.optim.AdamW(values, lr=1e-4, weight_decay=0, fused=True)
    data, labels = torch.randn(batch, 4, 32, 32, device="cuda"), torch.randint(0, 1000, (batch,), device="cuda")

    def loss_of(x1, y):
        t, x0 = torch.rand(len(x1), device="cuda"), torch.randn_like(x1)
        y = y.masked_fill(torch.rand(len(y), device="cuda") < DROP, 1000)
        s = t[:, None, None, None]
        with torch.autocast("cuda", torch.bfloat16):
            v = model(s * x1 + (1 - s) * x0, t, y)
        return ((v.float() - (x1 - x0)) ** 2).mean()

    compiled = torch.compile(loss_of)

    def run():
        with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]):
            compiled(data, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        torch._foreach_lerp_(average, [p.detach() for p in values], 1 - DECAY)

    ms = median_ms(run, steps)
    print(f"PyTorch {name} batch {batch}: {batch / ms * 1e3:.1f} images/s ({ms:.2f} ms)")


def attention(heads, width):
    q, k, v = (torch.randn(256, heads, 256, width, dtype=torch.bfloat16, device="cuda", requires_grad=True) for _ in range(3))
    d = torch.randn_like(q)
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        forward = median_ms(lambda: F.scaled_dot_product_attention(q, k, v), 30)
        both = median_ms(lambda: F.scaled_dot_product_attention(q, k, v).backward(d), 30)
    print(f"cuDNN attention {heads} x {width}: {forward * 1e3:.0f} us forward, {both * 1e3:.0f} us with backward")


if __name__ == "__main__":
    torch.backends.cuda.matmul.allow_tf32 = True
    if sys.argv[1] == "attention":
        attention(int(sys.argv[2]), int(sys.argv[3]))
    else:
        {"step": step, "sample": sample}[sys.argv[1]](sys.argv[2], *map(int, sys.argv[3:]))
