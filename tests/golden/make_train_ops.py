#!/usr/bin/env python3
"""Golden values of the training operators, forward and backward, from PyTorch in float64:

    pip install torch diffusers
    python tests/golden/make_train_ops.py

Writes train_ops.json (the cases) and train_ops.bin (their results, float32, little-endian).

A case: "op", "name", its parameters, "inputs" and "outputs". An input ARRAY is made by formula (digests.py) from
"name", "shape", "scale", "offset", or, with "indices": COUNT, is an array of integers below COUNT. The gradient given
to an output Y is the input "dY"; the results are the outputs and "dX" for each input X that has a gradient. A result:
"array", "shape", "at" (its first number in train_ops.bin), "f32" and "bf16" (L2 deviation of PyTorch in that type from
float64, relative to the L2 norm; bf16: inputs rounded to bf16, too; left out where that moves inputs over a kink),
"f32_max" (largest absolute deviation in float32). An f32 of 0 says that this case rounds nothing: allow 2^-24 at least.

Images are [n, h, w, c]; weights have PyTorch's order. pad: top, bottom, left, right. kernel, stride: one number, or
[height, width].
op "adamw": see adamw().
"""
import pathlib

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution, VectorQuantizer

from digests import deviation, indices, nchw, nhwc, short, uniform, write

HERE = pathlib.Path(__file__).parent
CASES, BINARY = [], []
TYPES = {"f64": torch.float64, "f32": torch.float32, "bf16": torch.bfloat16}


def store(array, truth, f32=None, bf16=None):
    at = sum(len(b) for b in BINARY)
    BINARY.append(truth.detach().double().numpy().astype("<f4").reshape(-1))
    out = {"array": array, "shape": list(truth.shape), "at": at}
    if f32 is not None:
        out |= {"f32": deviation(f32, truth), "f32_max": short((f32.double() - truth).abs().max().item())}
    return out | ({"bf16": deviation(bf16, truth)} if bf16 is not None else {})


def run(f, inputs, fixed, kind):
    """All results of one case in one type. inputs: array -> (values, whether it has a gradient)."""
    x = {}
    for array, (values, grad) in inputs.items():
        t = torch.from_numpy(values)
        x[array] = t.to(TYPES[kind]).requires_grad_(grad) if values.dtype == np.float32 else t
    given = {a[1:]: x.pop(a) for a in list(x) if a.startswith("d") and a[1:] in fixed}
    results = {name: y for name, y in zip(fixed, f(**x))}
    sum((results[y] * g).sum() for y, g in given.items()).backward()
    return {n: r.detach() for n, r in results.items()} | {f"d{n}": t.grad for n, t in x.items() if t.requires_grad}


def case(op, name, f, inputs, outputs, bf16=True, **parameters):
    """inputs: array -> (shape, scale, offset, has a gradient) or (shape, count) for indices. outputs: name -> shape,
    scale of the gradient given to it, or None for none."""
    listed, values = [], {}
    given = {f"d{y}": (*spec, 0.0, False) for y, spec in outputs.items() if spec is not None}
    for array, spec in (inputs | given).items():
        full = f"{name} {array}"
        if len(spec) == 2:
            values[array] = indices(full, *spec), False
            listed.append({"array": array, "name": full, "shape": list(spec[0]), "indices": spec[1]})
        else:
            shape, scale, offset, grad = spec
            values[array] = uniform(full, shape, scale, offset), grad
            listed.append({"array": array, "name": full, "shape": list(shape), "scale": scale, "offset": offset})
    truth, f32 = run(f, values, list(outputs), "f64"), run(f, values, list(outputs), "f32")
    low = run(f, values, list(outputs), "bf16") if bf16 else {}
    results = [store(a, t, f32[a], low.get(a)) for a, t in truth.items()]
    CASES.append({"op": op, "name": name, **parameters, "inputs": listed, "outputs": results})


def gain(*fan_in):
    """A power of two near sqrt(3 / fan-in), so that results have a variance near 1."""
    return 2.0 ** round(np.log2(np.sqrt(3 / np.prod(fan_in))))


def linear(rows, features, out, bias=True):
    inputs = {"x": ((rows, features), 1.75, 0.0, True), "weight": ((out, features), gain(features), 0.0, True)}
    if bias:
        inputs["bias"] = ((out,), 0.5, 0.0, True)
    case("linear", f"linear {rows} {features} {out}", lambda x, weight, bias=None: [F.linear(x, weight, bias)], inputs,
         {"y": ((rows, out), 1.0)})


def pair(x):
    return x if isinstance(x, tuple) else (x, x)


def conv(n, size, channels, out, kernel, stride, pad, groups=1, bias=True):
    k, s = ("x".join(map(str, x)) if isinstance(x, tuple) else x for x in (kernel, stride))
    name = f"conv {n} {size[0]}x{size[1]} {channels}-{out} k{k} s{s} p{''.join(map(str, pad))} g{groups}"
    weight = (out, channels // groups, *pair(kernel))
    inputs = {"x": ((n, *size, channels), 1.75, 0.0, True), "weight": (weight, gain(*weight[1:]), 0.0, True)}
    if bias:
        inputs["bias"] = ((out,), 0.5, 0.0, True)

    def f(x, weight, bias=None):
        x = F.pad(nchw(x), (pad[2], pad[3], pad[0], pad[1]))
        return [nhwc(F.conv2d(x, weight, bias, stride, 0, 1, groups))]

    to = [(size[i] + pad[2 * i] + pad[2 * i + 1] - pair(kernel)[i]) // pair(stride)[i] + 1 for i in range(2)]
    case("conv", name, f, inputs, {"y": ((n, *to, out), 1.0)}, kernel=kernel, stride=stride, pad=list(pad),
         groups=groups)


def group_norm(n, size, channels, groups, eps):
    case("group_norm", f"group_norm {n} {size[0]}x{size[1]} {channels} g{groups}",
         lambda x, weight, bias: [nhwc(F.group_norm(nchw(x), groups, weight, bias, eps))],
         {"x": ((n, *size, channels), 2.0, 0.5, True), "weight": ((channels,), 0.5, 1.0, True),
          "bias": ((channels,), 0.5, 0.0, True)}, {"y": ((n, *size, channels), 1.0)}, groups=groups, eps=eps)


def layer_norm(rows, features, eps, affine):
    inputs = {"x": ((rows, features), 2.0, 0.5, True)}
    if affine:
        inputs |= {"weight": ((features,), 0.5, 1.0, True), "bias": ((features,), 0.5, 0.0, True)}
    case("layer_norm", f"layer_norm {rows} {features}{' affine' if affine else ''}",
         lambda x, weight=None, bias=None: [F.layer_norm(x, (features,), weight, bias, eps)], inputs,
         {"y": ((rows, features), 1.0)}, eps=eps)


ACTIVATIONS = {"silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
               "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x), "relu": F.relu, "relu6": F.relu6,
               "leaky_relu": lambda x: F.leaky_relu(x, 0.2)}


def attention(n, tokens, heads, width):
    def f(x):
        q, k, v = x.reshape(n, tokens, 3, heads, width).permute(2, 0, 3, 1, 4)
        return [((q @ k.transpose(-1, -2) * width**-0.5).softmax(-1) @ v).transpose(1, 2).reshape(n, tokens, -1)]

    case("attention", f"attention {n} {tokens} {heads} {width}", f,
         {"x": ((n, tokens, 3 * heads * width), 2.0, 0.0, True)}, {"y": ((n, tokens, heads * width), 1.0)},
         heads=heads)


def resampling(op, f, n, size, channels, to):
    case(op, f"{op} {n} {size[0]}x{size[1]} {channels}", lambda x: [nhwc(f(nchw(x)))],
         {"x": ((n, *size, channels), 1.75, 0.0, True)}, {"y": ((n, *to, channels), 1.0)})


def embedding(rows, width, count):
    case("embedding", f"embedding {rows} {width} {count}", lambda weight, labels: [F.embedding(labels, weight)],
         {"weight": ((rows, width), 1.0, 0.0, True), "labels": ((count,), rows)}, {"y": ((count, width), 1.0)})


def modulate(n, tokens, width, eps=1e-6):
    def f(x, shift, scale):
        return [F.layer_norm(x, (width,), None, None, eps) * (1 + scale[:, None]) + shift[:, None]]

    case("modulate", f"modulate {n} {tokens} {width}", f,
         {"x": ((n, tokens, width), 2.0, 0.5, True), "shift": ((n, width), 1.0, 0.0, True),
          "scale": ((n, width), 1.0, 0.0, True)}, {"y": ((n, tokens, width), 1.0)}, eps=eps)


def gated_residual(n, tokens, width):
    case("gated_residual", f"gated_residual {n} {tokens} {width}", lambda x, branch, gate: [x + gate[:, None] * branch],
         {"x": ((n, tokens, width), 2.0, 0.0, True), "branch": ((n, tokens, width), 2.0, 0.0, True),
          "gate": ((n, width), 1.0, 0.0, True)}, {"y": ((n, tokens, width), 1.0)})


def losses():
    shape = (2, 5, 7, 3)
    pair = {"x": (shape, 2.0, 0.0, True), "target": (shape, 2.0, 0.0, False)}
    case("mse", "mse", lambda x, target: [F.mse_loss(x, target)], pair, {"loss": ((), 1.0)})
    case("l1", "l1", lambda x, target: [F.l1_loss(x, target)], pair, {"loss": ((), 1.0)}, False)
    logits = {"real": ((3, 5, 5, 1), 2.0, 0.0, True), "fake": ((3, 5, 5, 1), 2.0, 0.0, True)}
    case("hinge_discriminator", "hinge_discriminator",
         lambda real, fake: [0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())], logits, {"loss": ((), 1.0)})
    case("hinge_generator", "hinge_generator", lambda fake: [-fake.mean()], {"fake": logits["fake"]},
         {"loss": ((), 1.0)})


def gaussian(name, scale, offset, bf16):
    """moments: the first c channels the mean, the others the logarithm of the variance, clamped to -30 .. 20."""
    shape, latent = (3, 5, 7, 8), (3, 5, 7, 4)

    def moments(mean, logvar):
        return DiagonalGaussianDistribution(nchw(torch.cat([mean, logvar], 3)))

    two = {"mean": (latent, 2.0, 0.0, True), "logvar": (latent, scale, offset, True)}
    case("gaussian_kl", f"gaussian_kl {name}", lambda mean, logvar: [moments(mean, logvar).kl()], two,
         {"kl": (shape[:1], 1.0)}, bf16)

    def sample(mean, logvar, noise):
        p = moments(mean, logvar)
        return [nhwc(p.mean + p.std * nchw(noise))]

    case("gaussian_sample", f"gaussian_sample {name}", sample, two | {"noise": (latent, 2.0, 0.0, False)},
         {"z": (latent, 1.0)}, bf16)


def vq(codes, width, legacy, beta=0.25):
    """Taming's definition is legacy (beta on the codebook's term), diffusers' VQModel is not (on the encoder's)."""
    shape = (2, 5, 7, width)

    def f(z, codebook):
        q = VectorQuantizer(codes, width, beta=beta, remap=None, sane_index_shape=False, legacy=legacy).to(z.dtype)
        del q.embedding.weight
        q.embedding.weight = codebook
        quantized, loss, (_, _, chosen) = q(nchw(z))
        return [nhwc(quantized), loss, chosen.reshape(shape[:3])]

    name = f"vq {codes} {width} {'taming' if legacy else 'diffusers'}"
    z, codebook = (torch.from_numpy(uniform(f"{name} {a}", s, 2.0)).double()
                   for a, s in (("z", shape), ("codebook", (codes, width))))
    nearest = torch.cdist(z.reshape(-1, width), codebook).square().topk(2, largest=False).values
    gap = (nearest[:, 1] - nearest[:, 0]).min().item()
    assert gap > 1e-4, gap  # far above rounding in float32: no tie
    case("vq", name, f, {"z": (shape, 2.0, 0.0, True), "codebook": ((codes, width), 2.0, 0.0, True)},
         {"quantized": (shape, 1.0), "loss": ((), 1.0), "index": None}, False, beta=beta, legacy=int(legacy),
         smallest_gap=short(gap))


def adamw(decay, clip, steps=20, lr=0.01, ema=0.9):
    """Parameters a and b by formula, EMA from the same start. Step s = 0, 1, ...: the gradient of a parameter p is
    (p - target) * (1 if s is even, 1/16 if odd); torch.nn.utils.clip_grad_norm_ over both (if clip > 0);
    torch.optim.AdamW, betas 0.9 and 0.999, eps 1e-8; ema = ema * e + (1 - ema) * p.
    Results after the last step, for a and b: value, first moment, second moment, EMA; and the norm of the gradient
    before clipping of each step."""
    name = f"adamw {decay} {clip}"
    shapes = {"a": (7, 11), "b": (13,)}
    results = {}
    for kind in ("f64", "f32"):
        p = {k: torch.from_numpy(uniform(f"{name} {k}", s)).to(TYPES[kind]) for k, s in shapes.items()}
        target = {k: torch.from_numpy(uniform(f"{name} {k} target", s)).to(TYPES[kind]) for k, s in shapes.items()}
        p = {k: v.clone().requires_grad_() for k, v in p.items()}
        e = {k: v.detach().clone() for k, v in p.items()}
        optimizer = torch.optim.AdamW(p.values(), lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay)
        norms = []
        for s in range(steps):
            for k, v in p.items():
                v.grad = (v.detach() - target[k]) * (1 / 16 if s % 2 else 1)
            norms.append(torch.nn.utils.clip_grad_norm_(p.values(), clip if clip > 0 else float("inf")))
            optimizer.step()
            for k, v in p.items():
                e[k].mul_(ema).add_(v.detach(), alpha=1 - ema)
        r = {"norms": torch.stack(norms)}
        for k, v in p.items():
            state = optimizer.state[v]
            r |= {k: v.detach(), f"{k} m": state["exp_avg"], f"{k} v": state["exp_avg_sq"], f"{k} ema": e[k]}
        results[kind] = r
    if clip > 0:
        assert 0 < sum(n > clip for n in results["f64"]["norms"]) < steps  # both ways are taken
    inputs = [{"array": k + t, "name": f"{name} {k}{t}", "shape": list(s), "scale": 1.0, "offset": 0.0}
              for k, s in shapes.items() for t in ("", " target")]
    CASES.append({"op": "adamw", "name": name, "steps": steps, "lr": lr, "betas": [0.9, 0.999], "eps": 1e-8,
                  "weight_decay": decay, "clip": clip, "ema": ema, "inputs": inputs,
                  "outputs": [store(k, v, results["f32"][k]) for k, v in results["f64"].items()]})


def main():
    torch.set_num_threads(1)
    for sizes in ((5, 7, 11), (13, 16, 32), (1, 32, 5)):
        linear(*sizes)
    linear(16, 13, 7, bias=False)
    same = (1, 1, 1, 1)
    conv(2, (5, 7), 3, 11, 3, 1, same)
    conv(1, (11, 13), 16, 5, 3, 1, same)
    conv(2, (5, 7), 16, 13, 1, 1, (0, 0, 0, 0))
    conv(2, (8, 8), 5, 7, 3, 2, (0, 1, 0, 1))  # the VAE's downsampling
    conv(1, (7, 11), 7, 5, 3, 2, (0, 1, 0, 1))
    conv(1, (7, 5), 5, 7, 3, 2, same, bias=False)
    conv(2, (8, 8), 3, 16, 4, 2, same)  # the discriminator's
    conv(1, (5, 7), 13, 1, 4, 1, same)
    conv(1, (8, 6), 4, 11, 2, 2, (0, 0, 0, 0))  # patches
    conv(1, (11, 7), 5, 7, 5, 1, (2, 2, 2, 2))
    conv(1, (13, 11), 3, 5, 5, 2, (2, 1, 1, 2))
    conv(2, (7, 5), 6, 10, 3, 1, same, groups=2)
    conv(2, (7, 11), 13, 13, 3, 1, same, groups=13)
    conv(1, (11, 13), 7, 7, 5, 2, (1, 2, 1, 2), groups=7)
    group_norm(2, (5, 7), 11, 1, 1e-5)
    group_norm(2, (5, 7), 10, 5, 1e-6)
    group_norm(1, (3, 5), 13, 13, 1e-5)
    group_norm(2, (4, 5), 32, 16, 1e-6)
    group_norm(2, (3, 3), 64, 32, 1e-6)
    group_norm(1, (1, 1), 32, 8, 1e-6)
    layer_norm(11, 7, 1e-6, False)
    layer_norm(5, 48, 1e-6, False)
    layer_norm(13, 11, 1e-5, True)
    layer_norm(3, 32, 1e-6, True)
    for name, f in ACTIVATIONS.items():
        case(name, name, lambda x, f=f: [f(x)], {"x": ((11, 13), 8.0, 0.0, True)}, {"y": ((11, 13), 1.0)},
             name != "relu6")
    for sizes in ((2, 7, 3, 5), (1, 13, 2, 16), (2, 16, 3, 16), (1, 35, 1, 32)):
        attention(*sizes)
    for size in ((3, 5), (4, 4)):
        resampling("upsample2", lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"), 2, size, 5,
                   (2 * size[0], 2 * size[1]))
    for size in ((6, 10), (5, 7)):
        resampling("average_pool2", lambda x: F.avg_pool2d(x, 2), 2, size, 5, (size[0] // 2, size[1] // 2))
    embedding(6, 16, 11)
    embedding(13, 7, 5)
    modulate(2, 5, 48)
    modulate(3, 7, 13)
    gated_residual(2, 5, 32)
    gated_residual(3, 7, 13)
    losses()
    gaussian("usual", 2.0, -1.0, True)
    gaussian("clamped", 40.0, -8.0, False)
    for legacy in (False, True):
        vq(16, 4, legacy)
        vq(11, 5, legacy)
    adamw(0.0, 0.0)
    adamw(0.1, 1.0)
    adamw(0.0, 1.0)
    conv(2, (5, 11), 3, 7, (1, 7), 1, (0, 0, 3, 2))
    conv(1, (11, 7), 5, 3, (5, 2), (2, 1), (2, 1, 0, 1))
    conv(2, (7, 5), 4, 6, (2, 3), (1, 3), (1, 0, 2, 1), groups=2, bias=False)
    conv(1, (7, 11), 5, 5, (3, 1), (1, 2), (1, 1, 0, 0), groups=5)
    np.concatenate(BINARY).tofile(HERE / "train_ops.bin")
    write(HERE / "train_ops.json", {"made_by": "make_train_ops.py", "versions": {
        "torch": torch.__version__, "diffusers": diffusers.__version__}, "numbers": sum(map(len, BINARY)),
        "cases": CASES})


if __name__ == "__main__":
    main()
