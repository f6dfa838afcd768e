#!/usr/bin/env python3
"""Golden features of CLIP's text tower with random weights, from the implementations on PyPI:

    pip install torch transformers open_clip_torch
    python tests/golden/make_clip_tower.py

Writes clip_tower.json: networks (tensors with their public names and shapes, as in encoders.json), and for each the
features of some prompts in float64, "f32": the relative error of the same computation in float32, the scale for
tolerances, and "others": how far what is easily done wrong lies away.
"""
import json
import pathlib
import re
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import random_weights as rw
from make_encoders import fill, layered, load, shapes_of

HERE = pathlib.Path(__file__).parent
PROMPTS = ["a photo of a dog.", "", "a photo of a child, aged 1 to 20", "Ein Straßencafé in 北京 🙂", "<end_of_text> cat",
           "the quick brown fox jumps over the lazy dog " * 12]
VOCABULARY, CONTEXT = 49408, 77


def transformers(width, layers, projection, activation):
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    model = CLIPTextModelWithProjection(CLIPTextConfig(
        vocab_size=VOCABULARY, hidden_size=width, intermediate_size=4 * width, projection_dim=projection,
        num_hidden_layers=layers, num_attention_heads=width // 64, max_position_embeddings=CONTEXT,
        hidden_act=activation, bos_token_id=49406, eos_token_id=49407))
    shapes = shapes_of(model.state_dict())
    load(model, fill(shapes))
    return lambda tokens: model(tokens).text_embeds, model, shapes


def open_clip(width, layers, projection, activation, prefix=""):
    from open_clip.model import QuickGELU
    from open_clip.transformer import TextTransformer

    model = TextTransformer(CONTEXT, VOCABULARY, width, width // 64, layers, output_dim=projection,
                            act_layer=QuickGELU if activation == "quick_gelu" else torch.nn.GELU)
    shapes = {prefix + k: v for k, v in shapes_of(model.state_dict()).items() if k != "attn_mask"}
    load(model, {k[len(prefix):]: v for k, v in fill(shapes).items()})
    return model, model, shapes


CASES = {
    "small transformers": (lambda act: transformers(128, 3, 32, act), "quick_gelu"),
    "small transformers, gelu": (lambda act: transformers(128, 3, 32, act), "gelu"),
    "small open_clip": (lambda act: open_clip(128, 3, 32, act), "quick_gelu"),
    "small open_clip, custom": (lambda act: open_clip(64, 2, 48, act, "text."), "gelu"),
    "b32": (lambda act: transformers(512, 12, 512, act), "quick_gelu"),
}


def distance(x, truth):
    return float((x.double() - truth).norm() / truth.norm())


def make(name, tokens):
    build, activation = CASES[name]
    forward, model, shapes = build(activation)
    with torch.inference_mode():
        single = forward(tokens)
        model.double()
        truth = forward(tokens)
        other, other_model, _ = build("gelu" if activation == "quick_gelu" else "quick_gelu")
        other_model.double()
        wrong = distance(other(tokens), truth)
    unit = torch.nn.functional.normalize(truth[[0, 1, 2, 3, 5]])  # 4 ends where 1 does
    cosines = unit @ unit.T
    network = layered({**shapes, "logit_scale": []})
    case = {"name": name, "activation": activation, "features": truth.shape[1], "f32": distance(single, truth),
            "others": {"activation": wrong}, "largest_cosine": float((cosines - 2 * torch.eye(len(unit))).max()),
            "network": network, "values": [[float(f"{v:.9g}") for v in row] for row in truth.tolist()]}
    print({k: v for k, v in case.items() if k not in ("network", "values")}, flush=True)
    return case


def main():
    from importlib.metadata import version

    from open_clip.tokenizer import SimpleTokenizer

    tokens = SimpleTokenizer()(PROMPTS)
    golden = {"versions": {p: version(p) for p in ("torch", "transformers", "open_clip_torch")}, "prompts": PROMPTS,
              "cases": [make(name, tokens) for name in CASES]}
    text = json.dumps(golden, indent=1, ensure_ascii=False)
    text = re.sub(r"\[[-\d.,e\s]*\]", lambda m: re.sub(r"\s+", " ", m[0]).replace("[ ", "[").replace(" ]", "]"), text)
    (HERE / "clip_tower.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
