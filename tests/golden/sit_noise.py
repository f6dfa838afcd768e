"""The noise that `evenkeel generate` starts from, for golden samples of networks."""
import numpy as np
import torch


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011): counter [n, 4], key [2]; uint32."""
    c, k = [counter[:, i].astype(np.uint64) for i in range(4)], [np.uint64(v) for v in key]
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> shift) ^ c[1] ^ k[0], p1 & low, (p0 >> shift) ^ c[3] ^ k[1], p0 & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return c


def words(seed, stream, count):
    """Two 64-bit words for each index, as rebalance/base/random.c makes them of a seed and a stream's name."""
    h = 0xCBF29CE484222325
    for b in stream.encode():
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    counter = np.zeros((count, 4), np.uint64)
    counter[:, 0], counter[:, 2], counter[:, 3] = np.arange(count), h & 0xFFFFFFFF, h >> 32
    r = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
    return r[1] << np.uint64(32) | r[0], r[3] << np.uint64(32) | r[2]


def noise(seed, shape):
    """[c, h, w]: what an image starts from (Box-Muller; drawn channels last)."""
    c, h, w = shape
    a, b = words(seed, "flow sample", c * h * w)
    u = ((a >> np.uint64(11)).astype(np.float64) + 1) * 2.0**-53
    v = (b >> np.uint64(11)).astype(np.float64) * 2.0**-53
    x = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
    return torch.from_numpy(x.reshape(h, w, c).transpose(2, 0, 1).astype(np.float32))


def seeds_of(labels):
    """Seeds of `generate --seed 0`: by the label, and the number among those of it."""
    out, count = [], {}
    for y in labels:
        n = count[y] = count.get(y, -1) + 1
        key = int(words(0, "generate class", y + 1)[0][y])
        out.append(int(words(key, "generate", n + 1)[0][n]) >> 11)
    return out
