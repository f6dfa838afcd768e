#!/usr/bin/env python3
"""What bench_images is measured against: PyTorch's gradient of one image after another, and its norm, on one thread.

    python tests/bench/images_rival.py [SECONDS]

Images a second of processor time, float32, the best of three rounds; models as in bench_images.c.
"""
import pathlib
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))
from sit_model import SiT

SITS = {"sit-64": (64, 4, 4, 2, 8, 4, 10), "sit-192": (192, 6, 6, 1, 8, 4, 1000),
        "sit-s2": (384, 12, 6, 2, 32, 4, 1000)}


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
    main(*map(float, sys.argv[1:]))
