#!/usr/bin/env python3
"""parquet-*.parquet and parquet.json: small shards, written by Hugging Face datasets as it is and by pyarrow as older
versions and other programs do, and what these two read from them.

Needs datasets and pillow (pip install datasets pillow)."""
import hashlib, io, json, os

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))


def picture(i, form="PNG"):
    out = io.BytesIO()
    Image.new("RGB", (8 + i, 8), (20 * i, 255 - 20 * i, 7)).save(out, form)
    return out.getvalue()


def golden(file, names, label, unused=(), classes={}):
    """The rows as an audit should have them: texts and numbers beside the image; names of classes; no label for -1."""
    rows = []
    for i, row in enumerate(pq.read_table(os.path.join(here, file)).to_pylist()):
        image = row.pop("image")
        image = image if isinstance(image, dict) else {"bytes": image, "path": None}
        name = (image["path"] or "").replace("\\", "/").rsplit("/", 1)[-1]
        data = image["bytes"]
        value = row.pop(label, None)
        value = None if value is None or (names and value == -1) else names[value] if names else str(value)
        for column in unused:
            del row[column]
        for column, x in list(row.items()):
            if x is None:
                del row[column]
            elif column in classes:
                row[column] = dict(enumerate(classes[column])).get(x, str(x))
            elif isinstance(x, int) and not isinstance(x, bool) and abs(x) >= 2**53:
                row[column] = str(x)
        kind = {b"\x89P": ".png", b"\xff\xd8": ".jpg"}.get((data or b"")[:2], "")
        rows.append({"name": f"{file}/{i:06}" + (f"/{name}" if name else kind), "label": value, "attributes": row,
                     "sha256": hashlib.sha256(data).hexdigest() if kind else None})
    return {"file": file, "rows": rows}


count = 12
classes = ["alpha", "béta", "gamma \"3\""]
columns = {
    "image": [{"bytes": picture(i, "JPEG" if i % 2 else "PNG"), "path": f"folder/picture {i}.{'jpg' if i % 2 else 'png'}"}
              for i in range(count)],
    "label": [i % 3 for i in range(count)],
    "n": [i * i for i in range(count)],
    "caption": [f"line {i}\n\"é\" 日本" for i in range(count)],
    "score": [i / 7 for i in range(count)],
    "flag": [i % 2 == 0 for i in range(count)],
    "big": [2**53 - 2 + i for i in range(count)],
    "tags": [["a"] * i for i in range(count)],
}
columns["image"][5] = None
columns["image"][6]["bytes"] = b"a text"
columns["image"][7]["path"] = None
columns["image"][8]["path"] = "C:\\pictures\\écrit.png"
columns["label"][3] = -1
columns["label"][4] = None
columns["caption"][9] = None
columns["score"][10] = None
features = datasets.Features({
    "image": datasets.Image(), "label": datasets.ClassLabel(names=classes), "n": datasets.Value("int32"),
    "caption": datasets.Value("string"), "score": datasets.Value("float64"), "flag": datasets.Value("bool"),
    "big": datasets.Value("int64"), "tags": datasets.List(datasets.Value("string"))})
datasets.Dataset.from_dict(columns, features=features).to_parquet(os.path.join(here, "parquet-hf.parquet"))

# As datasets 2 did: packed, dictionaries, small row groups; several rows have the same picture.
old = pa.table({
    "image": pa.array([{"bytes": picture(i % 4), "path": f"{i % 4}.png"} for i in range(count)],
                      pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    "fine": pa.array([i % 3 for i in range(count)], pa.int64()),
}).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": {
    "fine": {"names": classes, "_type": "ClassLabel"}, "image": {"_type": "Image"}}}})})
pq.write_table(old, os.path.join(here, "parquet-old.parquet"), compression="snappy", use_dictionary=True,
               row_group_size=5, write_page_checksum=True)

# By somebody else: no description, a column of bytes, newer pages and encodings, one page for every few rows.
other = pa.table({
    "id": pa.array([2**64 - 1 - i for i in range(count)], pa.uint64()),
    "image": pa.array([picture(i) for i in range(count)], pa.binary()),
    "label": pa.array([f"kind {i % 2}" for i in range(count)], pa.string()),
})
pq.write_table(other, os.path.join(here, "parquet-other.parquet"), compression="zstd", data_page_version="2.0",
               use_dictionary=False, column_encoding={"id": "DELTA_BINARY_PACKED", "label": "DELTA_BYTE_ARRAY",
                                                      "image": "DELTA_LENGTH_BYTE_ARRAY"}, data_page_size=300,
               write_batch_size=2, write_page_checksum=True)

# Several columns of pictures, the first of them masks; of some images only a path. Two columns of classes: no label.
struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
several = pa.table({
    "mask": pa.array([{"bytes": b"mask", "path": None}] * 6, struct),
    "image": pa.array([{"bytes": picture(i) if i % 3 else None, "path": f"/data/{i}.png"} for i in range(6)], struct),
    "fine": pa.array([5 - i for i in range(6)], pa.int8()), "coarse": pa.array([i % 2 for i in range(6)], pa.int64()),
}).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": {
    "fine": {"names": list("abcde"), "_type": "ClassLabel"}, "coarse": {"names": ["x", "y"], "_type": "ClassLabel"}}}})})
pq.write_table(several, os.path.join(here, "parquet-several.parquet"), compression="gzip")

with open(os.path.join(here, "parquet.json"), "w") as f:
    json.dump({"made_by": "make_parquet.py", "datasets": datasets.__version__, "pyarrow": pa.__version__, "shards": [
        golden("parquet-hf.parquet", classes, "label", ["tags"]), golden("parquet-old.parquet", classes, "fine"),
        golden("parquet-other.parquet", None, "label"), golden("parquet-several.parquet", None, None, ["mask"], {
            "fine": list("abcde"), "coarse": ["x", "y"]})]}, f, indent=0)
    f.write("\n")
