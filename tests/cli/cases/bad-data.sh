# shellcheck shell=bash
# Data sets that are missing, empty or damaged, and what is kept of them.
run evenkeel audit nowhere -o RUN --encoder pixels
mkdir empty
run evenkeel audit empty -o RUN --encoder pixels
run evenkeel audit empty -o some/RUN --encoder pixels
run echo *
make_images photos 40
# A name that a page must not run, and one that is two lines and not UTF-8.
: >photos/bar/empty.jpg
head -c 300 photos/disc/00001.jpg >photos/disc/truncated.jpg
printf 'not an image' >photos/disc/text.png
mkdir 'photos/disc/<script>alert(1)<'
cp photos/disc/00001.jpg 'photos/disc/<script>alert(1)</script>.jpg'
cp photos/disc/00001.jpg "photos/disc/$(printf 'new\nline and \xff.jpg')"
ln -s ../photos photos/loop
run evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet
run sort RUN/rejected.jsonl
run evenkeel audit photos -o RUN2 --encoder pixels --clusters 50 --quiet
mkdir bad && : >bad/a.jpg
run evenkeel audit bad -o RUN3 --encoder pixels --quiet
printf 'file_name,colour\nnone.png,green\nnothing.png,red\n' >other.csv
run evenkeel audit photos -o RUN4 --encoder pixels --attributes other.csv --quiet
printf 'file_name,colour\nbar/00006.png,green\nbar/00006.png,red\n' >twice.csv
run evenkeel audit photos -o RUN4 --encoder pixels --attributes twice.csv --quiet
printf 'name,colour\nbar/00006.png,green\n' >column.csv
run evenkeel audit photos -o RUN4 --encoder pixels --attributes column.csv --quiet
