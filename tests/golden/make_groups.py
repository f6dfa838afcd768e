"""Golden values for components, weights of single images, probes, shares and density ratios, by NumPy and SciPy:
definitions.md, section 9. Inputs are by formula, so that the tests make the same:

	u(i) = ((i * 2654435761) mod 2^32) / 2^32 - 0.5, for i from 1 on (Knuth's multiplicative hash)

	python tests/golden/make_groups.py > tests/golden/groups.json
"""
import json
import sys

import numpy as np
import scipy
import sklearn
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.linear_model import LogisticRegression


def u(count, start):
    i = np.arange(start, start + count, dtype=np.uint64)
    return ((i * np.uint64(2654435761)) % np.uint64(1 << 32)).astype(np.float64) / 2**32 - 0.5


def signs(axes):
    return axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]


def components():
    n, views, d = 40, 3, 7
    base = u(n * d, 1).reshape(n, 1, d) * np.arange(1, d + 1)
    x = (base + 0.3 * u(n * views * d, 5000).reshape(n, views, d)).astype(np.float32).astype(np.float64)
    rows = x.reshape(-1, d)
    t = np.cov(rows.T, bias=True)
    within = x - x.mean(1, keepdims=True)
    noise = np.einsum("nvi,nvj->ij", within, within) / (n * (views - 1))
    values, axes = eigh(t, noise + 0.05 * np.trace(t) / d * np.eye(d))
    spread, principal = np.linalg.eigh(np.cov(x[:, 0].T, bias=True))
    return {
        "values": values[::-1].tolist(),
        "axes": signs(axes.T[::-1]).ravel().tolist(),
        "spread": spread[::-1].tolist(),
        "principal": (signs(principal.T[::-1]) / np.sqrt(spread[::-1])[:, None]).ravel().tolist(),
    }


def rows(n, d):
    return (u(n * d, 1).reshape(n, d) * np.arange(1, d + 1)).astype(np.float32).astype(np.float64)


def design():
    x = rows(60, 4)
    ones = np.concatenate([np.ones((60, 1)), x], 1)
    w = np.full(60, 1 / 60)
    leverage = None
    for _ in range(5):
        m = (ones * w[:, None]).T @ ones
        value = np.einsum("ij,jk,ik->i", ones, np.linalg.inv(m), ones)
        leverage = value - 1 if leverage is None else leverage
        w = w * value / 5
        w /= w.sum()
    return {"w": (w * 60).tolist(), "leverage": leverage.tolist()}


def vendi():
    x = rows(60, 4)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    w = np.full(60, 1 / 60)
    for _ in range(5):
        value, axes = np.linalg.eigh((x * w[:, None]).T @ x)
        w = w * np.exp(-((x @ axes) ** 2) @ np.log(value))
        w /= w.sum()
    return {"w": (w * 60).tolist()}


def temper():
    w = np.exp(6 * u(50, 900))
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        v = w**middle
        low, high = (middle, high) if v.sum() ** 2 / (50 * (v * v).sum()) >= 0.7 else (low, middle)
    v = w**low
    return {"power": low, "w": (v / v.mean()).tolist()}


def probe():
    """36 images with 2 views of 5 numbers, the first 4 of which count; groups 0, 1, 2 in turn, 2 of the first moved."""
    group = np.arange(36) % 3
    group[:2] = 2
    x = (u(36 * 2 * 5, 1).reshape(36, 2, 5) * 2).astype(np.float32).astype(np.float64)
    x[np.arange(36), :, group] = (x[np.arange(36), :, group].astype(np.float32) + np.float32(0.8)).astype(np.float64)
    fit = LogisticRegression(C=0.3, tol=1e-10, max_iter=10000)
    fit.fit(x[:, :, :4].reshape(-1, 4), np.repeat(group, 2), sample_weight=np.full(72, 0.5))
    p = fit.predict_proba(x[:, 0, :4])
    train = np.bincount(group) / 36
    prior = train.copy()
    for _ in range(20000):
        q = p * prior / train
        q /= q.sum(1, keepdims=True)
        prior = q.mean(0)
    q = p * prior / train
    return {
        "w": np.concatenate([fit.coef_, fit.intercept_[:, None]], 1).ravel().tolist(),
        "p": p.ravel().tolist(),
        "prior": prior.tolist(),
        "q": (q / q.sum(1, keepdims=True)).ravel().tolist(),
    }


def shares():
    """Four groups: unfolding written as matrices, and weights of rows by the least of their convex dual."""
    told = np.eye(4) + 0.5 + u(16, 700).reshape(4, 4) * 0.8
    told /= told.sum(1, keepdims=True)
    mean = np.array([0.4, 0.3, 0.2, 0.1]) @ told
    unfolded = []
    for rounds in (1, 4, 16):
        share = np.full(4, 0.25)
        for _ in range(rounds):
            share = share * (told @ (mean / (share @ told)))
        unfolded += share.tolist()
    q = np.exp(4 * u(120, 800).reshape(30, 4)).astype(np.float32).astype(np.float64)
    q = (q / q.sum(1, keepdims=True)).astype(np.float32).astype(np.float64)
    wanted = share

    def dual(z):
        return logsumexp(np.log(q) + z, axis=1).mean() - wanted @ z

    def slope(z):
        return softmax(np.log(q) + z, axis=1).mean(0) - wanted

    z = minimize(dual, np.zeros(4), jac=slope, method="BFGS", options={"gtol": 1e-12}).x
    return {"told": told.ravel().tolist(), "mean": mean.tolist(), "unfolded": unfolded, "q": q.ravel().tolist(),
            "raked": softmax(np.log(q) + z, axis=1).ravel().tolist()}


made_by = {"numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__}
json.dump({"made_by": made_by, "components": components(), "design": design(), "vendi": vendi(), "temper": temper(),
           "probe": probe(), "shares": shares()}, sys.stdout, separators=(",", ":"))
print()
