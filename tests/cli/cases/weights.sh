# shellcheck shell=bash
# Weights and the order they give: shares, caps, ranks, what is stale, and what is refused.
make_images photos 300
run evenkeel audit photos -o RUN --encoder pixels --clusters 5 --quiet --json >/dev/null
run evenkeel weights RUN --scheme inverse --name even
run evenkeel weights RUN --scheme alpha=0.5 --cap 1.1 --by label --name labels --quiet
run evenkeel draw RUN --weights even --epoch 1 -o all.npy --quiet
run evenkeel draw RUN --weights even --epoch 1 -o all.npy --quiet --json
run evenkeel draw RUN --weights even --epoch 1 --count 3 --quiet --json
for rank in 0 1 2; do
	run evenkeel draw RUN --weights even --epoch 1 --rank "$rank" --world 3 --quiet >"rank$rank"
done
evenkeel draw RUN --weights even --epoch 1 --quiet >all
# Three ranks, one row after the other, are the whole.
paste -d '\n' <(tail -n +2 rank0) <(tail -n +2 rank1) <(tail -n +2 rank2) | cmp - all && echo "the ranks make the whole"
evenkeel draw RUN --weights even --epoch 1 --start 100 --count 50 --quiet | cmp - <(sed -n 101,150p all) && echo "any start"
run evenkeel draw RUN --weights even --rank 3 --world 3
run evenkeel draw RUN --weights even --count 301
run evenkeel draw RUN --weights evne
run evenkeel draw RUN
run evenkeel weights RUN --scheme inverse
run evenkeel weights RUN --scheme invers --name x
run evenkeel weights RUN --scheme inverse --by colour --name x
run evenkeel weights RUN --scheme inverse --cap 0.5 --name x
printf 'cluster,share\n0,0.5\n1,0.4\n' >shares.csv
run evenkeel weights RUN --scheme target=shares.csv --name mine
run evenkeel weights RUN --scheme target=shares.csv --normalise --name mine --quiet
printf 'cluster,share\n0,0.5\n9,0.5\n' >shares.csv
run evenkeel weights RUN --scheme target=shares.csv --name mine --quiet
run evenkeel cluster RUN --clusters 4 --quiet --json >/dev/null
run evenkeel draw RUN --weights even
run evenkeel draw RUN --weights labels --count 3 --seed 7 --quiet
run evenkeel balance RUN --to smallest --name few --quiet --json >/dev/null
run evenkeel draw RUN --subset few --count 2 --quiet >/dev/null
run evenkeel draw RUN --subset fwe
run evenkeel draw RUN --subset few --output RUN/images.jsonl
