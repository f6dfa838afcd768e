# shellcheck shell=bash
# A subset as links, copies, shards, a list and class folders; what is in the way, missing or changed.
list() {
	find "$@" | sort
}
# Distances differ in their last digits between processors, and with them the length of a .json.
members() {
	tar -xOf "$1" --wildcards "${@:2}" | sed 's/"distance": [0-9.e-]*/DISTANCE/g'
}
names() {
	tar -tvf "$1" --full-time | sed 's/ [0-9]* 1970/ SIZE 1970/'
}
make_images photos 30
evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet >/dev/null
make_subset RUN some 0 1 1 5 20 28
make_subset RUN mixed 20 5 1 5 0
make_subset RUN outside 3 30
run evenkeel help export
run evenkeel export RUN --subset some -o links
run list links -type l -printf '%P -> %l\n'
run evenkeel export RUN --subset some -o new/copies --as copies
run cmp new/copies/bar/00007~2.jpg photos/bar/00007.jpg
run evenkeel export RUN --subset some -o folders --as imagefolder --json --quiet
run list folders -type f
run sed 's/"distance": [0-9.e-]*/DISTANCE/' folders/metadata.jsonl
run evenkeel export RUN --subset some -o labels --as imagefolder --by label --link --quiet
run list labels/bar labels/disc
run evenkeel export RUN --subset mixed -o list --as list --quiet
run cat list/paths.txt
run evenkeel export RUN --subset mixed -o shards --as tar --shard-size 2images
run ls -A shards
run names shards/000000.tar
run members shards/000000.tar '*.json' '*.cls'
run evenkeel export RUN --subset mixed -o bytes --as tar --shard-size 6kB --by cluster --quiet
run stat -c '%n %s' bytes/000000.tar bytes/000001.tar

# The same bytes again.
run evenkeel export RUN --subset mixed -o shards2 --as tar --shard-size 2images --quiet
run diff -r shards shards2

# What is in the way.
run evenkeel export RUN --subset some -o links
mkdir theirs
run evenkeel export RUN --subset some -o theirs --force
run evenkeel export RUN --subset mixed -o links --force --quiet
run list links -type l
touch links/mine
run evenkeel export RUN --subset mixed -o links --force
run evenkeel export RUN --subset mixed -o photos/bar/00006.png --force
cp -r RUN RUN2
rm links/mine
run evenkeel export RUN2 --subset mixed -o links --force
mkdir part.evenkeel-partial && touch part.evenkeel-partial/theirs
run evenkeel export RUN --subset mixed -o part
run mv links/.evenkeel-export part.evenkeel-partial
run evenkeel export RUN --subset mixed -o part
run ls part.evenkeel-partial

# What makes no sense.
run evenkeel export RUN --subset none -o DIR
run evenkeel export RUN --subset ../some -o DIR
run evenkeel export RUN --subset outside -o DIR
run evenkeel export RUN -o DIR
run evenkeel export --subset some -o DIR
run evenkeel export RUN --subset some -o DIR --by label
run evenkeel export RUN --subset some -o DIR --as tar --shard-size 3pages
run evenkeel export RUN --subset some -o DIR --as imagefolder --by colour
run evenkeel export RUN --subset some -o DIR --weights none
tar -cf photos.tar photos
evenkeel scan photos.tar -o TAR --quiet >/dev/null
make_subset TAR some 4 3
run evenkeel export TAR --subset some -o DIR --as links
run evenkeel export TAR --subset some -o DIR --as list
run evenkeel export TAR --subset some -o tarred --as copies --quiet
run list tarred/photos -type f

# Below a folder that is a link.
mkdir real && ln -s real linked
run evenkeel export RUN --subset some -o linked/out --as list --quiet
rm -r real linked

# What is gone or has changed.
mv photos/bar/00018.png gone.png
printf x >>photos/bar/00006.png
run evenkeel export RUN --subset some -o DIR --quiet
run evenkeel export RUN --subset some -o DIR --as list --keep-going
run cat DIR/paths.txt DIR/missing.jsonl
printf '\0' | dd of=photos/bar/00007.jpg bs=1 seek=100 conv=notrunc status=none
run evenkeel export RUN --subset some -o DIR2 --keep-going --verify --quiet
run list DIR2 -type l
run evenkeel export RUN --subset some -o DIR3 --as tar --quiet
run ls

# Of a list that cannot be written nothing is said to be in it.
mkdir line && cp photos/bar/00006.png $'line/a\nb.png' && cp photos/bar/00007.jpg line/c.jpg
evenkeel audit line -o LINE --encoder pixels --quiet >/dev/null
evenkeel prune LINE --method random --keep 1 --name all --quiet >/dev/null
run evenkeel export LINE --subset all -o LIST --as list --quiet
