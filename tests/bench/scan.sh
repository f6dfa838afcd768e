#!/bin/sh
# Scan of N small files, and of a tar of N members, beside find, cat and GNU tar on the same medium (performance goal
# 11), and the memory at N / 10 and at N. One line each.
#	tests/bench/scan.sh BENCH_SCAN IMAGES.tar [N=200000]
# IMAGES.tar: any tar of small images; its members are repeated under new names.
set -eu
bench=$1 images=$2 n=${3:-200000}
work=$(mktemp -d "${TMPDIR:-/tmp}/evenkeel-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT

make_folder() { # folder count
	python3 - "$images" "$1" "$2" <<'PYTHON'
import os, sys, tarfile
images, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with tarfile.open(images) as t:
    data = [t.extractfile(m).read() for m in t.getmembers()[:5000] if m.isreg()]
for i in range(count):
    sub = os.path.join(folder, "class%02d" % (i % 20))
    if i < 20:
        os.makedirs(sub)
    with open(os.path.join(sub, "image-%07d.jpg" % i), "wb") as f:
        f.write(data[i * 7919 % len(data)])
PYTHON
}

seconds() { # what command...
	what=$1
	shift
	start=$(date +%s.%N)
	"$@" >"$work/out" 2>&1
	end=$(date +%s.%N)
	awk -v what="$what" -v n="$n" -v a="$start" -v b="$end" \
		'BEGIN { printf "%s: %.3f s, %.0f files/s\n", what, b - a, n / (b - a) }'
}

for count in $((n / 10)) "$n"; do
	make_folder "$work/f$count" "$count"
	tar cf "$work/t$count.tar" -C "$work/f$count" .
	for set in "f$count" "t$count.tar"; do
		printf '%s ' "$set"
		"$bench" "$work/run-$set" header 3 - "$work/$set"
	done
done
for i in 1 2 3; do
	seconds "find | cat, run $i" sh -c "find '$work/f$n' -type f -print0 | xargs -0 cat"
	seconds "tar --to-stdout, run $i" sh -c "tar xOf '$work/t$n.tar' | cat"
	seconds "cat of the tar, run $i" cat "$work/t$n.tar"
done
