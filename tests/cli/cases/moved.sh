# shellcheck shell=bash
# A run whose data, own embeddings or weights are away, that was moved, or is named from another folder.
# The command, messages, the first line of the result, the exit code.
brief() { run "$@" | sed -n "1p;/^warning\|^evenkeel\|again:\|^[0-9]* images\|^  k  \|^[0-9A-Za-z.-][0-9A-Za-z.-]*$\|^(exit/p"; }
make_images photos 60
printf 'file_name,size\n' >sizes.csv
(cd photos && find . -name '*.png' -o -name '*.jpg' | sed 's#^\./##' | sort | awk '{ print $0 "," NR % 2 }') >>sizes.csv
brief evenkeel audit photos -o RUN --encoder pixels --clusters 3 --attributes sizes.csv --quiet
mv RUN moved
mv photos away
mv sizes.csv sizes-away.csv
brief evenkeel audit moved --quiet
brief evenkeel cluster moved --clusters 4 --quiet
brief evenkeel audit moved --held-out 0.1 --quiet
brief evenkeel audit moved --input-size 8 --quiet
brief evenkeel audit moved --force --quiet
brief evenkeel report moved --quiet
mv away photos
mv sizes-away.csv sizes.csv
brief sh -c 'cd / && evenkeel cluster "$1" --quiet' sh "$PWD/moved"
brief evenkeel audit moved/embeddings.npy -o alone --clusters 3 --quiet
mv moved/embeddings.npy away.npy
brief evenkeel audit alone --quiet

# What one option takes back of another, and what is wrong is told before anything is done.
mv away.npy moved/embeddings.npy
brief evenkeel cluster moved --spherical
brief evenkeel cluster moved --no-spherical --quiet
brief evenkeel cluster moved --hierarchy 6,2 --quiet
brief evenkeel cluster moved --clusters 3 --quiet
brief evenkeel audit photos -o new --encoder pixels --hierarchy 2,6
brief evenkeel audit photos -o new --encoder pixels --eps 0
brief evenkeel audit photos -o new --encoder pixels --weights nowhere.pth
mkfifo pipe
brief evenkeel audit photos -o new --encoder pixels --attributes pipe
brief ls new

# What is said of the images may change without embedding them again; another image may not.
brief evenkeel audit photos -o said --encoder pixels --clusters 3 --quiet
brief evenkeel embed said --attributes sizes.csv
brief evenkeel embed said --held-out 0.2
cp photos/bar/00006.png photos/bar/zzz.png
brief evenkeel embed said --check header
