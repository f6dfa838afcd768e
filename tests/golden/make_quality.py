"""Golden values of analysis/quality/{gaussian,kernel,diversity}.h, from torch-fidelity, pytorch-fid, vendi-score, NumPy,
SciPy, scikit-learn and, for distances, 50 digits with mpmath:

    pip install torch-fidelity==0.4.0 pytorch-fid==0.3.0 vendi-score==0.0.3 numpy scipy scikit-learn mpmath
    python tests/golden/make_quality.py

Writes quality.json. Features are made by formula, the same in tests/analysis/quality/features.c, in float64 and rounded
to float32 (or float16) at the end.
"""
import io
import json
import pathlib
import warnings
from importlib.metadata import version

import mpmath as mp
import numpy as np
import scipy.linalg
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from sklearn.linear_model import LinearRegression
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kernel_mmd
from vendi_score import vendi

from digests import unit
from random_weights import stream

HERE = pathlib.Path(__file__).parent
mp.mp.dps = 50
warnings.simplefilter("ignore")


def features(name, n, d, decay, shift, kind="f4"):
    """Columns that lean on their neighbours, with scales 1, 1/2 ... 2^-(decay-1), and again. Kinds: "f4", "f2" (rounded
    to float16), "twice" (the second half of the columns is the first), "constant" (all rows are the first)."""
    u = unit(name, n * d).astype(np.float64).reshape(n, d)
    x = (u + 0.5 * np.roll(u, -1, axis=1) + shift) * 0.5 ** (np.arange(d) % decay)
    if kind == "twice":
        x[:, d // 2:] = x[:, :d - d // 2]
    if kind == "constant":
        x[:] = x[0]
    return x.astype(np.float16 if kind == "f2" else np.float32).astype(np.float64)


def exact(x, y):
    """|m1 - m2|^2 + |A|^2 + |B|^2 - 2 (sum of singular values of A B') in 50 digits."""
    def centred(z):
        m = mp.matrix(z.tolist())
        mean = [mp.fsum(m[:, j]) / m.rows for j in range(m.cols)]
        for i in range(m.rows):
            for j in range(m.cols):
                m[i, j] = (m[i, j] - mean[j]) / mp.sqrt(m.rows - 1)
        return m, mean
    a, m1 = centred(x)
    b, m2 = centred(y)
    if len(x) > x.shape[1] and len(y) > x.shape[1]:  # the smaller problem: eigenvalues of L' S2 L, S1 = L L'
        try:
            f = mp.cholesky(a.T * a)
            g = f.T * (b.T * b) * f
        except ValueError:
            g = (a * b.T) * (b * a.T)
    else:
        p = a * b.T
        g = p * p.T if p.rows <= p.cols else p.T * p
    roots = mp.fsum(mp.sqrt(max(v, 0)) for v in mp.eigsy(g, eigvals_only=True))
    norms = mp.fsum(v * v for v in a) + mp.fsum(v * v for v in b)
    return float(mp.fsum((p - q) ** 2 for p, q in zip(m1, m2)) + norms - 2 * roots)


def frechet():
    cases = []
    for name, n, m, d, decay, kind, shift, *y_name in [
            ("full rank", 80, 90, 16, 4, "f4", 0.25), ("scales apart", 150, 120, 40, 12, "f4", 0.0625),
            ("fewer rows than dimensions", 20, 30, 48, 6, "f4", 0.25),
            ("fewer on one side", 20, 100, 32, 6, "f4", 0.25), ("fewer on the other side", 100, 20, 32, 6, "f4", 0.25),
            ("every column twice", 60, 70, 24, 4, "twice", 0.25),
            ("one dimension", 30, 40, 1, 1, "f4", 0.25), ("two rows", 2, 2, 8, 4, "f4", 0.25),
            ("two rows, one dimension", 2, 5, 1, 1, "f4", 0.25), ("constant rows", 12, 14, 8, 4, "constant", 0.25),
            ("same distribution", 200, 180, 24, 4, "f4", 0.0),
            ("scales far apart", 90, 80, 26, 26, "f4", 0.0), ("moved a little", 70, 70, 12, 4, "f4", 2.0**-16, " x"),
            ("float16", 60, 50, 12, 4, "f2", 0.25)]:
        x, y = (features(name + " x", n, d, decay, 0, kind),
                features(name + (y_name or [" y"])[0], m, d, decay, shift, kind))
        s, t = (fid_features_to_statistics(torch.from_numpy(z)) for z in (x, y))
        s["sigma"], t["sigma"] = np.atleast_2d(s["sigma"]), np.atleast_2d(t["sigma"])
        cases.append({
            "name": name, "n": n, "m": m, "d": d, "decay": decay, "shift": shift, "kind": kind,
            "y": (y_name or [" y"])[0], "exact": exact(x, y),
            "torch_fidelity": fid_statistics_to_metric(s, t, False)["frechet_inception_distance"],
            # SciPy 1.17's sqrtm of a 1 x 1 matrix does not return what pytorch-fid 0.3 expects.
            "pytorch_fid": d > 1 and float(calculate_frechet_distance(s["mu"], s["sigma"], t["mu"], t["sigma"]))})
        print(cases[-1], flush=True)
    return cases


def philox(seed, stream_number, index):
    """base/random.h: the first 64 bits of Philox4x32-10's block."""
    c = [index & 0xFFFFFFFF, index >> 32, stream_number & 0xFFFFFFFF, stream_number >> 32 & 0xFFFFFFFF]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [q >> 32 ^ c[1] ^ k[0], q & 0xFFFFFFFF, p >> 32 ^ c[3] ^ k[1], p & 0xFFFFFFFF]
        k = [k[0] + 0x9E3779B9 & 0xFFFFFFFF, k[1] + 0xBB67AE85 & 0xFFFFFFFF]
    return c[1] << 32 | c[0]


def below(seed, stream_number, index, n):
    return philox(seed, stream_number, index) * n >> 64


def sample(want, n, seed, stream_number):
    """ek_rows_sample: Knuth's algorithm S."""
    ids = []
    for i in range(n):
        if below(seed, stream_number, i, n - i) < want - len(ids):
            ids.append(i)
    return ids


def infinity():
    """As dgm-eval's compute_FD_infinity, on our draws."""
    out = []
    for n, m, d, decay, sizes, seed in [(90, 120, 12, 3, 15, 0), (30, 60, 20, 4, 5, 7)]:
        x, y = features("infinity x", n, d, decay, 0), features("infinity y", m, d, decay, 0.25)
        batches = np.linspace(min(5000, max(m // 10, 2)), m, sizes).astype("int32")
        values = [exact(x, y[sample(int(b), m, seed, stream("frechet infinity") + i & 0xFFFFFFFFFFFFFFFF)])
                  for i, b in enumerate(batches)]
        line = LinearRegression().fit(1 / batches.reshape(-1, 1), values)
        out.append({"n": n, "m": m, "d": d, "decay": decay, "sizes": sizes, "seed": seed,
                    "smallest": int(batches[0]), "value": float(line.predict([[0]])[0]),
                    "slope": float(line.coef_[0])})
    return out


KID = dict(kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1)


def kernel():
    one, many = [], []
    for name, n, d, decay, kind, shift in [("kid", 50, 16, 4, "f4", 0.25), ("kid, same", 40, 24, 4, "f4", 0.0),
                                           ("kid, two rows", 2, 3, 2, "f4", 0.25), ("kid, one", 30, 1, 1, "f4", 0.5),
                                           ("kid, constant", 5, 4, 2, "constant", 0.5),
                                           ("kid, float16", 20, 7, 3, "f2", 0.25)]:
        x, y = features(name + " x", n, d, decay, 0, kind), features(name + " y", n, d, decay, shift, kind)
        one.append({"name": name, "n": n, "m": n, "d": d, "decay": decay, "shift": shift, "kind": kind,
                    "mmd2": float(kernel_mmd(x, y, **KID))})
    for n, m, d, subsets, size, seed in [(60, 70, 10, 8, 25, 0), (60, 30, 10, 3, 1000, 9)]:
        x, y = features("kids x", n, d, 3, 0), features("kids y", m, d, 3, 0.25)
        s = min(size, n, m)
        values = [float(kernel_mmd(x[sample(s, n, seed, stream("kid x") + i & 0xFFFFFFFFFFFFFFFF)],
                                   y[sample(s, m, seed, stream("kid y") + i & 0xFFFFFFFFFFFFFFFF)], **KID))
                  for i in range(subsets)]
        many.append({"n": n, "m": m, "d": d, "subsets": subsets, "size": size, "seed": seed,
                     "mean": float(np.mean(values)), "std": float(np.std(values))})
    return one, many


def shuffled(n, seed):
    order = list(range(n))
    for i in range(n, 1, -1):
        j = below(seed, stream("inception score"), i, i)
        order[j], order[i - 1] = order[i - 1], order[j]
    return order


def inception():
    out = []
    for n, classes, splits, seed in [(50, 24, 1, 0), (53, 24, 10, 3), (7, 1008, 7, 1)]:
        x = (8 * unit("logits", n * classes)).astype(np.float32).reshape(n, classes)
        score = isc_features_to_metric(torch.from_numpy(x[shuffled(n, seed)]), splits, shuffle=False)
        out.append({"n": n, "classes": classes, "splits": splits, "seed": seed,
                    "mean": score["inception_score_mean"], "std": score["inception_score_std"]})
    return out


def vendis():
    out = []
    for name, n, d, decay, kind in [("vendi", 30, 12, 3, "f4"), ("vendi, few", 12, 40, 3, "f4"),
                                    ("vendi, square", 9, 9, 2, "f4"), ("vendi, one row", 1, 6, 2, "f4"),
                                    ("vendi, constant", 7, 5, 2, "constant"), ("vendi, one", 8, 1, 1, "f4"),
                                    ("vendi, float16", 20, 6, 2, "f2")]:
        x = features(name, n, d, decay, 0.125, kind)
        unit_rows = x / np.linalg.norm(x, axis=1, keepdims=True)
        weights = (unit(name + " weights", n).astype(np.float64) + 1) * 3
        for order in (0, 0.5, 1, 2, 7.5, "inf"):
            for weighted in (False, True):
                p = weights / weights.sum() if weighted else np.full(n, 1 / n)
                if order == 0:
                    value = float(np.linalg.matrix_rank(x))
                elif kind == "constant":  # vendi-score takes rounding errors of zero for eigenvalues
                    value = 1.0
                elif n > d and not weighted:
                    value = vendi.score_dual(x, q=order)
                elif n > d:  # so would score_K here
                    w = scipy.linalg.eigvalsh((unit_rows * p[:, None]).T @ unit_rows)
                    value = np.exp(vendi.entropy_q(w[w > 1e-12], q=order))
                else:
                    value = vendi.score_K(unit_rows @ unit_rows.T, q=order, p=p if weighted else None)
                out.append({"name": name, "n": n, "d": d, "decay": decay, "kind": kind, "weighted": int(weighted),
                            "order": order if order != "inf" else -1, "score": float(value)})
    return out


def saved(save, **arrays):
    f = io.BytesIO()
    save(f, **arrays)
    return f.getvalue().hex()


def gaussian():
    x = features("gaussian", 9, 5, 3, 0.25)
    mu, sigma = x.mean(0), np.cov(x, rowvar=False)
    return {"n": 9, "d": 5, "mean": mu.tolist(), "covariance": sigma.ravel().tolist(), "files": {
        "ours": saved(np.savez, mu=mu, sigma=sigma),
        "pytorch-fid": saved(np.savez_compressed, mu=mu, sigma=sigma),
        "float32": saved(np.savez, mu=mu.astype("f4"), sigma=sigma.astype("f4")),
        "big-endian": saved(np.savez, mu=mu.astype(">f8"), sigma=np.asfortranarray(sigma.astype(">f8"))),
        "asymmetric": saved(np.savez, mu=mu, sigma=sigma + np.triu(sigma, 1)),
        "negative": saved(np.savez, mu=mu, sigma=sigma - np.eye(5)),
        "nan": saved(np.savez, mu=mu, sigma=sigma * np.nan),
        "integers": saved(np.savez, mu=mu.astype(int), sigma=sigma),
        "rows": saved(np.savez, mu=mu, sigma=sigma[:4]),
        "no sigma": saved(np.savez, mu=mu)}}


def main():
    one, many = kernel()
    out = {"versions": {p: version(p) for p in ("torch-fidelity", "pytorch-fid", "vendi-score", "numpy", "scipy",
                                                "scikit-learn", "mpmath", "torch")},
           "gaussian": gaussian(), "frechet": frechet(), "infinity": infinity(), "mmd2": one, "kid": many,
           "inception_score": inception(), "vendi": vendis()}
    (HERE / "quality.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
