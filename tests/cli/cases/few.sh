# shellcheck shell=bash
# Fewer different images than clusters: said in one line; `auto` takes what there can be.
make_images photos 60
mkdir one same
cp photos/bar/00006.png one/
for i in {1..30}; do cp photos/bar/00006.png "same/$i.png"; done
run evenkeel audit one -o ONE --encoder pixels --quiet
run evenkeel audit one -o ONE --encoder pixels --clusters 1 --quiet
run evenkeel audit same -o SAME --encoder pixels --clusters 3 --quiet
run evenkeel audit same -o SAME --clusters auto --quiet
cp photos/disc/00001.jpg same/
run evenkeel cluster SAME --quiet --force
