# shellcheck shell=bash
# Images that are replaced under their names: what was made of the old ones is made again.
# Messages, the first line of the result, the exit code.
brief() { run "$@" | sed -n '1p;/again:\|^[0-9]* images\|^evenkeel\|^(exit/p'; }
make_images photos 60 >/dev/null

echo '# in a folder'
brief evenkeel audit photos -o RUN --encoder pixels --clusters 3 --seeds 2 --quiet
brief evenkeel audit RUN --quiet
echo 'not a picture' >photos/bar/00006.png
brief evenkeel audit RUN
brief evenkeel audit RUN

echo '# as many bytes, and the time put back'
file=photos/bar/00016.png
head -c "$(stat -c %s "$file")" /dev/zero >zeros
sleep 0.1
touch -r "$file" zeros
cp -p zeros "$file"
brief evenkeel audit RUN

echo '# the same bytes again: listed again, nothing else'
cp photos/bar/00026.png copy.png
sleep 0.1
cp copy.png photos/bar/00026.png
brief evenkeel audit RUN

echo '# behind a list and a table'
find "$PWD/photos/disc" -type f | LC_ALL=C sort >list.txt
(echo file_name && cat list.txt) >table.csv
first=$(head -n 1 list.txt)
brief evenkeel audit list.txt -o LISTED --encoder pixels --clusters 2 --seeds 2 --quiet
brief evenkeel scan table.csv -o TABLED --quiet
cp photos/bar/00036.png "$first"
brief evenkeel audit LISTED
brief evenkeel scan TABLED
rm "$first"
brief evenkeel scan TABLED

echo '# a run that was only scanned'
brief evenkeel scan photos/check -o SCANNED --quiet
for file in photos/check/*; do cp photos/bar/00036.png "$file"; done
brief evenkeel embed SCANNED --encoder pixels
