# shellcheck shell=bash
# Scores of a generator: what is told, what is current, and what is refused.
make_images photos 60
run evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet --json >/dev/null
train=(evenkeel train flow RUN --space pixel --side 16 --patch 4 --width 16 --depth 1 --steps 40 --batch 16 --slice 4 --quiet)
run "${train[@]}" --name plain >/dev/null
run "${train[@]}" --name m --condition cluster --log-losses 10 --draws 2 >/dev/null
run "${train[@]}" --name other --condition cluster --seed 1 --log-losses 10 --draws 2 >/dev/null
cat RUN/models/m/losses.json
score=(evenkeel score RUN --quiet)
# Numbers are the machine's.
shown() {
	grep -v '  [0-9]'
}
run "${score[@]}" --method el2n --model m --model other --draws 4 --name el2n | shown
run evenkeel score RUN --method el2n --model m --model other --draws 4 --name el2n | head -n 2
run "${score[@]}" --method grand --model m --draws 4 --name grand | shown
run "${score[@]}" --method grand-last --model m --draws 4 --name last | shown
run "${score[@]}" --method forgetting --model m --model other --name forgetting | shown
run "${score[@]}" --method forgetting-count --model m --name count | shown
run "${score[@]}" --method moso --model m --shards 2 --steps 12 --checkpoints 2 --draws 4 --name moso | shown
run "${score[@]}" --method moso-full --model plain --shards 3 --checkpoints 3 --draws 2 --name full | shown
ls RUN/cache/scores
run evenkeel prune RUN --keep 0.5 --method score:grand --order high --name hard --quiet --json >/dev/null
# Refused.
run "${score[@]}" --method el2n --name x
run "${score[@]}" --method el2n --model none --name x
run "${score[@]}" --method el2n --model m --checkpoint 7 --name x
run "${score[@]}" --method el2n --model m --shards 2 --name x
run "${score[@]}" --method moso --model m --model other --name x
run "${score[@]}" --method moso --model m --shards 40 --name x
run "${score[@]}" --method moso --model m --steps 3 --checkpoints 3 --name x
run "${score[@]}" --method forgetting --model plain --name x
# One loss that is no number is one image without a score.
printf '\0\0\300\177' | dd of=RUN/models/m/losses.npy bs=1 seek=$((128 + 4 * 17)) conv=notrunc status=none
run evenkeel score RUN --method forgetting --model m --model other --name forgetting | shown
# A training that went on is another model; other clusters are other classes; another run has other samples.
run "${train[@]}" --name plain --steps 50 >/dev/null
run evenkeel score RUN --method moso-full --model plain --shards 3 --checkpoints 3 --draws 2 --name full 2>&1 | grep -c "scoring again"
run evenkeel cluster RUN --clusters 4 --quiet --json >/dev/null
run "${score[@]}" --method el2n --model m --name x
make_images others 50
run evenkeel audit others -o OTHER --encoder pixels --clusters 3 --quiet --json >/dev/null
mkdir -p OTHER/models
cp -r RUN/models/plain OTHER/models/plain
run evenkeel score OTHER --method grand --model plain --name x --quiet
