# shellcheck shell=bash
# Subsets by prune and balance: what is written, what is current, and what is refused.
make_images photos 300
evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet >/dev/null 2>&1
run evenkeel prune RUN --method furthest --keep 0.3 --name far
run ls RUN/subsets RUN/subsets/far
run evenkeel prune RUN --method furthest --keep 0.3 --name far --json --quiet >/dev/null
run evenkeel prune RUN --method nearest --keep 0.3 --name far --quiet
run evenkeel balance RUN --to smallest --name even --quiet
run evenkeel balance RUN --total 400 --max-repeat 3 --by label --rule random --name more --quiet
printf 'label,share\nbar,0.5\ndisc,0.25\n' >half.csv
run evenkeel balance RUN --target half.csv --by label --name half --quiet
run evenkeel balance RUN --target half.csv --by label --name half --normalise --quiet
printf 'bar,0.5\ncow,0.5\n' >cow.csv
run evenkeel balance RUN --target cow.csv --by label --name cow
printf '0,0.5\n7,0.5\n' >seven.csv
run evenkeel balance RUN --target seven.csv --name seven
run evenkeel balance RUN --name nothing
run evenkeel balance RUN --to largest --name x
run evenkeel prune RUN --method furthest --keep 1.5 --name x
run evenkeel prune RUN --method furthest --keep 301 --name x
run evenkeel prune RUN --method furthest --keep 0.001 --name x
run evenkeel prune RUN --method nearer --keep 0.5 --name x
run evenkeel prune RUN --method nearest --keep 0.5 --name ../x
run evenkeel prune RUN --method nearest --keep 0.5 --by colour --name x
run evenkeel prune RUN --method nearest --keep 0.5 --order high --name x
run evenkeel prune RUN --method score --keep 0.5 --order high --name x
run evenkeel prune RUN --method score:mine --keep 0.5 --order high --name x
run evenkeel prune RUN --method score --scores RUN/embeddings.npy --keep 0.5 --order high --name x
# Near-duplicates: what each rule removes, and the ways to say how many.
run evenkeel prune RUN --method semdedup --eps 0.003 --rule components --name few --quiet
run evenkeel prune RUN --method d4 --keep 0.5 --name d4 --quiet
run evenkeel prune RUN --method d4 --keep 0.8 --name x
run evenkeel prune RUN --method d4 --keep 0.5 --dedup 0.4 --name x
run evenkeel prune RUN --method nearest --keep 0.5 --dedup 0.4 --name x
run evenkeel prune RUN --method nearest --eps 0.01 --name x
run evenkeel prune RUN --method nearest --keep 0.5 --rule greedy --name x
run evenkeel prune RUN --method semdedup --keep 0.5 --rule greedy --name x
run evenkeel prune RUN --method semdedup --keep 0.5 --eps 0.01 --name x
run evenkeel prune RUN --method semdedup --eps 0.01 --rounding floor --name x
run evenkeel prune RUN --method semdedup --eps 2 --name x
run evenkeel prune RUN --method semdedup --name x
# Other embeddings make what was clustered stale, and so the subset; a new clustering too.
evenkeel embed RUN --storage f16 --quiet >/dev/null
run evenkeel draw RUN --subset far
run evenkeel weights RUN --scheme sqrt --name root --quiet | head -2
evenkeel embed RUN --storage f32 --quiet >/dev/null
run evenkeel draw RUN --weights root
evenkeel cluster RUN --quiet >/dev/null
run evenkeel draw RUN --subset far --count 1 --quiet
run evenkeel cluster RUN --clusters 1 --quiet >/dev/null
run evenkeel prune RUN --method nearest --keep 0.3 --name far
run evenkeel prune RUN --method d4 --keep 0.5 --name d4 --quiet | head -2
# A cluster for every image; an assignment alone.
run evenkeel prune RUN --clusters 300 --method middle --keep 10 --name ten --quiet --json >/dev/null
run ls RUN/subsets
mkdir -p alone/clusters && cp RUN/clusters/assignment.npy RUN/clusters/distance.npy alone/clusters && echo '{}' >alone/run.json
run evenkeel prune alone --method random --keep '1 images' --name one --quiet
run ls alone/subsets/one
# Images that have no value of what is counted by, and a balance that moves next to nothing, are told of.
make_images few 20 >/dev/null
(
	cd few
	echo 'file_name,tone,made'
	find . -name '*.*' -type f | sort | sed 's,^\./,,' | awk '{ print $0 "," (NR <= 4 ? "dark" : NR <= 8 ? "light" : "") "," (NR == 1 ? "" : NR < 6 ? "here" : "there") }'
) >tone.csv
evenkeel scan few --attributes tone.csv -o FEW --quiet >/dev/null
for by in tone made label; do
	run evenkeel balance FEW --encoder pixels --clusters 2 --by "$by" --to smallest --name "$by" --quiet | sed -n '2,4p'
	run evenkeel weights FEW --scheme inverse --by "$by" --name "$by" --quiet | sed -n '2,5p'
done
run evenkeel prune FEW --by tone --method random --keep 0.5 --name part --quiet | sed -n '2,4p'
grep -hE '"(by|without_value|moved|changes_little)"' FEW/subsets/{tone,made,part}/subset.json FEW/weights/made/weights.json
