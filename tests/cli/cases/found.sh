# shellcheck shell=bash
# Data sets as they are found: made on a Mac.
make_images photos 12
counts() { grep -oE '"(label)": "[^"]*"' "$1/images.jsonl" | sort | uniq -c; python3 -c '
import json, sys
counts = json.load(open(sys.argv[1] + "/run.json"))["scan"]["counts"]
print({k: counts[k] for k in ("images", "rejected", "other_files", "warnings", "left_out") if k in counts})' "$1"; }

# The Finder's zip has AppleDouble files in a folder of their own, its tar beside each file; a folder copied to another
# file system has them, too.
python3 - <<'PY'
import io, os, tarfile, zipfile
double = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(60)
files = sorted(os.path.join(d, f) for d, _, fs in os.walk("photos") for f in fs)
photos = [(f, open(f, "rb").read()) for f in files]
def beside(name): return os.path.join(os.path.dirname(name), "._" + os.path.basename(name))
with zipfile.ZipFile("mac.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for name, data in photos:
        z.writestr(name, data)
        z.writestr("__MACOSX/" + beside(name), double)
    z.writestr("photos/.DS_Store", b"Bud1")
zipfile.ZipFile("mac.zip").extractall("unzipped")
members = [m for name, data in photos for m in ((beside(name), double), (name, data))] + [("photos/.DS_Store", b"Bud1")]
samples = [m for i, (name, data) in enumerate(photos) for e, d in (("png", data), ("cls", b"%d" % (i % 2)), ("json", b'{"n": %d}' % (i // 6)))
           for m in (("._%06d.%s" % (i, e), double), ("%06d.%s" % (i, e), d))]
for name, content in (("mac.tar", members), ("samples.tar", samples)):
    with tarfile.open(name, "w") as t:
        for member, data in content:
            info = tarfile.TarInfo("./" + member)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
for member, data in members:
    os.makedirs(os.path.dirname("copied/" + member), exist_ok=True)
    open("copied/" + member, "wb").write(data)
PY
for form in copied mac.tar unzipped mac.zip samples.tar; do
	echo "-- $form"
	evenkeel scan "$form" -o "RUN-$form" 2>&1 | grep 'left out'
	counts "RUN-$form"
done
grep -c '"n": 1' RUN-samples.tar/images.jsonl
