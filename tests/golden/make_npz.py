"""Writes npz.json: .npz files as NumPy makes them, in hex, with what is in them, and the first and last bytes of one
with arrays beyond 4 GiB. Also tests/fuzz/corpus/npz."""
import io
import json
import os
import sys
import zipfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


class Sparse(io.RawIOBase):
    """A file of which only blocks that are not all zero are kept."""
    def __init__(self):
        self.at, self.size, self.pieces = 0, 0, {}

    def seekable(self):
        return True

    def writable(self):
        return True

    def readable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def write(self, data):
        data = bytes(data)
        if data.count(0) != len(data):
            self.pieces[self.at] = data
        self.at += len(data)
        self.size = max(self.size, self.at)
        return len(data)


def saved(save, **arrays):
    f = io.BytesIO()
    save(f, **arrays)
    return f.getvalue()


def contents(arrays):
    return [{"name": k, "type": v.dtype.name, "shape": list(v.shape), "fortran_order": int(not v.flags.c_contiguous),
             "hex": v.tobytes(order="A").hex()} for k, v in arrays.items()]


rng = np.random.default_rng(0)
mu, sigma = rng.standard_normal(5), rng.standard_normal((5, 5)).astype(np.float32)
sets = {
    "gaussian": dict(mu=mu, sigma=sigma),
    "images": dict(arr_0=rng.integers(0, 256, (3, 2, 2, 3), dtype=np.uint8), arr_1=np.arange(3)),
    "fortran": dict(a=np.asfortranarray(sigma[:, :3])),
    "empty": dict(nothing=np.zeros((0, 3)), scalar=np.float64(2.5).reshape(())),
    "zeros": dict(z=np.zeros((10, 40))),
    "none": {},
}
cases = []
for name, arrays in sets.items():
    for save in [np.savez, np.savez_compressed]:
        data = saved(save, **arrays)
        case = name + ("" if save is np.savez else "-deflated")
        cases.append({"name": case, "stored": int(save is np.savez), "hex": data.hex(), "arrays": contents(arrays)})
        if arrays or save is np.savez:
            with open(os.path.join(HERE, "../fuzz/corpus/npz", case), "wb") as f:
                f.write(data)

# What np.load reads too: a comment, a folder, another method, written to a pipe.
odd = io.BytesIO()
with zipfile.ZipFile(odd, "w", zipfile.ZIP_BZIP2) as z:
    z.writestr("packed.npy", saved(lambda f, a: np.save(f, a), a=mu))
    z.writestr("folder/plain.npy", saved(lambda f, a: np.save(f, a), a=mu), zipfile.ZIP_STORED)
    z.writestr("text.txt", "no array", zipfile.ZIP_STORED)
    z.writestr("text.npy", "no array", zipfile.ZIP_STORED)
    z.comment = b"a comment"
with open(os.path.join(HERE, "../fuzz/corpus/npz/odd"), "wb") as f:
    f.write(odd.getvalue())


# Two arrays of zeros, each beyond 4 GiB, but for the last element of each; then a small one.
LARGE = (1 << 29) + 3


def ones_at_the_end(seed):
    a = np.zeros((LARGE, 1))
    a[-1] = seed
    return a


large = Sparse()
np.savez(large, first=ones_at_the_end(1.5), second=ones_at_the_end(2.5), small=mu)
out = {"numpy": np.__version__, "python": sys.version.split()[0], "cases": cases, "odd": odd.getvalue().hex(),
       "mu": list(mu),
       "large": {"rows": LARGE, "size": large.size,
                 "pieces": [{"end": at + len(data), "hex": (data.lstrip(b"\0") if len(data) > 4096 else data).hex()}
                            for at, data in sorted(large.pieces.items())]}}
with open(os.path.join(HERE, "npz.json"), "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
