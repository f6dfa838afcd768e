# shellcheck shell=bash
# What nobody means is left out and told; patterns are kept with the scan, and change it.
make_images photos 60
mkdir -p photos/bar/.thumbnails photos/disc/@eaDir photos/masks
cp photos/bar/00006.png photos/bar/.thumbnails/
cp photos/bar/00006.png photos/disc/@eaDir/
cp photos/bar/00006.png photos/masks/00006.seg.png
run evenkeel audit photos -o photos/RUN --encoder pixels --clusters 3 --quiet | head -3
run evenkeel balance photos/RUN --to smallest --name even --quiet | head -1
run evenkeel export photos/RUN --subset even -o photos/even --as copies --quiet
run evenkeel scan photos -o RUN2 --exclude '*.seg.png' | grep -E 'images|left out|hidden|excluded'
grep -c seg RUN2/images.jsonl
run evenkeel scan RUN2 | grep images
run evenkeel scan RUN2 --no-exclude | grep images
run evenkeel scan RUN2 --include masks --include .thumbnails | grep images
run evenkeel scan RUN2 --include ''
