# shellcheck shell=bash
# Hugging Face's shards (tests/golden/make_parquet.py), plain and packed, through to an export.
evenkeel version | grep -q 'arrow ' || exit 77
golden=$(dirname "${BASH_SOURCE[0]}")/../../golden
mkdir data && for kind in hf old; do cp "$golden/parquet-$kind.parquet" data/; done
echo "# a card" >data/README.md
run evenkeel audit data -o RUN --encoder pixels --clusters 2 --quiet
sed -n -e '1p' -e '$p' RUN/images.jsonl
cat RUN/rejected.jsonl
evenkeel audit RUN --quiet --threads 1 | head -1
evenkeel balance RUN --by label --to smallest --name even --quiet | head -2
run evenkeel export RUN --subset even -o OUT --as copies --verify --quiet
find OUT -name '*0.png' | sort
run evenkeel export RUN --subset even -o LIST --as list
# The same images, however a shard is named.
evenkeel scan 'data/parquet-*.parquet' -o GLOB --quiet | grep -E 'images|contents'
evenkeel scan data -o FOLDER --quiet | grep -E 'images|contents'
# Damage: the place is said, exit 3.
head -c 5000 data/parquet-hf.parquet >cut.parquet
run evenkeel audit cut.parquet -o RUN-cut
echo "PAR1 is how it starts" >text.parquet
run evenkeel audit text.parquet -o RUN-text
echo "PAR1/a.jpg" >list.txt
run evenkeel audit list.txt -o RUN-list
# Another file of this name after the scan.
cp "$golden/parquet-other.parquet" data/parquet-old.parquet
run evenkeel export RUN --subset even -o OUT2 --as copies --quiet
