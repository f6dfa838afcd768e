#!/usr/bin/env python3
"""Golden values of the gradients of single images: their norms, and how they lie to the mean gradient, from PyTorch:

    pip install torch scipy
    python tests/golden/make_gradients.py

Writes gradients.json. Models, weights, inputs and labels are those of make_sit.py; the objective is the velocity's on
the linear path. One image after another, a batch of one each: "norms" of the whole gradient in float32; "norms_f64", and
"products" with the mean gradient of all images, in float64, where the model is small.
"""
import pathlib

import numpy as np
import torch

from digests import number, write
from make_sit import MODELS, Batch, model_of, trained, transport_loss


class Part:
    """One image of a batch."""

    def __init__(self, batch, kind):
        self.all = batch.get(kind)

    def get(self, i):
        return type("Image", (), {"get": lambda _, kind: tuple(a[i:i + 1] for a in self.all)})()


def gradients(model, batch, kind, images):
    net, part = model_of(model, kind), Part(batch, kind)
    for i in range(images):
        net.zero_grad()
        transport_loss(net, part.get(i), kind, "linear", "velocity", "none")[0].sum().backward()
        yield [p.grad.double() for p in trained(net).values()]


def norm(g):
    return number(sum((x * x).sum() for x in g).sqrt())


def flat(g):
    return torch.cat([x.flatten() for x in g])


def case(model, images, exact):
    batch = Batch(f"gradients {model}", model, images)
    c = {"name": model, "model": model, **batch.listed(), "norms": [norm(g) for g in gradients(model, batch, "f32", images)]}
    if exact:
        each = torch.stack([flat(g) for g in gradients(model, batch, "f64", images)])
        c |= {"norms_f64": [number(v) for v in each.norm(dim=1)],
              "products": [number(v) for v in each @ each.mean(0)]}
    return c


def main():
    write(pathlib.Path(__file__).with_name("gradients.json"),
          {"made_by": pathlib.Path(__file__).name, "versions": {"torch": torch.__version__, "numpy": np.__version__},
           "models": {name: MODELS[name] for name in ("small", "S/2")},
           "cases": [case("small", 200, True), case("S/2", 200, False)]})


if __name__ == "__main__":
    main()
