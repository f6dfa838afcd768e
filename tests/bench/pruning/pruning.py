"""The table and the curves of docs/results.md, from the evaluations that pruning.sh collected.

	python tests/bench/pruning/pruning.py WORK/done docs/results.svg > table.md

A cell is the mean over the training seeds that are there, and, where there are two or more, ± half of their range.
"""
import collections
import json
import pathlib
import re
import sys

COLOURS = ["#1f6fb4", "#7ab3e0", "#12916f", "#b58900", "#888888", "#d9541e", "#f0a080", "#a03070", "#d080b0", "#5c4fb0",
           "#b0a8e0", "#00807a", "#70c8c0"]


def smallest(evaluation, clusters):
    """Mean coverage of the reference images of these clusters."""
    rows = [c for c in evaluation["per_cluster"] if c["cluster"] in clusters and c["coverage"] is not None]
    images = sum(c["reference_images"] for c in rows)
    return sum(c["coverage"] * c["reference_images"] for c in rows) / images if images else None


def measures(e, clusters):
    value = lambda x: x["value"] if isinstance(x, dict) else x
    nearest = e["memorisation"]["nearest_train"] or {}
    return {"FD": e["frechet_distance"], "precision": value(e["precision"]), "recall": value(e["recall"]),
            "coverage": value(e["coverage"]), "coverage of the smallest": smallest(e, clusters),
            "nearest train": nearest.get("mean"), "copies": value(e["memorisation"]["copies_share"])}


def load(folder):
    """{(method, keep): {measure: [a value a seed]}}, and which clusters are the smallest quarter."""
    files = {p.stem: json.loads(p.read_text()) for p in sorted(pathlib.Path(folder).glob("s[0-9]*.json"))}
    natural = next(e for name, e in files.items() if name.endswith("-natural"))
    by_size = sorted((c for c in natural["per_cluster"] if c["training_images"] is not None),
                     key=lambda c: c["training_images"])
    clusters = {c["cluster"] for c in by_size[: max(1, len(by_size) // 4)]}
    rows = collections.defaultdict(lambda: collections.defaultdict(list))
    for name, e in files.items():
        found = re.fullmatch(r"s\d+-(.*)-([0-9.]+)", name)
        key = ("all images", 1.0) if name.endswith("-natural") else (found[1].removeprefix("score-"), float(found[2]))
        for measure, x in measures(e, clusters).items():
            if x is not None:
                rows[key][measure].append(x)
    return rows, clusters


def cell(values, digits):
    if not values:
        return ""
    text = f"{sum(values) / len(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {(max(values) - min(values)) / 2:.{digits}f}"


def print_table(rows):
    digits = {"FD": 1, "nearest train": 2}
    names = ["FD", "precision", "recall", "coverage", "coverage of the smallest", "nearest train", "copies"]
    print("| kept | by | seeds | " + " | ".join(names) + " |")
    print("|--:|---|--:|" + "--:|" * len(names))
    for method, keep in sorted(rows, key=lambda k: (-k[1], k[0])):
        row = rows[method, keep]
        print(f"| {keep:g} | {method} | {len(row['FD'])} | " +
              " | ".join(cell(row[n], digits.get(n, 3)) for n in names) + " |")


def plot(rows, path):
    panels = ["FD", "coverage", "coverage of the smallest", "nearest train"]
    methods = sorted({m for m, _ in rows} - {"all images"})
    width, height, left, top = 300, 200, 50, 30
    out = []
    for p, name in enumerate(panels):
        x0, y0 = left + p % 2 * (width + 60), top + p // 2 * (height + 60)
        all_values = [x for row in rows.values() for x in row[name]]
        low, high = min(all_values), max(all_values)
        high = high if high > low else low + 1
        at = lambda keep, value: (x0 + width * keep, y0 + height * (1 - (value - low) / (high - low)))
        out.append(f'<text x="{x0}" y="{y0 - 8}" font-weight="bold">{name}</text>')
        out.append(f'<rect x="{x0}" y="{y0}" width="{width}" height="{height}" fill="none" stroke="#999"/>')
        for value in (low, high):
            out.append(f'<text x="{x0 - 5}" y="{at(0, value)[1] + 4:.1f}" text-anchor="end">{value:.3g}</text>')
        for keep in (0.1, 0.25, 0.5, 0.75, 1):
            out.append(f'<text x="{at(keep, low)[0]:.1f}" y="{y0 + height + 14}" text-anchor="middle">{keep:g}</text>')
        for m, method in enumerate(methods):
            keys = sorted(k for (n, k) in rows if n == method) + [1.0]
            points = [(k, rows[method if k < 1 else "all images", k][name]) for k in keys]
            places = [at(k, sum(v) / len(v)) for k, v in points if v]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[m % len(COLOURS)]}" stroke-width="1.5"/>')
    bottom = top + 2 * (height + 60)
    for m, method in enumerate(methods):
        x, y = left + m % 4 * 170, bottom + m // 4 * 18
        out.append(f'<line x1="{x}" x2="{x + 14}" y1="{y - 4}" y2="{y - 4}" stroke="{COLOURS[m % len(COLOURS)]}" '
                   'stroke-width="3"/>')
        out.append(f'<text x="{x + 20}" y="{y}">{method}</text>')
    total = bottom + (len(methods) + 3) // 4 * 18 + 10
    pathlib.Path(path).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + 2 * (width + 60)} {total}" '
        'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>\n' +
        "\n".join(out) + "\n</svg>\n")


def main():
    rows, clusters = load(sys.argv[1])
    print_table(rows)
    print(f"\nThe smallest quarter of the clusters: {', '.join(map(str, sorted(clusters)))}.")
    plot(rows, sys.argv[2])


main()
