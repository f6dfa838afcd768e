#!/usr/bin/env python3
"""Golden values of the flow model SiT, its objectives, its training and its samplers, from PyTorch in float64:

    pip install torch scipy
    python tests/golden/make_sit.py

Writes sit.json. Formulas: the public SiT code's interpolants and samplers, the public DiT code's diffusion objective.
All weights are random_weights.tensor(NAME, SHAPE), the zero-initialised ones too, but for pos_embed, which is fixed.
Inputs, indices and digests: see digests.py; deviations "f32" everywhere, "bf16" (pure bf16, only the time's angles and
the loss in float32) in "losses". Images are [n, h, w, c]. A scalar is {"value", "f32", ...}.

models: name -> width, depth, heads, patch, size, channels, classes, learn_sigma, "tensors": name -> shape.
paths: coefficients of each interpolant x_t = alpha x1 + sigma x0 (x1 data, x0 noise) at times "t": alpha, d_alpha,
  sigma, d_sigma, ratio = d_alpha / alpha, variance = ratio sigma^2 - sigma d_sigma (VP: beta / 2), and, for the
  velocity v, score = score_v v + score_x x, noise = noise_v v + noise_x x.
losses: each a case of a model, a batch and an objective.
  velocity: mean((v - (d_alpha x1 + d_sigma x0))^2); noise: mean(w (e - x0)^2); score: mean(w (sigma s + x0)^2);
  weight w: "none" 1, "velocity" (variance / sigma)^2, "likelihood" variance / sigma^2.
  "gradients": name -> digest, of all tensors or some; "d_output" the gradient of the loss for the model's output (all
  its channels); "per_image" the loss of each image; "values" the whole tensor.
  A learned sigma's channels are dropped for these. Their gradients are 0.
  The gradient of the middle third of attn.qkv.bias is 0 in theory (a softmax does not see its keys' bias).
diffusion (objective of DiT): 1000 steps, beta from 1e-4 to 0.02 linearly, integer times 0 .. 999 given to the model;
  mean((e - noise)^2) + a bound's term in bits on the learned variance with the mean's gradient stopped: KL to the
  posterior, and at time 0 the likelihood of x1 in bins of half width 1/255.
training: 20 steps of AdamW (betas 0.9, 0.999, eps 1e-8) on one batch, EMA after each, from the same start. "losses"
  before each step; "weights" and "ema" digests after the last.
samples: from the noise "x" and "labels" with "steps" steps from t0 to t1.
  euler: x += dt f(x, t). heun: the trapezoid of f at t and, after an Euler step, at t + dt; 2 evaluations a step.
  dopri5: the exact solution, to about 1e-10; "rk45": how far scipy's RK45 at "rtol", "atol" ends from it (relative L2),
  and its evaluations.
  f = v for velocity; variance * s + ratio * x for score s; s = -e / sigma for noise. VP: ratio x = beta x / 2.
  guidance: model output m_u + scale (m_c - m_u) in the first "guided_channels" channels, m_c in the others, where
  low <= t <= high, and m_c at other times; m_u has the label `classes`.
  sde: Euler-Maruyama, "steps" - 1 steps of dt = (t1 - t0) / (steps - 1): x += dt (f + D s) + sqrt(2 D dt) noise[i],
  then at t1 x += last_step_size (f + D s) ("Mean"). s: the score; D: the form's diffusion, "sigma": sigma,
  "SBDM": variance. Noise: "noise" [steps - 1, n, h, w, c].
"""
import copy
import math
import pathlib

import numpy as np
import scipy
import torch
import torch.nn.functional as F
from scipy.integrate import solve_ivp

import random_weights as rw
from digests import deviation, digest, indices, nchw, nhwc, number, short, uniform, write
from sit_model import SiT

SMALL = {"width": 48, "depth": 2, "heads": 3, "patch": 2, "size": 8, "channels": 4, "classes": 5, "learn_sigma": 0}
MODELS = {"small": SMALL, "small-sigma": SMALL | {"learn_sigma": 1},
          "S/2": {"width": 384, "depth": 12, "heads": 6, "patch": 2, "size": 32, "channels": 4, "classes": 1000,
                  "learn_sigma": 0}}
TYPES = {"f64": torch.float64, "f32": torch.float32, "bf16": torch.bfloat16}
KINDS = ("f64", "f32")
SCALE = 1.75  # uniform numbers of variance 1.02
VP_BETA = (0.1, 20.0)


def model_of(name: str, kind: str) -> SiT:
    model = SiT(**MODELS[name])
    with torch.no_grad():
        for n, p in model.named_parameters():
            if n != "pos_embed":
                p.copy_(torch.from_numpy(rw.tensor(n, tuple(p.shape))))
    return model.to(TYPES[kind])


def trained(model):
    return {n: p for n, p in model.named_parameters() if p.requires_grad}


def path(name: str, t):
    """Coefficients at t, a tensor. ratio: d_alpha / alpha."""
    if name == "linear":
        alpha, d_alpha, sigma, d_sigma, ratio = t, torch.ones_like(t), 1 - t, -torch.ones_like(t), 1 / t
    elif name == "gvp":
        a = math.pi / 2
        alpha, d_alpha = (a * t).sin(), a * (a * t).cos()
        sigma, d_sigma, ratio = (a * t).cos(), -a * (a * t).sin(), a / (a * t).tan()
    else:
        low, high = VP_BETA
        log_alpha = -((1 - t) ** 2) * (high - low) / 4 - (1 - t) * low / 2
        ratio = ((1 - t) * (high - low) + low) / 2
        alpha, sigma = log_alpha.exp(), (-torch.expm1(2 * log_alpha)).sqrt()
        d_alpha, d_sigma = alpha * ratio, -alpha**2 * ratio / sigma
    # For VP the general form is beta / 2 = ratio up to rounding: alpha^2 + sigma^2 = 1.
    variance = ratio if name == "vp" else ratio * sigma**2 - sigma * d_sigma
    return {"alpha": alpha, "d_alpha": d_alpha, "sigma": sigma, "d_sigma": d_sigma, "ratio": ratio,
            "variance": variance}


def score_of(prediction, p, m, x):
    if prediction == "score":
        return m
    if prediction == "noise":
        return -m / p["sigma"]
    back = p["alpha"] / p["d_alpha"]
    return (back * m - x) / (p["sigma"] ** 2 - back * p["d_sigma"] * p["sigma"])


def paths():
    t = torch.linspace(0.05, 0.95, 10, dtype=torch.float64)
    out = {"t": [number(v) for v in t]}
    for name in ("linear", "gvp", "vp"):
        p = path(name, t)
        one, zero = torch.ones_like(t), torch.zeros_like(t)
        back = p["alpha"] / p["d_alpha"]
        under = back * p["d_sigma"] - p["sigma"]
        p |= {"score_v": score_of("velocity", p, one, zero), "score_x": score_of("velocity", p, zero, one),
              "noise_v": back / under, "noise_x": -1 / under}
        out[name] = {k: [number(x) for x in v] for k, v in p.items()}
    return out


class Batch:
    """x1 and x0 [n, h, w, c], t [n], labels [n], by formula, with labels[2] = none."""

    def __init__(self, name, model, n, times=(0.5, 0.45), x1=SCALE):
        m = MODELS[model]
        shape = (n, m["size"], m["size"], m["channels"])
        self.inputs = [{"array": a, "name": f"{name} {a}", "shape": list(s), "scale": scale, "offset": offset}
                       for a, s, scale, offset in (("x1", shape, x1, 0.0), ("x0", shape, SCALE, 0.0),
                                                   ("t", (n,), times[1], times[0]))]
        self.labels = indices(f"{name} labels", (n,), m["classes"])
        self.labels[min(2, n - 1)] = m["classes"]

    def get(self, kind):
        working = "f32" if kind == "bf16" else kind
        x1, x0, t = (torch.from_numpy(uniform(i["name"], i["shape"], i["scale"], i["offset"])).to(TYPES[working])
                     for i in self.inputs)
        return nchw(x1), nchw(x0), t, torch.from_numpy(self.labels)

    def listed(self, *without):
        return {"inputs": [i for i in self.inputs if i["array"] not in without],
                "labels": [int(y) for y in self.labels]}


def column(v):
    return v.reshape(-1, 1, 1, 1)


def scalar(results, key):
    r = {k: v[key] for k, v in results.items()}
    return {"value": number(r["f64"])} | {k: deviation(v, r["f64"]) for k, v in r.items() if k != "f64"}


def digests(results, key):
    r = {k: v[key] for k, v in results.items()}
    return {n: digest(t, **{k: v[n] for k, v in r.items() if k != "f64"}) for n, t in r["f64"].items()}


def one_digest(results, key):
    r = {k: v[key] for k, v in results.items()}
    return digest(r["f64"], **{k: v for k, v in r.items() if k != "f64"})


def transport_loss(model, batch, kind, path_name, prediction, weight):
    """Loss of each image, the model's output, x_t."""
    x1, x0, t, y = batch.get(kind)
    p = {k: column(v) for k, v in path(path_name, t).items()}
    x = p["alpha"] * x1 + p["sigma"] * x0
    out = model(x.to(TYPES[kind]), t, y)
    m = out[:, :x.shape[1]].to(x.dtype)
    w = {"none": 1, "velocity": (p["variance"] / p["sigma"]) ** 2, "likelihood": p["variance"] / p["sigma"] ** 2}
    error = {"velocity": m - (p["d_alpha"] * x1 + p["d_sigma"] * x0), "noise": m - x0,
             "score": p["sigma"] * m + x0}[prediction]
    return (w[weight] * error**2).mean((1, 2, 3)), out, x


def backward(model, loss, out, x, extra=()):
    out.retain_grad()
    loss.mean().backward()
    return {"loss": loss.detach().mean(), "per_image": loss.detach(), "x_t": nhwc(x), "output": nhwc(out.detach()),
            "d_output": nhwc(out.grad), "gradients": {n: p.grad for n, p in trained(model).items()}} | dict(extra)


def loss_case(name, model, batch, kinds=KINDS, path_name="linear", prediction="velocity", weight="none", some=None,
              values=False):
    results = {}
    for kind in kinds:
        m = model_of(model, kind)
        results[kind] = backward(m, *transport_loss(m, batch, kind, path_name, prediction, weight))
        if some is not None:
            results[kind]["gradients"] = {n: results[kind]["gradients"][n] for n in some}
    c = {"name": name, "model": model, **batch.listed(), "path": path_name, "prediction": prediction, "weight": weight,
         "loss": scalar(results, "loss"), "per_image": one_digest(results, "per_image"),
         "x_t": one_digest(results, "x_t"), "output": one_digest(results, "output"),
         "d_output": one_digest(results, "d_output"), "gradients": digests(results, "gradients")}
    if values:
        c["output"]["values"] = [float(f"{v:.9g}") for v in results["f64"]["output"].flatten().tolist()]
    return c


def losses():
    small, large = Batch("sit small", "small", 4), Batch("sit S/2", "S/2", 2)
    cases = [loss_case("velocity small", "small", small, ("f64", "f32", "bf16"), values=True),
             loss_case("velocity small-sigma", "small-sigma", small, ("f64", "f32", "bf16")),
             loss_case("velocity S/2", "S/2", large, ("f64", "f32", "bf16"))]
    some = ["x_embedder.proj.weight", "t_embedder.mlp.0.weight", "final_layer.linear.weight"]
    for path_name in ("linear", "gvp", "vp"):
        for prediction in ("velocity", "noise", "score"):
            for weight in ("none",) if prediction == "velocity" else ("none", "velocity", "likelihood"):
                if (path_name, prediction) != ("linear", "velocity"):
                    cases.append(loss_case(f"{path_name} {prediction} {weight}", "small", small, path_name=path_name,
                                           prediction=prediction, weight=weight, some=some))
    return cases


DIFFUSION_STEPS = 1000


def diffusion_schedule():
    beta = np.linspace(1e-4, 0.02, DIFFUSION_STEPS)
    bar = np.cumprod(1 - beta)
    before = np.append(1.0, bar[:-1])
    posterior = beta * (1 - before) / (1 - bar)
    return {"beta": beta, "bar": bar, "log_variance": np.log(np.append(posterior[1], posterior[1:])),
            "from_x1": beta * np.sqrt(before) / (1 - bar), "from_x": (1 - before) * np.sqrt(1 - beta) / (1 - bar)}


def diffusion_loss(model, batch, kind, times):
    """noise is the batch's x0."""
    x1, noise, _, y = batch.get(kind)
    s = {k: column(torch.from_numpy(v[times]).to(x1)) for k, v in diffusion_schedule().items()}
    x = s["bar"].sqrt() * x1 + (1 - s["bar"]).sqrt() * noise
    out = model(x, torch.from_numpy(times).to(x1), y)
    e, v = out.chunk(2, 1)
    log_variance = (v + 1) / 2 * s["beta"].log() + (1 - v) / 2 * s["log_variance"]
    guess = x / s["bar"].sqrt() - (1 / s["bar"] - 1).sqrt() * e.detach()
    mean, true = s["from_x1"] * guess + s["from_x"] * x, s["from_x1"] * x1 + s["from_x"] * x
    kl = (log_variance - s["log_variance"] - 1 + (s["log_variance"] - log_variance).exp()
          + (true - mean) ** 2 * (-log_variance).exp()) / 2

    def normal(z):  # the public code's approximation of the normal distribution function
        return (1 + (math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)).tanh()) / 2

    scale = (-log_variance / 2).exp()
    upper, lower = normal(scale * (x1 - mean + 1 / 255)), normal(scale * (x1 - mean - 1 / 255))
    likelihood = torch.where(x1 < -0.999, upper, torch.where(x1 > 0.999, 1 - lower, upper - lower))
    bound = torch.where(column(torch.from_numpy(times)) == 0, -likelihood.clamp(min=1e-12).log(), kl)
    bound = bound.mean((1, 2, 3)) / math.log(2)
    mse = ((e - noise) ** 2).mean((1, 2, 3))
    return mse + bound, out, x, {"mse": mse.detach(), "bound": bound.detach()}


def diffusion(name="sit diffusion"):
    times = np.array([0, 17, 500, 999, 0])
    batch = Batch(name, "small-sigma", len(times), x1=1.25)
    results = {}
    for kind in KINDS:
        m = model_of("small-sigma", kind)
        results[kind] = backward(m, *diffusion_loss(m, batch, kind, times))
    return {"name": name, "model": "small-sigma", **batch.listed("t"), "times": times.tolist(),
            "loss": scalar(results, "loss")} | {
                k: one_digest(results, k) for k in ("per_image", "mse", "bound", "x_t", "output", "d_output")} | {
                    "gradients": digests(results, "gradients")}


def training(steps=20, lr=1e-3, ema=0.99):
    batch = Batch("sit small", "small", 4)
    results = {}
    for kind in KINDS:
        model = model_of("small", kind)
        average = copy.deepcopy(model)
        optimizer = torch.optim.AdamW(trained(model).values(), lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)
        values = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = transport_loss(model, batch, kind, "linear", "velocity", "none")[0].mean()
            loss.backward()
            optimizer.step()
            values.append(loss.detach())
            with torch.no_grad():
                for e, p in zip(trained(average).values(), trained(model).values()):
                    e.mul_(ema).add_(p, alpha=1 - ema)
        results[kind] = {"losses": torch.stack(values), "weights": trained(model), "ema": trained(average)}
    losses_ = [number(v) for v in results["f64"]["losses"]]
    return {"model": "small", **batch.listed(), "steps": steps, "lr": lr, "ema_decay": ema, "losses": losses_,
            "losses_f32": [short(abs(a.item() - b) / b) for a, b in zip(results["f32"]["losses"], losses_)],
            "weights": digests(results, "weights"), "ema": digests(results, "ema")}


def output(model, x, t, y, guidance):
    """The model's output at one time for all images."""
    times = torch.full((len(x),), t, dtype=x.dtype)
    c = model(x, times, y)
    if guidance is None or not guidance["low"] <= t <= guidance["high"]:
        return c
    u = model(x, times, torch.full_like(y, MODELS["small"]["classes"]))
    k = guidance["guided_channels"]
    return torch.cat([u[:, :k] + guidance["scale"] * (c[:, :k] - u[:, :k]), c[:, k:]], 1)


def drift(model, x, t, y, path_name, prediction, guidance):
    """f and the score."""
    m = output(model, x, t, y, guidance)
    p = path(path_name, torch.tensor(t, dtype=x.dtype))
    if prediction == "velocity":
        return m, lambda: score_of(prediction, p, m, x)
    s = score_of(prediction, p, m, x)
    return p["variance"] * s + p["ratio"] * x, lambda: s


def integrate(method, f, x, t0, t1, steps):
    dt = (t1 - t0) / steps
    for i in range(steps):
        t = t0 + i * dt
        k = f(x, t)
        x = x + dt * (k if method == "euler" else (k + f(x + dt * k, t0 + (i + 1) * dt)) / 2)
    return x


def adaptive(f, x, t0, t1, method, rtol, atol):
    solution = solve_ivp(lambda t, z: f(torch.from_numpy(z).reshape(x.shape), float(t)).numpy().reshape(-1), (t0, t1),
                         x.numpy().reshape(-1), method, rtol=rtol, atol=atol)
    assert solution.success
    return torch.from_numpy(solution.y[:, -1]).reshape(x.shape), solution.nfev


def sample_inputs():
    m = MODELS["small"]
    shape = (3, m["size"], m["size"], m["channels"])
    return {"array": "x", "name": "sit samples x", "shape": list(shape), "scale": SCALE, "offset": 0.0}, [4, 0, 2]


def ode_case(method, steps=10, path_name="linear", prediction="velocity", guidance=None, t0=0.0, t1=1.0):
    x_input, labels = sample_inputs()
    y, results, extra = torch.tensor(labels), {}, {}
    for kind in KINDS if method != "dopri5" else KINDS[:1]:
        model = model_of("small", kind).requires_grad_(False)
        x = nchw(torch.from_numpy(uniform(x_input["name"], x_input["shape"], SCALE)).to(TYPES[kind]))

        def f(z, t, model=model):
            return drift(model, z, t, y, path_name, prediction, guidance)[0]

        if method == "dopri5":
            z, _ = adaptive(f, x.contiguous(), t0, t1, "DOP853", 1e-11, 1e-11)
            rough, count = adaptive(f, x.contiguous(), t0, t1, "RK45", 1e-6, 1e-6)
            extra = {"rk45": {"rtol": 1e-6, "atol": 1e-6, "error": deviation(rough, z), "evaluations": count}}
        else:
            z = integrate(method, f, x, t0, t1, steps)
        results[kind] = {"z": nhwc(z)}
    return {"method": method, "model": "small", "inputs": [x_input], "labels": labels, "path": path_name,
            "prediction": prediction, "guidance": guidance, "t0": t0, "t1": t1,
            "steps": 0 if method == "dopri5" else steps, "result": one_digest(results, "z"), **extra}


def sde_case(form, path_name="linear", prediction="velocity", guidance=None, t0=0.0, last_step_size=0.04, steps=25):
    x_input, labels = sample_inputs()
    noise_input = {"array": "noise", "name": "sit samples noise", "shape": [steps - 1, *x_input["shape"]],
                   "scale": SCALE, "offset": 0.0}
    y, results = torch.tensor(labels), {}
    t1 = 1 - last_step_size
    dt = (t1 - t0) / (steps - 1)
    for kind in KINDS:
        model = model_of("small", kind).requires_grad_(False)
        x, noise = (torch.from_numpy(uniform(i["name"], i["shape"], SCALE)).to(TYPES[kind])
                    for i in (x_input, noise_input))
        x = nchw(x)
        for i in range(steps):
            t = t0 + i * dt if i < steps - 1 else t1
            p = path(path_name, torch.tensor(t, dtype=x.dtype))
            f, s = drift(model, x, t, y, path_name, prediction, guidance)
            d = {"sigma": p["sigma"], "SBDM": p["variance"]}[form]
            f = f + d * s()
            x = x + f * last_step_size if i == steps - 1 else x + f * dt + (2 * d * dt).sqrt() * nchw(noise[i])
        results[kind] = {"z": nhwc(x)}
    return {"method": "sde", "form": form, "last_step": "Mean", "last_step_size": last_step_size, "model": "small",
            "inputs": [x_input, noise_input], "labels": labels, "path": path_name, "prediction": prediction,
            "guidance": guidance, "t0": t0, "t1": t1, "steps": steps, "result": one_digest(results, "z")}


def samples():
    def guidance(channels, scale=4.0, low=0.0, high=1.0):
        return {"scale": scale, "guided_channels": channels, "low": low, "high": high}

    everywhere, three, inside = guidance(4), guidance(3), guidance(4, low=0.15, high=0.75)
    cases = [ode_case(m, guidance=g) for m in ("euler", "heun") for g in (None, everywhere, three, inside)]
    cases += [ode_case("dopri5", guidance=g) for g in (None, guidance(4, 1.5))]
    eps = 1e-3  # the public code's for all but linear and GVP velocity
    cases += [ode_case("euler", path_name="gvp"), ode_case("euler", path_name="vp", t1=1 - eps),
              ode_case("euler", prediction="noise", t0=eps, t1=1 - eps),
              ode_case("euler", prediction="score", t0=eps, t1=1 - eps),
              ode_case("heun", path_name="gvp", prediction="noise", t0=eps, t1=1 - eps),
              ode_case("euler", path_name="vp", prediction="noise", t1=1 - eps)]
    cases += [sde_case("sigma"), sde_case("sigma", guidance=guidance(4, 1.5)), sde_case("SBDM", t0=0.1),
              sde_case("sigma", "gvp"), sde_case("SBDM", "vp", "noise"), sde_case("sigma", "linear", "score", t0=eps)]
    return cases


def main():
    torch.set_num_threads(2)
    listed = {name: m | {"tensors": {n: list(p.shape) for n, p in SiT(**m).named_parameters()}}
              for name, m in MODELS.items()}
    write(pathlib.Path(__file__).with_name("sit.json"), {
        "made_by": "make_sit.py",
        "versions": {"torch": torch.__version__, "scipy": scipy.__version__, "numpy": np.__version__},
        "models": listed,
        "pos_embed": {n: digest(SiT(**m).pos_embed) for n, m in MODELS.items() if n != "small-sigma"},
        "paths": paths(), "losses": losses(), "diffusion": diffusion(), "training": training(), "samples": samples()})


if __name__ == "__main__":
    main()
