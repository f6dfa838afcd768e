"""Writes efficientnet_file.json: names, types, shapes and sums of the tensors in the published EfficientNet-Lite0 file."""
import hashlib
import json
import os
import sys

import torch

path = sys.argv[1]
with open(path, "rb") as f:
    digest = hashlib.sha256(f.read()).hexdigest()
tensors = {}
for name, t in torch.load(path, map_location="cpu", weights_only=True).items():
    wide = t.double().flatten()
    tensors[name] = {"type": str(t.dtype).split(".")[-1], "shape": list(t.shape), "sum": float(wide.sum()),
                     "absolute": float(wide.abs().sum()),
                     "weighted": float((wide * torch.arange(1, len(wide) + 1, dtype=torch.float64)).sum())}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "efficientnet_file.json"), "w") as f:
    json.dump({"torch": torch.__version__, "sha256": digest, "tensors": tensors}, f, separators=(",", ":"))
    f.write("\n")
