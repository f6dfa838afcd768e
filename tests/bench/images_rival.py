#!/usr/bin/env python3
"""What bench_images is measured against: PyTorch's gradient of one image after another, and its norm, on one thread.

    python tests/bench/images_rival.py [SECONDS]

Images a second of processor time, float32, the best of three rounds; models as in bench_images.c.

    python tests/bench/images_rival.py moso NAME [SECONDS [WAY]]   on a GPU; NAME: sit-s2, sit-small; WAY: eager, compiled

What bench_cuda moso is measured against: MoSo as its authors have it, two passes over the images, each one by itself:
the first adds the gradient of each draw to the mean, the second makes it again and multiplies it with the mean. Draws a
second of both passes and of each; eager in float32, with TF32 and in bfloat16, and compiled with CUDA graphs.
"""
import math
import pathlib
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))
from sit_model import SiT, TimeEmbedding

GPU_SITS = {"sit-s2": (384, 12, 6, 2, 32, 4, 1000), "sit-small": (192, 6, 6, 4, 32, 3, 1000)}
SITS = {"sit-64": (64, 4, 4, 2, 8, 4, 10), "sit-192": (192, 6, 6, 1, 8, 4, 1000),
        "sit-s2": (384, 12, 6, 2, 32, 4, 1000)}


def draws_a_second(run, seconds):
    for _ in range(5):
        run()
    torch.cuda.synchronize()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run()
        count += 1
    torch.cuda.synchronize()
    return count / (time.perf_counter() - start)


def moso(name, seconds=2.0, way=""):
    def embed(self, t):
        angle = t[:, None] * torch.exp(-math.log(10000) / 128 * torch.arange(128, device="cuda"))
        return self.mlp(torch.cat([angle.cos(), angle.sin()], 1))

    TimeEmbedding.forward = embed  # the model's own makes its rates on the processor
    width, depth, heads, patch, size, channels, classes = GPU_SITS[name]
    model = SiT(width, depth, heads, patch, size, channels, classes).cuda()
    values = [p for p in model.parameters() if p.requires_grad]
    for p in values:
        torch.nn.init.uniform_(p, -0.05, 0.05)
    x1, x0 = torch.rand(1, channels, size, size, device="cuda"), torch.randn(1, channels, size, size, device="cuda")
    t, y = torch.rand(1, device="cuda"), torch.randint(0, classes, (1,), device="cuda")
    mean = [torch.zeros_like(p) for p in values]

    def loss_of(bf16):
        s = t[:, None, None, None]
        with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
            v = model(s * x1 + (1 - s) * x0, t, y)
        return ((v.float() - (x1 - x0)) ** 2).mean()

    def first(loss, bf16):
        torch._foreach_add_(mean, torch.autograd.grad(loss(bf16), values), alpha=1e-9)

    def second(loss, bf16):
        products = torch._foreach_mul(torch.autograd.grad(loss(bf16), values), mean)
        return torch.stack([p.sum() for p in products]).sum().item()

    compiled = torch.compile(loss_of, mode="reduce-overhead")
    for words, tf32, bf16, loss in (("eager, float32", False, False, loss_of), ("eager, TF32", True, False, loss_of),
                                    ("eager, bf16", True, True, loss_of), ("compiled, CUDA graphs, bf16", True, True, compiled)):
        if way not in words:
            continue
        torch.backends.cuda.matmul.allow_tf32 = tf32
        rates = [draws_a_second(lambda: one(loss, bf16), seconds) for one in (first, second)]
        both = 1 / sum(1 / r for r in rates)
        print(f"{name}, PyTorch, one at a time, {words}: {both:.1f} draws/s of both passes "
              f"({rates[0]:.1f} and {rates[1]:.1f})", flush=True)


def main(seconds=2.0):
    torch.set_num_threads(1)
    for name, (width, depth, heads, patch, size, channels, classes) in SITS.items():
        model = SiT(width, depth, heads, patch, size, channels, classes)
        for p in model.parameters():
            if p.requires_grad:
                torch.nn.init.uniform_(p, -0.05, 0.05)
        values = [p for p in model.parameters() if p.requires_grad]
        best = 0
        for _ in range(3):
            start, images = time.process_time(), 0
            while (spent := time.process_time() - start) < seconds or images == 0:
                x1, x0 = torch.rand(1, channels, size, size), torch.randn(1, channels, size, size)
                t, y = torch.rand(1), torch.randint(0, classes, (1,))
                s = t[:, None, None, None]
                loss = ((model(s * x1 + (1 - s) * x0, t, y) - (x1 - x0)) ** 2).mean()
                torch.stack([(g * g).sum() for g in torch.autograd.grad(loss, values)]).sum().sqrt().item()
                images += 1
            best = max(best, images / spent)
        print(f"{name}, PyTorch, one at a time: {best:.2f} images/s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["moso"]:
        moso(sys.argv[2], *map(float, sys.argv[3:4]), *sys.argv[4:5])
    else:
        main(*map(float, sys.argv[1:]))
