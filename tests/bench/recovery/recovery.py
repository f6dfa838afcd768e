"""The table and the plot of docs/recovery.md, from the lines of bench_recovery with a member "set" added (recovery.sh).

	python tests/bench/recovery/recovery.py results.jsonl docs/recovery.svg > table.md
"""
import collections
import json
import sys

SETS = ["fashion-100", "fashion-50", "fashion-10", "cifar-100", "race", "age", "race-gender", "gender"]
COLOURS = ["#888888", "#1f6fb4", "#7ab3e0", "#12916f", "#b58900", "#d9541e", "#f0a080", "#a03070", "#d080b0", "#444444",
           "#5c4fb0", "#c0b000", "#00a0a0", "#803010", "#60c040", "#000080", "#ff40a0", "#404000",
           "#c07000", "#006080", "#a0a0ff"]


def load(path):
    rows = collections.defaultdict(lambda: collections.defaultdict(list))
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            rows[row["method"]][row["set"]].append(row)
    return rows


def mean(values):
    return sum(values) / len(values)


def print_table(rows, sets):
    print("| way | " + " | ".join(sets) + " |")
    print("|---|" + "---|" * len(sets))
    for method, by_set in rows.items():
        cells = []
        for name in sets:
            got = by_set.get(name)
            if not got:
                cells.append("")
            elif name == "gender":
                cells.append(f"{mean([r['entropy'][1] - r['entropy'][0] for r in got]):+.4f}")
            else:
                r = [g["recovery"] for g in got]
                cells.append(f"{mean(r):.2f} ({min(r):.2f})")
        print(f"| {method} | " + " | ".join(cells) + " |")


def print_details(rows, sets):
    print("| way | set | ESS | smallest group | largest repeat | seconds |")
    print("|---|---|---|---|---|---|")
    for method, by_set in rows.items():
        for name in sets:
            got = by_set.get(name)
            if got:
                print(f"| {method} | {name} | {mean([r['ess'] for r in got]):.2f} | "
                      f"{mean([r['smallest'] for r in got]):.2f} | {mean([r['repeat'] for r in got]):.0f} | "
                      f"{mean([r['seconds'] for r in got]):.1f} |")


def plot(rows, sets, path):
    """Recovery against ESS, a dot for each way and set, the means over orders; a panel a set."""
    width, height, left, top = 230, 190, 40, 30
    out = []
    for s, name in enumerate(sets):
        x0, y0 = left + s % 3 * (width + 40), top + s // 3 * (height + 50)
        out.append(f'<text x="{x0}" y="{y0 - 8}" font-weight="bold">{name}</text>')
        out.append(f'<rect x="{x0}" y="{y0}" width="{width}" height="{height}" fill="none" stroke="#999"/>')
        for tick in range(0, 11, 2):
            y = y0 + height * (1 - (tick / 10 + 0.2) / 1.2)
            out.append(f'<line x1="{x0}" x2="{x0 + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
            out.append(f'<text x="{x0 - 5}" y="{y + 4:.1f}" text-anchor="end">{tick / 10:g}</text>')
        for tick in range(0, 7):
            x = x0 + width * tick / 6
            out.append(f'<text x="{x:.1f}" y="{y0 + height + 14}" text-anchor="middle">{tick}</text>')
        for m, (_, by_set) in enumerate(rows.items()):
            got = by_set.get(name)
            if not got:
                continue
            ess, recovery = mean([r["ess"] for r in got]), mean([r["recovery"] for r in got])
            x = x0 + width * min(ess, 6) / 6
            y = y0 + height * (1 - (max(min(recovery, 1), -0.2) + 0.2) / 1.2)
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[m % len(COLOURS)]}"/>')
    bottom = top + (len(sets) + 2) // 3 * (height + 50)
    for m, method in enumerate(rows):
        x, y = left + m % 2 * 400, bottom + m // 2 * 18
        out.append(f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{COLOURS[m % len(COLOURS)]}"/>')
        out.append(f'<text x="{x + 10}" y="{y}">{method}</text>')
    total = bottom + (len(rows) + 1) // 2 * 18 + 20
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + 3 * (width + 40)} {total}" '
                   'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>\n')
        file.write("\n".join(out) + "\n</svg>\n")


def main():
    rows = load(sys.argv[1])
    sets = [name for name in SETS if any(name in by_set for by_set in rows.values())]
    print_table(rows, sets)
    print()
    print_details(rows, sets)
    plot(rows, [name for name in sets if name != "gender"], sys.argv[2])


main()
