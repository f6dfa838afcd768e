"""Run in a folder with photos, RUN, folders, links, shards and list (tests/others/loaders)."""
import collections
import glob
import hashlib
import json
import math

import datasets
import numpy as np
import PIL.Image
import torch
import torchvision
import webdataset

keep = np.load("RUN/subsets/even/keep.npy")
weights = np.load("RUN/weights/flat/weights.npy")
rows = [json.loads(line) for line in open("RUN/images.jsonl")]
assert keep.dtype == np.int64 and keep.ndim == 1 and len(keep) == 150
assert len(set(keep.tolist())) < len(keep), "a repeat is part of the test"
assert weights.dtype == np.float64 and weights.shape == (len(rows),) and math.isclose(weights.sum(), 1)
clusters = np.load("RUN/clusters/assignment.npy")
shares = np.bincount(clusters, weights=weights)
assert np.allclose(shares, 1 / 3), shares
wanted = collections.Counter(keep.tolist())
print("numpy", np.__version__)


class Images(torch.utils.data.Dataset):
    def __len__(self):
        return len(rows)

    def __getitem__(self, i):
        image = PIL.Image.open("photos/" + rows[i]["file_name"]).convert("RGB")
        return torchvision.transforms.functional.to_tensor(image), i


subset = torch.utils.data.Subset(Images(), keep.tolist())
loader = torch.utils.data.DataLoader(subset, batch_size=64)
assert collections.Counter(i for _, batch in loader for i in batch.tolist()) == wanted
sampler = torch.utils.data.WeightedRandomSampler(
    torch.from_numpy(weights), num_samples=30000, generator=torch.Generator().manual_seed(0))
drawn = np.bincount(clusters[list(sampler)], minlength=3)
# Three equal shares of 30,000: within five standard deviations, 5 * sqrt(30000 * 1/3 * 2/3) = 408.
assert (abs(drawn - 10000) < 408).all(), drawn
print("torch", torch.__version__)

folder = torchvision.datasets.ImageFolder("folders")
assert len(folder) == len(keep) and folder.classes == sorted({row["label"] for row in rows})
for path, label in folder.samples:
    folder.loader(path)
print("torchvision", torchvision.__version__)


def check_rows(dataset):
    assert collections.Counter(dataset["id"]) == wanted
    for row in dataset:
        at = row["id"]
        assert row["image"].size == (rows[at]["width"], rows[at]["height"])
        assert row["cluster"] == clusters[at] and row["label"] == rows[at]["label"]
        assert row["original"] == rows[at]["file_name"]


loaded = datasets.load_dataset("imagefolder", data_dir="folders", split="train")
check_rows(loaded)
assert all(row["weight"] == weights[row["id"]] for row in loaded)
check_rows(datasets.load_dataset("imagefolder", data_dir="links", split="train"))
print("datasets", datasets.__version__)

urls = sorted(glob.glob("shards/*.tar"))
assert len(urls) == 4
classes = json.load(open("shards/classes.json"))["classes"]
order, keys = [], set()
for raw in webdataset.WebDataset(urls, shardshuffle=False):
    body = raw.get("jpg", raw.get("png"))
    row = json.loads(raw["json"])
    assert hashlib.sha256(body).hexdigest() == rows[row["id"]]["sha256"]
    order.append(row["id"])
    keys.add(raw["__key__"])
assert order == keep.tolist() and len(keys) == len(keep)
seen = collections.Counter()
for sample in webdataset.WebDataset(urls, shardshuffle=100).shuffle(1000).decode("pil"):
    row = sample["json"]
    image = sample.get("jpg", sample.get("png"))
    assert image.size == (rows[row["id"]]["width"], rows[row["id"]]["height"])
    assert classes[sample["cls"]] == row["label"] == rows[row["id"]]["label"]
    seen[row["id"]] += 1
assert seen == wanted
print("webdataset", webdataset.__version__)

paths = open("list/paths.txt", "rb").read().split(b"\0")
assert paths.pop() == b"" and len(paths) == len(keep)
for path, i in zip(paths, keep):
    assert path.decode().endswith("/photos/" + rows[i]["file_name"])
