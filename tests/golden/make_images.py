"""Golden images: small files of every kind and the RGB pixels that Pillow makes of them.

Writes tests/golden/images/ (the files), images.bin (their pixels, one after the other) and images.json.
Run in tests/golden with Pillow installed.
"""
import io
import json
import pathlib
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, features

FOLDER = pathlib.Path("images")
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def picture(width, height, channels, seed):
    """Smooth waves with some noise: what photographs and codecs both know."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        127 + 90 * np.sin(x / (5 + c) + seed) * np.cos(y / (7 - c)) + random.normal(0, 12, (height, width))
        for c in range(channels)
    ]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def chunk(name, data):
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def pack(samples, depth):
    """[height, width * channels] samples to filtered (type 0) rows."""
    rows = b""
    for row in samples:
        if depth == 16:
            data = row.astype(">u2").tobytes()
        elif depth == 8:
            data = row.astype(np.uint8).tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            data = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        rows += b"\0" + data
    return rows


def png(samples, depth, color, interlace, extra=b""):
    """samples: [height, width, channels]."""
    height, width = samples.shape[:2]
    if interlace:
        parts = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in ADAM7]
        data = b"".join(pack(p.reshape(p.shape[0], -1), depth) for p in parts if p.size)
    else:
        data = pack(samples.reshape(height, -1), depth)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def make_png():
    for color, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlace in (0, 1):
                random = np.random.default_rng(color * 100 + depth)
                samples = random.integers(0, 1 << depth, (11, 19, CHANNELS[color]))
                name = f"color{color}-{depth}bit" + ("-interlaced" if interlace else "")
                palette = chunk(b"PLTE", random.integers(0, 256, 3 << depth, dtype=np.uint8).tobytes())
                extra = palette if color == 3 else b""
                # A gamma that a reader which minds it would show.
                extra = chunk(b"gAMA", struct.pack(">I", 100000)) + extra
                yield name + ".png", png(samples, depth, color, interlace, extra)
                if color == 3:
                    alpha = random.integers(0, 256, (1 << depth) - 1, dtype=np.uint8).tobytes()
                    yield name + "-trns.png", png(samples, depth, color, interlace, extra + chunk(b"tRNS", alpha))
                if color in (0, 2) and depth <= 8:
                    key = struct.pack(f">{CHANNELS[color]}H", *samples[3, 4])
                    yield name + "-trns.png", png(samples, depth, color, interlace, extra + chunk(b"tRNS", key))
    yield "one-pixel.png", png(np.array([[[200, 100, 50]]]), 8, 2, 0)


def save(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def adobe_transform(data, value):
    at = data.index(b"Adobe") + 11
    return data[:at] + bytes([value]) + data[at + 1 :]


def make_jpeg():
    color = Image.fromarray(picture(45, 29, 3, 1))
    grey = Image.fromarray(picture(45, 29, 1, 2)[:, :, 0])
    cmyk = Image.fromarray(picture(45, 29, 4, 3), "CMYK")
    for sampling in ("4:4:4", "4:2:2", "4:2:0", "4:1:1", "4:4:0"):
        try:
            yield f"baseline-{sampling.replace(':', '')}.jpg", save(color, quality=85, subsampling=sampling)
        except TypeError:
            continue
        yield (
            f"progressive-{sampling.replace(':', '')}.jpg",
            save(color, quality=85, subsampling=sampling, progressive=True),
        )
    yield "grey.jpg", save(grey, quality=90)
    yield "grey-progressive.jpg", save(grey, quality=90, progressive=True)
    yield "rgb.jpg", save(color, quality=90, keep_rgb=True)
    yield "cmyk.jpg", save(cmyk, quality=90)
    yield "cmyk-progressive.jpg", save(cmyk, quality=90, progressive=True)
    yield "ycck.jpg", adobe_transform(save(cmyk, quality=90), 2)
    yield "restart.jpg", save(color, quality=70, restart_marker_blocks=2)
    yield "low-quality.jpg", save(color, quality=5)
    yield "one-pixel.jpg", save(color.crop((0, 0, 1, 1)))
    yield "one-row.jpg", save(color.crop((0, 3, 45, 4)))
    yield "one-column.jpg", save(color.crop((3, 0, 4, 29)))
    yield "larger.jpg", save(Image.fromarray(picture(201, 150, 3, 5)), quality=75, progressive=True)
    for sampling in ("4:4:4", "4:2:2", "4:1:1"):  # large enough for a window to leave something out
        wide = Image.fromarray(picture(141, 103, 3, 6))
        name = f"wide-{sampling.replace(':', '')}.jpg"
        yield name, save(wide, quality=60, subsampling=sampling, restart_marker_rows=3)
    yield "wide-420.jpg", save(wide, quality=60)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"orientation-{orientation}.jpg", save(color, quality=85, exif=exif)
    exif = Image.Exif()
    exif.endian = ">"
    exif[0x010F] = "maker"
    exif[0x0112] = 6
    yield "orientation-big-endian.jpg", save(color, quality=85, exif=exif)


def pixels(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode.startswith("I"):  # Pillow clips 16 bits when it converts; a picture keeps its upper 8
        grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, 2)
    if image.mode == "L" and "transparency" in image.info:  # Pillow compares it unscaled at 2 and 4 bits
        image.info["transparency"] *= 255 // ((1 << data[24]) - 1)
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return np.asarray(white)
    return np.asarray(image.convert("RGB"))


def main():
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    cases, blob = [], b""
    for name, data in [*make_jpeg(), *make_png()]:
        (FOLDER / name).write_bytes(data)
        rgb = pixels(data)
        cases.append({"file": name, "width": rgb.shape[1], "height": rgb.shape[0], "offset": len(blob)})
        blob += rgb.tobytes()
    pathlib.Path("images.bin").write_bytes(blob)
    made_with = {"pillow": PIL.__version__, "libjpeg_turbo": features.version("libjpeg_turbo"), "numpy": np.__version__}
    lines = ",\n".join("  " + json.dumps(c) for c in cases)
    pathlib.Path("images.json").write_text(f'{{"made_with": {json.dumps(made_with)},\n "cases": [\n{lines}\n]}}\n')


main()
