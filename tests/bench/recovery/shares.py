"""How well the shares of named groups are told of images that are not of the run (docs/evaluation.md).

    shares.py degrade IMAGES.tar OUT.tar [COUNT]
        COUNT (2,000) of the images blurred, made noisy, and through a linear autoencoder, each strongly and mildly, as
        KIND__NUMBER__NAME.png
    shares.py measure SET TOLD GROUPS.npy OTHERS.csv >> LINES.jsonl
        of what bench_recovery_told wrote to TOLD-0-all.npy and so on
    shares.py table LINES.jsonl

OTHERS.csv has a line `kind,group,of` for each row of OTHERS.npy: blur, noise, linear, the same with -mild, or made; the
group by its number; of which row of FEATURES.npy it is a copy, or -1.
"""
import collections
import csv
import glob
import io
import json
import sys
import tarfile

import numpy as np

SHIFTS = ["even", "tail", "lack", 0.3, 1, 10]  # numbers: shares drawn from a symmetric Dirichlet distribution of this
MOST = 1000  # images whose shares are told


def degrade(source, target, count=2000):
    from PIL import Image, ImageFilter

    rng = np.random.default_rng(0)
    with tarfile.open(source) as tar:
        images = [(m.name.rsplit("/", 1)[-1].rsplit(".", 1)[0],
                   Image.open(io.BytesIO(tar.extractfile(m).read())).convert("RGB")) for m in tar if m.isfile()]
    chosen = np.sort(rng.choice(len(images), min(int(count), len(images)), replace=False))
    side = min(48, images[0][1].size[0])
    flat = np.stack([np.asarray(images[i][1].resize((side, side)), np.float32).ravel() for i in chosen])
    mean = flat.mean(0)
    axes = np.linalg.svd(flat[:1500] - mean, full_matrices=False)[2]

    def picture(array, size):
        return Image.fromarray(np.clip(array, 0, 255).astype(np.uint8)).resize(size)

    with tarfile.open(target, "w") as out:
        for strength, name in ((1, ""), (0, "-mild")):
            width, deviation, kept = ((1 / 28, 25, 40), (1 / 56, 10, 200))[1 - strength]
            for n, i in enumerate(chosen):
                image = images[i][1]
                noise = np.asarray(image, np.float32) + rng.normal(0, deviation, np.asarray(image).shape)
                linear = (flat[n] - mean) @ axes[:kept].T @ axes[:kept] + mean
                for kind, made in (("blur", image.filter(ImageFilter.GaussianBlur(image.size[0] * width))),
                                   ("noise", picture(noise, image.size)),
                                   ("linear", picture(linear.reshape(side, side, 3), image.size))):
                    data = io.BytesIO()
                    made.save(data, "PNG")
                    info = tarfile.TarInfo(f"{kind}{name}__{i:05d}__{images[i][0]}.png")
                    info.size = data.tell()
                    data.seek(0)
                    out.addfile(info, data)


def normed(x):
    return x / x.sum(-1, keepdims=True)


def follow(p, even=0.0):
    """Expectation maximisation (Saerens, Latinne, Decaestecker 2002), with so many times the rows of even shares
    besides: the mean of the corrected probabilities."""
    share = np.full(p.shape[1], 1 / p.shape[1])
    for _ in range(1000):
        last, share = share, np.maximum((normed(p * share).mean(0) + even / p.shape[1]) / (1 + even), 1e-12)
        if abs(share - last).max() < 1e-8:
            break
    return normed(p * share).mean(0)


def unfold(told, mean, rounds):
    share = np.full(len(mean), 1 / len(mean))
    for _ in range(rounds):
        share = share * (told @ (mean / np.maximum(share @ told, 1e-12)))
    return share


def solve(told, mean, ridge=0.0):
    """Black box shift learning with probabilities (Lipton, Wang, Smola 2018); with a ridge towards even shares, as RLLS
    (Azizzadenesheli, Liu, Yang, Anandkumar 2019)."""
    from scipy.optimize import nnls

    groups = len(mean)
    rows = np.vstack([told.T, ridge**0.5 * np.eye(groups), np.full((1, groups), 1e3)])
    return normed(nnls(rows, np.concatenate([mean, np.full(groups, ridge**0.5 / groups), [1e3]]))[0])


def calibrated(p, left_out, group):
    """By a temperature and a bias a group (Alexandari, Kundaje, Shrikumar 2020), of left-out images, groups alike."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    groups = p.shape[1]
    logits, weight = np.log(np.maximum(left_out, 1e-12)), 1 / np.bincount(group)[group] / groups
    rows = np.arange(len(group))

    def loss(t):
        z = np.exp(t[0]) * logits + np.append(t[1:], 0)
        slope = softmax(z, 1)
        slope[rows, group] -= 1
        slope *= weight[:, None]
        return (-(weight * log_softmax(z, 1)[rows, group]).sum(),
                np.append((slope * np.exp(t[0]) * logits).sum(), slope.sum(0)[:-1]))

    t = minimize(loss, np.zeros(groups), jac=True, method="L-BFGS-B").x
    return softmax(np.exp(t[0]) * np.log(np.maximum(p, 1e-12)) + np.append(t[1:], 0), 1)


def is_as_sure(p, left_out, group, share):
    """Whether images are told as surely as left-out ones of these shares would be, up to two standard errors."""
    squares = (left_out**2).sum(1)
    of = [squares[group == g] for g in range(len(share))]
    expected = sum(s * v.mean() for s, v in zip(share, of))
    error = sum(s * s * v.var(ddof=1) / len(v) for s, v in zip(share, of)) ** 0.5
    return (p**2).sum(1).mean() > expected - 2 * error


def ways(p, left_out, group):
    told = np.stack([left_out[group == g].mean(0) for g in range(p.shape[1])])
    mean = p.mean(0)
    far = unfold(told, mean, 16)
    return {
        "as told": mean,
        "likeliest": np.bincount(p.argmax(1), minlength=len(mean)) / len(p),
        "EM": follow(p),
        "EM, 0.1 even": follow(p, 0.1),
        "EM, 1 even (before)": follow(p, 1),
        "calibrated, EM": follow(calibrated(p, left_out, group)),
        "BBSE": solve(told, mean),
        "RLLS, 0.1": solve(told, mean, 0.1),
        "unfolded, 2 rounds": unfold(told, mean, 2),
        "unfolded, 4 rounds": unfold(told, mean, 4),
        "unfolded, 8 rounds": unfold(told, mean, 8),
        "unfolded, 16 rounds": far,
        "16 where as sure, else as told": far if is_as_sure(p, left_out, group, far) else mean,
    }


def shares_of(shift, groups, rng):
    if shift == "even":
        return np.full(groups, 1 / groups)
    if shift == "tail":
        return normed(rng.permutation(100.0 ** -np.linspace(0, 1, groups)))
    if shift == "lack":
        return normed((np.arange(groups) != rng.integers(groups)).astype(float))
    return rng.dirichlet(np.full(groups, float(shift)))


def draw(group, ids, share, count, rng):
    """With replacement where a group has too few."""
    chosen = []
    for g, wanted in enumerate(rng.multinomial(count, share)):
        own = ids[group[ids] == g]
        chosen.append(rng.choice(own, wanted, replace=wanted > len(own)))
    return np.concatenate(chosen)


def measure(name, told, groups, others):
    truth = np.load(groups)
    with open(others, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kind = np.array([r["kind"] for r in rows])
    group, of = (np.array([int(r[column]) for r in rows]) for column in ("group", "of"))
    for k in range(len(glob.glob(f"{told}-*-given.npy"))):
        p, q, cross, given = (np.load(f"{told}-{k}-{what}.npy") for what in ("all", "others", "cross", "given"))
        rng = np.random.default_rng(k)
        for what in ["photographs", *sorted(set(kind))]:
            if what == "photographs":
                source, of_group, ids = p, truth, np.setdiff1d(np.arange(len(truth)), given)
            else:
                source, of_group, ids = q, group, np.flatnonzero((kind == what) & ~np.isin(of, given))
            for shift in SHIFTS:
                count = MOST if len(ids) > MOST else 500
                chosen = draw(of_group, ids, shares_of(shift, p.shape[1], rng), count, rng)
                true = np.bincount(of_group[chosen], minlength=p.shape[1]) / count
                got = ways(source[chosen].astype(np.float64), cross[given].astype(np.float64), truth[given])
                print(json.dumps({"set": name, "draw": k, "images": what, "shift": shift,
                                  "wrong": {w: round(float(abs(s - true).sum() / 2), 5) for w, s in got.items()}}))


def table(path):
    cells, shifts = collections.defaultdict(list), collections.defaultdict(list)
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    sets = list(dict.fromkeys(line["set"] for line in lines))
    for line in lines:
        what = line["images"]
        if what not in ("photographs", "made"):
            what = "mild" if what.endswith("-mild") else "strong"
        for way, wrong in line["wrong"].items():
            cells[way, line["set"], what].append(wrong)
            cells[way, "", what].append(wrong)
            shifts[way, what, line["shift"]].append(wrong)
    names = list(lines[0]["wrong"])
    for what in ("photographs", "made", "mild", "strong"):
        print(f"\n| {what} | " + " | ".join(sets) + " | all (worst) |\n|---|" + "--:|" * (len(sets) + 1))
        for way in names:
            every = cells[way, "", what]
            print(f"| {way} | " + " | ".join(f"{100 * np.mean(cells[way, s, what]):.0f}" for s in sets)
                  + f" | {100 * np.mean(every):.1f} ({100 * max(every):.0f}) |")
    for what in ("photographs", "made"):
        print(f"\n| {what} | " + " | ".join(map(str, SHIFTS)) + " |\n|---|" + "--:|" * len(SHIFTS))
        for way in names:
            print(f"| {way} | " + " | ".join(f"{100 * np.mean(shifts[way, what, s]):.1f}" for s in SHIFTS) + " |")


if __name__ == "__main__":
    {"degrade": degrade, "measure": measure, "table": table}[sys.argv[1]](*sys.argv[2:])
