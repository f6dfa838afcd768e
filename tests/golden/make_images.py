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


def encoded(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def make_webp(color, alpha):
    yield "lossy.webp", encoded(color, "WEBP", quality=70)
    yield "lossless.webp", encoded(color, "WEBP", lossless=True)
    yield "lossy-alpha.webp", encoded(alpha, "WEBP", quality=70)
    yield "lossless-alpha.webp", encoded(alpha, "WEBP", lossless=True, exact=True)
    for orientation in (3, 6):
        yield f"orientation-{orientation}.webp", encoded(color, "WEBP", lossless=True, exif=turned(orientation))
    frames = [color, ImageOps.mirror(color)]
    yield "animation.webp", encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)


def make_avif(color, alpha):
    for sampling in ("4:4:4", "4:2:0"):
        yield f"{sampling.replace(':', '')}.avif", encoded(color, "AVIF", subsampling=sampling, quality=80)
    yield "alpha.avif", encoded(alpha, "AVIF", quality=80)
    for orientation in range(2, 9):
        yield f"orientation-{orientation}.avif", encoded(color, "AVIF", quality=80, exif=turned(orientation))


def gif_frame(left, top, width, height, indices, interlace=False, palette=b"", transparent=None):
    """One frame, by codes that never grow: a clear code in front of each few pixels."""
    rows = [indices[y] for y in range(height)]
    if interlace:
        rows = [indices[y] for first, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in range(first, height, step)]
    flat, codes = [int(v) for row in rows for v in row], []
    for i in range(0, len(flat), 100):
        codes += [256, *flat[i : i + 100]]
    codes.append(257)
    bits = "".join(format(code, "09b")[::-1] for code in codes)
    bits += "0" * (-len(bits) % 8)
    data = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    blocks = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255)) + b"\0"
    control = b"" if transparent is None else b"\x21\xf9\x04\x01\0\0" + bytes([transparent]) + b"\0"
    flags = (0x40 if interlace else 0) | (0x87 if palette else 0)
    return control + struct.pack("<BHHHHB", 0x2C, left, top, width, height, flags) + palette + b"\x08" + blocks


def gif(width, height, frame, palette=b""):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7 if palette else 0, 3, 0) + palette + frame + b";"


def make_gif(color):
    random = np.random.default_rng(8)
    palette, local = (random.integers(0, 256, 768, dtype=np.uint8).tobytes() for _ in range(2))
    indices = random.integers(0, 256, (21, 33))
    yield "photo.gif", encoded(color.quantize(64), "GIF")
    yield "plain.gif", gif(33, 21, gif_frame(0, 0, 33, 21, indices), palette)
    yield "interlaced.gif", gif(33, 21, gif_frame(0, 0, 33, 21, indices, interlace=True), palette)
    yield "transparent.gif", gif(33, 21, gif_frame(0, 0, 33, 21, indices % 4, transparent=2), palette)
    yield "part.gif", gif(40, 30, gif_frame(3, 4, 33, 21, indices), palette)
    yield "part-transparent.gif", gif(40, 30, gif_frame(3, 4, 33, 21, indices, transparent=9), palette)
    yield "beyond.gif", gif(10, 10, gif_frame(5, 6, 33, 21, indices), palette)
    yield "local.gif", gif(33, 21, gif_frame(0, 0, 33, 21, indices, palette=local), palette)
    yield "no-palette.gif", gif(33, 21, gif_frame(0, 0, 33, 21, indices))
    yield "two.gif", gif(33, 21, gif_frame(0, 0, 33, 21, indices) + gif_frame(0, 0, 33, 21, indices % 3), palette)


def bmp(width, height, bits, compression, data, colors=b"", masks=b"", size=40):
    if size == 12:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        header = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, len(data), 0, 0, len(colors) // 4, 0)
        header += masks if size > 40 else b""
        header += b"\0" * (size - len(header))
        header += masks if size == 40 else b""
    at = 14 + len(header) + len(colors)
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at) + header + colors + data


def make_bmp(color, alpha):
    random = np.random.default_rng(9)
    grey = color.convert("L")
    yield "24.bmp", encoded(color, "BMP")
    yield "8-palette.bmp", encoded(color.quantize(200), "BMP")
    yield "8-grey.bmp", encoded(grey, "BMP")
    yield "1.bmp", encoded(grey.convert("1"), "BMP")
    yield "32-alpha.bmp", encoded(alpha, "BMP")
    palette = random.integers(0, 256, (16, 4), dtype=np.uint8).tobytes()
    for bits, compression, size in ((4, 0, 40), (4, 0, 108), (16, 0, 40), (24, 0, 124), (32, 0, 40)):
        stride = (45 * bits + 31) // 32 * 4
        data = random.integers(0, 256, stride * 29, dtype=np.uint8).tobytes()
        for height in (29, -29):
            name = f"{bits}-header{size}" + ("-top-down" if height < 0 else "") + ".bmp"
            yield name, bmp(45, height, bits, compression, data, palette if bits == 4 else b"", size=size)
    yield "24-header12.bmp", bmp(45, 29, 24, 0, random.integers(0, 256, 136 * 29, dtype=np.uint8).tobytes(), size=12)
    for bits, names in {16: ("f800 7e0 1f", "7c00 3e0 1f"), 32: ("ff0000 ff00 ff 0", "ff000000 ff0000 ff00 ff",
                        "ff ff00 ff0000 ff000000", "ff0000 ff00 ff ff000000")}.items():
        data = random.integers(0, 256, (45 * bits + 31) // 32 * 4 * 29, dtype=np.uint8).tobytes()
        for i, words in enumerate(names):
            masks = b"".join(struct.pack("<I", int(word, 16)) for word in words.split())
            size = 40 if len(masks) == 12 else 56
            yield f"{bits}-masks{i}.bmp", bmp(45, 29, bits, 3, data, masks=masks, size=size)
    full = random.integers(0, 256, (256, 4), dtype=np.uint8).tobytes()
    # 12 × 3: runs, pixels as they are (padded to even bytes), an end of line, a jump, an end
    runs8 = bytes([5, 7, 0, 5, 1, 2, 3, 4, 5, 0, 2, 9, 0, 0, 4, 1, 0, 2, 3, 0, 5, 8, 0, 0, 12, 6, 0, 1])
    runs4 = bytes([5, 0x71, 0, 5, 0x12, 0x34, 0x50, 0, 2, 0x98, 0, 0, 4, 0x10, 0, 2, 3, 0, 5, 0x82, 0, 0, 12, 0x65, 0, 1])
    yield "8-runs.bmp", bmp(12, 3, 8, 1, runs8, full)
    yield "4-runs.bmp", bmp(12, 3, 4, 2, runs4, palette)


def tiff_file(order, tags, blocks, offsets_tag):
    """tags: {number: (type, values)}; blocks: data in the order of their offsets."""
    tags = dict(tags)
    counts = {273: 279, 324: 325}[offsets_tag]
    tags[offsets_tag], tags[counts] = (4, [0] * len(blocks)), (4, [len(b) for b in blocks])
    names = {1: "B", 3: "H", 4: "I"}
    at = 8 + 2 + 12 * len(tags) + 4
    extra, entries = b"", {}
    for number in sorted(tags):  # values that do not fit into an entry follow the directory
        kind, values = tags[number]
        size = struct.calcsize(names[kind]) * len(values)
        entries[number] = at + len(extra) if size > 4 else None
        extra += b"\0" * size if size > 4 else b""
    tags[offsets_tag] = (4, [at + len(extra) + sum(map(len, blocks[:i])) for i in range(len(blocks))])
    out, extra = struct.pack(order + "2sHIH", b"MM" if order == ">" else b"II", 42, 8, len(tags)), b""
    for number in sorted(tags):
        kind, values = tags[number]
        data = struct.pack(order + names[kind] * len(values), *values)
        out += struct.pack(order + "HHI", number, kind, len(values))
        out += data.ljust(4, b"\0") if entries[number] is None else struct.pack(order + "I", entries[number])
        extra += data if entries[number] is not None else b""
    return out + b"\0\0\0\0" + extra + b"".join(blocks)


def make_tiff(color, alpha):
    grey, cmyk = color.convert("L"), Image.fromarray(picture(45, 29, 4, 3), "CMYK")
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"rgb-{compression}.tif", encoded(color, "TIFF", compression=compression)
    for name, image in {"grey": grey, "cmyk": cmyk, "palette": color.quantize(50), "alpha": alpha,
                        "grey-alpha": alpha.convert("LA"), "bits": grey.convert("1")}.items():
        yield f"{name}.tif", encoded(image, "TIFF", compression="tiff_lzw")
    yield "group4.tif", encoded(grey.convert("1"), "TIFF", compression="group4")
    yield "ycbcr.tif", encoded(color.convert("YCbCr"), "TIFF", compression="tiff_lzw")
    random = np.random.default_rng(10)
    for order in "<>":
        wide = random.integers(0, 65536, (29, 45, 3), dtype=np.uint16).astype(order + "u2")
        tags = {256: (3, [45]), 257: (3, [29]), 258: (3, [16] * 3), 259: (3, [1]), 262: (3, [2]), 277: (3, [3]), 278: (3, [10])}
        strips = [wide[y : y + 10].tobytes() for y in (0, 10, 20)]
        yield f"rgb16-{'big' if order == '>' else 'little'}.tif", tiff_file(order, tags, strips, 273)
    for orientation in range(2, 9):
        yield f"orientation-{orientation}.tif", encoded(color, "TIFF", tiffinfo={274: orientation})
    array = np.asarray(color)
    padded = np.zeros((32, 48, 3), np.uint8)
    padded[:29, :45] = array
    tags = {256: (3, [45]), 257: (3, [29]), 258: (3, [8] * 3), 259: (3, [1]), 262: (3, [2]), 277: (3, [3])}
    tiles = [padded[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16, 32)]
    yield "tiles.tif", tiff_file("<", {**tags, 322: (3, [16]), 323: (3, [16])}, tiles, 324)
    planes = [np.ascontiguousarray(array[:, :, c]).tobytes() for c in range(3)]
    yield "planes.tif", tiff_file("<", {**tags, 278: (3, [29]), 284: (3, [2])}, planes, 273)
    for depth in (2, 4):
        samples = random.integers(0, 1 << depth, (29, 45))
        rows = [pack(samples[y : y + 1], depth)[1:] for y in range(29)]
        for photometric in (0, 1):
            tags = {256: (3, [45]), 257: (3, [29]), 258: (3, [depth]), 259: (3, [1]), 262: (3, [photometric]), 278: (3, [29])}
            yield f"grey{depth}-{photometric}.tif", tiff_file(">", tags, [b"".join(rows)], 273)


def make_others():
    color = Image.fromarray(picture(45, 29, 3, 1))
    alpha = Image.fromarray(picture(45, 29, 4, 7), "RGBA")
    yield from make_webp(color, alpha)
    yield from make_avif(color, alpha)
    yield from make_gif(color)
    yield from make_bmp(color, alpha)
    yield from make_tiff(color, alpha)
    for orientation in (3, 6):
        yield f"orientation-{orientation}.png", encoded(color, "PNG", exif=turned(orientation))


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
    for name, data in [*make_jpeg(), *make_png(), *make_others()]:
        (FOLDER / name).write_bytes(data)
        rgb = pixels(data)
        cases.append({"file": name, "width": rgb.shape[1], "height": rgb.shape[0], "offset": len(blob)})
        blob += rgb.tobytes()
    pathlib.Path("images.bin").write_bytes(blob)
    made_with = {"pillow": PIL.__version__, "numpy": np.__version__}
    for library in ("libjpeg_turbo", "webp", "avif", "libtiff"):
        made_with[library] = features.version(library)
    lines = ",\n".join("  " + json.dumps(c) for c in cases)
    pathlib.Path("images.json").write_text(f'{{"made_with": {json.dumps(made_with)},\n "cases": [\n{lines}\n]}}\n')


main()
