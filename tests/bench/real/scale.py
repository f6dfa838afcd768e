#!/usr/bin/env python3
"""What scale.sh makes and reads. Needs NumPy and PyTorch but for `steps`.

scale.py photos OUT.tar COUNT PHOTOS.tar    so many images: those of a tar, again and again
scale.py weights OUT.pth                    random weights under DINOv2 ViT-B/14's names
scale.py embeddings OUT.npy ROWS COLUMNS    of 3,000 centres, with noise
scale.py steps RUN                          seconds of each step, as run.json has them
"""
import io
import json
import os
import sys
import tarfile


def photos(out, count, source):
    with tarfile.open(source) as tar:
        images = [(os.path.basename(m.name), tar.extractfile(m).read()) for m in tar if m.isfile()]
    with tarfile.open(out, "w") as tar:
        for i in range(count):
            name, data = images[i % len(images)]
            info = tarfile.TarInfo(f"{i // 1000:03d}/{i:07d}-{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def weights(out, width=768, depth=12, patch=14, tokens=37 * 37 + 1):
    import torch

    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, tokens, width), "mask_token": (1, width),
              "patch_embed.proj.weight": (width, 3, patch, patch), "patch_embed.proj.bias": (width,),
              "norm.weight": (width,), "norm.bias": (width,)}
    for i in range(depth):
        block = {"norm1": (width,), "norm2": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width),
                 "mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
        for name, shape in block.items():
            shapes[f"blocks.{i}.{name}.weight"], shapes[f"blocks.{i}.{name}.bias"] = shape, shape[:1]
        shapes[f"blocks.{i}.ls1.gamma"] = shapes[f"blocks.{i}.ls2.gamma"] = (width,)
    torch.manual_seed(1)
    torch.save({name: torch.randn(shape) * 0.03 + name.endswith(("norm.weight", "norm1.weight", "norm2.weight"))
                for name, shape in shapes.items()}, out)


def embeddings(out, rows, columns, centres=3000):
    import numpy as np
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(1)
    middle = torch.randn(centres, columns, device=device)
    array = np.lib.format.open_memmap(out, "w+", np.float32, (rows, columns))
    for first in range(0, rows, 100000):
        n = min(100000, rows - first)
        x = middle[torch.randint(centres, (n,), device=device)] + torch.randn(n, columns, device=device)
        array[first : first + n] = x.cpu().numpy()


def steps(run):
    with open(os.path.join(run, "run.json")) as f:
        found = json.load(f)
    for name, step in found.get("steps", found).items():
        if isinstance(step, dict) and "seconds" in step:
            print(f"{name}: {step['seconds']:.3g} s", end="; ")
    print()


if __name__ == "__main__":
    what, rest = sys.argv[1], sys.argv[2:]
    if what == "photos":
        photos(rest[0], int(rest[1]), rest[2])
    elif what == "weights":
        weights(rest[0])
    elif what == "embeddings":
        embeddings(rest[0], int(rest[1]), int(rest[2]))
    else:
        steps(rest[0])
