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

echo '# what is not listed any more is told where it was made from'
brief evenkeel audit photos -o WHOLE --encoder pixels --clusters 3 --seeds 2 --held-out 0.2 --quiet
states() { evenkeel info "$1" | sed -n 's/^  \([a-z].*\): 20.*/\1/p;s/^    \(current\|stale: .*\);.*/\1/p;s/^    current$/current/p' | paste - - | sed "s#$PWD/##g"; }
states WHOLE
cp photos/bar/00036.png photos/bar/00037.jpg
states WHOLE
evenkeel scan WHOLE --quiet >/dev/null
states WHOLE
evenkeel audit WHOLE --quiet >/dev/null 2>&1
states WHOLE

echo '# generated images, a reference, statistics, embeddings: measured anew'
distance() { run evenkeel evaluate WHOLE "$@" 2>&1 | grep -E '^evenkeel|again|is current|FD-pixels'; }
mkdir gen && cp photos/disc/*[13579]?.* gen
cp -r gen ref
distance --samples gen --name g --reference ref
distance --samples gen --name g --reference ref
cp photos/bar/*[02468]?.* ref
distance --samples gen --name g --reference ref
for file in gen/*; do cp photos/bar/00036.png "$file"; done
states WHOLE | grep evaluation
evenkeel report WHOLE --quiet >/dev/null
grep -o 'Stale</b>: [^<]*changed' WHOLE/report.html | sed "s#$PWD/##"
distance --samples gen --name g --reference ref
states WHOLE | grep evaluation
evenkeel report WHOLE --quiet >/dev/null
grep -c 'Stale</b>' WHOLE/report.html
evenkeel evaluate WHOLE --samples ref --name s --save-statistics stats.npz --quiet >/dev/null 2>&1
distance --samples gen --name t --statistics stats.npz
evenkeel evaluate WHOLE --samples ref --name s --reference gen --save-statistics stats.npz --quiet >/dev/null 2>&1
states WHOLE | grep evaluation
distance --samples gen --name t --statistics stats.npz
make_arrays head WHOLE/embeddings.npy rows.npy 20
distance --samples rows.npy --name r --reference ref
make_arrays head WHOLE/embeddings.npy rows.npy 19
states WHOLE | grep 'evaluation r'
distance --samples rows.npy --name r --reference ref

echo '# --force makes the features again, too'
run evenkeel evaluate WHOLE --samples gen --name g --reference ref --force 2>&1 | grep -E '^(scan|embedding|evaluating)'
