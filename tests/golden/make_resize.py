"""Golden data of resizing by Pillow: resize.json (the cases) and resize.bin (source, then the results).

The source of every case is a window of one noise picture, so that no filter's error can hide.
Run in tests/golden with Pillow installed.
"""
import json
import pathlib

import numpy as np
import PIL
from PIL import Image

FILTERS = ["bilinear", "bicubic", "lanczos", "box"]
# (input width, height, output width, height)
SIZES = [
    (1, 1, 1, 1), (1, 1, 5, 3), (64, 48, 1, 1), (1, 48, 7, 11), (64, 1, 13, 5), (64, 48, 64, 48),
    (64, 48, 32, 24), (64, 48, 33, 17), (64, 48, 64, 20), (64, 48, 20, 48), (32, 32, 57, 43),
    (13, 11, 29, 5), (17, 5, 16, 6), (7, 40, 40, 7), (64, 48, 63, 47), (3, 2, 64, 48), (50, 47, 3, 2),
]


def main():
    source = np.random.default_rng(7).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    source[:, 32:] = np.where(source[:, 32:] < 128, 0, 255)  # overshoot, to be clipped
    cases, blob = [], source.tobytes()
    for name in FILTERS:
        for in_w, in_h, out_w, out_h in SIZES:
            image = Image.fromarray(source[:in_h, :in_w].copy())
            kind = getattr(Image.Resampling, name.upper())
            # Pillow 13 may take the vertical pass first; in two steps every version goes the way of the older ones.
            result = np.asarray(image.resize((out_w, in_h), kind).resize((out_w, out_h), kind))
            cases.append({"filter": name, "in": [in_w, in_h], "out": [out_w, out_h], "offset": len(blob)})
            blob += result.tobytes()
    pathlib.Path("resize.bin").write_bytes(blob)
    made_with = {"pillow": PIL.__version__, "numpy": np.__version__}
    lines = ",\n".join("  " + json.dumps(c) for c in cases)
    text = f'{{"made_with": {json.dumps(made_with)}, "source": [64, 48],\n "cases": [\n{lines}\n]}}\n'
    pathlib.Path("resize.json").write_text(text)


main()
