#!/usr/bin/env bash
# test.sh PROGRAM_FOLDERS: pruning.sh on a tiny set: two lanes at once; stopped again and again; and as two parts on two
# machines, which give the same points. Then what pruning.py makes of them.
set -euo pipefail
PATH=$1:$PATH
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
export DEVICE=cpu ENCODER=pixels CLUSTERS=4 AUTOENCODER="--side 16 --widths 8,16 --latent-channels 4 --groups 4 --batch 16"
export AUTOENCODER_STEPS=8 NETWORK="--width 32 --depth 1 --patch 2" STEPS=8 SAMPLES=24 SAMPLING="--steps 2"
export LEARNING="--batch 16" SCORER_LEARNING="--batch 16"
export EVALUATION="--resamples 100 --subsets 2 --subset-size 16" METHODS=furthest SCORES="el2n moso" ENDS=high KEEPS=0.5
export AGAIN_KEEPS=0.5 SCORER_STEPS=20 SCORER_CHECKS=4 DRAWS=2 SHARDS=2 SURROGATE_STEPS=6 CHECKPOINTS=2

fail() {
	echo "pruning test: $*" >&2
	exit 1
}

pruning() {
	bash "$here/pruning.sh" evenkeel "$1" "$2" photos
}

make_images photos 240 >/dev/null
LANES=2 pruning whole 300 >log
[ "$(tail -1 log)" = "done: 8 points" ] || fail "$(cat log)"

stops=0
until pruning stopped 4 >log && grep -q ^done: log; do
	[ $((++stops)) -lt 60 ] || fail "it does not get on: $(cat log)"
done
[ "$stops" -gt 0 ] || fail "it was not stopped"

for part in 0 1; do
	mkdir -p "part-$part/done"
	cp -r whole/done/autoencoder whole/done/*.npy "part-$part/done"
	PART=$part/2 pruning "part-$part" 300 >log
	[ "$(tail -1 log)" = "done: 4 points" ] || fail "$(cat log)"
done
cp -r part-0/done parts
cp part-1/done/*.json parts

for other in stopped/done parts; do
	diff -r whole/done "$other" >difference || fail "$other: $(head -c 2000 difference)"
done
python3 "$here/pruning.py" whole/done curves.svg >tables
grep -q '^| moso-high |  | .* ± .* |$' tables || fail "$(cat tables)"
python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' curves.svg
echo "8 points, the same in two lanes, with $stops stops and in two parts"
