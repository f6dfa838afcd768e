#!/usr/bin/env python3
"""Parts of balancing.sh that are about tables. No packages needed.

balancing.py long-tailed FOLDER OUT.csv    a data set of class folders, made long-tailed (ratio 100)
balancing.py table RUN...                  Markdown: every subset and sampler of the runs
"""
import csv
import json
import math
import os
import struct
import sys

RATIO = 100


def long_tailed(folder, out):
    classes = sorted(d for d in os.listdir(folder) if os.path.isdir(os.path.join(folder, d)))
    files = {c: sorted(os.listdir(os.path.join(folder, c))) for c in classes}
    largest = min(len(f) for f in files.values())
    with open(out + ".new", "w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["file_name", "class"])
        for place, name in enumerate(classes):
            size = round(largest * RATIO ** (-place / (len(classes) - 1)))
            rows.writerows([os.path.join(os.path.abspath(folder), name, x), name] for x in files[name][:size])
    os.rename(out + ".new", out)


def array(path):
    """A one-dimensional .npy file as a list."""
    with open(path, "rb") as f:
        assert f.read(6) == b"\x93NUMPY" and f.read(2) == b"\x01\x00"
        header = f.read(struct.unpack("<H", f.read(2))[0]).decode()
        kind = {"'<i8'": "q", "'<f8'": "d", "'<i4'": "i", "'|u1'": "B"}[header.split("descr':")[1].split(",")[0].strip()]
        data = f.read()
    return [x[0] for x in struct.iter_unpack("<" + kind, data)]


def entropy(weights):
    """Normalised: 1 when all are equal."""
    total = sum(weights)
    h = -sum(w / total * math.log(w / total) for w in weights if w > 0)
    return h / math.log(len(weights)) if len(weights) > 1 else 1.0


def gini(weights):
    w, n = sorted(weights), len(weights)
    return 2 * sum((i + 1) * x for i, x in enumerate(w)) / (n * sum(w)) - (n + 1) / n


def shares(unit, count, weight):
    out = [0.0] * count
    for u, w in zip(unit, weight):
        out[u] += w
    return out


class Run:
    def __init__(self, path):
        self.path = path
        self.clusters = array(os.path.join(path, "clusters", "assignment.npy"))
        self.n = len(self.clusters)
        with open(os.path.join(path, "images.jsonl")) as f:
            rows = [json.loads(line) for line in f]
        with open(os.path.join(path, "audit.json")) as f:
            names = json.load(f)["attributes"]
        self.attributes = {}
        for name in names:
            if name == "age":  # in tens of years
                values = [str(int(float(r[name])) // 10 * 10) for r in rows]
            else:
                values = [r.get(name) for r in rows]
            known = sorted(set(values))
            self.attributes[name] = (known, [known.index(v) for v in values])

    def plans(self):
        baselines = set()  # their names begin with that of what they are baselines of, so they come later
        yield "as it is", [1.0] * self.n
        for folder in ("subsets", "weights"):
            base = os.path.join(self.path, folder)
            for name in sorted(os.listdir(base)):
                if folder == "weights":
                    w = [x * self.n for x in array(os.path.join(base, name, "weights.npy"))]
                else:
                    with open(os.path.join(base, name, "subset.json")) as f:
                        baselines.update(json.load(f)["baselines"])
                    if name in baselines:
                        continue
                    w = [0.0] * self.n
                    for i in array(os.path.join(base, name, "keep.npy")):
                        w[i] += 1
                yield name, w


def rows(heads, lines):
    print("\n| " + " | ".join(heads) + " |")
    print("|---" + "|--:" * (len(heads) - 1) + "|")
    for line in lines:
        print("| " + " | ".join(line) + " |")


def table(run):
    k = max(run.clusters) + 1
    plans = list(run.plans())
    lines = []
    for plan, w in plans:
        c, total = shares(run.clusters, k, w), sum(w)
        effective = total * total / sum(x * x for x in w) / run.n
        lines.append([plan, f"{total:,.0f}", f"{max(w):.1f}", f"{effective:.2f}", f"{gini(c):.3f}", f"{entropy(c):.3f}"])
    rows(["clusters", "images", "most shown", "effective sample", "Gini", "entropy"], lines)
    for name, (values, codes) in run.attributes.items():
        before = shares(codes, len(values), [1.0] * run.n)
        rarest = min(range(len(values)), key=before.__getitem__)
        lines = []
        for plan, w in plans:
            after = shares(codes, len(values), w)
            kept = [a / b for a, b in zip(after, before)]
            recovery = (entropy(after) - entropy(before)) / (1 - entropy(before))
            lines.append([plan, f"{entropy(after):.3f}", f"{recovery:+.2f}", f"{100 * after[rarest] / sum(w):.2f} %",
                          f"{min(kept) / max(kept):.2f}"])
        rows([name, "entropy", "recovery", f"share of {values[rarest]} ({before[rarest]:,.0f} images)", "least kept / most kept"],
             lines)


def main(arguments):
    if arguments[0] == "long-tailed":
        long_tailed(arguments[1], arguments[2])
        return
    for path in arguments[1:]:
        run = Run(path)
        print(f"\n## {os.path.basename(path)}: {run.n:,} images, {max(run.clusters) + 1} clusters")
        table(run)


if __name__ == "__main__":
    main(sys.argv[1:])
