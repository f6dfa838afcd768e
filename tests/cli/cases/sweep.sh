# shellcheck shell=bash
# Every point of a sweep by one command, and again; numbers depend on the processor's products, so they are left out.
make_images images 90 >/dev/null
evenkeel audit images -o run --encoder pixels --clusters 3 --seeds 2 --held-out 0.3 --quiet >/dev/null
network="--side 8 --patch 4 --width 16 --depth 1 --batch 8 --slice 2 --precision f32"
# sweep OPTIONS…: with what all sweeps here have.
sweep() {
	printf '# sweep %s\n' "$*"
	run evenkeel sweep run --space pixel --steps 4 --seeds 2 --count 12 --train "$network" --generate "--steps 2 --precision f32" \
		--quiet "$@" | sed -E -e 1d -e 's/(FD|coverage|cluster) [0-9.-]+( \([0-9]\))?/\1 X/g' -e 's/of ([0-9]), .*\)/of \1, TIME)/' \
		-e 's/takes about .* a point/takes TIME/'
}
# What takes long to make.
made() {
	find run -type f \( -path '*/sweep-*/images/*' -o -path '*/sweep-*/step-*' -o -path '*/sweep-*/keep.npy' \) -printf '%p %T@\n' | sort
}
sweep --methods furthest,random --keeps 0.5,1 --dry-run
sweep --methods furthest,random --keeps 0.5,1
run ls run/subsets run/models run/samples run/evaluations
made >before && grep -c . before
sum=$(cat run/evaluations/sweep-*.json | sha256sum)
echo '# again: nothing is made again; another fraction: only that'
sweep --methods furthest,random --keeps 0.5 --json
made | cmp before - && echo same files
[ "$sum" = "$(cat run/evaluations/sweep-*.json | sha256sum)" ] && echo same numbers
sweep --methods furthest --keeps 0.5,0.75 --dry-run
sweep --methods furthest --keeps 0.5,0.75
run evenkeel compare run --name 'sweep-*' --json | grep -E '"(evaluation|keep|baseline|not_compared)"'

echo '# a point that has had other steps is not set beside others: told before anything is done; another name is another sweep'
sweep --methods furthest,nearest --keeps 0.5 --steps 3
sweep --methods furthest,nearest --keeps 0.5 --steps 5
sweep --methods furthest,nearest --keeps 0.5 --steps 3 --dry-run
sweep --methods nearest --keeps 0.5 --steps 3 --name fewer --dry-run

echo '# a point that fails is told, the others go on'
sweep --methods d4,random-within --keeps 0.9
sweep --methods random-within --keeps 0.9
run ls run/evaluations

echo '# by scores that the sweep makes: one generator for them, trained once'
sweep --methods score:grand,score:el2n:inverse,score:forgetting:middle,score:moso --keeps 0.5 --name scored --score-steps 20 \
	--score '--draws 2 --shards 2 --checkpoints 2 --precision f32'
run ls run/scores
sweep --methods score:grand --keeps 0.5 --name scored --score '--model x'

echo '# mistakes are told before anything is done'
run evenkeel sweep
run evenkeel sweep run
run evenkeel sweep run --methods furthest
run evenkeel sweep run --methods furthest --keeps 0.5
run evenkeel sweep run --methods furthest --keeps 0.5 --steps 4
run evenkeel sweep nowhere --methods furthest --keeps 0.5 --steps 4 --space pixel
sweep --methods furthst --keeps 0.5
sweep --methods furthst --keeps 1
sweep --methods furthest, --keeps 0.5
sweep --methods furthest --keeps 0
sweep --methods furthest --keeps 1.5
sweep --methods furthest --keeps half
sweep --methods score:mine --keeps 0.5
sweep --methods furthest --keeps 0.5 --name a/b
sweep --methods furthest --keeps 0.5 --autoencoder ae
sweep --methods furthest --keeps 0.5 --train '--widht 8'
sweep --methods furthest --keeps 0.5 --train '--epochs 3'
sweep --methods furthest --keeps 0.5 --generate '--model=x'
sweep --methods furthest --keeps 0.5 --evaluate '--samples x'
run ls run/evaluations
