# shellcheck shell=bash
# A run inside its data set, a run as a data set, a tar given twice, folders that no path can name, names that are none.
make_images photos 60
run evenkeel audit photos -o photos/RUN --encoder pixels --clusters 3 --quiet
run evenkeel scan photos/RUN | grep -v bytes
mkdir -p photos/RUN/samples && cp photos/bar/00006.png photos/RUN/samples/
run evenkeel scan photos -o photos/RUN | grep -v bytes
run evenkeel audit photos/RUN -o RUN2 --quiet
tar cf photos.tar photos/bar
run evenkeel scan photos.tar ./photos.tar -o RUN2
run evenkeel scan '' -o RUN2
mkdir both deep
cp photos/bar/00006.png both/
printf 'file_name,a\n00006.png,1\n' >both/metadata.csv
printf '{"file_name": "00006.png", "b": 1}\n' >both/metadata.jsonl
run evenkeel scan both -o RUN3 --quiet | grep -v bytes
cp photos/bar/00006.png deep/
name=$(printf 'y%.0s' {1..200})
(cd deep && for _ in {1..25}; do mkdir "$name" && cd "$name" || exit 1; done && cp "$OLDPWD/../00006.png" . 2>/dev/null)
evenkeel scan deep -o RUN4 --quiet 2>&1 >/dev/null | cut -c1-30
mkdir "$(printf 'two\nlines \033[31m')"
evenkeel scan "$(printf 'two\nlines \033[31m')" -o RUN5 2>&1 || echo "exit $?"
