# shellcheck shell=bash
# Scores: what is printed, what is current, labels that are wrong, and what is refused.
make_images photos 240
run evenkeel audit photos -o RUN --encoder pixels --clusters 4 --quiet --json >/dev/null
# The last digits are those of the machine's BLAS.
run evenkeel score RUN --method probe-el2n --name el2n --quiet | grep -v '  [0-9]'
run evenkeel score RUN --method probe-el2n --name el2n | grep -v '  [0-9]'
run evenkeel score RUN --method distance --by cluster --name far --quiet --json >/dev/null
run evenkeel score RUN --method label-errors --name wrong --quiet >/dev/null
head -n 1 RUN/scores/wrong.csv
run evenkeel info RUN/scores/el2n.npy >info
grep -e hard -e current info
run evenkeel score RUN --method label-errors --by cluster --name x
run evenkeel score RUN --method probe-el2m --name x
run evenkeel score RUN --method probe-el2n --name ../x
run evenkeel score RUN --method distance --epochs 3 --name x
run evenkeel score RUN --method probe-aum --by label --labels none.csv --name x
run evenkeel score RUN --method probe-aum
cp RUN/scores/far.npy RUN/scores/mine.npy
run evenkeel score RUN --method probe-aum --name mine
# Another clustering makes stale what was made by it, and not what was made by labels.
run evenkeel cluster RUN --clusters 3 --quiet --json >/dev/null
evenkeel info RUN/scores/far.npy | grep stale
run evenkeel score RUN --method probe-el2n --name el2n | head -n 2
run evenkeel score RUN --method distance --by cluster --name far | head -n 2
# A plan makes the scores that it needs, and again where they are stale.
run evenkeel prune RUN --method score:probe-aum --order low --keep 0.5 --by label --name half --json --quiet >/dev/null
ls RUN/scores
run evenkeel cluster RUN --clusters 4 --quiet --json >/dev/null
evenkeel prune RUN --method score:far --order high --keep 20 --name few --json 2>&1 >/dev/null
run evenkeel prune RUN --method score:fra --order high --keep 20 --name few --quiet
run evenkeel prune RUN --method score:far --keep 20 --name few --quiet
run evenkeel sweep RUN --methods score:probe-el2n,score:far:middle,score:label-errors:high --keeps 0.5 --steps 2 --space pixel --dry-run --quiet | head -n 4
run evenkeel sweep RUN --methods score:far --keeps 0.5 --steps 2 --space pixel --dry-run
run evenkeel sweep RUN --methods score:label-errors --keeps 0.5 --steps 2 --space pixel --dry-run
