#!/usr/bin/env python3
"""Golden preprocessed images, from the published preprocessing of each family:

    pip install torch torchvision transformers pillow
    python tests/golden/make_preprocess.py

preprocess.bin: per case the values before normalisation, 0 … 255, at every 7th row and column and the last one
(uint8 [n, n, 3]); preprocess.json: the cases. Images are those of random_weights.py, or a JPEG of images/.
"""
import json
import pathlib

import numpy as np
import torch
from PIL import Image
from transformers.models.bit.image_processing_bit import BitImageProcessor
from transformers.models.clip.image_processing_clip import CLIPImageProcessor

import random_weights as rw

HERE = pathlib.Path(__file__).parent
STEP = 7
JPEG = "images/baseline-420.jpg"


def hugging_face(processor):
    """The processor's values before rescaling and normalisation."""
    def run(image):
        x = processor(images=image, return_tensors="pt", do_rescale=False, do_normalize=False)["pixel_values"][0]
        return x.permute(1, 2, 0).numpy()
    return run


def dinov2(resize, crop):
    """facebook/dinov2-*: preprocessor_config.json names BitImageProcessor with these sizes."""
    return hugging_face(BitImageProcessor(size={"shortest_edge": resize}, crop_size={"height": crop, "width": crop}))


def lite(side, resize):
    """TensorFlow's efficientnet/lite: the middle side / (side + 32) of the shorter side, bicubic."""
    def run(image):
        w, h = image.size
        scaled = (resize, int(resize * h / w)) if w <= h else (int(resize * w / h), resize)
        left, top = (scaled[0] - side) // 2, (scaled[1] - side) // 2
        return np.asarray(image.resize(scaled, Image.BICUBIC).crop((left, top, left + side, top + side)))
    return run


def inception(image):
    x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
    x = torch.nn.functional.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
    return (x[0].permute(1, 2, 0) * 255).round().numpy()


CASES = [
    ("efficientnet-lite0", 0, 0, lite(224, 256), ((500, 375), (300, 257), JPEG)),
    ("efficientnet-lite0", 0, 32, lite(128, 128), ((32, 32), (40, 32))),
    ("clip-vit-b32", 0, 0, hugging_face(CLIPImageProcessor()), ((500, 375), (333, 500), (28, 28), (1000, 30), JPEG)),
    ("dinov2-vits14", 0, 0, dinov2(256, 224), ((500, 375), (375, 501), (32, 32), JPEG)),
    ("dinov2-vits14", 266, 0, dinov2(304, 266), ((640, 479),)),
    ("inception-fid", 0, 0, inception, ((500, 375), (299, 299), (32, 64), JPEG)),
    ("pixels", 0, 0, lambda i: np.asarray(i.resize((16, 16), Image.BOX)), ((500, 375), (28, 28), JPEG)),
]


def main():
    cases, blob = [], []
    for encoder, side, median, run, images in CASES:
        for source in images:
            image = Image.open(HERE / source).convert("RGB") if isinstance(source, str) else \
                Image.fromarray(rw.image(1, *source))
            out = np.clip(run(image), 0, 255).astype(np.uint8)
            at = sorted({*range(0, out.shape[0], STEP), out.shape[0] - 1})
            case = {"encoder": encoder, "asked": side, "median": median, "side": out.shape[0],
                    "offset": sum(map(len, blob)), "rows": len(at)}
            case.update({"file": source} if isinstance(source, str) else {"width": source[0], "height": source[1]})
            cases.append(case)
            blob.append(out[np.ix_(at, at)].tobytes())
    (HERE / "preprocess.bin").write_bytes(b"".join(blob))
    from importlib.metadata import version
    rows = ",\n".join("  " + json.dumps(c) for c in cases)
    versions = {p: version(p) for p in ("pillow", "torch", "torchvision", "transformers")}
    (HERE / "preprocess.json").write_text(
        f'{{\n "made_by": "make_preprocess.py",\n "versions": {json.dumps(versions)},\n "step": {STEP},\n "cases": [\n{rows}\n ]\n}}\n')


if __name__ == "__main__":
    main()
