# shellcheck shell=bash
# Fewer different images than clusters: of the default as many as there can be, for once, with a word; a number that was
# asked for is an error that names the option.
make_images photos 60
mkdir one two same five
cp photos/bar/00006.png one/
cp photos/bar/00006.png photos/disc/00001.jpg two/
set -- photos/disc/*
cp "${@:1:5}" five/
for i in {1..30}; do cp photos/bar/00006.png "same/$i.png"; done
said() { "$@" 2>&1 | grep -E '^(evenkeel:|[0-9,]+ images?|Too few|.* instead of|.*again)' | grep -v ' /s'; }
made() { grep -A20 '"cluster"' "$1/run.json" | grep '"clusters":'; }
echo "$ five images, one, two, thirty copies of one"
for set in five one two same; do said evenkeel audit $set -o "RUN-$set" --encoder pixels --held-out 0.2; done
echo "$ what is recorded: made, asked"
made RUN-five
run evenkeel audit five -o RUN-five --quiet
echo "$ more images"
cp photos/bar/* photos/disc/* five/
said evenkeel audit five -o RUN-five
made RUN-five
echo "$ a number that is asked for"
run evenkeel audit two -o RUN-two --clusters 24 --quiet
run evenkeel audit one -o ASKED --encoder pixels --clusters 24 --quiet
said evenkeel audit two -o RUN-two
run evenkeel audit same -o RUN-same --clusters 3 --quiet
run evenkeel audit same -o RUN-same --hierarchy 3,2 --quiet
run evenkeel audit photos -o SUB --encoder pixels --clusters 9 --subsample 4 --quiet
said evenkeel audit photos -o SUB --encoder pixels --clusters default --subsample 4
echo "$ a number that happens to be the default one is a wish from then on"
run evenkeel audit two -o RUN-two --clusters 2 --quiet
made RUN-two
cp photos/disc/* two/
said evenkeel audit two -o RUN-two
echo "$ auto"
run evenkeel audit same -o RUN-same --clusters auto --quiet
set -- photos/disc/*
cp "${@:1:5}" five/
run evenkeel cluster RUN-same --quiet --force
