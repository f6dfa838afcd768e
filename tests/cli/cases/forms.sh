# shellcheck shell=bash
# Data sets in the forms that other programs write: zips, arrays, lists, tables. Each is embedded, so that its pixels are
# found again after the scan.
make_images photos 12
python3 - <<'PY'
import io, os, struct, zipfile
def npy(kind, shape, data):
    text = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + data
def archive(name, method, members):
    with zipfile.ZipFile(name, "w", method) as z:
        for member, data in members: z.writestr(member, data)
files = sorted(os.path.join(d, f) for d, _, fs in os.walk("photos") for f in fs)
photos = [(f, open(f, "rb").read()) for f in files]
archive("stored.zip", zipfile.ZIP_STORED, photos)
archive("deflated.zip", zipfile.ZIP_DEFLATED, photos + [("photos/notes.txt", b"none"), ("photos/bar/", b"")])
archive("packed.zip", zipfile.ZIP_BZIP2, photos)
pixels = bytes(i * 7 % 256 for i in range(6 * 8 * 8 * 3))
labels = npy("<i8", (6, 1), struct.pack("<6q", *[0, 1, 0, 1, 0, 1]))
images = npy("|u1", (6, 8, 8, 3), pixels)
archive("named.npz", zipfile.ZIP_DEFLATED, [("train_images.npy", images), ("train_labels.npy", labels), ("test_images.npy", images)])
archive("adm.npz", zipfile.ZIP_STORED, [("arr_0.npy", images), ("arr_1.npy", npy("<i4", (6,), struct.pack("<6i", *range(6))))])
archive("grey.npz", zipfile.ZIP_DEFLATED, [("x.npy", npy("|u1", (18, 8, 8), pixels)), ("y.npy", npy("<f4", (18,), bytes(72)))])
broken = bytearray(images); broken[7] = 0x7f
archive("half.npz", zipfile.ZIP_STORED, [("train_images.npy", images), ("test_images.npy", bytes(broken)), ("names.npy", npy("<U3", (6,), bytes(72)))])
archive("none.npz", zipfile.ZIP_STORED, [("mu.npy", npy("<f8", (2,), bytes(16)))])
open("images.npy", "wb").write(images)
names = [f for f in files]
open("backslashes.txt", "w").write("".join(f.replace("/", "\\") + "\r\n" for f in names))
open("quoted.txt", "w").write("".join('"%s"\n' % f for f in names))
open("classes.txt", "w").write("".join("%s %d\n" % (f, i % 2) for i, f in enumerate(names)))
open("table.tsv", "w").write("image_path\tn\n" + "".join("%s\t%d\n" % (f, i) for i, f in enumerate(names)))
open("semicolons.csv", "w").write("n;filename\n" + "".join("%d;%s\n" % (i, f) for i, f in enumerate(names)))
open("array.json", "w").write('[{"file_name": "%s"}]' % names[0])
PY
mkdir shards && tar --sort=name -cf shards/s-00000.tar photos/bar && tar --sort=name -cf shards/s-00001.tar photos/disc
echo index >shards/index.txt
ln photos/bar/00006.png photos/bar/same.png && tar --sort=name -cf hard.tar photos/bar && rm photos/bar/same.png
for form in photos shards 'shards/s-{00000..00001}.tar' hard.tar stored.zip deflated.zip named.npz adm.npz grey.npz images.npy backslashes.txt quoted.txt classes.txt table.tsv \
	semicolons.csv; do
	echo "-- $form"
	evenkeel audit "$form" -o "RUN-${form##*/}" --encoder pixels --clusters 2 --quiet 2>&1 | head -1
	sed -n -e '1p' -e '8p' "RUN-${form##*/}/images.jsonl" | sed -E 's/, "bytes".*"sha256": "(.{8})[^"]*"/ … \1/'
	grep '"kind"' "RUN-${form##*/}/run.json"
done
# The same pictures, however they are kept.
for form in stored.zip deflated.zip; do cmp RUN-photos/embeddings.npy "RUN-$form/embeddings.npy"; done
cmp RUN-adm.npz/embeddings.npy RUN-images.npy/embeddings.npy
(cd photos && find bar -type f | sort | evenkeel audit - -o ../RUN-stdin --encoder pixels --clusters 2 --quiet) | head -1
head -1 RUN-stdin/list.txt
evenkeel audit RUN-stdin --quiet | head -1
evenkeel scan - -o RUN-nothing </dev/null
run evenkeel audit packed.zip -o RUN-packed --encoder pixels
evenkeel audit half.npz -o RUN-half --encoder pixels --clusters 2 --quiet 2>&1 | head -2
run evenkeel audit none.npz -o RUN-none
run evenkeel audit array.json -o RUN-array
run evenkeel audit 'shards/s-{00000..00002}.tar' -o RUN-gap
run evenkeel audit 'shards/s-{3..1}.tar' -o RUN-gap
# Archives beside other things are not looked into, which is said.
mkdir mixed && cp shards/s-00000.tar stored.zip mixed
run evenkeel scan mixed -o RUN-mixed
cp photos/bar/00006.png mixed
evenkeel scan mixed -o RUN-mixed 2>&1 | grep -E 'beside|images'
