"""The tables and the curves of docs/results.md, from the evaluations that pruning.sh collected.

	python3 tests/bench/pruning/pruning.py WORK/done docs/results.svg > tables.md

A cell is the mean over the training seeds that are there; with two or more, ± half of their range.
"""
import collections
import json
import math
import pathlib
import re
import sys

ALL = "all images"
CLUSTERS = {"furthest": "#1f6fb4", "nearest": "#d9541e", "middle": "#b58900", "random-within": "#12916f",
            "random": "#555555"}
SCORES = {"grand": "#1f6fb4", "el2n": "#d9541e", "moso": "#12916f", "forgetting": "#a03070"}
MEASURES = {  # name: digits, what the reader is told
    "Fréchet distance": (0, "to the held-out images; less is better"),
    "precision": (3, "share of the generated images that lie among the held-out ones"),
    "recall": (3, "share of the held-out images that lie among the generated ones"),
    "coverage": (3, "share of the held-out images near which something is generated"),
    "coverage of the small clusters": (3, "the same for the images of the smallest quarter of the clusters"),
    "share of the small clusters": (2, "of what is generated, as a multiple of their share of all images"),
    "distance to training": (2, "mean, to the nearest of the images that the model was trained on"),
}
PANELS = ["Fréchet distance", "coverage", "coverage of the small clusters", "distance to training"]


def value(measure):
    return measure["value"] if isinstance(measure, dict) else measure


def of_clusters(evaluation, clusters):
    """Coverage of the reference images of these clusters, and their share of what is generated beside that of all."""
    rows = [c for c in evaluation["per_cluster"] if c["cluster"] in clusters]
    seen = [c for c in rows if c["coverage"] is not None]
    images = sum(c["reference_images"] for c in seen)
    coverage = sum(c["coverage"] * c["reference_images"] for c in seen) / images if images else None
    return coverage, sum(c["generated_images"] for c in rows) / evaluation["generated"]["images"]


def measures(evaluation, clusters, share):
    nearest = evaluation["memorisation"]["nearest_train"] or {}
    coverage, generated = of_clusters(evaluation, clusters)
    values = [evaluation["frechet_distance"], evaluation["precision"], evaluation["recall"], evaluation["coverage"],
              coverage, generated / share if share else None, nearest.get("mean")]
    return dict(zip(MEASURES, map(value, values)))


def smallest(natural):
    """The smallest quarter of the clusters, and their share of all images."""
    rows = sorted(natural["per_cluster"], key=lambda c: c["training_images"])
    rows = rows[: max(1, len(rows) // 4)]
    return ({c["cluster"] for c in rows},
            sum(c["training_images"] for c in rows) / natural["training"]["images"])


def load(folder):
    """{(method, keep): {measure: [a value a seed]}}, which clusters are the smallest quarter, and their share."""
    files = {p.stem: json.loads(p.read_text()) for p in sorted(pathlib.Path(folder).glob("s[0-9]*.json"))}
    natural = next((e for name, e in files.items() if name.endswith("-natural")), None)
    if natural is None:
        sys.exit(f"{folder}: there is no evaluation of all images yet")
    clusters, share = smallest(natural)
    points = collections.defaultdict(lambda: collections.defaultdict(list))
    for name, evaluation in files.items():
        found = re.fullmatch(r"s\d+-(?:score-)?(.*)-([0-9.]+)", name)
        key = (found[1], float(found[2])) if found else (ALL, 1.0)
        for measure, x in measures(evaluation, clusters, share).items():
            if x is not None:
                points[key][measure].append(x)
    return points, clusters, share


def mean(values):
    return sum(values) / len(values)


def cell(values, digits):
    if not values:
        return ""
    text = f"{mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {(max(values) - min(values)) / 2:.{digits}f}"


def order(method):
    """As the paper has them: by clusters, then by scores."""
    names = [ALL, *CLUSTERS, *SCORES]
    name, _, end = method.rpartition("-")
    return (names.index(method), 0) if method in names else (names.index(name) if name in names else 99, end)


def print_tables(points):
    keeps = sorted({k for _, k in points}, reverse=True)
    methods = sorted({m for m, _ in points} - {ALL}, key=order)
    for measure, (digits, words) in MEASURES.items():
        print(f"\n**{measure[0].upper()}{measure[1:]}**, {words}:\n")
        print("| kept | " + " | ".join(f"{k:g}" for k in keeps) + " |\n|---" + "|--:" * len(keeps) + "|")
        print(f"| {ALL} | {cell(points[ALL, 1.0][measure], digits)} |" + " |" * (len(keeps) - 1))
        for method in methods:
            cells = [cell(points[method, k][measure], digits) if (method, k) in points else "" for k in keeps]
            print(f"| {method} | " + " | ".join(cells) + " |")


def ticks(low, high):
    """Three to seven round numbers that hold the values between them."""
    step = next(f * 10.0 ** e for e in range(-9, 9) for f in (1, 2, 5) if (high - low) / (f * 10.0 ** e) <= 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * i for i in range(first, max(last, first + 1) + 1)]


def print_noise(points):
    """What another seed alone changes, pooled over the points that have several."""
    print("\n**Chance**, the standard deviation of a training that differs in its seed alone, over all points with "
          "several:\n")
    parts = []
    for measure, (digits, _) in MEASURES.items():
        sets = [p[measure] for p in points.values() if len(p[measure]) > 1]
        squares = sum((x - mean(values)) ** 2 for values in sets for x in values)
        freedom = sum(len(values) - 1 for values in sets)
        if freedom:
            parts.append(f"{measure} {math.sqrt(squares / freedom):.{digits + 1}f}")
    print(", ".join(parts) + "." if parts else "(no point has several seeds yet)")


class Panel:
    """Axes of one measure; x is the kept fraction, evenly spaced, since 0.1 and 0.25 matter as much as 0.75 and 1."""

    def __init__(self, x, y, width, height, keeps, values):
        self.x, self.y, self.width, self.height, self.keeps = x, y, width, height, keeps
        self.ticks = ticks(min(values), max(values))
        self.low, self.high = self.ticks[0], self.ticks[-1]

    def at(self, keep, value):
        step = self.width / max(1, len(self.keeps) - 1)
        return (self.x + step * self.keeps.index(keep),
                self.y + self.height * (1 - (value - self.low) / (self.high - self.low)))

    def frame(self, title):
        out = [f'<text x="{self.x}" y="{self.y - 8}" font-weight="bold">{title}</text>',
               f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" fill="none" stroke="#bbb"/>']
        for value in self.ticks:
            y = self.at(self.keeps[0], value)[1]
            out.append(f'<line x1="{self.x}" x2="{self.x + self.width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
            out.append(f'<text x="{self.x - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
        for keep in self.keeps:
            x = self.at(keep, self.low)[0]
            out.append(f'<text x="{x:.1f}" y="{self.y + self.height + 15}" text-anchor="middle">{keep:g}</text>')
        return out

    def curve(self, points, method, measure, colour, dashed):
        keys = sorted(k for m, k in points if m == method)
        rows = [(k, points[method, k][measure]) for k in keys] + [(1.0, points[ALL, 1.0][measure])]
        rows = [(k, values) for k, values in rows if values]
        places = [self.at(k, mean(values)) for k, values in rows]
        dash = ' stroke-dasharray="5 3"' if dashed else ""
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        out = [f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>']
        for (k, values), (x, y) in zip(rows, places):
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}"/>')
            if len(values) > 1:
                top, bottom = self.at(k, max(values))[1], self.at(k, min(values))[1]
                out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" stroke="{colour}"/>')
        return out


def legend(x, y, lines):
    out = []
    for i, (name, colour, dashed) in enumerate(lines):
        left, top = x + i % 2 * 150, y + i // 2 * 16
        dash = ' stroke-dasharray="5 3"' if dashed else ""
        out.append(f'<line x1="{left}" x2="{left + 24}" y1="{top - 4}" y2="{top - 4}" stroke="{colour}" '
                   f'stroke-width="2"{dash}/><text x="{left + 30}" y="{top}">{name}</text>')
    return out


def columns(points):
    """Lines of the left column and of the right: (method, colour, dashed); random is in both."""
    there = {m for m, _ in points}
    left = [(m, colour, False) for m, colour in CLUSTERS.items() if m in there]
    right = [(f"{m}-{end}", colour, end == "low") for m, colour in SCORES.items() for end in ("high", "low")
             if f"{m}-{end}" in there]
    return left, right + [line for line in left if line[0] == "random"]


def plot(points, path):
    keeps = sorted({k for _, k in points})
    width, height, left, top, gap = 330, 190, 56, 144, 56
    out = ['<text x="56" y="22" font-size="14" font-weight="bold">By clusters</text>',
           f'<text x="{left + width + 70}" y="22" font-size="14" font-weight="bold">By scores of the generator</text>']
    for column, lines in enumerate(columns(points)):
        x = left + column * (width + 70)
        out += legend(x, 42, lines)
        for row, measure in enumerate(PANELS):
            values = [v for p in points.values() for v in p[measure]]
            panel = Panel(x, top + row * (height + gap), width, height, keeps, values)
            out += panel.frame(measure[0].upper() + measure[1:])
            for method, colour, dashed in lines:
                out += panel.curve(points, method, measure, colour, dashed)
    bottom = top + len(PANELS) * (height + gap) - 16
    for i, line in enumerate(["Across: the kept fraction; 1 is all images. Bars: from the smallest to the largest of "
                              "the training seeds.", "Random is in both columns, whose axes are the same."]):
        out.append(f'<text x="{left}" y="{bottom + 16 * i}">{line}</text>')
    pathlib.Path(path).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + 2 * width + 100} {bottom + 30}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n' +
        "\n".join(out) + "\n</svg>\n")


def main():
    points, clusters, share = load(sys.argv[1])
    print_tables(points)
    print_noise(points)
    print(f"\nThe small clusters: {', '.join(map(str, sorted(clusters)))}, {100 * share:.1f} % of the training images.")
    plot(points, sys.argv[2])


main()
