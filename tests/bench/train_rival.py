#!/usr/bin/env python3
"""What training and sampling on the CPU are measured against: PyTorch at its best (docs: performance goals 8 and 10).

    pip install torch diffusers
    python tests/bench/train_rival.py [--seconds 8] [--rounds 3] [--max-autotune] [CASE ...]

One line a case: name, the rate of the fastest variant, which one it is, the median time of a step, and all variants'
rates. Variants: eager or compiled; float32 weights under bf16 autocast, or all in bf16, optimizer and EMA too (faster,
though an EMA in bf16 hardly moves: the rival is given that). The variants of a case take turns, round after round;
compiling and three steps each are left out. A training step draws time, noise and label drops, and does forward,
backward, fused AdamW and EMA. A sampling step is one evaluation of the model without gradients ("frozen": compiled
with constant weights). CASE: the start of names. First-step cases are times from the start of the process to the end
of the first training step, compiled with an empty and with a filled cache.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torch._inductor.config
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))
from sit_model import SiT

THREADS, WARMUP, EMA, LABEL_DROP, KL_WEIGHT = 2, 3, 0.9999, 0.1, 1e-6
SITS = {"sit-192": {"width": 192, "depth": 6, "heads": 6, "patch": 1, "size": 8, "channels": 4, "classes": 1000},
        "sit-s2": {"width": 384, "depth": 12, "heads": 6, "patch": 2, "size": 32, "channels": 4, "classes": 1000}}


def randomise(model):
    """No zero weights: a gate of zero would be no less work, but denormal numbers or NaN could be."""
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad and p.dim() > 1:
                nn.init.xavier_uniform_(p.flatten(1))
    return model


class FlowLoss(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.model, self.classes = randomise(SiT(**SITS[name])), SITS[name]["classes"]

    def forward(self, x1, y):
        t, x0 = torch.rand(len(x1)), torch.randn_like(x1)
        y = torch.where(torch.rand(len(y)) < LABEL_DROP, self.classes, y)
        s = t[:, None, None, None].to(x1.dtype)
        v = self.model(s * x1 + (1 - s) * x0, t, y)
        return ((v.float() - (x1 - x0).float()) ** 2).mean()


class AutoencoderLoss(nn.Module):
    def __init__(self, channels, blocks):
        from diffusers import AutoencoderKL

        super().__init__()
        levels = len(channels)
        self.model = randomise(AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=channels, layers_per_block=blocks, latent_channels=4, norm_num_groups=16))

    def forward(self, x):
        mean, logvar = self.model.quant_conv(self.model.encoder(x)).float().clamp(-30, 20).chunk(2, 1)
        z = mean + (logvar / 2).exp() * torch.randn_like(mean)
        decoded = self.model.decoder(self.model.post_quant_conv(z.to(x.dtype))).float()
        kl = (mean**2 + logvar.exp() - 1 - logvar).sum((1, 2, 3)).mean() / 2
        return ((decoded - x.float()) ** 2).mean() + KL_WEIGHT * kl


def labels(batch):
    return torch.randint(1000, (batch,))


def flow(name, batch):
    m = SITS[name]
    return FlowLoss(name), (torch.randn(batch, m["channels"], m["size"], m["size"]), labels(batch))


def autoencoder(batch):
    return AutoencoderLoss((32, 64), 1), (torch.rand(batch, 3, 32, 32) * 2 - 1,)


def sampling(name, batch):
    m = SITS[name]
    return randomise(SiT(**m)), (torch.randn(batch, m["channels"], m["size"], m["size"]), torch.rand(batch),
                                 labels(batch))


CASES = {f"train {n} batch {b}": (flow, n, b) for n, b in
         (("sit-192", 64), ("sit-192", 128), ("sit-s2", 16), ("sit-s2", 32))}
CASES |= {"train kl-autoencoder 32x32 batch 32": (autoencoder, 32)}
CASES |= {f"sample {n} batch {b}": (sampling, n, b) for n, b in (("sit-192", 64), ("sit-s2", 16))}
FIRST = {f"first step {n} {how}": (n, how) for n in SITS for how in ("eager", "compiled")}


def prepared(case, pure):
    build, *sizes = CASES[case]
    torch.manual_seed(1)
    model, inputs = build(*sizes)
    if pure:
        model = model.to(torch.bfloat16)
        # Times stay float32: the model computes the angles before it rounds.
        inputs = tuple(x.to(torch.bfloat16) if x.is_floating_point() and x.dim() > 1 else x for x in inputs)
    if build is autoencoder:
        model, inputs = model.to(memory_format=torch.channels_last), tuple(
            x.to(memory_format=torch.channels_last) for x in inputs)
    return model, inputs


def training_step(case, pure, how, mode):
    model, inputs = prepared(case, pure)
    weights = [p for p in model.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in weights]
    optimizer = torch.optim.AdamW(weights, lr=1e-4, weight_decay=0, fused=True)
    run = model if how == "eager" else torch.compile(model, mode=mode, dynamic=False)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=not pure):
            loss = run(*inputs)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 1 - EMA)
        return loss

    return step


def sampling_step(case, pure, how, mode):
    model, inputs = prepared(case, pure)
    model.eval().requires_grad_(False)
    run = model if how == "eager" else torch.compile(model, mode=mode, dynamic=False)

    def step():
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=not pure), \
                torch._inductor.config.patch(freezing=how == "frozen"):
            return run(*inputs)

    return step


def measure(case, options):
    """Times of single steps of each variant."""
    torch._dynamo.reset()
    kind = sampling_step if case.startswith("sample") else training_step
    hows = ("eager", "compiled", "frozen") if kind is sampling_step else ("eager", "compiled")
    mode = "max-autotune-no-cudagraphs" if options.max_autotune else None
    steps = {f"{how} {'bf16' if pure else 'autocast'}": kind(case, pure, how, mode)
             for how in hows for pure in (False, True)}
    times = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(WARMUP):
            result = step()
        assert torch.isfinite(result.float()).all()
    for _ in range(options.rounds):
        for name, step in steps.items():
            end = time.perf_counter() + options.seconds / options.rounds
            while (start := time.perf_counter()) < end:
                step()
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def report(case, options):
    medians = measure(case, options)
    batch = CASES[case][-1]
    best = min(medians, key=medians.get)
    unit = "evaluations/s" if case.startswith("sample") else "images/s"
    every = ", ".join(f"{n} {batch / t:.1f}" for n, t in medians.items())
    print(f"{case}: {batch / medians[best]:.1f} {unit}, {best}, {medians[best] * 1e3:.1f} ms a step ({every})",
          flush=True)


def first_step(name, how):
    training_step(f"train {name} batch {16 if name == 'sit-s2' else 64}", False, how, None)().item()
    print("done", flush=True)


def time_to_first_step(name, how, cache):
    command = [sys.executable, __file__, "--first-step", name, how]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}) as child:
        line = child.stdout.readline()
        seconds = time.perf_counter() - start
    assert line == "done\n" and child.returncode == 0
    return seconds


def report_first(case, rounds):
    """Compiled: each round one with an empty cache, then one with the cache that it filled."""
    name, how = FIRST[case]
    times = {"empty cache": [], "filled cache": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for list_ in times.values() if how == "compiled" else [times["empty cache"]]:
                list_.append(time_to_first_step(name, how, cache))
    medians = {k: statistics.median(v) for k, v in times.items() if v}
    print(f"{case}: " + (f"{medians['empty cache']:.2f} s" if how == "eager" else
                         ", ".join(f"{v:.2f} s with {k}" for k, v in medians.items())), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8, help="of each variant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-autotune", action="store_true")
    parser.add_argument("--first-step", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("case", nargs="*", default=[""])
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    if options.first_step:
        first_step(*options.first_step)
        return
    for case in CASES | FIRST:
        if case.startswith(tuple(options.case)):
            if case in CASES:
                report(case, options)
            else:
                report_first(case, options.rounds)


if __name__ == "__main__":
    main()
