"""The pipeline of bench_image.c in Pillow, against bench_image itself, in turn.

	python tests/bench/bench_image.py BUILD/tests/bench/bench_image TAR [THREADS [ROUNDS]]

One line for each filter: name, images/s ours, Pillow's, ratio. Pillow runs in as many processes as ours has threads.
"""
import io
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tarfile
import time

import PIL
from PIL import Image

SHORTER, CROP = 256, 224
files = []


def piece(work):
    """Seconds of processor time for one file."""
    data, name = files[work[0]], work[1]
    start = time.process_time()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    shorter = min(image.size)
    width, height = image.width * SHORTER // shorter, image.height * SHORTER // shorter
    image = image.resize((width, height), getattr(Image.Resampling, name.upper()))
    left, top = (width - CROP) // 2, (height - CROP) // 2
    image.crop((left, top, left + CROP, top + CROP)).tobytes()
    return time.process_time() - start


def pillow(pool, name):
    """Images a second of one core."""
    return len(files) / sum(pool.map(piece, [(i, name) for i in range(len(files))], chunksize=8))


def main():
    program, tar = sys.argv[1:3]
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else len(os.sched_getaffinity(0))
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 7
    with tarfile.open(tar) as t:
        files.extend(data for m in t if m.isfile() and (data := t.extractfile(m).read())[:3] == b"\xff\xd8\xff")
    rates = {"bilinear": [], "bicubic": []}
    with multiprocessing.Pool(threads) as pool:
        pillow(pool, "bilinear")
        for _ in range(rounds):
            lines = subprocess.run([program, tar, str(threads), "3"], check=True, capture_output=True, text=True)
            for name, pairs in rates.items():
                ours = float(re.search(rf"decode, {name} to .*: (\d+) images/s a core", lines.stdout).group(1))
                pairs.append((ours, pillow(pool, name)))
    for name, pairs in rates.items():
        ours, theirs = (statistics.median(p[i] for p in pairs) for i in (0, 1))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"decode, {name} to {SHORTER}, crop to {CROP} ({threads} cores): {ours:.0f} images/s a core, "
              f"Pillow {PIL.__version__} {theirs:.0f}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
