"""Writes npy.json: .npy files as NumPy makes them, in hex, with what is in them."""
import io
import json
import os
import warnings

import numpy as np

NAMES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
         "float16", "float32", "float64"]


def saved(array, version=None):
    f = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.lib.format.write_array(f, array, version=version)
    return f.getvalue()


def case(name, array, version=None):
    floats = array.dtype.kind == "f" and array.ndim == 2
    return {
        "name": name, "hex": saved(array, version).hex(), "type": array.dtype.newbyteorder("=").name,
        "shape": list(array.shape), "fortran_order": int(array.flags.f_contiguous and not array.flags.c_contiguous),
        "big_endian": int(array.dtype.byteorder == ">"),
        "c_order_hex": np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes().hex(),
        "rows": [float(v) for v in array.astype(np.float32).ravel()] if floats else None,
    }


cases = []
for name in NAMES:
    values = np.array([[0, 1, 2.5], [3, 100, 7]]).astype(name)
    if values.dtype.kind in "iu":
        values[0, 0], values[1, 2] = np.iinfo(name).min, np.iinfo(name).max
    if values.dtype.kind == "f":
        values[0, 0], values[1, 1] = -0.1, np.finfo(name).smallest_subnormal if name != "float64" else 1e-30
    cases.append(case(name, values))
    if values.dtype.itemsize > 1:
        cases.append(case(name + " big-endian", values.astype(values.dtype.newbyteorder(">"))))
    cases.append(case(name + " Fortran order", np.asfortranarray(values)))
cases.append(case("big-endian Fortran order", np.asfortranarray(np.arange(15, dtype=">f8").reshape(5, 3) / 7)))
for version in [(1, 0), (2, 0), (3, 0)]:
    cases.append(case("version %d.%d" % version, np.arange(4, dtype="<f4"), version))
for shape in [(), (0,), (0, 7), (7, 0), (1,), (2, 1, 3), (2, 3, 1, 2), (12345, 0)]:
    count = int(np.prod(shape))
    cases.append(case("shape %s" % (shape,), np.arange(count, dtype="<i4").reshape(shape)))

halves = np.arange(65536, dtype=np.uint16).view(np.float16)
# Around every half: itself, the midpoints to its neighbours, and one float beside each midpoint.
finite = halves[np.isfinite(halves)].astype(np.float32)
steps = finite[::97]
up = ((steps.astype(np.float64) + np.nextafter(steps.astype(np.float16), np.float16(np.inf)).astype(np.float64)) / 2)
near = np.concatenate([steps, up.astype(np.float32), np.nextafter(up.astype(np.float32), np.float32(0)),
                       np.nextafter(up.astype(np.float32), np.float32(1e9)),
                       np.float32([0, -0.0, 65504, 65519.99, 65520, 1e9, -1e9, 1e-8, 2.9802322e-8, 2.98023224e-8,
                                   2.9802326e-8, 1e-45, -1e-30])])
near = near[np.isfinite(near)]
out = {"numpy": np.__version__, "cases": cases,
       "floats": [int(v) for v in near.view(np.uint32)],
       "halves": [int(v) for v in near.astype(np.float16).view(np.uint16)],
       "half_hash": int(np.bitwise_xor.reduce(np.nan_to_num(finite).view(np.uint32).astype(np.uint64)
                                              * np.arange(1, len(finite) + 1, dtype=np.uint64) % (1 << 40)))}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "npy.json"), "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
