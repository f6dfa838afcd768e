#!/usr/bin/env python3
"""Golden Fréchet distance and logits of images, by the code of pytorch-fid and torch-fidelity with random weights
(random_weights.py), from the images on:

    pip install pytorch-fid==0.3.0 torch-fidelity==0.4.0 torchvision
    python tests/golden/make_inception.py

Writes inception.bin (float32: pytorch-fid's features [2 IMAGES, 2048], torch-fidelity's logits_unbiased of those
features [2 IMAGES, 1008]) and inception.json.
"""
import json
import pathlib
import tempfile
from importlib.metadata import version

import numpy as np
import torch
from pytorch_fid import fid_score
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

import make_encoders
import random_weights as rw

HERE = pathlib.Path(__file__).parent
IMAGES, WIDTH, HEIGHT = 4, 260, 200


def pytorch_fid_model():
    """pytorch-fid's network as its command line runs it: any size, 0 ... 1."""
    import torchvision
    from pytorch_fid import inception as fid

    state = {}
    fid.load_state_dict_from_url = lambda *_, **__: state
    original = torchvision.models.Inception3.load_state_dict

    def take_ours(self, _):
        state.update(make_encoders.fill(make_encoders.shapes_of(self.state_dict())))
        return original(self, state, strict=False)

    torchvision.models.Inception3.load_state_dict = take_ours
    model = fid.InceptionV3([fid.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    torchvision.models.Inception3.load_state_dict = original
    return model.eval(), state


def main():
    from PIL import Image

    model, state = pytorch_fid_model()
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for i in range(2 * IMAGES):
            files.append(f"{folder}/{i}.png")
            Image.fromarray(rw.image(i, WIDTH, HEIGHT)).save(files[-1])
        features = fid_score.get_activations(files, model, batch_size=1, num_workers=0)
        weights = f"{folder}/weights.pth"
        extractor = FeatureExtractorInceptionV3.__new__(FeatureExtractorInceptionV3)
        counters = {k + ".num_batches_tracked": torch.tensor(0) for k in
                    {k.rsplit(".", 1)[0] for k in state if k.endswith("running_var")}}
        torch.save({**state, **counters}, weights)
        extractor.__init__("inception", ["logits_unbiased"], weights)
    # Its layers up to the last pool give way to the features that are there.
    whole = torch.from_numpy(features).float()
    extractor.AvgPool = torch.nn.Identity()
    extractor.Mixed_7c = torch.nn.Module()
    extractor.Mixed_7c.forward = lambda _: whole[:, :, None, None]
    black = torch.zeros(1, 3, 299, 299, dtype=torch.uint8)
    logits, = extractor(black)
    halves = [torch.from_numpy(features[:IMAGES]), torch.from_numpy(features[IMAGES:])]
    distance = fid_statistics_to_metric(*(fid_features_to_statistics(h) for h in halves), False)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.concatenate([whole.numpy().ravel(), logits.numpy().ravel()]).astype("<f4").tofile(HERE / "inception.bin")
    out = {"made_by": "make_inception.py", "images": IMAGES, "width": WIDTH, "height": HEIGHT,
           "versions": {p: version(p) for p in ("torch", "torchvision", "pytorch-fid", "torch-fidelity")},
           "frechet": distance["frechet_inception_distance"],
           "largest_cosine": float(np.max(unit @ unit.T - 2 * np.eye(len(unit))))}
    print(out)
    (HERE / "inception.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.inference_mode():
        main()
