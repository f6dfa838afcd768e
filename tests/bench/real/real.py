#!/usr/bin/env python3
"""Parts of real.sh that are about tables. Needs NumPy.

real.py split FOLDER TAR...          of CIFAR-10: reference.tar (a tenth of each class), natural.tar (the rest, sizes
                                     falling a hundredfold from class to class), labels.csv (20 images of each class)
real.py measures RUN                 Markdown: every evaluation of a run
real.py classes REFERENCE RUN...     Markdown: coverage of each class, runs being trainings of the same with other seeds
"""
import collections
import csv
import io
import json
import os
import statistics
import sys
import tarfile

RATIO, LABELLED, NEIGHBOUR = 100, 20, 5
WAYS = ["natural", "cluster", "group", "label"]


def split(folder, tars):
    images = collections.defaultdict(list)
    for path in tars:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile():
                    images[member.name.split("/")[0]].append((member.name, tar.extractfile(member).read()))
    classes = sorted(images)
    reference = {c: sorted(images[c])[::10] for c in classes}
    rest = {c: sorted(set(images[c]) - set(reference[c])) for c in classes}
    largest = min(map(len, rest.values()))
    natural = {c: rest[c][: round(largest * RATIO ** (-i / (len(classes) - 1)))] for i, c in enumerate(classes)}
    for name, chosen in ("reference", reference), ("natural", natural):
        with tarfile.open(os.path.join(folder, name + ".tar"), "w") as tar:
            for c in classes:
                for member, data in chosen[c]:
                    info = tarfile.TarInfo(member)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    with open(os.path.join(folder, "labels.csv.new"), "w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["file_name", "label"])
        rows.writerows([member, c] for c in classes for member, _ in natural[c][:LABELLED])
    os.rename(os.path.join(folder, "labels.csv.new"), os.path.join(folder, "labels.csv"))


def load(*path):
    with open(os.path.join(*path)) as f:
        return json.load(f)


def value(measure):
    return measure["value"] if isinstance(measure, dict) else measure


def line(cells):
    print("| " + " | ".join(cells) + " |")


def measures(run):
    line(["samples", "images", "Fréchet distance", "precision", "recall", "coverage (of equal distributions)"])
    print("|---" + "|--:" * 5 + "|")
    for name in sorted(os.listdir(os.path.join(run, "evaluations"))):
        e = load(run, "evaluations", name)
        line([e["name"], f"{e['generated']['images']:,}", f"{value(e['frechet_distance']):.1f} ({e['metric']})"] +
             [f"{value(e[m]):.3f}" for m in ("precision", "recall", "coverage")])


def distances(a, b):
    """Squared, of the rows of one from those of the other."""
    return (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T)


def labels_of(run):
    with open(os.path.join(run, "images.jsonl")) as f:
        return [json.loads(row)["label"] for row in f]


def radii(own):
    """To each one's own NEIGHBOUR-th neighbour."""
    own = own.copy()
    own[range(len(own)), range(len(own))] = float("inf")
    own.partition(NEIGHBOUR - 1, axis=1)
    return own[:, NEIGHBOUR - 1]


def frechet(a, b):
    import numpy as np

    x, y = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(x)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    mixed = np.sqrt(np.linalg.eigvalsh(root @ y @ root).clip(0)).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(x) + np.trace(y) - 2 * mixed


def classes(reference, runs):
    import numpy as np

    def features(run):
        return np.load(os.path.join(run, "embeddings.npy")).astype(np.float64)

    def finished(way):
        return all(os.path.exists(os.path.join(f"{run}-{way}", "embeddings.npy")) for run in runs)

    real, label = features(reference), np.array(labels_of(reference))
    radius = radii(distances(real, real))
    sizes = collections.Counter(labels_of(runs[0]))
    names, ways = sorted(sizes, key=sizes.get, reverse=True), [way for way in WAYS if finished(way)]
    table = collections.defaultdict(list)
    for way in ways:
        for run in runs:
            made = features(f"{run}-{way}")
            between = distances(real, made)
            covered = between.min(1) < radius
            for c in names:
                table[c, way].append(100 * covered[label == c].mean())
            table["all", way].append(100 * covered.mean())
            table["the five rarest", way].append(100 * covered[np.isin(label, names[5:])].mean())
            table["precision, %", way].append(100 * (between < radius[:, None]).any(0).mean())
            table["recall, %", way].append(100 * (between < radii(distances(made, made))).any(1).mean())
            table["Fréchet distance", way].append(frechet(real, made))
    line(["coverage, %", "images"] + [f"by {way}" if way != "natural" else way for way in ways])
    print("|---" + "|--:" * (1 + len(ways)) + "|")
    for name in names + ["all", "the five rarest", "precision, %", "recall, %", "Fréchet distance"]:
        cells = [table[name, way] for way in ways]
        line([name, f"{sizes[name]:,}" if name in sizes else ""] +
             [f"{statistics.mean(x):.1f} ± {statistics.stdev(x) if len(x) > 1 else 0:.1f}" for x in cells])


def main(arguments):
    what, rest = arguments[0], arguments[1:]
    if what == "split":
        split(rest[0], rest[1:])
    elif what == "measures":
        measures(rest[0])
    else:
        classes(rest[0], rest[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
