#!/usr/bin/env python3
"""How well scores find what was planted (docs/scores.md).

    pip install numpy pillow
    python3 tests/bench/scores/planted.py EVENKEEL CIFAR10.tar... -o FOLDER

The tars hold CIFAR-10's training images as CLASS/NAME. Of them a long tail is taken (the largest class 5,000, the
smallest 50), and 10 % of its images are spoilt, a third each: noise on every pixel, a second copy of another image (a
JPEG of quality 90 with one row less), the label of another class. All scores of METHODS are made of it, and for each
kind the area under the ROC curve says how often a spoilt image has a harder score than one that was left alone: 0.5 is
chance, below it the spoilt ones look easy.

Stopped, the same command goes on where it was. Writes FOLDER/results.json and prints the table.
"""
import argparse
import csv
import io
import json
import pathlib
import subprocess
import sys
import tarfile

import numpy as np
from PIL import Image

KINDS = ("noisy", "duplicated", "mislabelled")
NOISE = 48  # standard deviation, of 0 ... 255

# Name of the scores, options of `evenkeel score`.
METHODS = [
    ("distance by cluster", ["--method", "distance", "--by", "cluster"]),
    ("distance by label", ["--method", "distance", "--by", "label"]),
    ("probe-el2n by label", ["--method", "probe-el2n"]),
    ("probe-grand by label", ["--method", "probe-grand"]),
    ("probe-forgetting by label", ["--method", "probe-forgetting"]),
    ("probe-margin by label", ["--method", "probe-margin"]),
    ("probe-aum by label", ["--method", "probe-aum"]),
    ("label-errors, self-confidence", ["--method", "label-errors"]),
    ("label-errors, normalised-margin", ["--method", "label-errors", "--quality", "normalised-margin"]),
    ("probe-el2n by cluster", ["--method", "probe-el2n", "--by", "cluster"]),
    ("probe-grand by cluster", ["--method", "probe-grand", "--by", "cluster"]),
    ("probe-forgetting by cluster", ["--method", "probe-forgetting", "--by", "cluster"]),
    ("probe-margin by cluster", ["--method", "probe-margin", "--by", "cluster"]),
    ("probe-aum by cluster", ["--method", "probe-aum", "--by", "cluster"]),
]

def generator(steps, draws):
    """The models, options of `evenkeel train flow`, and the scores by them."""
    few = ["--draws", str(draws)]
    models = {
        "early": ["--condition", "label", "--steps", str(steps)],
        "later": ["--condition", "label", "--steps", str(2 * steps), "--log-losses", str(steps // 10), *few],
        "plain": ["--steps", str(steps)],
    }
    told = [
        ("el2n", ["--method", "el2n", "--model", "early", *few]),
        ("grand", ["--method", "grand", "--model", "early", *few]),
        ("grand-last", ["--method", "grand-last", "--model", "early", *few]),
        ("forgetting", ["--method", "forgetting", "--model", "later"]),
        ("forgetting-count", ["--method", "forgetting-count", "--model", "later"]),
        ("moso", ["--method", "moso", "--model", "early", "--shards", "2", "--checkpoints", "3", *few]),
    ]
    return models, [(f"{name}, a generator told the label", words) for name, words in told] + [
        ("el2n, a generator not told", ["--method", "el2n", "--model", "plain", *few]),
    ]


def read(tars):
    """{class: [(name, bytes)]} sorted."""
    classes = {}
    for tar in tars:
        with tarfile.open(tar) as t:
            for member in t:
                if member.isfile():
                    name, _, _ = member.name.partition("/")
                    classes.setdefault(name, []).append((member.name, t.extractfile(member).read()))
    return {name: sorted(items) for name, items in sorted(classes.items())}


def encode(pixels, quality):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()


def plant(images, largest, imbalance, seed):
    """[(folder, name, bytes, kind, true class)]: of every class fewer than of the one before."""
    rng = np.random.default_rng(seed)
    names = list(images)
    left = []
    for c, name in enumerate(names):
        size = int(round(largest * imbalance ** (-c / (len(names) - 1))))
        chosen = rng.permutation(len(images[name]))[:size]
        left += [(name, *images[name][i]) for i in sorted(chosen)]
    spoilt = rng.permutation(len(left))[:len(left) // 10]
    kinds = {int(i): KINDS[k % 3] for k, i in enumerate(spoilt)}
    # What is copied is itself not counted: which of two is the copy?
    twins = {}
    for i in (i for i, kind in kinds.items() if kind == "duplicated"):
        same = [j for j in range(len(left)) if left[j][0] == left[i][0] and j not in kinds]
        twins[i] = int(rng.choice(same)) if same else None
    originals = set(twins.values())
    out = []
    for i, (name, file, data) in enumerate(left):
        kind, folder = kinds.get(i, "original" if i in originals else "none"), name
        if kind == "duplicated" and twins[i] is None:
            kind = "none"
        if kind == "noisy":
            pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)
            data = encode((pixels + rng.normal(0, NOISE, pixels.shape)).clip(0, 255).astype(np.uint8), 95)
        elif kind == "duplicated":
            data = encode(np.asarray(Image.open(io.BytesIO(left[twins[i]][2])).convert("RGB"))[:-1], 90)
        elif kind == "mislabelled":
            folder = names[(names.index(name) + int(rng.integers(1, len(names)))) % len(names)]
        out.append((folder, pathlib.PurePath(file).name if kind != "mislabelled" else f"x{i:05d}.jpg", data, kind, name))
    return out


def make(folder, tars, largest, imbalance):
    truth = folder / "truth.csv"
    if truth.exists():
        return
    rows = plant(read(tars), largest, imbalance, 0)
    for place, name, data, _, _ in rows:
        (folder / "images" / place).mkdir(parents=True, exist_ok=True)
        (folder / "images" / place / name).write_bytes(data)
    with open(folder / "truth.tmp", "w", newline="") as f:
        table = csv.writer(f)
        table.writerow(["file_name", "kind", "true_class"])
        table.writerows([f"{place}/{name}", kind, true] for place, name, _, kind, true in rows)
    (folder / "truth.tmp").rename(truth)


def auc(high, low):
    """How often one of `high` is above one of `low`; ties count half."""
    order = np.concatenate([high, low])
    _, rank, count = np.unique(order, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2
    ranks = middle[rank]
    return float((ranks[:len(high)].sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("evenkeel")
    parser.add_argument("tars", nargs="+")
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path)
    parser.add_argument("--largest", type=int, default=5000)
    parser.add_argument("--imbalance", type=float, default=100)
    parser.add_argument("--generator", help="also by generators of these options of train flow, quoted")
    parser.add_argument("--steps", type=int, default=500, help="of those, an early training")
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    folder, run = options.output, options.output / "run"
    folder.mkdir(parents=True, exist_ok=True)
    make(folder, options.tars, options.largest, options.imbalance)
    if not (run / "audit.json").exists():
        subprocess.run([options.evenkeel, "audit", folder / "images", "-o", run, "--json"], check=True,
                       stdout=subprocess.DEVNULL)
    with open(folder / "truth.csv", newline="") as f:
        kinds = {row["file_name"]: row["kind"] for row in csv.DictReader(f)}
    with open(run / "images.jsonl") as f:
        kind = np.array([kinds[json.loads(line)["file_name"]] for line in f])
    results = []
    models, generated = generator(options.steps, options.draws) if options.generator else ({}, [])
    for model, words in models.items():
        subprocess.run([options.evenkeel, "train", "flow", run, "--name", model, *words, *options.generator.split(),
                        "--device", options.device, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    for title, words in METHODS + generated:
        name = "".join(c if c.isalnum() else "-" for c in title)
        subprocess.run([options.evenkeel, "score", run, "--name", name, *words, "--device", options.device,
                        "--quiet", "--json"], check=True, stdout=subprocess.DEVNULL)
        score = np.load(run / "scores" / f"{name}.npy")
        hard = json.loads((run / "scores" / f"{name}.json").read_text())["hard"]
        score = score if hard == "high" else -score
        there = ~np.isnan(score)
        alone = score[(kind == "none") & there]
        results.append({"scores": title, "hard": hard,
                        **{k: auc(score[(kind == k) & there], alone) for k in KINDS}})
    counts = {k: int((kind == k).sum()) for k in (*KINDS, "original", "none")}
    (folder / "results.json").write_text(json.dumps({"images": counts, "results": results}, indent=1))
    print(f"{len(kind):,} images:", ", ".join(f"{n:,} {k}" for k, n in counts.items()), file=sys.stderr)
    print("| scores | hard | " + " | ".join(KINDS) + " |\n|---|---|" + "---|" * len(KINDS))
    for r in results:
        print(f"| {r['scores']} | {r['hard']} | " + " | ".join(f"{r[k]:.3f}" for k in KINDS) + " |")


main()
