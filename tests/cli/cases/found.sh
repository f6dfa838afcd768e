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

# CelebA: one folder, which is no class, and lists beside it, which are attributes when they are asked for.
mkdir -p celeba/img_align_celeba
i=0; for file in $(find photos -name '*.png' | sort); do i=$((i + 1)); cp "$file" "celeba/img_align_celeba/00000$i.jpg"; done
cd celeba || exit
{ echo "$i"; echo "Male Young"; for n in $(seq $i); do echo "00000$n.jpg  1 -1"; done; } >list_attr_celeba.txt
{ echo "$i"; echo "image_id x_1 y_1"; for n in $(seq $i); do echo "00000$n.jpg 95  7$n"; done; } >list_bbox_celeba.txt
for n in $(seq $i); do echo "00000$n.jpg $((n % 3))"; done >list_eval_partition.txt
echo "a text" >README.txt
cd ..
mkdir zipped && (cd celeba && python3 -m zipfile -c ../zipped/img_align_celeba.zip img_align_celeba) && cp celeba/list_attr_celeba.txt zipped
for set in celeba celeba/img_align_celeba zipped/img_align_celeba.zip; do
	run evenkeel scan $set -o RUN-set --force 2>&1 | grep -vE 'contents|bytes|TIME|^scan'
	grep -c '"label"' RUN-set/images.jsonl
	rm -r RUN-set
done
for list in celeba/list_*; do
	echo "-- $list"
	evenkeel scan celeba -o RUN-set --attributes "$list" 2>&1 | grep -E 'beside|evenkeel:'
	tail -1 RUN-set/images.jsonl | sed 's/.*sha256[^,]*, //'
done

# Masks in a folder are taken, and told of: their folder, or the end of their name, may as well be a class.
rm -r RUN-set
mkdir -p masked/a/images masked/a/masks masked/b classes/masks classes/hats
for n in 1 2 3; do
	cp celeba/img_align_celeba/00000$n.jpg masked/a/images/$n.jpg && cp celeba/img_align_celeba/00000$n.jpg masked/a/masks/$n.png
	cp celeba/img_align_celeba/00000$n.jpg masked/b/$n.jpg && cp celeba/img_align_celeba/00000$n.jpg masked/b/${n}_mask.png
	cp celeba/img_align_celeba/00000$n.jpg classes/masks/m$n.jpg && cp celeba/img_align_celeba/00000$n.jpg classes/hats/h$n.jpg
done
for set in masked/a masked/b 'masked/a --exclude masks' 'masked/b --exclude *_mask.*' classes; do
	# shellcheck disable=SC2086 # options
	(set -f; run evenkeel scan $set -o RUN-set) 2>&1 | grep -E '^\$|masks|images'
	rm -r RUN-set
done

# What a folder or a list without images holds instead.
mkdir films && printf '\0\0\0\030ftypmp42' >films/1.mp4 && echo "https://example.org/1.jpg" >addresses.txt
run evenkeel scan films -o RUN-films
run evenkeel scan addresses.txt -o RUN-films
