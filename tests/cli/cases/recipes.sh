# shellcheck shell=bash
# Recipes: a plan is written to one file and made again from it; options given win; files that are no recipe are refused.
make_images photos 300
evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet >/dev/null 2>&1
evenkeel audit photos -o AGAIN --encoder pixels --clusters 4 --seed 2 --quiet >/dev/null 2>&1
first() { # the first lines of what is printed
	local lines=$1
	shift
	run "$@" | head -"$lines"
}
same() {
	cmp "RUN/$1" "AGAIN/$1" && echo "the same"
}
first 3 evenkeel prune RUN --method middle --keep 0.3 --by label --seed 7 --name mid --recipe mid.json
run cat mid.json
run evenkeel prune AGAIN --recipe mid.json | grep -e '^\$' -e replaying -e again:
same subsets/mid/keep.npy
# Clusters are made as the recipe says; those of a run that has them so are left as they are.
first 2 evenkeel prune RUN --method random-within --keep 0.3 --seed 7 --name any --recipe any.json --quiet
evenkeel cluster AGAIN --clusters 5 --seed 4 --quiet >/dev/null
run evenkeel prune AGAIN --recipe any.json | grep -e '^\$' -e replaying -e again:
same subsets/any/keep.npy
first 3 evenkeel prune RUN --recipe any.json
# Options given now win, and drop what they replace.
first 2 evenkeel prune RUN --recipe any.json --keep 10 --name ten --quiet
first 8 evenkeel prune RUN --method semdedup --eps 0.003 --rule greedy --name few --recipe few.json --quiet
first 2 evenkeel prune RUN --recipe few.json --rule components --quiet
first 2 evenkeel prune RUN --recipe few.json --keep 0.25 --quiet
first 2 evenkeel prune RUN --recipe few.json --method d4 --keep 0.25 --dedup 0.5 --name d4 --quiet
# A data set that is away is no fault while nothing else is asked of it.
mv photos gone
first 4 evenkeel prune RUN --recipe any.json
run evenkeel prune RUN --recipe any.json --storage f16 --quiet
mv gone photos
printf 'label,share\nbar,0.2\ndisc,0.2\n' >shares.csv
first 2 evenkeel balance RUN --target shares.csv --by label --normalise --name fair --recipe fair.json --quiet
first 2 evenkeel balance AGAIN --recipe fair.json --quiet
same subsets/fair/keep.npy
first 2 evenkeel balance RUN --recipe fair.json --to smallest --quiet
first 2 evenkeel weights RUN --scheme target=shares.csv --normalise --by label --cap 3 --name w --recipe w.json --quiet
mkdir elsewhere && cd elsewhere
first 2 evenkeel weights ../AGAIN --recipe ../w.json --quiet
cd ..
same weights/w/weights.npy
first 2 evenkeel weights RUN --scheme sqrt --name root --recipe root.json --quiet
run cat w.json root.json
# What is refused.
run evenkeel balance RUN --recipe mid.json
run evenkeel prune RUN --recipe nothing.json
run evenkeel prune RUN --method nearest --keep 0.5 --name x --recipe nowhere/x.json
run evenkeel prune RUN --recipe .
echo 'method: nearest' >no.json
run evenkeel prune RUN --recipe no.json
echo '{"command": "prune"}' >no.json
run evenkeel prune RUN --recipe no.json
echo '[]' >no.json
run evenkeel prune RUN --recipe no.json
bad() {
	printf '{"command": "prune", "options": {"method": "nearest", "name": "x", %s}}\n' "$1" >no.json
	run evenkeel prune RUN --recipe no.json
}
bad '"keep": 1.5'
bad '"keep": "0.5", "rounding": "up"'
bad '"keep": "0.5", "lists": 1'
bad '"keep": ["0.5"]'
bad '"kept": "0.5"'
bad '"keep": "0.5", "recipe": "x.json"'
bad '"keep": "0.5", "seed": -1'
bad '"keep": "0.5", "name": "../x"'
bad '"keep": "0.5", "method": "nearer"'
bad '"keep": "0.5"}, "steps": {"report": {}'
bad '"keep": "0.5"}, "steps": {"cluster": {"clusters": 0}'
bad '"keep": "0.5"}, "steps": {"cluster": 3'
for steps in '[[]]' '[3]' '"x"' 1 true null '{"embed": [[]]}' '{"cluster": {"": {}}}' '{"seed": []}'; do
	printf '{"command": "prune", "options": {"method": "nearest", "keep": "0.5", "name": "x"}, "steps": %s}\n' "$steps" >no.json
	run evenkeel prune RUN --recipe no.json
done
bad '"by": "label"'
run ls RUN/subsets
