# shellcheck shell=bash
# A first audit, the same again, and what a changed option or file makes stale.
make_images photos 300
run evenkeel audit photos -o RUN --encoder pixels --clusters 3
run ls RUN RUN/clusters
run evenkeel audit RUN
run evenkeel audit RUN --clusters 4 --quiet
run evenkeel report RUN
run evenkeel cluster RUN
rm RUN/clusters/distance.npy
run evenkeel report RUN
printf '{}' >RUN/audit.json
run evenkeel report RUN
run evenkeel scan RUN --json --quiet >/dev/null
run evenkeel info RUN/embeddings.npy
