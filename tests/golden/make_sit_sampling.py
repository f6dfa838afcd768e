#!/usr/bin/env python3
"""Golden values of what make_sit.py leaves out: ancestral sampling of a diffusion, and a training checkpoint's file.

    pip install torch diffusers scipy
    python tests/golden/make_sit_sampling.py

Writes sit_sampling.json and sit-training.pt.

ancestral: `steps` of the 1000 steps, spaced as guided-diffusion does ("times", ascending), from the noise "x" and labels
of sit.json's model "small-sigma" with weights by formula; noise "noise" [steps - 1, n, h, w, c], in the order of use;
guidance as there, for the noise alone. By diffusers' DDPMScheduler with learned_range, its tables in float64.
file: a network that learned three steps, saved as the public training code does, {"model", "ema", "opt", "args"}; its
configuration, and for every tensor of the average [norm, first number].
"""
import argparse
import copy
import json
import pathlib

import diffusers
import torch
from diffusers import DDPMScheduler
from diffusers.schedulers import scheduling_ddpm

from digests import digest, nchw, nhwc, number, uniform
from make_sit import KINDS, MODELS, SCALE, TYPES, column, diffusion_schedule, model_of, sample_inputs, trained
from sit_model import SiT

FOLDER = pathlib.Path(__file__).parent
FILE = {"width": 8, "depth": 2, "heads": 2, "patch": 2, "size": 4, "channels": 3, "classes": 3, "learn_sigma": 1}


def spaced(count):
    stride, place, times = 999 / (count - 1), 0.0, []
    for _ in range(count):
        times.append(round(place))
        place += stride
    return times


def scheduler_of(kind, times):
    s = DDPMScheduler(1000, 1e-4, 0.02, "linear", variance_type="learned_range", clip_sample=False)
    table = diffusion_schedule()
    s.betas, s.alphas_cumprod = (torch.from_numpy(table[k]).to(TYPES[kind]) for k in ("beta", "bar"))
    s.alphas, s.one = 1 - s.betas, torch.tensor(1.0, dtype=TYPES[kind])
    s.set_timesteps(timesteps=times[::-1])
    return s


def output(model, x, t, y, guidance):
    times = torch.full((len(x),), float(t), dtype=x.dtype)
    c = model(x, times, y)
    if guidance is None:
        return c
    u, k = model(x, times, torch.full_like(y, MODELS["small-sigma"]["classes"])), guidance["guided_channels"]
    return torch.cat([u[:, :k] + guidance["scale"] * (c[:, :k] - u[:, :k]), c[:, k:]], 1)


def ancestral(steps, guidance=None):
    x_input, labels = sample_inputs()
    noise_input = {"array": "noise", "name": "sit ancestral noise", "shape": [steps - 1, *x_input["shape"]],
                   "scale": SCALE, "offset": 0.0}
    times, results = spaced(steps), {}
    for kind in KINDS:
        model = model_of("small-sigma", kind).requires_grad_(False)
        x, noise = (torch.from_numpy(uniform(i["name"], i["shape"], SCALE)).to(TYPES[kind])
                    for i in (x_input, noise_input))
        x, s = nchw(x), scheduler_of(kind, times)
        for i, t in enumerate(times[::-1]):
            scheduling_ddpm.randn_tensor = lambda *_, i=i, **__: nchw(noise[i])
            x = s.step(output(model, x, t, torch.tensor(labels), guidance), t, x).prev_sample
        results[kind] = nhwc(x)
    return {"inputs": [x_input, noise_input], "labels": labels, "steps": steps, "times": times, "guidance": guidance,
            "result": digest(results["f64"], f32=results["f32"])}


def training_file():
    torch.manual_seed(1)
    model = SiT(**FILE)
    ema = copy.deepcopy(model)
    opt = torch.optim.AdamW(trained(model).values(), lr=1e-3, weight_decay=0)
    for _ in range(3):
        x = torch.randn(4, FILE["channels"], FILE["size"], FILE["size"])
        (model(x, torch.rand(4), torch.randint(FILE["classes"] + 1, (4,))) ** 2).mean().backward()
        opt.step()
        opt.zero_grad()
        with torch.no_grad():
            for e, p in zip(trained(ema).values(), trained(model).values()):
                e.lerp_(p, 0.1)
    torch.save({"model": model.state_dict(), "ema": ema.state_dict(), "opt": opt.state_dict(),
                "args": argparse.Namespace(model="SiT", lr=1e-3)}, FOLDER / "sit-training.pt")
    return {"config": FILE, "ema": {n: [number(t.double().norm()), number(t.flatten()[0])]
                                    for n, t in ema.state_dict().items()}}


def main():
    torch.set_num_threads(1)
    guidance = {"scale": 1.5, "guided_channels": 3}
    golden = {"made_by": "make_sit_sampling.py",
              "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__},
              "ancestral": [ancestral(10), ancestral(7, guidance)], "file": training_file()}
    (FOLDER / "sit_sampling.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
