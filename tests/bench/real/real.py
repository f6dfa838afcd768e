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


def classes(reference, runs):
    import numpy as np

    real = np.load(os.path.join(reference, "embeddings.npy")).astype(np.float64)
    label = np.array(labels_of(reference))
    own = distances(real, real)
    np.fill_diagonal(own, np.inf)
    radius = np.partition(own, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1]
    sizes = collections.Counter(labels_of(runs[0]))
    names = sorted(sizes, key=sizes.get, reverse=True)
    ways = [w for w in WAYS if all(os.path.exists(os.path.join(r, "evaluations", w + ".json")) for r in runs)]
    table, whole = {}, {}
    for way in ways:
        for run in runs:
            made = np.load(os.path.join(run, "samples", way, "embeddings.npy")).astype(np.float64)
            covered = distances(real, made).min(1) < radius
            e = load(run, "evaluations", way + ".json")
            assert abs(covered.mean() - value(e["coverage"])) < 1e-3, (covered.mean(), e["coverage"])
            for c in names:
                table.setdefault((c, way), []).append(100 * covered[label == c].mean())
            whole.setdefault(("all", way), []).append(100 * covered.mean())
            whole.setdefault(("Fréchet distance", way), []).append(value(e["frechet_distance"]))
            whole.setdefault(("precision, %", way), []).append(100 * value(e["precision"]))
            whole.setdefault(("recall, %", way), []).append(100 * value(e["recall"]))

    def cells(values, way, name):
        x = values[name, way]
        return f"{statistics.mean(x):.1f} ± {statistics.stdev(x) if len(x) > 1 else 0:.1f}"

    line(["coverage, %", "images"] + [f"by {w}" if w != "natural" else w for w in ways])
    print("|---" + "|--:" * (1 + len(ways)) + "|")
    for c in names:
        line([c, f"{sizes[c]:,}"] + [cells(table, w, c) for w in ways])
    for name in ("all", "Fréchet distance", "precision, %", "recall, %"):
        line([name, f"{sum(sizes.values()):,}" if name == "all" else ""] + [cells(whole, w, name) for w in ways])


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
