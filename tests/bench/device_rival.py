"""PyTorch's times for what bench_device measures, on the same GPU: medians, a line each."""
import sys
import time

import torch

N, D = 1281167, 768


def median_ms(work, runs=7):
    work()
    times = []
    for _ in range(runs):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return 1e3 * sorted(times)[runs // 2]


def assign(x, c, x2, step):
    c2 = (c.float() ** 2).sum(1)
    out = []
    for part in x.split(step):
        out.append((c2 - 2 * (part @ c.T).float()).argmin(1))
    return torch.cat(out)


def kmeans(k):
    x = torch.randn(N, D, device="cuda")
    c = x[:k].clone()
    half = x.bfloat16()
    step = 1 << 17 if k <= 1000 else 1 << 15
    fast = torch.compile(assign)
    label = assign(x, c, None, step)
    sums = torch.zeros(k, D, device="cuda")
    update = median_ms(lambda: sums.zero_().index_add_(0, label, x))
    torch.backends.cuda.matmul.allow_tf32 = False
    exact = median_ms(lambda: fast(x, c, None, step), 3)
    torch.backends.cuda.matmul.allow_tf32 = True
    tf32 = median_ms(lambda: fast(x, c, None, step))
    bf16 = median_ms(lambda: fast(half, c.bfloat16(), None, step))
    print(f"PyTorch k-means K {k}: bf16 {bf16:.1f} ms (not exact), tf32 {tf32:.1f}, float32 {exact:.1f}; "
          f"and sums {update:.1f}", flush=True)


def radii(x, k):
    out = []
    x2 = (x * x).sum(1)
    for part, p2 in zip(x.split(8192), x2.split(8192)):
        out.append((p2[:, None] + x2 - 2 * part @ x.T).topk(k + 1, largest=False).values[:, -1])
    return torch.cat(out)


def evaluate(n, d):
    x, y = torch.randn(n, d, device="cuda"), torch.randn(n, d, device="cuda")
    torch.backends.cuda.matmul.allow_tf32 = False
    print(f"PyTorch radii of {n} x {d}, float32: {median_ms(lambda: radii(x, 5), 3):.0f} ms", flush=True)
    z = x.double()
    print(f"PyTorch covariance, float64: {median_ms(lambda: z.T @ z, 3):.0f} ms, eigenvalues "
          f"{median_ms(lambda: torch.linalg.eigvalsh(z[:4096].T @ z[:4096]), 3):.0f} ms", flush=True)


for k in map(int, sys.argv[1:] or ["1000", "10000"]):
    kmeans(k)
evaluate(50000, 2048)
