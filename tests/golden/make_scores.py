#!/usr/bin/env python3
"""Golden values of analysis/cluster/{probe_scores,label_errors}.h: a NumPy probe in float64, and cleanlab.

    pip install cleanlab==2.9.0 numpy
    python tests/golden/make_scores.py > tests/golden/scores.json

Inputs are by formula, the same in tests/analysis/cluster/test_scores.c: u(i) as in make_groups.py; random numbers are
Philox4x32-10 as rebalance/base/random.h has them.
"""
import json
from importlib.metadata import version

import numpy as np
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

N, D, CLASSES, EPOCHS, EARLY, SEEDS, RATE, BATCH = 300, 6, 3, 7, 3, 2, 4.0, 128


def u(count, start):
    i = np.arange(start, start + count, dtype=np.uint64)
    return ((i * np.uint64(2654435761)) % np.uint64(1 << 32)).astype(np.float64) / 2**32 - 0.5


def philox(counter, key):
    c, k = [counter[:, i].astype(np.uint64) for i in range(4)], [np.uint64(v) for v in key]
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> shift) ^ c[1] ^ k[0], p1 & low, (p0 >> shift) ^ c[3] ^ k[1], p0 & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return c


def words(seed, stream, first, count):
    h = 0xCBF29CE484222325
    for b in stream.encode():
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    counter = np.zeros((count, 4), np.uint64)
    counter[:, 0], counter[:, 2], counter[:, 3] = np.arange(first, first + count), h & 0xFFFFFFFF, h >> 32
    r = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
    return [int(v) for v in r[1] << np.uint64(32) | r[0]]


def data():
    """Classes that overlap; every eleventh label is another one."""
    label = np.arange(N) % CLASSES
    x = (2 * u(N * D, 1)).reshape(N, D)
    for i in range(N):
        x[i, label[i]] += 0.75
    label[::11] = (label[::11] + 1) % CLASSES
    return x.astype(np.float32).astype(np.float64), label


def softmax(z):
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def margins(z, label):
    rows = np.arange(len(z))
    own, others = z[rows, label].copy(), z.copy()
    others[rows, label] = -np.inf
    return own - others.max(1)


def probe(x, label, seed):
    side = D + 1
    start = np.array(words(seed, "softmax start", 0, CLASSES * side), dtype=object)
    w = np.array([2 * ((v >> 11) * 2.0**-53) - 1 for v in start]).astype(np.float32).astype(np.float64)
    w = w.reshape(CLASSES, side)
    w[:, D] = 0
    features = np.concatenate([x, np.ones((N, 1))], 1)
    batches = (N + BATCH - 1) // BATCH
    margin, last, forgotten, ever = np.zeros((EPOCHS, N)), np.zeros(N, bool), np.zeros(N), np.zeros(N, bool)
    out = {}
    for epoch in range(EPOCHS):
        order = list(range(N))
        draws = words(seed, "softmax order", epoch * N, N)
        for i in range(N - 1, 0, -1):
            j = draws[i] * (i + 1) >> 64
            order[i], order[j] = order[j], order[i]
        for k in range(batches):
            rows = np.array(order[k * BATCH:(k + 1) * BATCH])
            z = features[rows] @ w.T
            margin[epoch, rows] = margins(z, label[rows])
            right = margin[epoch, rows] > 0
            forgotten[rows] += last[rows] & ~right
            last[rows] = right
            ever[rows] |= right
            g = softmax(z)
            g[np.arange(len(rows)), label[rows]] -= 1
            rate = RATE * (1 - (epoch * batches + k) / (batches * EPOCHS))
            w -= rate / len(rows) * g.T @ features[rows]
        z = features @ w.T
        if epoch + 1 == EARLY:
            e = softmax(z)
            e[np.arange(N), label] -= 1
            out["el2n"] = np.linalg.norm(e, axis=1)
            out["grand"] = np.linalg.norm(e, axis=1) * np.linalg.norm(features, axis=1)
    out["margin"] = margins(z, label)
    out["aum"] = margin.mean(0)
    out["forgetting"] = np.where(ever, forgotten, EPOCHS)
    out["nearest"] = np.abs(margin).min()
    return out


def probes():
    x, label = data()
    x = (x - x.mean(0)) / (x.std(0) * np.sqrt(D))
    runs = [probe(x, label, 5 + s) for s in range(SEEDS)]
    out = {"nearest_tie": min(r.pop("nearest") for r in runs)}
    for name in runs[0]:
        values = np.array([r[name] for r in runs])
        out[name] = {"score": values.mean(0).tolist(),
                     "error": (values.std(0, ddof=1) / np.sqrt(SEEDS)).tolist()}
    return out


def check_ties(label, p):
    """cleanlab rounds each row of the joint by argsort: of equal fractions it moves whichever its sort puts first."""
    raw = compute_confident_joint(label, p, calibrate=False)
    rows = raw / raw.sum(1, keepdims=True) * np.bincount(label, minlength=len(raw))[:, None]
    for row in rows:
        off = np.sort(row - row.round())
        moved = int(row.sum().round() - row.round().sum())
        assert moved == 0 or abs(off[-moved - 1] - off[-moved] if moved > 0 else off[-moved - 1] - off[-moved]) > 1e-9


def label_case(n, classes, wrong, start):
    """Probabilities that lean to a class, and labels of which every `wrong`-th is another one."""
    a = (u(n * classes, start).reshape(n, classes) + 0.5) ** 2
    true = np.arange(n) * 7 % classes
    for i in range(n):
        a[i, true[i]] += 0.75
    total = a[:, 0].copy()
    for c in range(1, classes):
        total += a[:, c]
    p = (a / total[:, None]).astype(np.float32).astype(np.float64)
    label = true.copy()
    label[::wrong] = (label[::wrong] + 1 + np.arange(len(label[::wrong])) % (classes - 1)) % classes
    check_ties(label, p)
    issues = {by: np.nonzero(find_label_issues(label, p, filter_by=by, n_jobs=1))[0].tolist()
              for by in ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning")}
    return {"n": n, "classes": classes, "wrong": wrong, "start": start,
            "joint": compute_confident_joint(label, p).astype(int).ravel().tolist(), "issues": issues,
            "self_confidence": get_label_quality_scores(label, p, method="self_confidence").tolist(),
            "normalized_margin": get_label_quality_scores(label, p, method="normalized_margin").tolist()}


print(json.dumps({"versions": {name: version(name) for name in ("cleanlab", "numpy")}, "probe": probes(),
                  "labels": [label_case(400, 4, 9, 1), label_case(50, 10, 5, 70000), label_case(60, 8, 3, 5),
                             label_case(90, 2, 5, 1000)]}))
