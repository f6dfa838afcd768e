#!/usr/bin/env python3
"""Golden preprocessed images, each by the code that its network is published with:

    pip install torch torchvision timm open_clip_torch pillow
    git clone https://github.com/facebookresearch/dinov2
    DINOV2=dinov2 python tests/golden/make_preprocess.py

preprocess.json: the cases; where Pillow resizes, the SHA-256 of the values before normalisation (uint8 [side, side, 3]),
which are to be equal bit by bit. preprocess.bin: of cases that torch resizes, the values, 0 … 255, at every 7th row and
column and the last one (uint8 [n, n, 3]). Images are those of random_weights.py, or a JPEG of images/.
"""
import hashlib
import json
import os
import pathlib
import sys

import numpy as np
import open_clip
import timm.data
import torch
from PIL import Image
from torchvision import transforms

import random_weights as rw

HERE = pathlib.Path(__file__).parent
STEP = 7
JPEG = "images/baseline-420.jpg"


def spatial(transform):
    """The part of a published transform that moves pixels, as uint8."""
    kept = [t for t in transform.transforms if isinstance(t, (transforms.Resize, transforms.CenterCrop))]
    assert len(kept) == 2, transform
    return lambda image: np.asarray(transforms.Compose(kept)(image))


def clip():
    return spatial(open_clip.image_transform(224, is_train=False))


def dinov2(resize, crop):
    sys.path.insert(0, os.environ["DINOV2"])
    from dinov2.data.transforms import make_classification_eval_transform
    return spatial(make_classification_eval_transform(resize_size=resize, crop_size=crop))


def lite(side, whole=False):
    """timm's tf_efficientnet_lite0: crop_pct 0.875, bicubic; `whole`: nothing but the longer side is cut."""
    cfg = timm.get_pretrained_cfg("tf_efficientnet_lite0")
    assert (cfg.crop_pct, cfg.interpolation, cfg.input_size) == (0.875, "bicubic", (3, 224, 224)), cfg
    return spatial(timm.data.create_transform(input_size=side, interpolation="bicubic",
                                              crop_pct=1.0 if whole else cfg.crop_pct))


def inception(image):
    x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
    x = torch.nn.functional.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
    return (x[0].permute(1, 2, 0) * 255).round().numpy()


# Surpluses of 0, 1, 2 and 3 more than a multiple of 4, of either side; 3 tells rounding to even from rounding down.
ODD = ((500, 375), (500, 373), (373, 500), (500, 374), (374, 500), (257, 300), (299, 257), (641, 479), JPEG)
CASES = [
    ("efficientnet-lite0", 0, 0, lite(224), ODD),
    ("efficientnet-lite0", 160, 0, lite(160), ((500, 375), (333, 500))),
    ("efficientnet-lite0", 0, 32, lite(128, whole=True), ((32, 32), (40, 32), (33, 32), (32, 33), (37, 32))),
    ("clip-vit-b32", 0, 0, clip(), (*ODD, (333, 500), (28, 28), (1000, 30))),
    ("dinov2-vits14", 0, 0, dinov2(256, 224), (*ODD, (375, 501), (32, 32))),
    ("dinov2-vits14", 266, 0, dinov2(304, 266), ((640, 479), (501, 400))),
    ("inception-fid", 0, 0, inception, ((500, 375), (299, 299), (32, 64), JPEG)),
    ("pixels", 0, 0, lambda i: np.asarray(i.resize((16, 16), Image.BOX)), ((500, 375), (28, 28), JPEG)),
]


def main():
    cases, blob = [], []
    for encoder, side, median, run, images in CASES:
        for source in images:
            image = Image.open(HERE / source).convert("RGB") if isinstance(source, str) else \
                Image.fromarray(rw.image(1, *source))
            out = run(image)
            case = {"encoder": encoder, "asked": side, "median": median, "side": out.shape[0]}
            case.update({"file": source} if isinstance(source, str) else {"width": source[0], "height": source[1]})
            if out.dtype == np.uint8:
                case["sha256"] = hashlib.sha256(np.ascontiguousarray(out).tobytes()).hexdigest()
            else:
                at = sorted({*range(0, out.shape[0], STEP), out.shape[0] - 1})
                case.update({"offset": sum(map(len, blob)), "rows": len(at)})
                blob.append(np.clip(out, 0, 255).astype(np.uint8)[np.ix_(at, at)].tobytes())
            cases.append(case)
    (HERE / "preprocess.bin").write_bytes(b"".join(blob))
    from importlib.metadata import version
    rows = ",\n".join("  " + json.dumps(c) for c in cases)
    versions = {p: version(p) for p in ("pillow", "torch", "torchvision", "timm", "open_clip_torch")}
    (HERE / "preprocess.json").write_text(
        f'{{\n "made_by": "make_preprocess.py",\n "versions": {json.dumps(versions)},\n "step": {STEP},\n "cases": [\n{rows}\n ]\n}}\n')


if __name__ == "__main__":
    main()
