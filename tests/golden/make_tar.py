#!/usr/bin/env python3
"""tar-*.tar.gz and tar.json: small tars of every kind and where Python's tarfile finds the bytes of each member."""
import gzip, io, json, os, platform, tarfile

here = os.path.dirname(os.path.abspath(__file__))
names = ["plain.txt", "folder/with space.jpg", "n" * 180 + ".jpg", "d/" * 60 + "deep.png", "../up.jpg", "/absolute.jpg",
         "new\nline.jpg", "日本語/é.jpg", "e\u0301 decomposed.jpg", "empty.jpg", "twice.jpg", "twice.jpg"]
kinds = {"ustar": (tarfile.USTAR_FORMAT, "utf-8"), "gnu": (tarfile.GNU_FORMAT, "utf-8"),
         "pax": (tarfile.PAX_FORMAT, "utf-8"), "gnu-latin1": (tarfile.GNU_FORMAT, "latin-1")}
golden = {"made_by": "make_tar.py", "python": platform.python_version(), "tars": {}}
for kind, (form, encoding) in kinds.items():
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form, encoding=encoding, errors="surrogateescape") as t:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        t.addfile(folder)
        for i, name in enumerate(names):
            if kind == "ustar" and len(name) > 100 and "/" not in name:
                continue
            if kind == "gnu-latin1" and "日" in name or kind == "gnu-latin1" and "\u0301" in name:
                name = "caf\xe9.jpg"
            info = tarfile.TarInfo(name)
            body = b"" if name == "empty.jpg" else bytes(str(i) * (37 * i + 1), "ascii")
            info.size = len(body)
            t.addfile(info, io.BytesIO(body))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "plain.txt"
        t.addfile(link)
        hard = tarfile.TarInfo("hard.jpg")
        hard.type, hard.linkname = tarfile.LNKTYPE, "plain.txt"
        t.addfile(hard)
    with gzip.GzipFile(os.path.join(here, f"tar-{kind}.tar.gz"), "wb", mtime=0) as f:
        f.write(raw.getvalue())
    raw.seek(0)
    with tarfile.open(fileobj=raw, encoding=encoding, errors="surrogateescape") as t:
        golden["tars"][kind] = {"bytes": len(raw.getvalue()), "members": [
            {"name": m.name.encode(encoding, "surrogateescape").hex(), "size": m.size if m.isreg() else 0,
             "offset": m.offset_data, "file": m.isreg(), "link": m.issym() or m.islnk(),
             "text": t.extractfile(m).read().decode() if m.isreg() else None} for m in t]}
with open(os.path.join(here, "tar.json"), "w") as f:
    json.dump(golden, f, indent=0)
    f.write("\n")
